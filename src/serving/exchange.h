// SPDX-License-Identifier: Apache-2.0
//
// One request in flight: its generations in the engine, what they say as it comes, and the reply when the last of them
// has ended.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/answer_guide.h"
#include "engine/engine.h"
#include "engine/text_answer.h"
#include "models/answer_parser.h"
#include "serving/reply.h"
#include "serving/request.h"

namespace plait::serving {

/// What the client gets.
struct Reply {
  int status = 200;  ///< As in HTTP.
  text::Json body = {};
};

/// What has come of one choice since the last time. Valid during the call.
struct ChoicePart {
  std::size_t choice = 0;
  std::string_view text = {};                        ///< As the model wrote it. Whole UTF-8, no stop string's part.
  std::span<const models::AnswerEvent> events = {};  ///< What it means. More text may have come than they tell.
  std::span<const base::TokenId> tokens = {};        ///< Those that made it.
  std::span<const models::Logprobs> logprobs = {};   ///< One for each token, or none.
  PromptPart prompt = {};                            ///< In the choice's first part, where it is asked for.
  const engine::Ending* ending = nullptr;            ///< Set in the choice's last part, which may be without text.
};

/// Who wants to know. Called inside Engine::step(), cancel() or close(); must not destroy the exchange.
struct ExchangeEvents {
  std::function<void(const ChoicePart&)> part = {};  ///< For what is certain of the text, and for each ending.
  std::function<void()> done = {};                   ///< Once, when the last choice has ended.
};

/// What the engine says, as the client is to see it.
[[nodiscard]] Refusal refusal_of(const base::Error& error);
/// What the client is to see of an ending; nothing if it is an answer: stop or length.
[[nodiscard]] std::optional<Refusal> refusal_of(const engine::Ending& ending);

/// Belongs to the engine's thread until it is done(), then to any one. Neither copied nor moved.
class Exchange final : private engine::Listener {
 public:
  /// Submits all generations of a request. Engine and what `target` points to must outlive it. Refused if the engine
  /// refuses; then nothing runs.
  [[nodiscard]] static Accepted<std::unique_ptr<Exchange>> start(engine::Engine& engine, const Target& target,
                                                                 Request request, ExchangeEvents events);
  /// Cancels what still runs, without events.
  ~Exchange() override;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Ends what still runs (cancelled), without events: then it is done(). On the engine's thread, outside of step().
  void cancel();

  /// Generations, one for each choice.
  [[nodiscard]] std::size_t size() const { return choices_.size(); }
  [[nodiscard]] bool done() const { return running_ == 0; }
  /// The reply, or an error's body if a generation failed. Requires: done().
  [[nodiscard]] Reply reply(const ReplyHead& head) const;
  /// The reply's `usage`. Requires: done(), as the next ones do.
  [[nodiscard]] text::Json usage() const;
  /// The same as numbers.
  [[nodiscard]] UsageNumbers usage_numbers() const;
  /// Why there is no answer, if a choice failed.
  [[nodiscard]] std::optional<Refusal> refusal() const;
  /// What the choice says.
  [[nodiscard]] models::Answer answer(std::size_t choice) const;
  /// The same in the order in which it was said, as ExchangeEvents::part tells it.
  [[nodiscard]] std::vector<models::AnswerEvent> events(std::size_t choice) const;
  [[nodiscard]] engine::EndReason reason(std::size_t choice) const { return choices_[choice].answer.ending()->reason; }
  /// The stop string that ended the choice, if one did.
  [[nodiscard]] std::optional<std::string> stop_string(std::size_t choice) const;
  [[nodiscard]] const engine::Usage& engine_usage(std::size_t choice) const {
    return choices_[choice].answer.ending()->usage;
  }
  /// The pooled hidden states of an embedding's text, as they are; empty for other requests.
  [[nodiscard]] std::span<const float> pooled(std::size_t choice) const { return choices_[choice].pooled; }
  /// Of all choices, so far.
  [[nodiscard]] std::size_t generated_tokens() const;

 private:
  Exchange(engine::Engine& engine, const Target& target, Request request, ExchangeEvents events);
  static std::uint64_t id_seed(const engine::Request& prompt, std::size_t sample);
  Accepted<void> submit(engine::Request& prompt);
  Accepted<void> submit_guided(const engine::Request& prompt, std::size_t first);
  [[nodiscard]] bool is_guided() const { return request_.grammar || request_.table; }
  bool on_token(engine::SequenceId sequence, const models::Sample& sample) override;
  void on_prompt_logprobs(engine::SequenceId sequence, std::size_t index, const models::Logprobs& logprobs) override;
  void on_pooled(engine::SequenceId sequence, std::span<const float> pooled) override;
  void on_end(engine::SequenceId sequence, const engine::Ending& ending) override;
  /// A choice, and how much of it has been told.
  struct Told {
    engine::TextAnswer answer;
    models::AnswerSyntax syntax = {};
    std::optional<models::AnswerParser> parser = {};  // where there is more than text
    std::size_t text = 0;
    std::size_t tokens = 0;
    bool prompt = false;
    std::vector<models::Logprobs> prompt_logprobs = {};
    std::vector<float> pooled = {};
  };
  [[nodiscard]] std::size_t choice_of(engine::SequenceId sequence) const;
  [[nodiscard]] PromptPart prompt_part(std::size_t choice) const;
  void tell(std::size_t choice);
  [[nodiscard]] std::vector<Choice> choices() const;

  engine::Engine& engine_;
  const models::Tokenizer& tokenizer_;
  Request request_;
  ExchangeEvents events_;
  std::shared_ptr<models::MaskCache> masks_;                           // where the request has a grammar
  std::deque<engine::AnswerGuide> guides_;                             // one for each choice of a guided request
  std::deque<Told> choices_;                                           // [choice]; they must stay where they are
  std::vector<std::pair<engine::SequenceId, std::size_t>> sequences_;  // ascending, with their choice
  std::size_t running_ = 0;
};

}  // namespace plait::serving
