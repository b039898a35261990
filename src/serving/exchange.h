// SPDX-License-Identifier: Apache-2.0
//
// One request in flight: its generations in the engine, and the reply when the last of them has ended.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/text_answer.h"
#include "serving/reply.h"
#include "serving/request.h"

namespace plait::serving {

/// What the client gets.
struct Reply {
  int status = 200;  ///< As in HTTP.
  text::Json body = {};
};

/// Belongs to the engine's thread. Neither copied nor moved.
class Exchange final : private engine::Listener {
 public:
  /// Submits all generations of a request. `done` is called once, inside Engine::step(), when the last one has ended;
  /// it must not destroy the exchange. Engine and what `target` points to must outlive it. Refused if the engine
  /// refuses; then nothing runs.
  [[nodiscard]] static Accepted<std::unique_ptr<Exchange>> start(engine::Engine& engine, const Target& target,
                                                                 Request request, std::function<void()> done);
  /// Cancels what still runs; `done` is not called.
  ~Exchange() override;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Generations, one for each choice.
  [[nodiscard]] std::size_t size() const { return answers_.size(); }
  [[nodiscard]] bool done() const { return running_ == 0; }
  /// The reply, or an error's body if a generation failed. Requires: done().
  [[nodiscard]] Reply reply(const ReplyHead& head) const;
  /// Of all choices, so far.
  [[nodiscard]] std::size_t generated_tokens() const;

 private:
  Exchange(engine::Engine& engine, const Target& target, Request request, std::function<void()> done);
  Accepted<void> submit(engine::Request& prompt);
  bool on_token(engine::SequenceId sequence, const models::Sample& sample) override;
  void on_end(engine::SequenceId sequence, const engine::Ending& ending) override;
  [[nodiscard]] engine::TextAnswer& answer_of(engine::SequenceId sequence);

  engine::Engine& engine_;
  const models::Tokenizer& tokenizer_;
  Request request_;
  std::function<void()> done_;
  std::deque<engine::TextAnswer> answers_;                             // [choice]; they must stay where they are
  std::vector<std::pair<engine::SequenceId, std::size_t>> sequences_;  // ascending, with their choice
  std::size_t running_ = 0;
};

}  // namespace plait::serving
