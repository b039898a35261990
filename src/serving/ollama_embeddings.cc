// SPDX-License-Identifier: Apache-2.0
//
// ollama's /api/embed and its older /api/embeddings, which has one text and a vector that is not made to length 1.
#include <algorithm>
#include <utility>

#include "serving/dialect.h"
#include "serving/embedding_reply.h"
#include "serving/prompt.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

enum class EmbeddingRoute { embed, embeddings };

class OllamaEmbeddingWording final : public Wording {
 public:
  OllamaEmbeddingWording(EmbeddingRoute kind, std::string model, const EmbeddingShape& shape)
      : kind_(kind), model_(std::move(model)), shape_(shape) {}

  [[nodiscard]] HttpReply whole(const Exchange& exchange) const override {
    if (const auto refusal = exchange.refusal()) return ollama_refusal(*refusal);
    const std::string type = "application/json; charset=utf-8";
    if (kind_ == EmbeddingRoute::embeddings) {
      const Json numbers = numbers_json(embedding_of(exchange.pooled(0), shape_));
      return {.content_type = type, .body = dump_json({{"embedding", numbers}})};
    }
    Json list = Json::array();
    double seconds = 0;
    std::size_t tokens = 0;
    for (std::size_t i = 0; i < exchange.size(); ++i) {
      list.push_back(numbers_json(embedding_of(exchange.pooled(i), shape_)));
      const engine::Usage& usage = exchange.engine_usage(i);
      seconds = std::max(seconds, usage.waited_seconds + usage.prompt_seconds + usage.decode_seconds);
      tokens += usage.prompt_tokens;
    }
    Json body{{"model", model_}};
    body["embeddings"] = std::move(list);
    body["total_duration"] = static_cast<std::int64_t>(seconds * 1e9);
    body["load_duration"] = 0;
    body["prompt_eval_count"] = tokens;
    return {.content_type = type, .body = dump_json(body)};
  }
  // They are never streamed.
  void open(const Responder& /*responder*/, HttpHeaders /*headers*/) override {}
  void part(const ChoicePart& /*part*/) override {}
  void close(const Exchange& /*exchange*/) override {}
  void fail(const Refusal& /*refusal*/) override {}

 private:
  EmbeddingRoute kind_;
  std::string model_;
  EmbeddingShape shape_;
};

// The texts, cut to the context where the client does not forbid that.
Accepted<Json> read_texts(Fields& fields, Target target) {
  if (target.vocabulary == 0) target.vocabulary = target.tokenizer->size();
  PLAIT_TRY(const auto truncate, fields.flag("truncate"));
  PLAIT_TRY(auto prompts, completion_prompts(fields, target, false, "input"));
  const std::size_t most = target.kv_tokens == 0 ? target.context : std::min(target.context, target.kv_tokens);
  Json texts = Json::array();
  for (Prompt& prompt : prompts) {
    if (truncate.value_or(true) && prompt.tokens.size() > most) prompt.tokens.resize(most);
    Json ids = Json::array();
    for (const base::TokenId token : prompt.tokens) ids.push_back(token.value());
    texts.push_back(std::move(ids));
  }
  return texts;
}

Accepted<Asked> read_ollama_embeddings(EmbeddingRoute kind, const Json& body, const AskContext& context) {
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  Fields fields(body);
  PLAIT_TRY(const auto model, fields.text("model"));
  if (!model) return bad_value("model", "is required");
  Json asked{{"model", without_latest(*model)}};
  if (kind == EmbeddingRoute::embed) {
    PLAIT_TRY(asked["input"], read_texts(fields, context.target));
    if (const Json* dimensions = fields.find("dimensions")) asked["dimensions"] = *dimensions;
  } else {
    PLAIT_TRY(const auto prompt, fields.text("prompt"));
    if (!prompt) return bad_value("prompt", "must be a string");
    asked["input"] = *prompt;
  }
  if (const Json* additions = fields.find("plait")) asked["plait"] = *additions;
  PLAIT_TRY(Request request, read_request(Endpoint::embeddings, asked, context.target, context.seed));
  request.reply.embedding.normalised = kind == EmbeddingRoute::embed;
  auto wording = std::make_unique<OllamaEmbeddingWording>(kind, *model, request.reply.embedding);
  return Asked{.request = std::move(request), .wording = std::move(wording)};
}

Dialect embedding_dialect(EmbeddingRoute kind, std::string path) {
  const auto read = [kind](const Json& body, const AskContext& context) {
    return read_ollama_embeddings(kind, body, context);
  };
  return {.path = std::move(path), .read = read, .refuse = ollama_refusal};
}

}  // namespace

Dialect ollama_embed_dialect() { return embedding_dialect(EmbeddingRoute::embed, "/api/embed"); }
Dialect ollama_embeddings_dialect() { return embedding_dialect(EmbeddingRoute::embeddings, "/api/embeddings"); }

}  // namespace plait::serving
