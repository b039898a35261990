// SPDX-License-Identifier: Apache-2.0
//
// What a client asks, from the JSON of /v1/chat/completions, /v1/completions and /v1/embeddings to generations of the
// engine.
//
//   PLAIT_TRY(auto request, read_request(Endpoint::chat_completions, body, target, seed));
//   PLAIT_TRY(auto exchange, Exchange::start(engine, target, std::move(request), {}));       // serving/exchange.h
//
// A field is one of four: read; known and without effect here (`service_tier`, …); known and not built yet (`suffix`,
// …), which is refused by name; or unknown, which gives a warning. A field that is null is absent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/answer_guide.h"
#include "engine/engine.h"
#include "models/answer_parser.h"
#include "models/chat_template.h"
#include "models/config.h"
#include "models/stop.h"
#include "models/tokenizer.h"
#include "serving/fields.h"
#include "serving/grammars.h"
#include "text/json.h"

namespace plait::serving {

struct ThoughtAsk;

enum class Endpoint { chat_completions, completions, embeddings };
/// "/v1/chat/completions", "/v1/completions" or "/v1/embeddings"; nothing for any other path.
[[nodiscard]] std::optional<Endpoint> find_endpoint(std::string_view path);
/// All of them, for people.
inline constexpr std::string_view kEndpointList = "/v1/chat/completions, /v1/completions or /v1/embeddings";
/// The other way round.
[[nodiscard]] std::string_view path_of(Endpoint endpoint);

/// The model that answers. What it points to must outlive its use.
struct Target {
  std::string model = {};  ///< Its name in replies.
  const models::Tokenizer* tokenizer = nullptr;
  const models::ChatTemplate* chat = nullptr;
  std::size_t context = 0;     ///< Most tokens of a prompt and its answer together.
  std::size_t kv_tokens = 0;   ///< What the memory of keys and values holds of one sequence; 0: no less than that.
  std::size_t vocabulary = 0;  ///< Ids below it are tokens. 0: the tokenizer's size.
  std::size_t width = 0;       ///< Of its hidden states; 0: embeddings are refused.
  models::Pooling pooling = models::Pooling::mean;  ///< Of embeddings whose request does not say.
  Grammars* grammars = nullptr;                     ///< Without it, formats of answers other than text are refused.
};

/// The same with its vocabulary, where that is not given.
[[nodiscard]] Target completed(Target target);

/// How vectors are to look.
struct EmbeddingShape {
  std::size_t dimensions = 0;  ///< The first ones only; 0: all.
  bool base64 = false;
  bool normalised = true;  ///< Made to length 1.
};

/// How the reply is to look.
struct ReplyShape {
  Endpoint endpoint = Endpoint::chat_completions;
  bool logprobs = false;
  bool token_ids = false;  ///< Ids of prompt and answer as well.
  /// Of the answers to each prompt only so many, the best first (reply_body()). 0: all of them as they are.
  std::size_t best = 0;
  /// What stands before the answers to prompt i; empty: nothing. With logprobs it has its own.
  std::vector<std::string> echo = {};
  std::vector<std::string> warnings = {};  ///< One for each field that was ignored.
  bool stream = false;                     ///< For who can stream.
  bool stream_usage = false;
  EmbeddingShape embedding = {};
};

/// A request that can be run.
struct Request {
  /// One for each prompt, all with the same seed: a list of prompts gives what each gives alone. No listener yet, and
  /// the token ids that end it come from `stop`.
  std::vector<engine::Request> prompts = {};
  models::StopOptions stop = {};
  bool ignore_eos = false;
  models::AnswerSyntax syntax = {};             ///< What answers are made of. Its id_seed is not set.
  std::shared_ptr<AnswerGrammar> grammar = {};  ///< What answers keep to, if to anything, and from where on.
  engine::AnswerGuideOptions guide = {};
  std::shared_ptr<const models::TokenMaskTable> table = {};  ///< For the guide; null: none is needed.
  std::shared_ptr<ThoughtAsk> thought = {};  ///< Set where a strategy is to answer; then the prompts are not run.
  std::string model_asked = {};              ///< What the field `model` says. Nobody compares it here.
  ReplyShape reply = {};
};

/// The model may begin its answers with a thought in <think> and </think>.
[[nodiscard]] bool thinks(const Target& target);

/// Reads a request. `seed` is taken where the request has none. Without a limit the answer may fill the context, in
/// completions 16 tokens. Embeddings are prompts whose hidden states are pooled. Cost: rendering and tokenising of the
/// prompts.
[[nodiscard]] Accepted<Request> read_request(Endpoint endpoint, const text::Json& body, const Target& target,
                                             std::uint64_t seed);

}  // namespace plait::serving
