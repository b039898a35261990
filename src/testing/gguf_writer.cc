// SPDX-License-Identifier: Apache-2.0
#include "testing/gguf_writer.h"

#include <fmt/format.h>

#include <fstream>
#include <utility>

namespace plait::testing {
namespace {

constexpr std::uint32_t kStringKind = 8;
constexpr std::uint32_t kArrayKind = 9;

}  // namespace

struct GgufWriter::Output {
  std::string bytes;
  std::vector<GgufField> fields;

  void add(std::string name, std::string_view content) {
    fields.push_back({std::move(name), bytes.size(), content.size()});
    bytes += content;
  }
  void pad(std::size_t alignment) { bytes.resize((bytes.size() + alignment - 1) / alignment * alignment); }
};

GgufWriter& GgufWriter::string(std::string_view key, std::string_view value) {
  return raw(key, kStringKind, bytes_of<std::uint64_t>(value.size()) + std::string(value));
}

GgufWriter& GgufWriter::strings(std::string_view key, const std::vector<std::string>& values) {
  std::string payload;
  for (const std::string& value : values) payload += bytes_of<std::uint64_t>(value.size()) + value;
  return array(key, kStringKind, values.size(), payload);
}

GgufWriter& GgufWriter::array(std::string_view key, std::uint32_t element_kind, std::uint64_t count,
                              std::string_view payload) {
  return raw(key, kArrayKind, bytes_of(element_kind) + bytes_of(count) + std::string(payload));
}

GgufWriter& GgufWriter::raw(std::string_view key, std::uint32_t kind, std::string_view payload) {
  entries_.push_back({std::string(key), kind, std::string(payload)});
  return *this;
}

GgufWriter& GgufWriter::tensor(std::string_view name, tensor::Type type, std::vector<std::uint64_t> dims,
                               std::string data) {
  tensors_.push_back({std::string(name), type, std::move(dims), std::move(data)});
  return *this;
}

GgufWriter& GgufWriter::tensor(std::string_view name, std::vector<std::uint64_t> dims,
                               const std::vector<float>& values) {
  std::string data;
  for (const float value : values) data += bytes_of(value);
  return tensor(name, tensor::Type::f32, std::move(dims), std::move(data));
}

GgufWriter& GgufWriter::zeros(std::string_view name, tensor::Type type, std::vector<std::uint64_t> dims) {
  std::uint64_t elements = 1;
  for (const std::uint64_t size : dims) elements *= size;
  return tensor(name, type, std::move(dims), std::string(tensor::row_bytes(type, elements), '\0'));
}

GgufWriter& GgufWriter::alignment(std::uint32_t bytes) {
  alignment_ = bytes;
  return number<std::uint32_t>("general.alignment", bytes);
}

GgufWriter::Output GgufWriter::write() const {
  Output out;
  out.add("magic", "GGUF");
  out.add("version", bytes_of(version_));
  out.add("tensor count", bytes_of<std::uint64_t>(tensors_.size()));
  out.add("metadata count", bytes_of<std::uint64_t>(entries_.size()));
  for (const Entry& entry : entries_) {
    out.add(entry.key + " key length", bytes_of<std::uint64_t>(entry.key.size()));
    out.add(entry.key + " key", entry.key);
    out.add(entry.key + " type", bytes_of(entry.kind));
    std::string_view rest = entry.payload;
    if (entry.kind == kArrayKind && rest.size() >= 12) {
      out.add(entry.key + " element type", rest.substr(0, 4));
      out.add(entry.key + " element count", rest.substr(4, 8));
      rest.remove_prefix(12);
    } else if (entry.kind == kStringKind && rest.size() >= 8) {
      out.add(entry.key + " value length", rest.substr(0, 8));
      rest.remove_prefix(8);
    }
    out.add(entry.key + " value", rest);
  }
  std::uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    out.add(tensor.name + " name length", bytes_of<std::uint64_t>(tensor.name.size()));
    out.add(tensor.name + " name", tensor.name);
    out.add(tensor.name + " dimension count", bytes_of(static_cast<std::uint32_t>(tensor.dims.size())));
    for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
      out.add(fmt::format("{} dimension {}", tensor.name, i), bytes_of(tensor.dims[i]));
    }
    out.add(tensor.name + " type", bytes_of(static_cast<std::uint32_t>(tensor.type)));
    out.add(tensor.name + " offset", bytes_of(offset));
    offset = (offset + tensor.data.size() + alignment_ - 1) / alignment_ * alignment_;
  }
  for (const Tensor& tensor : tensors_) {
    out.pad(alignment_);
    out.add(tensor.name + " data", tensor.data);
  }
  return out;
}

std::string GgufWriter::bytes() const { return write().bytes; }

std::vector<GgufField> GgufWriter::fields() const { return write().fields; }

std::vector<std::filesystem::path> write_gguf_parts(const std::filesystem::path& folder, const std::string& stem,
                                                    std::vector<GgufWriter> parts) {
  std::size_t tensors = 0;
  for (const GgufWriter& part : parts) tensors += part.tensor_count();
  std::vector<std::filesystem::path> paths;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].number("split.no", static_cast<std::uint16_t>(i));
    parts[i].number("split.count", static_cast<std::uint16_t>(parts.size()));
    parts[i].number("split.tensors.count", static_cast<std::int32_t>(tensors));
    paths.push_back(folder / fmt::format("{}-{:05}-of-{:05}.gguf", stem, i + 1, parts.size()));
    write_bytes(paths.back(), parts[i].bytes());
  }
  return paths;
}

void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace plait::testing
