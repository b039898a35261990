// SPDX-License-Identifier: Apache-2.0
//
// Programs of strands. A strand is a text that grows: by what is appended to it, by what the model generates, by what
// is selected from options. It forks into children that go on from it at the same time, and joins them again.
//
//   Strands strands(engine, model);
//   PLAIT_TRY(State root, strands.create({.seed = 7}));
//   root.append(text_piece(tokenizer, "Two names for a cat:"));
//   const auto children = root.fork(2);
//   for (State child : children) child.gen("name", {.generate = {.tokens_max = 8}});
//   auto joined = root.join({});                     // the children's texts, in their order
//   PLAIT_TRY(const Joined done, strands.read(joined));
//
// Asynchronous: a call says what is to be done and returns at once; what is asked of one strand is done in that order,
// what is asked of several at the same time. A Value blocks only who reads it.
//
// Errors: what fails in a strand surfaces where its value is read. Everything that was asked of that strand behind it
// fails with the same error, until recover(): it was meant to follow something that is not there. Other strands go on;
// a parent meets a child's error where it joins it. An operation that fails leaves the strand's text as it was.
//
// Same text: a strand's generation is what the same tokens, options and seed give alone. Child i has the child seed i
// of its parent, so children differ and repeat.
//
// Boundaries: texts that are appended one after the other are tokenised as one (of the last 16 KiB). Where a
// generation follows a text, the last token of the text is chosen again, out of those that begin with its bytes: so a
// text that ends within what would be one token ("http:" before "//") is gone on with as if it had been written in one
// go. Where the same token is chosen, everything is as without that.
//
// Threads: none of its own; everything is called by the engine's thread. Calls that come back, of values and of
// events, may ask for anything but Engine::step().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "engine/cost.h"
#include "engine/engine.h"
#include "models/stop.h"
#include "models/token_mask.h"
#include "reasoning/piece.h"
#include "reasoning/value.h"

