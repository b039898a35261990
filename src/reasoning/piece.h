// SPDX-License-Identifier: Apache-2.0
//
// What is appended to a strand, already in tokens: tokenising a long text is not for the engine's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "models/chat_template.h"
#include "models/token_mask.h"
#include "models/tokenizer.h"
#include "text/json.h"

namespace plait::reasoning {

/// The model that strands run on. What it points to must outlive its use.
struct StrandModel {
  const models::Tokenizer* tokenizer = nullptr;
  const models::ChatTemplate* chat = nullptr;
  std::size_t context = 0;     ///< Most tokens of a strand.
  std::size_t vocabulary = 0;  ///< Ids below it are tokens.
  /// The tree of the vocabulary's words. Called on the engine's thread, when a boundary is to be healed first. Empty:
  /// none is.
  std::function<std::shared_ptr<const models::TokenMaskTable>()> words = {};
};

/// A text, turns of a chat, or tokens.
struct Piece {
  enum class Kind { text, messages, tokens };
  Kind kind = Kind::tokens;
  std::string text = {};  ///< Of a text as it was given; of messages as the template has it.
  /// As they are at the beginning of a strand; of a text and of messages with what the model begins texts with.
  std::vector<base::TokenId> tokens = {};
  bool parse_special = true;         ///< Names of special tokens in the text are those tokens.
  text::Json messages = {};          ///< The turns,
  models::ChatOptions options = {};  ///< and how the template was asked to render them.
};

/// Any thread. O(bytes).
[[nodiscard]] Piece text_piece(const models::Tokenizer& tokenizer, std::string text, bool parse_special = true);
/// Messages as models/chat_template.h wants them. Errors: those of ChatTemplate::render(). Any thread.
[[nodiscard]] base::Result<Piece> chat_piece(const StrandModel& model, text::Json messages,
                                             models::ChatOptions options = {});
[[nodiscard]] inline Piece token_piece(std::vector<base::TokenId> tokens) { return {.tokens = std::move(tokens)}; }

/// Tokens of a text that stands behind another one: nothing is put in front of it.
[[nodiscard]] std::vector<base::TokenId> encode_behind(const models::Tokenizer& tokenizer, std::string_view text,
                                                       bool parse_special = true);

}  // namespace plait::reasoning
