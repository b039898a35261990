// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a form: a line for its content-type, the rest for its body. What is accepted lies within the body, in
// order, and none of it holds the boundary.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "serving/http/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plait;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(input.find('\n'), input.size());
  const std::string_view body = input.substr(std::min(line + 1, input.size()));
  const auto parts = serving::read_form(input.substr(0, line), body);
  if (!parts) {
    PLAIT_CHECK(parts.error().status == 400 || parts.error().status == 415, parts.error().status);
    PLAIT_CHECK(!parts.error().message.empty());
    return 0;
  }
  PLAIT_CHECK(parts->size() <= serving::kFormPartsMax);
  const char* at = body.data();
  for (const serving::FormPart& part : *parts) {
    if (part.content.empty()) continue;
    PLAIT_CHECK(part.content.data() >= at && part.content.data() + part.content.size() <= body.data() + body.size());
    at = part.content.data() + part.content.size();
  }
  return 0;
}