namespace plait::reasoning {

/// Numbers of strands are never used again.
using StrandId = base::Id<struct StrandTag, std::uint64_t>;

/// How options of select() are compared.
enum class ScoreRule {
  mean,           ///< The mean log-probability of the option's tokens.
  sum,            ///< Their sum: the option's own log-probability. Favours short ones.
  unconditional,  ///< The sum less what it is at the beginning of a text: how much the strand speaks for the option.
};
/// "mean", "sum", "unconditional".
[[nodiscard]] std::string_view name(ScoreRule rule);
[[nodiscard]] std::optional<ScoreRule> find_rule(std::string_view name);

struct ScoredOption {
  std::string text = {};
  std::size_t tokens = 0;  ///< That were scored.
  double logprob = 0;      ///< Raw: the sum of their log-probabilities.
  double score = 0;        ///< By the rule.
  double probability = 0;  ///< e^score over all options' sum of it.
};

struct Selection {
  ScoreRule rule = ScoreRule::mean;
  std::size_t best = 0;  ///< The option with the highest score, the first of equals.
  std::vector<ScoredOption> options = {};
};

/// What gen() or select() has written.
struct Capture {
  std::string name = {};
  std::string text = {};                               ///< Without the stop string, unless that was asked for.
  std::vector<base::TokenId> tokens = {};              ///< As generated, those of a stop string included.
  std::vector<models::Logprobs> logprobs = {};         ///< One for each token, if they were asked for.
  engine::EndReason reason = engine::EndReason::stop;  ///< Not `failed`. `cancelled`: the text so far.
  std::optional<std::string> stop_string = {};         ///< That ended it, if one did.
  engine::Usage usage = {};
  std::optional<Selection> selection = {};  ///< Of select().
};

/// What a strand has cost, or a whole tree.
struct Ledger {
  std::size_t generated_tokens = 0;
  std::size_t prefill_tokens = 0;  ///< Rows of prompts really computed.
  std::size_t cached_tokens = 0;   ///< Tokens before generations that were there already.
  std::size_t scored_tokens = 0;   ///< Of options.
  /// The longest chain of tokens that had to wait for each other, up to the end of this strand. Of a tree 0.
  std::size_t critical_path_tokens = 0;
  engine::Cost cost = {};
  /// All that went through the model.
  [[nodiscard]] std::size_t total_tokens() const { return generated_tokens + prefill_tokens + scored_tokens; }
};

class State;

/// What happens in a tree of strands, in order. Views are valid during the call.
struct StrandEvent {
  enum class Kind { created, appended, text, captured, joined, failed, cancelled, closed };
  Kind kind = Kind::created;
  StrandId strand = {};
  std::optional<StrandId> parent = {};  ///< Of `created`.
  std::uint64_t operation = 0;          ///< Number on its strand, from 1 on; 0: none.
  std::string_view name = {};           ///< Of the capture.
  std::string_view text = {};           ///< Of `text`: what has come, whole UTF-8.
  std::size_t tokens = 0;               ///< Of `appended` and `joined`: how many.
  const Capture* capture = nullptr;     ///< Of `captured`.
  const base::Error* error = nullptr;   ///< Of `failed`.
};
/// "created", "appended", …
[[nodiscard]] std::string_view name(StrandEvent::Kind kind);

struct StateOptions {
  engine::SequenceOptions sequence = {};  ///< Whose strands the tree's are.
  std::uint64_t seed = 0;
  bool heal = true;                                     ///< Boundaries between text and generation, see above.
  std::function<void(const StrandEvent&)> events = {};  ///< Told of the whole tree.
};

struct GenOptions {
  /// Sampler, tokens_max, prompt_only, deadline, returns and patient. The rest is set here. tokens_max 0: until the
  /// context is full.
  engine::GenerateOptions generate = {};
  bool seeded = false;  ///< sampler.seed counts; else the seed follows from the strand's and from how many came before.
  models::StopOptions stop = {};
  bool ignore_end = false;  ///< The model's own ends of text are tokens like others.
  /// The grammar that the text keeps to, if to any. Called when the generation begins.
  std::function<std::shared_ptr<models::MaskCache>()> grammar = {};
};

struct Appended {
  std::ptrdiff_t tokens = 0;  ///< That the strand is longer by; texts that are tokenised as one may make it shorter.
  std::size_t length = 0;     ///< Of the strand.
};

struct JoinOptions {
  enum class How {
    text,       ///< What each child has written since the fork is appended, token by token the same.
    variables,  ///< Nothing is appended; the captures are there, under NAME[0], NAME[1], …
    spans,      ///< As text, but nothing is computed again: the strand sees what the children computed, each as it saw
                ///< itself. Append something before the next generation.
  };
  How how = How::text;
  std::vector<StrandId> children = {};  ///< In this order; empty: all that are there, in the order of the fork.
  std::string capture = {};             ///< With `text`: only this capture of each child.
  std::string separator = {};           ///< With `text`: stands between two children's texts.
  bool skip_failed = false;             ///< Leave failed children out; else their error is the join's.
};
/// "text", "variables", "spans".
[[nodiscard]] std::optional<JoinOptions::How> find_how(std::string_view name);

struct Joined {
  std::size_t tokens = 0;                           ///< That the strand is longer by.
  std::size_t length = 0;                           ///< Of the strand.
  std::vector<StrandId> children = {};              ///< That were joined,
  std::vector<std::vector<Capture>> captures = {};  ///< and what each of them has captured since the fork.
};

class Strand;
class StrandsState;
struct StrandLease;

/// A strand. Copies speak of the same one; when the last goes, the strand is closed, but not what came of its forks.
class State {
 public:
  /// For Strands.
  explicit State(std::shared_ptr<StrandLease> lease) : lease_(std::move(lease)) {}

  [[nodiscard]] StrandId id() const;
  [[nodiscard]] std::optional<State> parent() const;  ///< Nothing for a root, and where it was closed.
  [[nodiscard]] std::vector<State> children() const;  ///< Those that are not closed, in the order of the forks.

