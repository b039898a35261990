// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as what a model has written in threads: nothing is lost in the count, and what passes the strict check is
// what the runtime reads.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "reasoning/outline_grammar.h"

namespace {

using namespace plait::reasoning;

/// The text in pieces of one to three bytes.
std::vector<std::string_view> pieces(std::string_view text) {
  std::vector<std::string_view> result;
  for (std::size_t length = 1; !text.empty(); length = length % 3 + 1) {
    result.push_back(text.substr(0, length));
    text.remove_prefix(result.back().size());
  }
  return result;
}

void check_count(std::string_view text) {
  const std::vector<std::string_view> tokens = pieces(text);
  const TrajectoryCount count = account_trajectory(tokens);
  std::size_t sum = count.sequential;
  bool single = true;  // no block has two threads
  for (const auto& block : count.threads) {
    for (const std::size_t thread : block) sum += thread;
    single = single && block.size() <= 1;
  }
  PLAIT_CHECK(sum == count.total && count.total == tokens.size(), sum, count.total);
  PLAIT_CHECK(count.critical() <= count.total && count.critical() >= count.sequential, count.critical());
  PLAIT_CHECK(count.eta() >= 0 && (count.eta() < 1 || count.total == 0), count.eta());
  PLAIT_CHECK(!single || count.eta() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<Outline> outlines = outlines_behind(text);
  std::set<std::size_t> numbers;
  for (const Outline& outline : outlines) PLAIT_CHECK(numbers.insert(outline.number).second, outline.number);
  PLAIT_CHECK(outlines.size() <= kOutlinesMax, outlines.size());
  check_count(text);
  if (const auto checked = check_trajectory(text); !checked) {
    PLAIT_CHECK(checked.error().at < size, checked.error().at);
  } else if (!outlines.empty()) {
    const TrajectoryCount count = account_trajectory(std::vector{text});
    PLAIT_CHECK(count.threads.back().size() == outlines.size(), count.threads.back().size());
    PLAIT_CHECK(outlines.back().number == outlines.size(), outlines.back().number);
  }
  const Plan plan = parse_plan(text);
  PLAIT_CHECK(plan.outlines.size() <= kOutlinesMax, plan.outlines.size());
  for (const std::string& outline : plan.outlines) PLAIT_CHECK(!outline.empty());
  return 0;
}
