// SPDX-License-Identifier: Apache-2.0
//
// Opening GGUF files, whole or in parts. A part says in its metadata which one it is (`split.no`, from 0), how many
// there are
// (`split.count`) and how many tensors they hold together (`split.tensors.count`); the other parts are found by name.
#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "models/detail/gguf_parse.h"
#include "models/gguf.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::fail;

constexpr const char* kPartKey = "split.no";
constexpr const char* kCountKey = "split.count";
constexpr const char* kTensorsKey = "split.tensors.count";
constexpr std::int64_t kPartsMax = 1000;  // the largest published models have some hundred

// Puts the file's name before the message: which file matters most when one of many is wrong.
std::unexpected<base::Error> in_file(base::Error error, const std::filesystem::path& path) {
  error.message = fmt::format("{}: {}", path.string(), error.message);
  return std::unexpected(std::move(error));
}

std::string part_suffix(std::int64_t part, std::int64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", part + 1, count);
}

}  // namespace

base::Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes) {
  PLAIT_TRY(detail::ParsedGguf parsed, detail::parse_gguf(bytes));
  GgufFile file;
  file.version_ = parsed.version;
  file.entries_ = std::move(parsed.entries);
  file.tensors_ = std::move(parsed.tensors);
  file.parts_.push_back({.map = std::nullopt, .bytes = bytes});
  PLAIT_TRY_VOID(file.index());
  PLAIT_TRY(const auto count, file.get_or<std::int64_t>(kCountKey, 0));
  if (count > 1) return fail(ErrorCode::unsupported, fmt::format("one of {} parts, opened without its name", count));
  return file;
}

base::Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  PLAIT_TRY(GgufFile file, open_single(path));
  const auto count = file.get_or<std::int64_t>(kCountKey, 0);
  if (!count) return in_file(count.error(), path);
  if (*count <= 1) return file;
  return open_parts(path, std::move(file));
}

base::Result<GgufFile> GgufFile::open_single(const std::filesystem::path& path) {
  PLAIT_TRY(os::MappedFile map, os::MappedFile::open(path));
  base::Result<detail::ParsedGguf> parsed = detail::parse_gguf(map.bytes());
  PLAIT_TRY_VOID(map.check());  // a file that shrank while it was parsed gives a misleading error, or none
  if (!parsed) return in_file(std::move(parsed).error(), path);
  GgufFile file;
  file.version_ = parsed->version;
  file.entries_ = std::move(parsed->entries);
  file.tensors_ = std::move(parsed->tensors);
  const std::span<const std::byte> bytes = map.bytes();
  file.parts_.push_back({.map = std::move(map), .bytes = bytes});
  if (auto indexed = file.index(); !indexed) return in_file(std::move(indexed).error(), path);
  return file;
}

base::Result<GgufFile> GgufFile::open_parts(const std::filesystem::path& path, GgufFile opened) {
  const auto number = [&](const GgufFile& file, const std::filesystem::path& where,
                          const char* key) -> base::Result<std::int64_t> {
    auto value = file.require<std::int64_t>(key);
    if (!value) return in_file({ErrorCode::invalid_data, value.error().message}, where);
    return value;
  };
  PLAIT_TRY(const std::int64_t count, number(opened, path, kCountKey));
  PLAIT_TRY(const std::int64_t here, number(opened, path, kPartKey));
  PLAIT_TRY(const std::int64_t tensor_count, number(opened, path, kTensorsKey));
  if (count > kPartsMax || here < 0 || here >= count) {
    return in_file({ErrorCode::invalid_data,
                    fmt::format("metadata 'split.no' is {} of {} parts (at most {})", here, count, kPartsMax)},
                   path);
  }
  const std::string file_name = path.filename().string();
  const std::string suffix = part_suffix(here, count);
  if (!file_name.ends_with(suffix)) {
    return in_file({ErrorCode::invalid_data,
                    fmt::format("part {} of {}, but its name does not end in '{}', so the other parts cannot be found",
                                here + 1, count, suffix)},
                   path);
  }
  const std::string stem = file_name.substr(0, file_name.size() - suffix.size());
  std::optional<GgufFile> whole;
  for (std::int64_t part = 0; part < count; ++part) {
    const std::filesystem::path part_path = path.parent_path() / (stem + part_suffix(part, count));
    // NOLINTNEXTLINE(bugprone-use-after-move): `part` equals `here` once
    base::Result<GgufFile> file = part == here ? std::move(opened) : open_single(part_path);
    if (!file) return fail(std::move(file).error(), fmt::format("part {} of {} of a model", part + 1, count));
    PLAIT_TRY(const std::int64_t part_no, number(*file, part_path, kPartKey));
    PLAIT_TRY(const std::int64_t part_count, number(*file, part_path, kCountKey));
    if (part_no != part || part_count != count) {
      return in_file({ErrorCode::invalid_data, fmt::format("says it is part {} of {}, its name says {} of {}",
                                                           part_no + 1, part_count, part + 1, count)},
                     part_path);
    }
    if (whole) {
      whole->add_part(*std::move(file));
    } else {
      whole = *std::move(file);
    }
  }
  if (std::cmp_not_equal(whole->tensors_.size(), tensor_count)) {
    return in_file(
        {ErrorCode::invalid_data, fmt::format("metadata 'split.tensors.count' is {}, the {} parts hold {} tensors",
                                              tensor_count, count, whole->tensors_.size())},
        path);
  }
  if (auto indexed = whole->index(); !indexed) return in_file(std::move(indexed).error(), path);
  return *std::move(whole);
}

void GgufFile::add_part(GgufFile part) {
  for (TensorInfo& tensor : part.tensors_) {
    tensor.part = parts_.size();
    tensors_.push_back(tensor);
  }
  parts_.push_back(std::move(part.parts_.front()));
}

}  // namespace plait::models
