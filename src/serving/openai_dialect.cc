// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <utility>

#include "serving/chunks.h"
#include "serving/dialect.h"
#include "serving/http/sse.h"

namespace plait::serving {
namespace {

using text::dump_json;

class OpenAiWording final : public Wording {
 public:
  OpenAiWording(ReplyHead head, ReplyShape shape, std::size_t prompts, std::size_t choices,
                const models::Tokenizer& tokenizer)
      : head_(std::move(head)),
        shape_(std::move(shape)),
        choices_(choices),
        chunks_(head_, shape_, prompts, choices, tokenizer) {}

  [[nodiscard]] HttpReply whole(const Exchange& exchange) const override {
    const Reply reply = exchange.reply(head_);
    return {.status = reply.status, .body = dump_json(reply.body)};
  }
  void open(const Responder& responder, HttpHeaders headers) override {
    stream_.emplace(responder, std::move(headers));
    for (std::size_t i = 0; i < choices_; ++i) {
      if (const std::string chunk = chunks_.begin(i); !chunk.empty()) stream_->event(chunk);
    }
  }
  void part(const ChoicePart& part) override { stream_->event(chunks_.part(part)); }
  void close(const Exchange& exchange) override {
    if (shape_.stream_usage) stream_->event(chunks_.usage(exchange.usage()));
    stream_->done();
  }
  void fail(const Refusal& refusal) override {
    stream_->event(dump_json(refusal_body(refusal)));
    stream_->end();
  }

 private:
  ReplyHead head_;
  ReplyShape shape_;
  std::size_t choices_;
  ChunkWriter chunks_;
  std::optional<SseStream> stream_;
};

}  // namespace

Dialect openai_dialect(Endpoint endpoint) {
  const auto read = [endpoint](const text::Json& body, const AskContext& context) -> Accepted<Asked> {
    PLAIT_TRY(Request request, read_request(endpoint, body, context.target, context.seed));
    ReplyHead head{.id = (endpoint == Endpoint::completions ? "cmpl-" : "chatcmpl-") + context.id,
                   .created = context.created,
                   .model = context.target.model};
    const std::size_t choices = request.prompts.size() * request.prompts.front().samples;
    std::string reply_id = head.id;
    std::unique_ptr<ThoughtWording> thought;
    if (request.thought) {
      thought = std::make_unique<ThoughtWording>(head, std::string(request.thought->strategy->name()),
                                                 request.reply.stream_usage);
    }
    auto wording = std::make_unique<OpenAiWording>(std::move(head), request.reply, request.prompts.size(), choices,
                                                   *context.target.tokenizer);
    return Asked{.request = std::move(request),
                 .reply_id = std::move(reply_id),
                 .wording = std::move(wording),
                 .thought = std::move(thought)};
  };
  return {.path = std::string(path_of(endpoint)), .read = read, .refuse = reply_of};
}

}  // namespace plait::serving
