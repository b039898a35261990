// SPDX-License-Identifier: Apache-2.0
//
// The objects of a streamed reply, as they come: `chat.completion.chunk` and, in completions, `text_completion`.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizer.h"
#include "serving/exchange.h"
#include "serving/reply.h"
#include "serving/request.h"
#include "text/json.h"

namespace plait::serving {

/// Writes the events of one reply, each as JSON text without line breaks. One thread.
class ChunkWriter {
 public:
  /// `choices`: of the whole reply, those of a prompt side by side. The tokenizer must outlive the writer.
  ChunkWriter(const ReplyHead& head, const ReplyShape& shape, std::size_t prompts, std::size_t choices,
              const models::Tokenizer& tokenizer);

  /// What a choice begins with, before any part: in chats the role, in completions the echo, unless its first part has
  /// that with its log-probabilities. Empty if there is nothing.
  [[nodiscard]] std::string begin(std::size_t choice);
  /// A part with its text, and the end of the choice where it ends. An answer's end only: what failed is an error's
  /// event.
  [[nodiscard]] std::string part(const ChoicePart& part);
  /// The last object, if the client wants to know what was used.
  [[nodiscard]] std::string usage(const text::Json& usage) const;

 private:
  [[nodiscard]] std::string object(std::size_t choice, std::string_view content, const text::Json& logprobs,
                                   std::string_view finish, std::span<const base::TokenId> tokens) const;

  const models::Tokenizer& tokenizer_;
  ReplyShape shape_;
  std::size_t samples_;            // of a prompt
  std::string head_;               // up to the choices
  std::vector<TextPlace> places_;  // [choice]; only where log-probabilities need them
  std::vector<bool> calls_;        // [choice]: a tool was called
};

}  // namespace plait::serving
