// SPDX-License-Identifier: Apache-2.0
//
// plait.toml is written by people and found in the working folder, so it may be anything.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "cli/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using plait::cli::Setting;
  const auto config = plait::cli::parse_config({reinterpret_cast<const char*>(data), size}, "plait.toml");
  if (!config) {
    PLAIT_CHECK(config.error().message.starts_with("plait.toml:"), config.error().message);
    return 0;
  }
  for (const Setting& setting : plait::cli::known_settings()) {
    if (setting.kind == Setting::Kind::number) static_cast<void>(config->number(setting.key));  // checks itself
    if (setting.kind == Setting::Kind::flag) static_cast<void>(config->flag(setting.key));
  }
  return 0;
}
