// SPDX-License-Identifier: Apache-2.0
//
// One question that is thought about: what a strategy works with. It opens strands, calls the model on them within the
// budget, keeps the ledger of the calls and tells who watches.
//
// Budget: tokens_max bounds what all calls generate together. Calls that begin at the same time divide what is left
// (share()), so a run is the same whichever of them ends first.
//
// End: a run whose deadline passes or that is cancelled ends with what was reached (Thought::reason), not with an
// error.
//
// Threads: none; the engine's, as everything in this area.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "models/sampler.h"
#include "reasoning/prompts.h"
#include "reasoning/state.h"
#include "reasoning/strategy.h"

namespace plait::reasoning {

/// What happens in a run, in order. Views are valid during the call.
struct ThoughtEvent {
  enum class Kind {
    opened,  ///< A call begins: id, parent, role and label of `call`.
    text,    ///< The call has written `text`, whole UTF-8.
    closed,  ///< The call has ended; `call` is complete.
    failed,  ///< The call has failed: `text` says why.
  };
  Kind kind = Kind::opened;
  const CallRecord* call = nullptr;
  std::string_view text = {};
};
/// "opened", "text", "closed", "failed".
[[nodiscard]] std::string_view name(ThoughtEvent::Kind kind);

struct ThinkOptions {
  /// The conversation, in OpenAI's shape; the last message is the user's question.
  text::Json messages = text::Json::array();
  /// Instead of messages: the text that the model goes on from, as it is. Prompts NAME.start are left out then, others
  /// have it as their question.
  std::optional<std::string> raw = {};
  models::SamplerOptions sampler = {};
  std::size_t call_tokens = 512;        ///< Most tokens of one call. ≥ 1.
  std::size_t tokens_max = 0;           ///< Most tokens of all calls together; 0: what the strategy's bound says.
  std::optional<double> deadline = {};  ///< Time of the clock, seconds.
  engine::SequenceOptions sequence = {};
  std::function<void(const ThoughtEvent&)> events = {};
};

/// How the model is called.
struct Call {
  CallRole role = CallRole::main;
  std::string label = {};
  std::size_t tokens = 0;  ///< At most. 0: the budget is used up, and the call ends the run.
  std::uint64_t seed = 0;  ///< Thinking::seed().
  std::vector<std::string> stop = {};
  bool stop_text = false;                    ///< The stop string is part of the text.
  bool logprobs = false;                     ///< Said::mean_logprob is wanted.
  std::optional<double> temperature = {};    ///< Else that of the request.
  std::optional<std::uint64_t> parent = {};  ///< The call that it goes on from.
};

/// What a call has said.
struct Said {
  std::string text = {};
  std::vector<base::TokenId> tokens = {};
  std::optional<std::string> stop_string = {};
  engine::EndReason reason = engine::EndReason::stop;  ///< stop or length.
  std::optional<double> mean_logprob = {};
  std::uint64_t call = 0;  ///< Its record's id.
};

class Thinking {
 public:
  /// All of these must outlive it.
  Thinking(Strands& strands, engine::Engine& engine, const base::Clock& clock, const Prompts& prompts,
           ThinkOptions options);
  /// Cancels. Not inside a call of `events`.
  ~Thinking();
  Thinking(const Thinking&) = delete;
  Thinking& operator=(const Thinking&) = delete;

  /// Begins; once. The strategy must outlive the run. The value's errors: invalid_argument (a budget of less than a
  /// token for each call, options, a question that is none or too long); what the engine fails with.
  [[nodiscard]] Value<Thought> run(const Strategy& strategy);
  /// Ends what runs, at once; the value comes meanwhile, with what was reached.
  void cancel();
  /// The ledger so far.
  [[nodiscard]] const std::vector<CallRecord>& calls() const { return calls_; }

  // For strategies.

  [[nodiscard]] const ThinkOptions& options() const { return options_; }
  [[nodiscard]] engine::Engine& engine() { return engine_; }
  [[nodiscard]] const StrandModel& model() const { return strands_.model(); }
  [[nodiscard]] const Prompts& prompts() const { return prompts_; }
  /// The text of the question: the last message's, or the raw text.
  [[nodiscard]] const std::string& question() const { return question_; }
  /// Why the run is to end before its time, if it is.
  [[nodiscard]] std::optional<engine::EndReason> over() const { return over_; }

