// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as JSON: what parses must survive being written and parsed again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = plait::text::parse_json(text, {.bytes_max = 1U << 20U, .depth_max = 64, .values_max = 100'000});
  if (!value) return 0;
  const std::string written = plait::text::dump_json(*value);
  const auto again = plait::text::parse_json(written);
  if (!again || plait::text::dump_json(*again) != written) std::abort();
  return 0;
}
