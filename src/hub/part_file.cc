// SPDX-License-Identifier: Apache-2.0
#include "hub/part_file.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "os/file.h"

namespace plait::hub {
namespace {

using base::Bytes;
using base::Result;

constexpr Bytes kStateBytesMax = 64 << 10;

}  // namespace

PartFile::PartFile(os::GrowingFile file) : file_(std::move(file)), note_(file_.path().string() + ".json") {}

Result<PartFile> PartFile::open(const std::filesystem::path& folder, const std::string& name) {
  PLAIT_TRY(os::GrowingFile file, os::GrowingFile::open(folder / ("." + name + ".part")));
  return PartFile(std::move(file));
}

PartState PartFile::state() const {
  const auto text = os::read_file(note_, kStateBytesMax);
  const auto note = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  PartState state;
  if (!note.is_object()) return state;
  const auto text_of = [&note](const char* key) {
    const auto found = note.find(key);
    return found != note.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto number_of = [&note](const char* key) {
    const auto found = note.find(key);
    return found != note.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
  };
  state.source = text_of("source");
  state.validator = text_of("validator");
  state.parts = number_of("parts");
  state.bytes = number_of("bytes");
  return state;
}

Result<void> PartFile::set_state(const PartState& state) const {
  const nlohmann::json note{
      {"source", state.source}, {"validator", state.validator}, {"parts", state.parts}, {"bytes", state.bytes}};
  return os::write_file_atomically(note_, note.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<void> PartFile::finish(const std::filesystem::path& final_path) {
  PLAIT_TRY_VOID(file_.rename_to(final_path));
  std::error_code ignored;
  std::filesystem::remove(note_, ignored);
  return {};
}

void PartFile::discard() {
  std::error_code ignored;
  std::filesystem::remove(file_.path(), ignored);
  std::filesystem::remove(note_, ignored);
}

}  // namespace plait::hub
