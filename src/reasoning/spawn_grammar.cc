// SPDX-License-Identifier: Apache-2.0
#include "reasoning/spawn_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/check.h"
#include "reasoning/normal_form.h"

namespace plait::reasoning {
namespace {

constexpr std::string_view kAtNode = " at node #";

std::string_view without_space_behind(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<SpawnCall> parse_call(std::string_view line) {
  line = trimmed(line);
  const auto index = take_number(line);
  if (!index || !line.starts_with(kAtNode)) return std::nullopt;
  line.remove_prefix(kAtNode.size());
  const std::string_view node = take_node(line);
  return !node.empty() && line.empty() ? std::optional(SpawnCall{*index, std::string(node)}) : std::nullopt;
}

void parse_calls(std::string_view lines, std::size_t calls_max, SpawnBlock& block) {
  std::unordered_set<std::size_t> indices;
  std::unordered_set<std::string> nodes;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    if (trimmed(line).empty()) continue;
    auto call = parse_call(line);
    if (!call) {
      ++block.unreadable;
    } else if (!indices.insert(call->index).second || !nodes.insert(call->node).second) {
      ++block.doubled;
    } else if (block.calls.size() == calls_max) {
      ++block.beyond;
    } else {
      block.calls.push_back(*std::move(call));
    }
  }
}

std::string call_text(const SpawnCall& call) { return fmt::format("{}{}{}", call.index, kAtNode, call.node); }

}  // namespace

std::string spawn_block(std::span<const SpawnCall> calls) {
  std::string text = fmt::format("{}\n", kSpawnBegin);
  for (const SpawnCall& call : calls) text += call_text(call) + '\n';
  text += kSpawnEnd;
  return text;
}

SpawnBlock parse_spawn(std::string_view text, std::size_t calls_max) {
  SpawnBlock block;
  const std::string_view whole = without_space_behind(text);
  const bool closed = whole.ends_with(kSpawnEnd);
  const std::string_view before = closed ? whole.substr(0, whole.size() - kSpawnEnd.size()) : whole;
  const std::size_t begin = before.rfind(kSpawnBegin);
  const bool open = begin != std::string_view::npos && before.find(kSpawnEnd, begin) == std::string_view::npos;
  if (open) block.begin = begin;
  if (open) block.ending = closed ? SpawnBlock::Ending::closed : SpawnBlock::Ending::unclosed;
  if (closed && !open) block.ending = SpawnBlock::Ending::unopened;
  if (closed && open) parse_calls(before.substr(begin + kSpawnBegin.size()), calls_max, block);
  return block;
}

std::vector<SpawnChild> spawn_children(std::string_view text, const SpawnBlock& block) {
  PLAIT_CHECK(block.ending == SpawnBlock::Ending::closed && block.begin < text.size(), block.begin, text.size());
  const NodeTable nodes(text.substr(0, block.begin));
  std::vector<SpawnChild> children;
  for (const SpawnCall& call : block.calls) children.push_back({call, nodes.find(call.node)});
  return children;
}

std::string child_prompt(std::string_view node, const SearchState& state) {
  return move_line(node) + state_line(state);
}

std::optional<std::string> spawn_instead_of_join(std::string_view text) {
  const std::string_view whole = without_space_behind(text);
  if (!whole.ends_with(kJoinBegin)) return std::nullopt;
  return std::string(whole.substr(0, whole.size() - kJoinBegin.size())).append(kSpawnBegin);
}

std::string join_block(std::span<const SubSearchResult> results) {
  std::string text = fmt::format("{}\n", kJoinBegin);
  for (const SubSearchResult& result : results) {
    text += fmt::format("{}: {}\n", call_text(result.call), result.path ? "Goal reached" : "No solution");
    if (!result.path) continue;
    text += *result.path;
    if (text.back() != '\n') text += '\n';
  }
  return text + fmt::format("{}\n", kJoinEnd);
}

std::string joined_text(std::string_view text, const SpawnBlock& block, std::span<const SubSearchResult> results) {
  PLAIT_CHECK(block.ending == SpawnBlock::Ending::closed && block.begin < text.size(), block.begin, text.size());
  return std::string(text.substr(0, block.begin)) + join_block(results);
}

}  // namespace plait::reasoning
