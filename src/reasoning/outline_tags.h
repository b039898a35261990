// SPDX-License-Identifier: Apache-2.0
//
// The tags of reasoning/outline_grammar.h, found in a text.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace plait::reasoning {

enum class TagKind { parallel, outlines, outline, thread, conclusion, think };
inline constexpr std::size_t kTagKinds = 6;

struct Tag {
  TagKind kind = TagKind::parallel;
  bool closes = false;
  std::size_t begin = 0;  ///< Byte of its `<`,
  std::size_t end = 0;    ///< and the one behind its `>`.

  [[nodiscard]] bool is(TagKind of, bool closing) const { return kind == of && closes == closing; }
};

/// All tags of a text in order, spelt exactly. O(bytes).
[[nodiscard]] std::vector<Tag> find_tags(std::string_view text);

}  // namespace plait::reasoning
