// SPDX-License-Identifier: Apache-2.0
//
// `traceparent` and `tracestate` come from anybody who can send a request.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "operations/trace_context.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plait::operations;
  const std::string_view field(reinterpret_cast<const char*>(data), size);
  if (const auto context = parse_traceparent(field)) {
    const std::string written = traceparent(*context);
    PLAIT_CHECK(parse_traceparent(written) == *context, written);
    PLAIT_CHECK(field.substr(2, 50) == std::string_view(written).substr(2, 50), written);
  }
  const std::string state = kept_tracestate(field);
  PLAIT_CHECK(state.empty() || state == field, state.size());
  return 0;
}