  /// Messages behind earlier messages: what stands between is the assistant's turn, and the strand becomes what the
  /// template makes of the whole conversation, as far as possible on what is computed. Errors: invalid_argument (a
  /// token outside the vocabulary; beyond the context, with both numbers).
  Value<Appended> append(Piece piece) const;
  /// Drops the last tokens, down to `length`; what is computed of the others stays. Errors: invalid_argument (it is
  /// shorter, or a join by spans is longer).
  Value<Appended> cut(std::size_t length) const;
  /// Errors: those of Engine::generate(); invalid_argument (stop; no tokens to go on from; tokens_max is less than the
  /// shortest text of the grammar).
  Value<Capture> gen(std::string name, GenOptions options) const;
  /// Appends the most likely of `options`: they are computed as forks, side by side, and the best one is kept. Errors:
  /// those of Engine::generate(); invalid_argument (no option, an empty one; `unconditional` without a begin token).
  Value<Capture> select(std::string name, std::vector<std::string> options, ScoreRule rule = ScoreRule::mean) const;
  /// `count` children that go on from what was asked of this strand so far. What they are asked waits for that. They
  /// share all that is computed; constant time but for a list of pages and tokens each.
  [[nodiscard]] std::vector<State> fork(std::size_t count) const;
  /// Waits for all that children were asked by then. Errors: not_found (no such child); a child's; beyond the context;
  /// `spans`: invalid_argument (the fork's boundary was healed in a child), those of Engine::join().
  Value<Joined> join(JoinOptions options) const;

  /// Drops what waits and ends what runs, here and in all that came of forks. What ran gives its text so far
  /// (`cancelled`), what waited the error `interrupted`. Then as recover(). Returns how many operations that were.
  std::size_t cancel() const;
  /// Takes new operations after an error.
  void recover() const;
  /// Cancels and forgets it and all that came of forks. What is asked afterwards gives not_found.
  void close() const;

  [[nodiscard]] bool idle() const;  ///< Nothing runs or waits.
  [[nodiscard]] bool closed() const;
  [[nodiscard]] std::optional<base::Error> error() const;  ///< Until recover().
  [[nodiscard]] std::uint64_t operations() const;          ///< How many were asked: the number of the last one.
  [[nodiscard]] std::size_t waiting() const;               ///< Of them, not done yet.
  [[nodiscard]] std::size_t length() const;                ///< In tokens.
  [[nodiscard]] std::vector<base::TokenId> tokens() const;
  [[nodiscard]] std::string text() const;                          ///< All of it.
  [[nodiscard]] const std::vector<Capture>& captures() const;      ///< In order, those from before its fork included.
  [[nodiscard]] const Capture* find(std::string_view name) const;  ///< The last one of this name, or null.
  [[nodiscard]] Ledger ledger() const;       ///< Of this strand alone; the critical path from the root on.
  [[nodiscard]] Ledger tree_ledger() const;  ///< Of all its tree, closed strands included.

 private:
  [[nodiscard]] Strand& strand() const;

  std::shared_ptr<StrandLease> lease_;
};

/// All strands on one engine.
class Strands {
 public:
  /// The engine must outlive it, and it must outlive its strands.
  Strands(engine::Engine& engine, StrandModel model);
  ~Strands();
  Strands(const Strands&) = delete;
  Strands& operator=(const Strands&) = delete;

  /// A new, empty strand. Errors: those of Engine::create().
  [[nodiscard]] base::Result<State> create(const StateOptions& options);
  [[nodiscard]] const StrandModel& model() const;

  /// Steps the engine until the value is there: for who has no loop. Errors: the value's.
  template <class T>
  [[nodiscard]] base::Result<T> read(const Value<T>& value) {
    while (!value.ready() && step()) {
    }
    if (!value.ready()) return base::fail(base::ErrorCode::internal, "nothing runs that the value would come of");
    return value.result();
  }

 private:
  bool step();

  std::unique_ptr<StrandsState> state_;
};

}  // namespace plait::reasoning
