// SPDX-License-Identifier: Apache-2.0
//
// Finds special tokens in a text before anything else is cut.
//
// Meaning (llama.cpp's): tokens take turns, the longest first; each takes all its places, from left to right, in what
// the ones before left over. Doing it that way costs a pass over the text for each of, say, 6,400 tokens; here it is
// one pass with a trie that finds the longest token at each place, and a queue that settles overlaps in the order of
// those turns.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/id.h"

namespace plait::models {

/// Bytes of a text.
struct ByteRange {
  std::size_t begin = 0, end = 0;
  friend auto operator<=>(const ByteRange&, const ByteRange&) = default;
};
/// Where control tokens are, ascending; nothing: wherever their text is.
using ControlPlaces = std::optional<std::span<const ByteRange>>;

class SpecialTokens {  // immutable; any thread
 public:
  struct Entry {
    std::string_view text;
    base::TokenId id;
    bool control = false;  ///< Found only where find() is told that control tokens are.
  };
  struct Match {
    std::size_t begin = 0, end = 0;
    base::TokenId id = base::kNoToken;
  };

  SpecialTokens() = default;
  /// Longer texts are never found: a vocabulary with a megabyte for a token must not make every text slow.
  static constexpr std::size_t kLongestText = 1024;

  /// Copies the texts. Empty and too long ones are never found; of equal ones the last counts.
  explicit SpecialTokens(std::vector<Entry> entries);

  /// The special tokens of `text`, in its order, without overlap. O(n · longest token), and O(n log n) where many
  /// overlap.
  /// Control tokens only where one of `control_at`, ascending, is exactly their place, if it is given: then elsewhere
  /// their text is as any other.
  [[nodiscard]] std::vector<Match> find(std::string_view text, const ControlPlaces& control_at = {}) const;

 private:
  struct Node {
    std::uint32_t first_child = 0;   // 0: none; the root is nobody's child
    std::uint32_t next_sibling = 0;  // 0: none
    char byte = 0;
    bool control = false;
    base::TokenId id = base::kNoToken;
  };
  [[nodiscard]] std::uint32_t child(std::uint32_t node, char byte) const;
  /// The longest token at `at` that ends at `limit` or before.
  [[nodiscard]] Match longest(std::string_view text, std::size_t at, std::size_t limit,
                              const ControlPlaces& control_at) const;
  void settle(std::string_view text, std::span<const Match> cluster, std::vector<Match>& out,
              const ControlPlaces& control_at) const;

  std::vector<Node> nodes_;
  std::array<std::uint32_t, 256> roots_ = {};  // the root's children by byte
};

}  // namespace plait::models
