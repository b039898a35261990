// SPDX-License-Identifier: Apache-2.0
//
// Strategies on a model that is a program: everything but the model's numbers is the real thing (engine, strands,
// prompts, samplers). So experiments can say exactly what a run has to be, and count what it took.
//
//   const auto tokenizer = make_unit_tokenizer({"<Thread>", "</Thread>"});
//   ContextScripts scripts(*tokenizer);
//   auto model = ScriptedThinking::make(*tokenizer, scripts.policy(), {}).value();
//   scripts.add(whole);
//   PLAIT_TRY(const auto thought, model->think(*strategy, {.raw = prompt}));
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/story_runner.h"
#include "models/chat_template.h"
#include "models/tokenizer.h"
#include "reasoning/prompts.h"
#include "reasoning/state.h"
#include "reasoning/strategy.h"
#include "reasoning/thinking.h"

namespace plait::evaluation {

/// Stands where an answer begins in prompts of chats: a control token, which no text has.
inline constexpr std::string_view kAnswerMark = "<|answer|>";

/// Each of `units` is a token wherever it stands, the longest first; of all else each byte is one.
[[nodiscard]] std::unique_ptr<models::Tokenizer> make_unit_tokenizer(const std::vector<std::string>& units);

/// Units that make task_tokens() of the language of reasoning/search_trace.h the tokens of its texts, one for one.
[[nodiscard]] std::vector<std::string> search_units();

/// A model that knows whole contexts, from the first token on. Whoever is within one goes on as it does; whoever is in
/// none, by a single token, ends. So a row that says what it should has seen what it should.
class ContextScripts {
 public:
  explicit ContextScripts(const models::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// Where two scripts begin alike, the earlier one is followed.
  void add(std::vector<base::TokenId> script) { scripts_.push_back(std::move(script)); }
  void add(std::string_view text);
  void clear() { scripts_.clear(); }
  /// It must outlive the policy, and may be changed between runs.
  [[nodiscard]] engine::StoryRunner::Policy policy() const;

 private:
  [[nodiscard]] base::TokenId next(std::span<const base::TokenId> seen) const;

  const models::Tokenizer& tokenizer_;
  std::vector<std::vector<base::TokenId>> scripts_;
};

/// A way in which a text may go on. A weight that is no number is a model that breaks down.
struct Continuation {
  std::string text = {};  ///< Empty: it ends.
  double weight = 1;
};

/// What may follow in a chat, where `said` stands behind the prompt already. Nothing: the text ends.
using Speaker = std::function<std::vector<Continuation>(std::string_view prompt, std::string_view said)>;

/// Draws each token by the weights of the continuations that begin with it.
[[nodiscard]] engine::StoryRunner::Policy speaking(const models::Tokenizer& tokenizer, Speaker speaker);

inline constexpr std::size_t kDrawDigits = 6;
/// Digits that any of 10^6 numbers may begin an answer with: what a program that answers has for chance. Nothing: all
/// of them are said.
[[nodiscard]] std::vector<Continuation> draw_digits(std::string_view said);
/// The number. Requires: `said` begins with kDrawDigits digits.
[[nodiscard]] std::uint64_t drawn(std::string_view said);

struct ScriptedOptions {
  std::size_t context = 4096;
  std::size_t pages = 8192;    ///< Of keys and values, for all sequences.
  std::size_t rows_max = 256;  ///< Calls at the same time; others wait.
  bool share_prefixes = true;
};

class ScriptedThinking {
 public:
  /// The tokenizer and what the policy refers to must outlive it. Errors: those of the engine.
  [[nodiscard]] static base::Result<std::unique_ptr<ScriptedThinking>> make(const models::Tokenizer& tokenizer,
                                                                            engine::StoryRunner::Policy policy,
                                                                            const ScriptedOptions& options);

  /// A step takes 10 ms of its clock. Errors: those of the run.
  [[nodiscard]] base::Result<reasoning::Thought> think(const reasoning::Strategy& strategy,
                                                       reasoning::ThinkOptions options);
  /// The tokens of what a strategy would open with the prompt `name`.
  [[nodiscard]] base::Result<std::vector<base::TokenId>> prompt(const reasoning::ThinkOptions& options,
                                                                std::string_view name);
  /// What follows these tokens in a strand that has nothing to do with any other one.
  [[nodiscard]] base::Result<reasoning::Capture> alone(std::vector<base::TokenId> tokens,
                                                       reasoning::GenOptions options);
  /// Forward passes so far.
  [[nodiscard]] std::size_t steps() const { return runner_.steps(); }

 private:
  class Clock final : public base::Clock {
   public:
    [[nodiscard]] double now() const override { return seconds_; }
    void advance(double seconds) { seconds_ += seconds; }

   private:
    double seconds_ = 0;
  };

  ScriptedThinking(const models::Tokenizer& tokenizer, engine::StoryRunner::Policy policy,
                   const ScriptedOptions& options);
  [[nodiscard]] base::Result<void> open(const models::Tokenizer& tokenizer, const ScriptedOptions& options);

  Clock clock_;
  reasoning::Prompts prompts_;
  std::optional<models::ChatTemplate> chat_;
  engine::StoryRunner runner_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<reasoning::Strands> strands_;
};

/// A question as a user asks it.
[[nodiscard]] reasoning::ThinkOptions ask(std::string question);

}  // namespace plait::evaluation
