// SPDX-License-Identifier: Apache-2.0
//
// The strict check of reasoning/outline_grammar.h: one walk over the tags with a stack of those that are open.
#include <array>
#include <cstddef>
#include <optional>

#include "reasoning/normal_form.h"
#include "reasoning/outline_grammar.h"
#include "reasoning/outline_tags.h"

namespace plait::reasoning {
namespace {

using Fault = TrajectoryFault;

struct FaultText {
  std::string_view name;
  std::string_view description;
};
constexpr std::array<FaultText, 14> kFaultTexts{{
    {"unbalanced", "a tag opens more or less often than it closes"},
    {"nested", "a tag opens within itself"},
    {"crossed", "tags close in another order than they opened in"},
    {"outside", "a tag of blocks stands outside them"},
    {"foreign", "a tag that has no place in a block"},
    {"order", "a block is one list of outlines and then its threads"},
    {"loose_text", "text in a block that is neither an outline nor a thread"},
    {"tag_in_text", "a tag within an outline's or a thread's text"},
    {"no_outlines", "a block without outlines"},
    {"outline_number", "outlines are numbered 1, 2, 3 without a gap"},
    {"outlines_max", "a block has at most 50 outlines"},
    {"thread_number", "a thread begins with its outline's number and a colon"},
    {"thread_count", "a block has one thread for each outline"},
    {"thread_space", "no space stands between one thread and the next"},
}};

/// Whether a text begins, perhaps behind space, with this number and a colon.
bool has_number(std::string_view text, std::size_t number) {
  text = trimmed(text);
  return take_number(text) == number && text.starts_with(':');
}

std::optional<BadTrajectory> find_unbalanced(const std::vector<Tag>& tags) {
  std::array<std::ptrdiff_t, kTagKinds> open{};
  std::array<std::size_t, kTagKinds> last{};
  for (const Tag& tag : tags) {
    open[static_cast<std::size_t>(tag.kind)] += tag.closes ? -1 : 1;
    last[static_cast<std::size_t>(tag.kind)] = tag.begin;
  }
  for (std::size_t kind = 0; kind < kTagKinds; ++kind) {
    if (open[kind] != 0) return BadTrajectory{Fault::unbalanced, last[kind]};
  }
  return std::nullopt;
}

class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  /// Takes the next tag; the fault that shows there, if any.
  std::optional<Fault> take(const Tag& tag) {
    if (const auto fault = between(tag)) return fault;
    const auto fault = tag.closes ? close(tag) : open(tag);
    last_ = tag;
    return fault;
  }

 private:
  [[nodiscard]] bool is_open(TagKind kind) const { return open_count_[static_cast<std::size_t>(kind)] > 0; }
  [[nodiscard]] bool innermost(TagKind kind) const { return !open_.empty() && open_.back().kind == kind; }

  /// What stands between the last tag and this one.
  std::optional<Fault> between(const Tag& tag) {
    if (!innermost(TagKind::parallel) && !innermost(TagKind::outlines)) return std::nullopt;
    const std::string_view gap = text_.substr(last_.end, tag.begin - last_.end);
    if (!trimmed(gap).empty()) return Fault::loose_text;
    const bool between_threads = last_.is(TagKind::thread, true) && tag.is(TagKind::thread, false);
    return between_threads && !gap.empty() ? std::optional(Fault::thread_space) : std::nullopt;
  }

  std::optional<Fault> open(const Tag& tag) {
    if (is_open(tag.kind)) return Fault::nested;
    if (innermost(TagKind::outline) || innermost(TagKind::thread)) return Fault::tag_in_text;
    if (const auto fault = place(tag)) return fault;
    open_.push_back(tag);
    ++open_count_[static_cast<std::size_t>(tag.kind)];
    return std::nullopt;
  }

  /// Whether a tag may open here.
  std::optional<Fault> place(const Tag& tag) {
    const bool in_block = is_open(TagKind::parallel);
    switch (tag.kind) {
      case TagKind::parallel:
        outlines_ = threads_ = 0;
        listed_ = false;
        return std::nullopt;
      case TagKind::conclusion:
      case TagKind::think:
        return in_block ? std::optional(Fault::foreign) : std::nullopt;
      case TagKind::outlines:
        if (!in_block) return Fault::outside;
        if (!innermost(TagKind::parallel) || listed_) return Fault::order;
        listed_ = true;
        return std::nullopt;
      case TagKind::outline:
        if (!in_block) return Fault::outside;
        if (!innermost(TagKind::outlines)) return Fault::order;
        return ++outlines_ > kOutlinesMax ? std::optional(Fault::outlines_max) : std::nullopt;
      case TagKind::thread:
        if (!in_block) return Fault::outside;
        if (!innermost(TagKind::parallel) || !listed_) return Fault::order;
        return ++threads_ > outlines_ && outlines_ > 0 ? std::optional(Fault::thread_count) : std::nullopt;
    }
    return std::nullopt;
  }

  std::optional<Fault> close(const Tag& tag) {
    if (!innermost(tag.kind)) {
      const bool in_text = innermost(TagKind::outline) || innermost(TagKind::thread);
      return in_text && !is_open(tag.kind) ? Fault::tag_in_text : Fault::crossed;
    }
    const std::string_view inner = text_.substr(open_.back().end, tag.begin - open_.back().end);
    open_.pop_back();
    --open_count_[static_cast<std::size_t>(tag.kind)];
    switch (tag.kind) {
      case TagKind::outline:
        return has_number(inner, outlines_) ? std::nullopt : std::optional(Fault::outline_number);
      case TagKind::thread:
        return has_number(inner, threads_) || outlines_ == 0 ? std::nullopt : std::optional(Fault::thread_number);
      case TagKind::parallel:
        if (outlines_ == 0) return Fault::no_outlines;
        return threads_ == outlines_ ? std::nullopt : std::optional(Fault::thread_count);
      default:
        return std::nullopt;
    }
  }

  std::string_view text_;
  std::vector<Tag> open_;
  std::array<std::size_t, kTagKinds> open_count_{};
  Tag last_ = {};
  bool listed_ = false;  // of the block: its outlines have begun
  std::size_t outlines_ = 0;
  std::size_t threads_ = 0;
};

}  // namespace

std::string_view name(TrajectoryFault fault) { return kFaultTexts[static_cast<std::size_t>(fault)].name; }

std::string_view description(TrajectoryFault fault) { return kFaultTexts[static_cast<std::size_t>(fault)].description; }

std::expected<void, BadTrajectory> check_trajectory(std::string_view text) {
  const std::vector<Tag> tags = find_tags(text);
  if (const auto unbalanced = find_unbalanced(tags)) return std::unexpected(*unbalanced);
  Checker checker(text);
  for (const Tag& tag : tags) {
    if (const auto fault = checker.take(tag)) return std::unexpected(BadTrajectory{*fault, tag.begin});
  }
  return {};
}

}  // namespace plait::reasoning
