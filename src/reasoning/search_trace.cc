// SPDX-License-Identifier: Apache-2.0
#include "reasoning/search_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "reasoning/normal_form.h"

namespace plait::reasoning {
namespace {

constexpr std::string_view kState = "Current state: ";
constexpr std::string_view kExplore = "Exploring operation: ";
constexpr std::string_view kNode = "Generated node #";
constexpr std::string_view kMove = "Moving to node #";
constexpr std::string_view kGoal = "Goal reached: ";
constexpr std::string_view kDeadEnd = "No solution: ";

std::string number_list(std::span<const std::int64_t> numbers) { return fmt::format("[{}]", fmt::join(numbers, ",")); }

/// `24 from [3,5], operations [1+2=3]`
std::string state_text(const SearchState& state) {
  std::string steps;
  for (const Step& step : state.steps) steps += (steps.empty() ? "" : ",") + step_text(step);
  return fmt::format("{} from {}, operations [{}]", state.target, number_list(state.numbers), steps);
}

bool skip(std::string_view& text, std::string_view literal) {
  if (!text.starts_with(literal)) return false;
  text.remove_prefix(literal.size());
  return true;
}

std::optional<std::int64_t> take_value(std::string_view& text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = evaluate(text.substr(0, digits));  // of 64 bits, or nothing
  if (!number) return std::nullopt;
  text.remove_prefix(digits);
  return number->value;
}

/// Takes `[a,b]`, each item up to a comma or the end of the list; false if it is no list or an item is none.
template <class Add>
bool take_list(std::string_view& text, Add add) {
  const std::size_t end = text.find(']');
  if (!text.starts_with('[') || end == std::string_view::npos) return false;
  std::string_view items = text.substr(1, end - 1);
  text.remove_prefix(end + 1);
  while (!items.empty()) {
    const std::string_view item = items.substr(0, items.find(','));
    if (!add(item)) return false;
    items.remove_prefix(item.size());
    if (!items.empty()) items.remove_prefix(1);
  }
  return true;
}

std::optional<SearchState> parse_state_text(std::string_view text) {
  SearchState state;
  const auto target = take_value(text);
  if (!target || !skip(text, " from ")) return std::nullopt;
  state.target = *target;
  const auto add_number = [&](std::string_view item) {
    const auto number = take_value(item);
    if (number) state.numbers.push_back(*number);
    return number && item.empty();
  };
  const auto add_step = [&](std::string_view item) {
    const auto step = parse_step(item);
    if (step) state.steps.push_back(*step);
    return step.has_value();
  };
  const bool read =
      take_list(text, add_number) && skip(text, ", operations ") && take_list(text, add_step) && trimmed(text).empty();
  return read ? std::optional(std::move(state)) : std::nullopt;
}

/// Calls `take` with every line, without its end, and where it begins.
template <class Take>
void for_each_line(std::string_view text, Take take) {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, std::min(text.find('\n', at), text.size()) - at);
    take(line, at);
    at += line.size() + 1;
  }
}

}  // namespace

std::string state_line(const SearchState& state) { return fmt::format("{}{}\n", kState, state_text(state)); }

std::string explore_line(const Step& step, std::span<const std::int64_t> numbers) {
  return fmt::format("{}{}, resulting numbers {}\n", kExplore, step_text(step), number_list(numbers));
}

std::string node_line(std::string_view node, const SearchState& state) {
  return fmt::format("{}{}: {}\n", kNode, node, state_text(state));
}

std::string move_line(std::string_view node) { return fmt::format("{}{}\n", kMove, node); }

std::string goal_line(std::int64_t target) { return fmt::format("{}{} is {}\n", kGoal, target, target); }

std::string dead_end_line(std::int64_t value, std::int64_t target) {
  return fmt::format("{}{} is not {}\n", kDeadEnd, value, target);
}

std::optional<SearchState> parse_state_line(std::string_view line) {
  return skip(line, kState) ? parse_state_text(line) : std::nullopt;
}

std::optional<Step> parse_explore_line(std::string_view line) {
  return skip(line, kExplore) ? parse_step(line.substr(0, line.find(','))) : std::nullopt;
}

bool is_goal_line(std::string_view line) { return line.starts_with(kGoal); }

std::string_view take_node(std::string_view& text) {
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size() && is_digit(text[at]); ++at) {
    while (at < text.size() && is_digit(text[at])) ++at;
    end = at;
    if (at == text.size() || text[at] != ',') break;
  }
  const std::string_view node = text.substr(0, end);
  text.remove_prefix(end);
  return node;
}

NodeTable::NodeTable(std::string_view text) {
  for_each_line(text, [this](std::string_view line, std::size_t) {
    if (!skip(line, kNode)) return;
    const std::string_view node = take_node(line);
    if (!node.empty() && skip(line, ": ")) lines_.insert_or_assign(node, line);
  });
}

std::optional<SearchState> NodeTable::find(std::string_view node) const {
  const auto at = lines_.find(node);
  return at == lines_.end() ? std::nullopt : parse_state_text(at->second);
}

std::optional<std::string_view> solution_path(std::string_view text) {
  std::optional<std::size_t> begin;  // behind the last but one goal line
  std::optional<std::size_t> end;    // behind the last one
  std::size_t last_begin = 0;
  for_each_line(text, [&](std::string_view line, std::size_t at) {
    if (!is_goal_line(line)) return;
    begin = end;
    last_begin = at;
    end = std::min(at + line.size() + 1, text.size());
  });
  if (!begin || *begin == last_begin) return std::nullopt;
  return text.substr(*begin, *end - *begin);
}

std::optional<std::vector<Step>> path_steps(std::string_view path) {
  std::optional<std::vector<Step>> steps;
  for_each_line(path, [&](std::string_view line, std::size_t) {
    if (!steps) {
      if (auto state = parse_state_line(line)) steps = std::move(state->steps);
    } else if (const auto step = parse_explore_line(line)) {
      steps->push_back(*step);
    }
  });
  return steps;
}

}  // namespace plait::reasoning
