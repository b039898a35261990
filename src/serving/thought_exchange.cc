// SPDX-License-Identifier: Apache-2.0
#include "serving/thought_exchange.h"

#include <utility>

#include "serving/strand_request.h"
#include "serving/thought_reply.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

Json usage_of(const reasoning::Thought& thought) {
  const UsageNumbers usage = usage_numbers(thought.calls);
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.generated_tokens},
          {"total_tokens", usage.prompt_tokens + usage.generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"plait",
           {{"prefill_tokens", usage.prefill_tokens},
            {"critical_path_tokens", usage.critical_path_tokens},
            {"pte", usage.pte}}}};
}

const char* finish_of(const reasoning::Thought& thought) {
  return thought.reason == engine::EndReason::stop ? "stop" : "length";
}

reasoning::ThinkOptions options_of(const ThoughtAsk& ask, const base::Clock& clock,
                                   std::function<void(const reasoning::ThoughtEvent&)> events) {
  reasoning::ThinkOptions options = ask.options;
  if (ask.seconds) options.deadline = clock.now() + *ask.seconds;
  options.events = std::move(events);
  return options;
}

}  // namespace

ThoughtExchange::ThoughtExchange(engine::Engine& engine, const Target& target, const reasoning::Prompts& prompts,
                                 std::shared_ptr<ThoughtAsk> ask, const base::Clock& clock)
    : ask_(std::move(ask)),
      strands_(engine, strand_model(target)),
      thinking_(strands_, engine, clock, prompts,
                options_of(*ask_, clock, [this](const reasoning::ThoughtEvent& event) {
                  if (!silent_ && event_) event_(event);
                })) {}

void ThoughtExchange::start(std::function<void(const reasoning::ThoughtEvent&)> event, std::function<void()> done) {
  event_ = std::move(event);
  thought_ = thinking_.run(*ask_->strategy);
  thought_->then([this, done = std::move(done)](const base::Result<reasoning::Thought>&) {
    if (!silent_) done();
  });
}

void ThoughtExchange::cancel() {
  silent_ = true;
  thinking_.cancel();
}

HttpReply ThoughtWording::whole(const reasoning::Thought& thought) const {
  Json body{{"id", head_.id},
            {"object", "chat.completion"},
            {"created", head_.created},
            {"model", head_.model},
            {"choices", Json::array({{{"index", 0},
                                      {"message", {{"role", "assistant"}, {"content", thought.answer}}},
                                      {"logprobs", nullptr},
                                      {"finish_reason", finish_of(thought)}}})},
            {"usage", usage_of(thought)},
            {"plait", additions(thought)}};
  return {.body = dump_json(body)};
}

Json ThoughtWording::additions(const reasoning::Thought& thought) const {
  Json json = thought_json(thought);
  json["strategy"] = strategy_;
  return json;
}

Json ThoughtWording::chunk() const {
  return {{"id", head_.id},
          {"object", "chat.completion.chunk"},
          {"created", head_.created},
          {"model", head_.model},
          {"choices", Json::array()}};
}

void ThoughtWording::open(const Responder& responder, HttpHeaders headers) {
  stream_.emplace(responder, std::move(headers));
  Json begin = chunk();
  begin["choices"].push_back(
      {{"index", 0}, {"delta", {{"role", "assistant"}, {"content", ""}}}, {"finish_reason", nullptr}});
  stream_->event(dump_json(begin));
}

void ThoughtWording::event(const reasoning::ThoughtEvent& event) {
  Json json = chunk();
  json["plait"] = thought_event_json(event);
  stream_->event(dump_json(json));
}

void ThoughtWording::close(const reasoning::Thought& thought) {
  Json answer = chunk();
  answer["choices"].push_back({{"index", 0}, {"delta", {{"content", thought.answer}}}, {"finish_reason", nullptr}});
  stream_->event(dump_json(answer));
  Json end = chunk();
  end["choices"].push_back({{"index", 0}, {"delta", Json::object()}, {"finish_reason", finish_of(thought)}});
  end["plait"] = additions(thought);
  stream_->event(dump_json(end));
  if (stream_usage_) {
    Json usage = chunk();
    usage["usage"] = usage_of(thought);
    stream_->event(dump_json(usage));
  }
  stream_->done();
}

void ThoughtWording::fail(const Refusal& refusal) {
  stream_->event(dump_json(refusal_body(refusal)));
  stream_->end();
}

}  // namespace plait::serving
