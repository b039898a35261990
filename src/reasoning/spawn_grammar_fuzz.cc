// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as what a parent or a child has written: lines that are read come back as they are written, a join leaves
// what stands before the block, and no result makes a block of its own.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "reasoning/spawn_grammar.h"

namespace {

using namespace plait::reasoning;

constexpr std::size_t kCallsMax = 10;

void check_lines(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    if (const auto state = parse_state_line(line)) PLAIT_CHECK(parse_state_line(state_line(*state)) == state);
    if (const auto step = parse_explore_line(line)) {
      PLAIT_CHECK(parse_explore_line(explore_line(*step, {})) == step);
      if (apply(step->left, step->operation, step->right) == step->result) {
        PLAIT_CHECK(evaluate(step_text(*step).substr(0, step_text(*step).find('=')))->value == step->result);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_lines(text);
  const auto path = solution_path(text);
  if (path) {
    PLAIT_CHECK(path->data() >= text.data() && path->data() + path->size() <= text.data() + size);
    static_cast<void>(path_steps(*path));
  }
  if (const auto spawn = spawn_instead_of_join(text)) {
    PLAIT_CHECK(parse_spawn(*spawn, kCallsMax).ending == SpawnBlock::Ending::unclosed);
  }
  const SpawnBlock block = parse_spawn(text, kCallsMax);
  PLAIT_CHECK(block.calls.size() <= kCallsMax, block.calls.size());
  if (block.ending != SpawnBlock::Ending::closed) return 0;
  PLAIT_CHECK(parse_spawn(spawn_block(block.calls), kCallsMax).calls == block.calls);
  std::vector<SubSearchResult> results;
  for (const SpawnChild& child : spawn_children(text, block)) {
    results.push_back({child.call, {}});
    if (child.state && path) results.back().path = *path;
    if (child.state) {
      const std::string prompt = child_prompt(child.call.node, *child.state);
      PLAIT_CHECK(parse_state_line(std::string_view(prompt).substr(prompt.find('\n') + 1)) == child.state, prompt);
    }
  }
  const std::string joined = joined_text(text, block, results);
  PLAIT_CHECK(std::string_view(joined).substr(0, block.begin) == text.substr(0, block.begin));
  PLAIT_CHECK(parse_spawn(joined, kCallsMax).ending != SpawnBlock::Ending::closed);
  return 0;
}
