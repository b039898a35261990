// SPDX-License-Identifier: Apache-2.0
//
// Sets of characters, as classes of regular expressions and grammars name them: Unicode scalar values, so without
// surrogates.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace plait::text {

struct CodeRange {
  char32_t first = 0;
  char32_t last = 0;  ///< Included.
  friend auto operator<=>(const CodeRange&, const CodeRange&) = default;
};

class CodePoints {  // a value
 public:
  CodePoints() = default;
  /// Any order, overlaps allowed; surrogates and what lies above U+10FFFF are left out.
  explicit CodePoints(std::vector<CodeRange> ranges);
  [[nodiscard]] static CodePoints all();

  [[nodiscard]] CodePoints complement() const;
  [[nodiscard]] CodePoints united(const CodePoints& other) const;
  [[nodiscard]] CodePoints without(const CodePoints& other) const;
  [[nodiscard]] CodePoints common(const CodePoints& other) const;

  /// O(log ranges).
  [[nodiscard]] bool contains(char32_t code_point) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  /// Ascending, with gaps between them.
  [[nodiscard]] std::span<const CodeRange> ranges() const { return ranges_; }

 private:
  std::vector<CodeRange> ranges_;
};

/// Bytes of equal length whose combinations, byte i out of [first[i], last[i]], are the UTF-8 of a range of characters.
struct Utf8Range {
  std::uint32_t length = 0;
  std::array<std::uint8_t, 4> first = {};
  std::array<std::uint8_t, 4> last = {};
};

/// The UTF-8 of all characters of `set`: every character in exactly one entry. At most 8 entries for each range.
[[nodiscard]] std::vector<Utf8Range> utf8_ranges(const CodePoints& set);

}  // namespace plait::text
