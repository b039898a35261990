// SPDX-License-Identifier: Apache-2.0
//
// Whole numbers that must not be mixed up: an index of one kind is no index of another.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace plait::base {

/// A strong whole number. Converts only explicitly; costs nothing.
template <class Tag, class Rep>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  Rep value_ = {};
};

/// A word of a model's vocabulary: 0 ≤ value < vocabulary size; -1 stands for none.
using TokenId = Id<struct TokenTag, std::int32_t>;
inline constexpr TokenId kNoToken{-1};

}  // namespace plait::base

template <class Tag, class Rep>
struct std::hash<plait::base::Id<Tag, Rep>> {
  std::size_t operator()(plait::base::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
