// SPDX-License-Identifier: Apache-2.0
#include "reasoning/piece.h"

#include <algorithm>
#include <utility>

namespace plait::reasoning {

using base::TokenId;

Piece text_piece(const models::Tokenizer& tokenizer, std::string text, bool parse_special) {
  Piece piece{.kind = Piece::Kind::text, .text = std::move(text), .parse_special = parse_special};
  piece.tokens = tokenizer.encode(piece.text, {.parse_special = parse_special});
  return piece;
}

base::Result<Piece> chat_piece(const StrandModel& model, text::Json messages, models::ChatOptions options) {
  Piece piece{.kind = Piece::Kind::messages};
  PLAIT_TRY(models::ChatPrompt prompt, model.chat->prompt(messages, options));
  piece.tokens = models::chat_tokens(prompt, *model.tokenizer);
  piece.text = std::move(prompt.text);
  piece.messages = std::move(messages);
  piece.options = std::move(options);
  return piece;
}

// Vocabularies that put a space before a text take one that is there already in its place; in front of any other text a
// line break stands in for what is really there.
std::vector<TokenId> encode_behind(const models::Tokenizer& tokenizer, std::string_view text, bool parse_special) {
  const models::EncodeOptions options{.add_special = false, .parse_special = parse_special};
  if (!tokenizer.add_space_prefix() || text.empty()) return tokenizer.encode(text, options);
  if (text.front() == ' ') return tokenizer.encode(text.substr(1), options);
  std::vector<TokenId> tokens = tokenizer.encode('\n' + std::string(text), options);
  const auto line_end =
      std::ranges::find_if(tokens, [&](TokenId token) { return tokenizer.piece(token).ends_with('\n'); });
  if (line_end == tokens.end() || tokenizer.piece(*line_end) != "\n") return tokenizer.encode(text, options);
  tokens.erase(tokens.begin(), line_end + 1);
  return tokens;
}

}  // namespace plait::reasoning
