// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a page trace: what parses must come back from its text, and no policy may beat the optimum on it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/page_trace.h"
#include "engine/paging_replay.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plait::engine;
  if (size > 4096) return 0;
  const auto trace = parse_page_trace(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!trace) return 0;
  if (parse_page_trace(page_trace_text(*trace)) != *trace) std::abort();
  const ReplayReport report = replay(*trace, {.pages = 1U + static_cast<std::uint32_t>(size % 5), .seeds = 1});
  const auto beats = [&](const PolicyReplay& policy) { return policy.faults[0] < report.optimum; };
  if (std::ranges::any_of(report.policies, beats)) std::abort();
  return 0;
}
