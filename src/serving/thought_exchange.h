// SPDX-License-Identifier: Apache-2.0
//
// A strategy's run in flight, and how it is worded in the shape of OpenAI's chat completions: what strands do comes as
// chunks without choices that carry `plait`, which clients that know nothing of them skip; the answer is a message like
// any other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "reasoning/prompts.h"
#include "reasoning/state.h"
#include "reasoning/strategy.h"
#include "reasoning/thinking.h"
#include "serving/http/message.h"
#include "serving/http/responder.h"
#include "serving/http/sse.h"
#include "serving/reply.h"
#include "serving/request.h"
#include "serving/thought_request.h"

namespace plait::serving {

/// Belongs to the engine's thread. Neither copied nor moved.
class ThoughtExchange {
 public:
  /// Engine, prompts and what `target` points to must outlive it.
  ThoughtExchange(engine::Engine& engine, const Target& target, const reasoning::Prompts& prompts,
                  std::shared_ptr<ThoughtAsk> ask, const base::Clock& clock);
  ~ThoughtExchange() { cancel(); }
  ThoughtExchange(const ThoughtExchange&) = delete;
  ThoughtExchange& operator=(const ThoughtExchange&) = delete;

  /// Begins; it may be done at once. `done` is called once, perhaps inside Engine::step(), and must not destroy this.
  void start(std::function<void(const reasoning::ThoughtEvent&)> event, std::function<void()> done);
  /// Ends what runs, without events.
  void cancel();
  [[nodiscard]] bool done() const { return thought_ && thought_->ready(); }
  /// What the model has been called for so far.
  [[nodiscard]] const std::vector<reasoning::CallRecord>& calls() const { return thinking_.calls(); }
  /// Requires: done().
  [[nodiscard]] const base::Result<reasoning::Thought>& result() const { return thought_->result(); }

 private:
  std::shared_ptr<ThoughtAsk> ask_;
  reasoning::Strands strands_;
  reasoning::Thinking thinking_;
  std::optional<reasoning::Value<reasoning::Thought>> thought_;
  bool silent_ = false;
  std::function<void(const reasoning::ThoughtEvent&)> event_;
};

/// The wording of one thought. One thread at a time.
class ThoughtWording {
 public:
  ThoughtWording(ReplyHead head, std::string strategy, bool stream_usage)
      : head_(std::move(head)), strategy_(std::move(strategy)), stream_usage_(stream_usage) {}

  [[nodiscard]] HttpReply whole(const reasoning::Thought& thought) const;
  /// Begins a stream with more header fields, once.
  void open(const Responder& responder, HttpHeaders headers);
  [[nodiscard]] bool is_open() const { return stream_.has_value(); }
  void event(const reasoning::ThoughtEvent& event);
  /// The answer, and the end of the stream.
  void close(const reasoning::Thought& thought);
  void fail(const Refusal& refusal);

 private:
  [[nodiscard]] text::Json chunk() const;
  [[nodiscard]] text::Json additions(const reasoning::Thought& thought) const;

  ReplyHead head_;
  std::string strategy_;
  bool stream_usage_;
  std::optional<SseStream> stream_;
};

}  // namespace plait::serving
