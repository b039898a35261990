// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/code_points.h"

#include <algorithm>
#include <utility>

namespace plait::text {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kBeforeSurrogates = 0xD7FF, kBehindSurrogates = 0xE000;

void add_scalars(std::vector<CodeRange>& out, CodeRange range) {
  range.last = std::min(range.last, kLast);
  if (range.first > range.last) return;
  if (range.first <= kBeforeSurrogates) out.push_back({range.first, std::min(range.last, kBeforeSurrogates)});
  if (range.last >= kBehindSurrogates) out.push_back({std::max(range.first, kBehindSurrogates), range.last});
}

std::uint8_t utf8_byte(char32_t code_point, std::uint32_t length, std::uint32_t i) {
  static constexpr std::uint8_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  const char32_t bits = code_point >> (6 * (length - 1 - i));
  return static_cast<std::uint8_t>(i == 0 ? kLead[length - 1] | bits : 0x80 | (bits & 0x3F));
}

/// Splits a range of characters of one length until each piece is a product of byte ranges: all bytes behind the first
/// one that differs must run over all continuation bytes.
void split(CodeRange range, std::uint32_t length, std::vector<Utf8Range>& out) {
  for (std::uint32_t tail = 1; tail < length; ++tail) {
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((range.first & ~mask) == (range.last & ~mask)) continue;
    if ((range.first & mask) != 0) {
      split({range.first, range.first | mask}, length, out);
      split({(range.first | mask) + 1, range.last}, length, out);
      return;
    }
    if ((range.last & mask) != mask) {
      split({range.first, (range.last & ~mask) - 1}, length, out);
      split({range.last & ~mask, range.last}, length, out);
      return;
    }
  }
  Utf8Range piece{.length = length};
  for (std::uint32_t i = 0; i < 4; ++i) {
    if (i >= length) break;
    piece.first[i] = utf8_byte(range.first, length, i);
    piece.last[i] = utf8_byte(range.last, length, i);
  }
  out.push_back(piece);
}

}  // namespace

CodePoints::CodePoints(std::vector<CodeRange> ranges) {
  std::vector<CodeRange> scalars;
  for (const CodeRange& range : ranges) add_scalars(scalars, range);
  std::ranges::sort(scalars);
  for (const CodeRange& range : scalars) {
    const bool touches = !ranges_.empty() && range.first <= ranges_.back().last + 1;
    if (touches) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

CodePoints CodePoints::all() { return CodePoints({{0, kLast}}); }

CodePoints CodePoints::complement() const {
  std::vector<CodeRange> gaps;
  char32_t next = 0;
  for (const CodeRange& range : ranges_) {
    if (range.first > next) gaps.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLast) gaps.push_back({next, kLast});
  return CodePoints(std::move(gaps));
}

CodePoints CodePoints::united(const CodePoints& other) const {
  std::vector<CodeRange> both = ranges_;
  both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePoints(std::move(both));
}

CodePoints CodePoints::without(const CodePoints& other) const { return complement().united(other).complement(); }

CodePoints CodePoints::common(const CodePoints& other) const { return without(other.complement()); }

bool CodePoints::contains(char32_t code_point) const {
  const auto behind = std::ranges::upper_bound(ranges_, code_point, {}, &CodeRange::first);
  return behind != ranges_.begin() && code_point <= std::prev(behind)->last;
}

std::vector<Utf8Range> utf8_ranges(const CodePoints& set) {
  static constexpr CodeRange kLengths[] = {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xFFFF}, {0x10000, kLast}};
  std::vector<Utf8Range> out;
  for (const CodeRange& range : set.ranges()) {
    for (std::uint32_t length = 1; length <= 4; ++length) {
      const CodeRange part{std::max(range.first, kLengths[length - 1].first),
                           std::min(range.last, kLengths[length - 1].last)};
      if (part.first <= part.last) split(part, length, out);
    }
  }
  return out;
}

}  // namespace plait::text
