// SPDX-License-Identifier: Apache-2.0
//
// The objects `chat.completion` and `text_completion` of OpenAI's API, and what plait adds to them under `plait`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "models/answer_parser.h"
#include "models/sampler.h"
#include "models/tokenizer.h"
#include "serving/request.h"
#include "text/json.h"

namespace plait::serving {

/// A prompt with the log-probabilities of its tokens: one for each but the first. What it points to must outlive its
/// use.
struct PromptPart {
  std::span<const base::TokenId> tokens = {};  ///< Empty: they were not asked for.
  std::span<const models::Logprobs> logprobs = {};
};

/// One finished answer. What it points to must outlive its use.
struct Choice {
  models::Answer answer = {};
  std::span<const base::TokenId> tokens = {};       ///< Those of a stop string that ended it included.
  std::span<const models::Logprobs> logprobs = {};  ///< One for each token, or none.
  PromptPart prompt = {};
  engine::EndReason reason = engine::EndReason::stop;
  engine::Usage usage = {};
};

/// What the object says of itself.
struct ReplyHead {
  std::string id = {};       ///< "chatcmpl-…"
  std::int64_t created = 0;  ///< Seconds since 1970.
  std::string model = {};
};

/// Where a choice's next token begins, for the `text_offset` of /v1/completions.
struct TextPlace {
  models::Detokenizer detokenizer;
  std::size_t characters = 0;  ///< Of what stands before it, an echo included.
};

/// `logprobs` of a choice or of a part of one: as many tokens as log-probabilities. In the shape of /v1/completions it
/// moves `place` on.
[[nodiscard]] text::Json logprobs_body(Endpoint endpoint, std::span<const base::TokenId> tokens,
                                       std::span<const models::Logprobs> logprobs, const models::Tokenizer& tokenizer,
                                       TextPlace& place);

/// "stop", "length", or "tool_calls" of an answer with calls that came to its end.
[[nodiscard]] std::string_view finish_reason(engine::EndReason reason, bool calls);
/// Puts those of an echoed prompt in front of the `logprobs` of an answer, in the shape of /v1/completions; the first
/// token has null. `text`: the echo, which may lack the prompt's first and last token where these are special.
void put_prompt_logprobs(const PromptPart& prompt, std::string_view text, const models::Tokenizer& tokenizer,
                         text::Json& logprobs);

/// Characters of UTF-8.
[[nodiscard]] std::size_t count_characters(std::string_view utf8);

/// The choices in order: those of a prompt side by side, prompts one after the other. With `shape.best` only those of
/// each prompt whose tokens have the highest mean log-probability, the best first; of equal ones the earlier, and what
/// has no tokens last. `usage` is that of all.
/// Requires: as many choices for each of the prompts, at least `shape.best`, and then with log-probabilities; reasons
/// are stop or length.
[[nodiscard]] text::Json reply_body(const ReplyHead& head, const ReplyShape& shape,
                                    std::span<const engine::Request> prompts, std::span<const Choice> choices,
                                    const models::Tokenizer& tokenizer);

/// What all choices of a request used.
struct UsageNumbers {
  std::size_t prompt_tokens = 0;  ///< Each prompt once, whatever `n` is; so `cached_tokens`.
  std::size_t cached_tokens = 0;
  std::size_t generated_tokens = 0;
  std::size_t prefill_tokens = 0;        ///< Rows of prompts really computed.
  std::size_t critical_path_tokens = 0;  ///< The longest answer.
  double pte = 0;                        ///< See engine/cost.h.
};
[[nodiscard]] UsageNumbers usage_numbers(std::span<const Choice> choices, std::size_t samples);

/// `usage` of all choices. prompt_tokens and cached_tokens count each prompt once, whatever `n` is. Under `plait`:
/// prefill_tokens, rows of prompts really computed; critical_path_tokens, the longest chain of tokens that had to wait
/// for each other, here the longest answer; pte, see engine/cost.h; of a single choice `round`, from which it follows.
[[nodiscard]] text::Json usage_body(std::span<const Choice> choices, std::size_t samples);

}  // namespace plait::serving
