// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of keys: what is read is written and read again the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "serving/http/api_keys.h"
#include "serving/key_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plait;
  const auto keys = serving::read_keys({reinterpret_cast<const char*>(data), size});
  if (!keys) {
    PLAIT_CHECK(!keys.error().message.empty());
    return 0;
  }
  const std::string written = serving::write_keys(*keys);
  const auto again = serving::read_keys(written);
  PLAIT_CHECK(again.has_value() && again->size() == keys->size());
  PLAIT_CHECK(serving::write_keys(*again) == written);
  if (auto list = serving::HttpKeys::make(*keys)) PLAIT_CHECK(list->find("no such key") == nullptr);
  return 0;
}
