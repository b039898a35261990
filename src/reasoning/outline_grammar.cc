// SPDX-License-Identifier: Apache-2.0
#include "reasoning/outline_grammar.h"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "reasoning/normal_form.h"
#include "reasoning/outline_tags.h"

namespace plait::reasoning {
namespace {

/// What stands between an outline's tags: `number: text`, or without a number.
struct RawOutline {
  std::optional<std::size_t> number = {};
  std::string_view text = {};
};

RawOutline read_outline(std::string_view inner) {
  inner = trimmed(inner);
  std::string_view rest = inner;
  const auto number = take_number(rest);
  if (!number || !rest.starts_with(':')) return {.text = inner};
  return {.number = number, .text = trimmed(rest.substr(1))};
}

/// The outlines from tag `first` on, up to the end of their list. One that is not closed ends at the next tag.
std::vector<RawOutline> read_outlines(std::string_view text, std::span<const Tag> tags, std::size_t first) {
  std::vector<RawOutline> outlines;
  for (std::size_t i = first; i < tags.size() && !tags[i].is(TagKind::outlines, true); ++i) {
    if (!tags[i].is(TagKind::outline, false)) continue;
    const std::size_t end = i + 1 < tags.size() ? tags[i + 1].begin : text.size();
    outlines.push_back(read_outline(text.substr(tags[i].end, end - tags[i].end)));
  }
  return outlines;
}

/// The index behind the last "<Outlines>"; nothing if there is none.
std::optional<std::size_t> behind_last_list(std::span<const Tag> tags) {
  for (std::size_t i = tags.size(); i-- > 0;) {
    if (tags[i].is(TagKind::outlines, false)) return i + 1;
  }
  return std::nullopt;
}

/// What follows the number of a line `1. text`, `1) text`, `1: text` or `Outline 1: text`; nothing if it is no such
/// line.
std::optional<std::string_view> numbered_line(std::string_view line) {
  constexpr std::string_view kWord = "outline ";
  line = trimmed(line);
  if (lowered(line.substr(0, kWord.size())) == kWord) line.remove_prefix(kWord.size());
  if (!take_number(line) || line.empty()) return std::nullopt;
  const char mark = line.front();
  line.remove_prefix(1);
  if (mark == ':') return line;
  const bool stands_alone = line.empty() || is_space(line.front());  // 3.5 is no third line
  return (mark == '.' || mark == ')') && stands_alone ? std::optional(line) : std::nullopt;
}

std::vector<std::string_view> numbered_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (const auto outline = numbered_line(line)) lines.push_back(*outline);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return lines;
}

struct Extent {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Where threads' texts stand: [block][thread].
std::vector<std::vector<Extent>> find_threads(std::string_view text) {
  std::vector<std::vector<Extent>> blocks;
  bool in_block = false;
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t thread = kNone;  // where its text begins
  const auto end_thread = [&](std::size_t end) {
    if (thread != kNone) blocks.back().push_back({thread, end});
    thread = kNone;
  };
  for (const Tag& tag : find_tags(text)) {
    if (!in_block) {
      if (!tag.is(TagKind::parallel, false)) continue;
      in_block = true;
      blocks.emplace_back();
    } else if (tag.is(TagKind::parallel, true)) {
      end_thread(tag.begin);
      in_block = false;
    } else if (tag.is(TagKind::thread, true)) {
      end_thread(tag.begin);
    } else if (tag.is(TagKind::thread, false) && thread == kNone) {
      thread = tag.end;
    }
  }
  end_thread(text.size());
  return blocks;
}

}  // namespace

std::vector<Outline> outlines_behind(std::string_view text) {
  const std::vector<Tag> tags = find_tags(text);
  const auto first = behind_last_list(tags);
  std::vector<Outline> outlines;
  if (!first) return outlines;
  for (const RawOutline& raw : read_outlines(text, tags, *first)) {
    if (outlines.size() == kOutlinesMax) break;
    if (!raw.number || std::ranges::find(outlines, *raw.number, &Outline::number) != outlines.end()) continue;
    outlines.push_back({*raw.number, std::string(raw.text)});
  }
  return outlines;
}

std::size_t TrajectoryCount::critical() const {
  std::size_t tokens = sequential;
  for (const std::vector<std::size_t>& block : threads) {
    if (!block.empty()) tokens += std::ranges::max(block);
  }
  return tokens;
}

double TrajectoryCount::eta() const {
  return total == 0 ? 0.0 : 1.0 - static_cast<double>(critical()) / static_cast<double>(total);
}

TrajectoryCount account_trajectory(std::span<const std::string_view> tokens) {
  std::string text;
  for (const std::string_view token : tokens) text += token;
  const std::vector<std::vector<Extent>> blocks = find_threads(text);
  TrajectoryCount count{.total = tokens.size()};
  std::vector<std::pair<Extent, std::size_t*>> places;  // of threads, in the text's order
  for (const std::vector<Extent>& block : blocks) count.threads.emplace_back(block.size());
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    for (std::size_t t = 0; t < blocks[b].size(); ++t) places.emplace_back(blocks[b][t], &count.threads[b][t]);
  }
  std::size_t at = 0;
  std::size_t place = 0;
  for (const std::string_view token : tokens) {
    while (place < places.size() && at >= places[place].first.end) ++place;
    const bool in_thread = place < places.size() && at >= places[place].first.begin;
    ++(in_thread ? *places[place].second : count.sequential);
    at += token.size();
  }
  return count;
}

Plan parse_plan(std::string_view text) {
  Plan plan;
  std::unordered_set<std::string> known;
  const auto add = [&](std::string_view outline) {
    std::string squeezed_text = squeezed(outline);
    if (squeezed_text.empty()) {
      ++plan.empty;
    } else if (!known.insert(lowered(squeezed_text)).second) {
      ++plan.repeated;
    } else if (plan.outlines.size() < kOutlinesMax) {
      plan.outlines.push_back(std::move(squeezed_text));
    }
  };
  const std::vector<Tag> tags = find_tags(text);
  plan.tagged = std::ranges::any_of(tags, [](const Tag& tag) { return tag.kind == TagKind::outline && !tag.closes; });
  if (plan.tagged) {
    for (const RawOutline& raw : read_outlines(text, tags, behind_last_list(tags).value_or(0))) add(raw.text);
  } else {
    for (const std::string_view line : numbered_lines(text)) add(line);
  }
  return plan;
}

}  // namespace plait::reasoning
