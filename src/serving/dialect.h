// SPDX-License-Identifier: Apache-2.0
//
// What differs between the APIs that ask the same engine: how a request is read and how answers are worded.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "serving/exchange.h"
#include "serving/http/message.h"
#include "serving/http/responder.h"
#include "serving/request.h"
#include "serving/thought_exchange.h"

namespace plait::serving {

/// The wording of one request's answer. Either whole(), or open(), part()s, and close() or fail(). One thread at a
/// time.
class Wording {
 public:
  virtual ~Wording() = default;
  /// The whole reply. Requires: exchange.done().
  [[nodiscard]] virtual HttpReply whole(const Exchange& exchange) const = 0;
  /// Begins a stream with more header fields.
  virtual void open(const Responder& responder, HttpHeaders headers) = 0;
  /// Text, or the end of a choice that is an answer.
  virtual void part(const ChoicePart& part) = 0;
  /// All choices are answers. Ends the stream.
  virtual void close(const Exchange& exchange) = 0;
  /// A choice failed. Says so and ends the stream.
  virtual void fail(const Refusal& refusal) = 0;
};

/// What is known about a request besides its body.
struct AskContext {
  const Target& target;
  std::string id = {};       ///< Of the HTTP request.
  std::int64_t created = 0;  ///< Seconds since 1970.
  std::uint64_t seed = 0;    ///< Where the request has none.
  std::string owner = {};    ///< The API key's name: whose stored things it may use. Empty if no key is asked for.
};

struct Asked {
  Request request = {};
  std::string reply_id = {};  ///< Of the answer, "chatcmpl-…"; empty: this API has none.
  std::unique_ptr<Wording> wording = {};
  std::unique_ptr<ThoughtWording> thought = {};  ///< Where this API has words for a strategy's run.
};

/// POST on one address.
struct Dialect {
  std::string path = {};
  /// The target and its tokenizer outlive what is returned.
  std::function<Accepted<Asked>(const text::Json& body, const AskContext& context)> read = {};
  std::function<HttpReply(const Refusal& refusal)> refuse = {};
  /// How long the model is to stay when this was its last request: seconds, negative for ever; nothing: as usual.
  std::function<Accepted<std::optional<double>>(const text::Json& body)> keep_alive = [](const text::Json&) {
    return std::optional<double>();
  };
};

[[nodiscard]] Dialect openai_dialect(Endpoint endpoint);
/// /api/embed and /api/embeddings, of ollama's API
[[nodiscard]] Dialect ollama_embed_dialect();
[[nodiscard]] Dialect ollama_embeddings_dialect();
/// /v1/messages
[[nodiscard]] Dialect anthropic_dialect();
/// /api/chat and /api/generate
[[nodiscard]] Dialect ollama_chat_dialect();
[[nodiscard]] Dialect ollama_generate_dialect();

/// ollama's name of a model without its tag `latest`: here there is one of each.
[[nodiscard]] std::string without_latest(std::string model);

/// A refusal in the shape of Anthropic's API, and of ollama's.
[[nodiscard]] HttpReply anthropic_refusal(const Refusal& refusal);
[[nodiscard]] HttpReply ollama_refusal(const Refusal& refusal);

}  // namespace plait::serving