  /// A strand whose text is the conversation with the prompt `name` in place of the question; it may use `question` and
  /// the members of `variables`. An empty name: the conversation as it is. Errors: those of Prompts::render(),
  /// ChatTemplate::render() and Strands::create().
  [[nodiscard]] base::Result<State> open(std::string_view name, text::Json variables = text::Json::object());
  /// A strand that begins with a text as it is, whatever the conversation.
  [[nodiscard]] base::Result<State> open_text(std::string text);
  /// The tokens that a strand of open() begins with.
  [[nodiscard]] base::Result<Piece> piece(std::string_view name, text::Json variables = text::Json::object()) const;
  /// Computes what the strand holds, so that its forks find it.
  [[nodiscard]] Program<Said> commit(State strand, std::string label);
  /// Lets the strand go on. Begins at once. Errors: interrupted (the run is over); those of State::gen().
  [[nodiscard]] Program<Said> call(State strand, Call call);

  /// Tokens that each of `calls` calls may generate if they begin now. Requires: no call runs.
  [[nodiscard]] std::size_t share(std::size_t calls = 1) const;
  /// Tokens of the budget that are left.
  [[nodiscard]] std::size_t left() const;
  [[nodiscard]] std::uint64_t seed(std::uint64_t round, std::uint64_t index = 0) const;
  /// Notes an outcome.
  void count(std::string_view name, std::size_t times = 1) {
    if (times > 0) counts_[std::string(name)] += times;
  }
  /// A path that is worth keeping if the run ends early.
  void reach(ThoughtPath path) { reached_.push_back(std::move(path)); }

  // For strategies whose strands see each other (reasoning/workers.h), which run sequences of their own.

  /// A new row of the ledger; tells who watches. Returns its id.
  [[nodiscard]] std::uint64_t begin_call(CallRole role, std::string label, std::optional<std::uint64_t> parent = {});
  void tell_text(std::uint64_t call, std::string_view text);
  void end_call(std::uint64_t call, engine::EndReason reason, const engine::Usage& usage);
  void fail_call(std::uint64_t call, const base::Error& error);
  /// Either of these, as the ending says. Errors: the ending's, if the call failed; interrupted (the run is over).
  [[nodiscard]] base::Result<void> close_call(std::uint64_t call, const engine::Ending& ending);
  /// Called by cancel().
  void on_cancel(std::function<void()> end) { cancel_ = std::move(end); }
  /// Says that the run has to end; the first reason stays.
  void end_early(engine::EndReason reason);

 private:
  [[nodiscard]] base::Result<State> open_piece(Piece piece);
  /// The generation that is the call's, whose row is closed with it.
  [[nodiscard]] Program<Capture> hear_out(State strand, std::uint64_t call, std::string name, GenOptions options);
  Program<Thought> conclude(const Strategy& strategy);
  [[nodiscard]] base::Result<void> check(const Strategy& strategy);
  [[nodiscard]] Thought partial();
  [[nodiscard]] CallRecord& record(std::uint64_t call) { return calls_[call - 1]; }
  void tell(ThoughtEvent::Kind kind, std::uint64_t call, std::string_view text = {});
  void heard(const StrandEvent& event);

  Strands& strands_;
  engine::Engine& engine_;
  const base::Clock& clock_;
  const Prompts& prompts_;
  ThinkOptions options_;
  std::string question_;
  double started_ = 0;
  bool running_ = false;
  std::optional<engine::EndReason> over_;
  std::size_t budget_ = 0;
  std::size_t critical_ = 0;  // of the calls that have ended
  std::vector<CallRecord> calls_;
  std::vector<std::size_t> critical_before_;  // [call - 1]
  std::map<std::string, std::size_t> counts_;
  std::vector<ThoughtPath> reached_;
  std::vector<State> strands_open_;
  std::map<StrandId, std::uint64_t> calling_;  // the call of each strand that generates
  std::function<void()> cancel_;
};

}  // namespace plait::reasoning
