// SPDX-License-Identifier: Apache-2.0
//
// The words of a vocabulary as one tree over their bytes, so that words that begin alike are looked at together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "models/tokenizer.h"

namespace plait::models {

class TokenTrie {  // immutable; any thread
 public:
  struct Node {
    std::uint32_t end = 0;          ///< The first node that is not below this one.
    std::uint32_t first_token = 0;  ///< Into the tokens; those of the next node begin where these end.
    std::uint32_t classes = 0;      ///< Bit class_of(b) is set if a byte b occurs below this node.
    std::uint16_t depth = 0;        ///< Bytes so far.
    std::uint8_t byte = 0;          ///< The last of them.
  };
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  static constexpr std::size_t kLongest = 1024;

  /// A coarse class of bytes, below 32: letters and digits, marks of ASCII, parts of longer characters.
  [[nodiscard]] static std::uint32_t class_of(std::uint8_t byte);

  using Word = std::pair<std::string_view, base::TokenId>;

  /// The words of a tokenizer that stand for text, in any order, valid as long as it: control, unknown and unused ones,
  /// ends of generation and words above 1,024 bytes are left out. A word that a model file calls user-defined is text,
  /// and so are control words named as marks.
  [[nodiscard]] static std::vector<Word> words_of(const Tokenizer& tokenizer,
                                                  std::span<const base::TokenId> marks = {});

  /// O(bytes of the words, sorted). Requires: no word is empty or above kLongest bytes.
  explicit TokenTrie(std::vector<Word> words);

  /// In preorder, children by byte; node 0 is the empty text.
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size() - 1); }
  [[nodiscard]] const Node& node(std::uint32_t id) const { return nodes_[id]; }
  /// Those whose bytes lead exactly here.
  [[nodiscard]] std::span<const base::TokenId> tokens(std::uint32_t id) const {
    return std::span(tokens_).subspan(nodes_[id].first_token, nodes_[id + 1].first_token - nodes_[id].first_token);
  }
  /// Those that lead here or further.
  [[nodiscard]] std::span<const base::TokenId> tokens_from(std::uint32_t id) const {
    const std::uint32_t first = nodes_[id].first_token;
    return std::span(tokens_).subspan(first, nodes_[nodes_[id].end].first_token - first);
  }
  /// kNone if no word goes on so. O(children).
  [[nodiscard]] std::uint32_t child(std::uint32_t id, std::uint8_t byte) const;
  /// Bytes of the longest word.
  [[nodiscard]] std::size_t longest() const { return longest_; }

 private:
  std::vector<Node> nodes_;  // and one more, for the end of the tokens
  std::vector<base::TokenId> tokens_;
  std::size_t longest_ = 0;
};

}  // namespace plait::models
