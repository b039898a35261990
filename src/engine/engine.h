// SPDX-License-Identifier: Apache-2.0
//
// Many sequences at once on one model: they share one batch, their prompts' common beginnings, and a memory that is
// never overdrawn; each gets the tokens that it would get alone.
//
//   ModelRunner runner(*model, team);
//   Engine engine(runner, {.kv_bytes = 4 * base::kGibibyte});
//   PLAIT_TRY(auto ids, engine.submit({.prompt = prompt, .generate = {.tokens_max = 100, .listener = &mine}}));
//   while (engine.step()) {}                       // mine.on_token(...), mine.on_end(...)
//
// A sequence is a list of tokens, computed or not yet, and what they see. generate() makes it run until a token, a
// count, a deadline or its listener ends that; then it stays, with its keys and values, and may be given more tokens,
// forked or joined, until close(). submit() does all of that for a single request.
//
// A step is one forward pass: one row for each sequence that generates, and pieces of prompts, as many tokens as keep
// the pace of those that generate (engine/step_budget.h) unless all of these are patient, dealt out among clients
// fairly (engine/fairness.h). Prompts
// that begin alike are computed once, also when they come at the same time (engine/prefix_cache.h). When pages run out,
// cached ones nobody uses go first; then the sequence that came last gives its pages back. What only it had goes to a
// host tier and comes back later (EngineOptions::swap), or is computed again. Pages that it shares with another
// sequence stay; those that it shares with the cache only leave the cache with it.
//
// Same tokens: what a sequence generates depends on its tokens, options and seed alone. Not on who else runs, on the
// memory, or on when it was preempted.
//
// Threads: none of its own; everything is called by one thread, listeners included. They are called inside step(),
// cancel() and close(), and may call the engine except step().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "base/units.h"
#include "engine/cost.h"
#include "engine/fairness.h"
#include "engine/kv_swap.h"
#include "engine/prefix_cache.h"
#include "engine/runner.h"
#include "engine/snapshot.h"
#include "engine/step_budget.h"
#include "engine/watch.h"
#include "models/config.h"
#include "models/sampler.h"

namespace plait::engine {

/// Numbers of sequences are never used again.
using SequenceId = base::Id<struct SequenceTag, std::uint64_t>;

enum class EndReason {
  stop,       ///< A stop token, or the listener said so.
  length,     ///< tokens_max, or the context is full.
  cancelled,  ///< cancel() or close().
  deadline,   ///< It passed.
  failed,     ///< See Ending::error; only this sequence is affected.
};
/// "stop", "length", "cancelled", "deadline", "failed".
[[nodiscard]] std::string_view name(EndReason reason);

/// What one generation has used.
struct Usage {
  std::size_t prompt_tokens = 0;    ///< Tokens before the first generated one, what it sees of others included.
  std::size_t cached_tokens = 0;    ///< Of those, found computed.
  std::size_t computed_tokens = 0;  ///< Rows of prompt really computed, those lost to preemption again.
  std::size_t generated_tokens = 0;
  std::size_t preemptions = 0;
  std::array<double, 8> preempted_at = {};  ///< When the first of these were: seconds since generate().
  RoundCounters counters = {};
  Cost cost = {};             ///< Of this generation, in prefill token equivalents.
  double waited_seconds = 0;  ///< From generate() to the first row of it.
  double prompt_seconds = 0;  ///< From there to the first token.
  double decode_seconds = 0;  ///< From there to the end.
};

struct Ending {
  EndReason reason = EndReason::stop;
  std::optional<base::Error> error = {};
  Usage usage = {};
};

/// Who wants to know. Must outlive the generation.
class Listener {
 public:
  virtual ~Listener() = default;
  /// A token was chosen, the stop token excepted. False ends the generation with EndReason::stop.
  virtual bool on_token(SequenceId sequence, const models::Sample& sample) = 0;
  /// The log-probability of the prompt's token `index`, behind those before it: see GenerateOptions::prompt_logprobs.
  /// In order, each once, before the first token.
  virtual void on_prompt_logprobs(SequenceId /*sequence*/, std::size_t /*index*/,
                                  const models::Logprobs& /*logprobs*/) {}
  /// What GenerateOptions::pooling asks for, [width]: once, when the prompt is computed. Valid during the call.
  virtual void on_pooled(SequenceId /*sequence*/, std::span<const float> /*pooled*/) {}
  /// The generation is over: the last call about it.
  virtual void on_end(SequenceId sequence, const Ending& ending) = 0;
};

/// Restricts what may come next: for grammars and strategies. Must outlive the generation.
class Guide {
 public:
  virtual ~Guide() = default;
  /// Bit t % 64 of word t / 64 says whether token t may come next; empty: any may. Asked once before each choice.
  /// Errors end the generation (failed), and so does a mask that allows nothing.
  [[nodiscard]] virtual base::Result<std::span<const std::uint64_t>> mask() = 0;
  /// Told of each token that was chosen or forced. Returns tokens that must follow: they are not sampled, and go
  /// through the model together, like a prompt. Valid until the next call.
  [[nodiscard]] virtual std::span<const base::TokenId> accept(base::TokenId token) = 0;
};

/// Which tokens of a prompt are to be scored.
struct PromptLogprobs {
  std::size_t first = 1;  ///< The first of the sequence's own tokens; nothing predicts token 0. ≥ 1.
  int top = 0;            ///< Alternatives at each place. [0, 128]
};

/// How a sequence is to go on.
struct GenerateOptions {
  models::SamplerOptions sampler = {};
  std::size_t tokens_max = 0;  ///< Most tokens to generate, forced ones included; 0: until the context is full.
  bool prompt_only = false;    ///< Compute what is there and end (length) without a token.
  std::vector<base::TokenId> stop = {};  ///< Ends the generation; not shown and not part of the sequence.
  bool tell_stop = false;                ///< The listener is told of the stop token, and it is counted.
  /// Log-probabilities of tokens that are there already, for on_prompt_logprobs(). Nothing from token first - 1 on is
  /// taken from what others have computed. Of a Request with samples, the first sample is told.
  std::optional<PromptLogprobs> prompt_logprobs = {};
  /// The final hidden states of the own tokens, pooled, for on_pooled(). Only with prompt_only; `mean` takes nothing
  /// from what others have computed.
  std::optional<models::Pooling> pooling = {};
  std::optional<double> deadline = {};  ///< Time of the engine's clock, seconds.
  bool returns = false;                 ///< Hint for the cache: the client comes back to this text soon.
  /// Nobody watches its tokens as they come: prompts beside it need not keep its pace. A load of patient sequences ends
  /// sooner, since its prompts come in whole steps and its tokens in wide ones. The tokens are the same.
  bool patient = false;
  Guide* guide = nullptr;
  Listener* listener = nullptr;
};

/// Whose sequence it is.
struct SequenceOptions {
  std::string client = {};  ///< Fairness is between clients.
  double weight = 1;        ///< Of the client. > 0.
  int level = 0;            ///< Urgency: 0 is the most urgent; below Fairness::kLevels.
  std::string salt = {};    ///< Only sequences of equal salt share what is computed.
};

struct Request {
  SequenceOptions options = {};
  std::vector<base::TokenId> prompt = {};
  GenerateOptions generate = {};
  std::size_t samples = 1;  ///< Generations of the prompt; sample i > 0 has the child seed i.
};

/// Whose turn it is.
enum class Order {
  fair,     ///< The more urgent level, then the client that has had least (engine/fairness.h).
  arrival,  ///< Whoever came first. Clients, weights and levels count nothing.
};

struct EngineOptions {
  base::Bytes kv_bytes = 0;    ///< Memory of keys and values. Too little for one page of tokens is an error.
  std::size_t rows_max = 256;  ///< Sequences that run at a time. At most models::kStepRows.
  /// Of these, so many are for clients of which nothing runs: whoever comes beside one that asks for more than there is
  /// need not wait until something of that one ends. Below rows_max.
  std::size_t rows_newcomers = 0;
  /// Streams keep 37 % of their pace at least while prompts come, prompts 60 % of theirs; where that takes less,
  /// streams keep 44 %.
  StepBudgetOptions budget = {.factor = 2.25, .prompt_share = 0.63, .factor_most = 2.7};
  Order order = Order::fair;
  FairnessOptions fairness = {};
  PrefixCacheOptions cache = {};
  bool share_prefixes = true;
  KvSwapOptions swap = {};  ///< Where preempted sequences go. Without tiers they are computed again.
  /// Pages of 16 tokens that are set aside together for a sequence that begins or finds no page beside its last one:
  /// what lies together is written and read by one operation. They are lent, not taken: who finds no other page takes
  /// them. 1 to 65,536.
  std::uint32_t group_pages = kRunPages;
  /// A waiting sequence of a more urgent level takes the place of a running one, and levels come before arrival when
  /// somebody has to give way. Levels are as fairness has them: of clients, and raised by age.
  bool preempt_levels = false;
  CostRates rates = {};  ///< Of the model on this machine; all zero: decoding costs nothing but rows.
  ChargeUnit unit = ChargeUnit::tokens;
};

/// Since the beginning, and now.
struct EngineCounters {
  std::uint64_t steps = 0;
  std::uint64_t prompt_rows = 0;  ///< Rows of the batch that fed prompts.
  std::uint64_t decode_rows = 0;  ///< Rows that fed a generated token.
  StepWork work = {};             ///< Of all steps.
  std::uint64_t preemptions = 0;
  std::size_t sequences = 0;
  std::size_t running = 0;
  std::size_t waiting = 0;
  SwapCounters swap = {};        ///< Sums over the layer groups.
  std::uint32_t pages = 0;       ///< Of the larger pool.
  std::uint32_t pages_free = 0;  ///< The same; not counting those that the cache would give up.
  PrefixCounters prefixes = {};
};

class Engine {
 public:
  /// Errors: out_of_resources (kv_bytes do not hold a page; the system refuses the memory); invalid_argument (rows_max;
  /// group_pages; a swap tier for one of two layer groups only, or with slots smaller than pages).
  /// Requires: runner, clock and tiers outlive it.
  [[nodiscard]] static base::Result<std::unique_ptr<Engine>> make(Runner& runner, const EngineOptions& options,
                                                                  const base::Clock& clock = base::steady_clock());
  /// Ends whatever runs (cancelled).
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// A new, empty sequence. Errors: invalid_argument (weight, level).
  [[nodiscard]] base::Result<SequenceId> create(const SequenceOptions& options);
  /// Adds tokens that will be computed with the next generation. Errors: invalid_argument (a token outside the
  /// vocabulary; beyond the context, with both numbers; it generates).
  [[nodiscard]] base::Result<void> append(SequenceId sequence, std::span<const base::TokenId> tokens);
  /// Makes it run. Errors: invalid_argument (sampler options; nothing to compute; it generates; logprobs of tokens that
  /// are not there; pooling that goes on, or without hidden states; either of a row group, or more than 64 tokens that
  /// are not computed in one); out_of_resources (it would
  /// never fit into the memory of keys and values, with both numbers).
  [[nodiscard]] base::Result<void> generate(SequenceId sequence, const GenerateOptions& options);
  /// A sequence that begins with all tokens of this one, on the same pages. Constant time but for its list of pages and
  /// tokens. It belongs to the same client, and is cancelled with its parent.
  [[nodiscard]] base::Result<SequenceId> fork(SequenceId sequence);
  /// Lets `sequence` see, behind all its own tokens, what `other` computed of its own tokens from `first` on: without
  /// computing anything. Errors: invalid_argument (it generates; beyond the context; not all of it is computed, or
  /// nothing of `other` from `first` on); out_of_resources (one of the two was swapped out and there are no pages to
  /// bring it back to).
  [[nodiscard]] base::Result<void> join(SequenceId sequence, SequenceId other, std::size_t first);
  /// Lets `sequence` see the own tokens of `other` as they come, each from the step on in which it is computed: they
  /// stand in front of its own tokens, behind what it joined and watched before, and push its own positions on, unless
  /// Watch says where they stand. Sequences that watch each other form a row group: from then on they run in one step
  /// or not at all, are never preempted, and see each other's tokens of the same step. What they generate depends on
  /// nobody outside of the group. A member that ends stays visible.
  /// Errors: invalid_argument (either generates or has more than 64 tokens that are not computed; the same sequence; a
  /// position given here would show tokens whose pages a window has left behind), out_of_resources (as join()).
  [[nodiscard]] base::Result<void> watch(SequenceId sequence, SequenceId other, const Watch& options = {});
  /// From the next step on `sequence` watches these, in this order, in place of all that it watched: also while it
  /// generates. Nothing is computed again: what was computed keeps what it has seen. They and it become one row group.
  /// Errors: not_found; invalid_argument (itself, one twice, positions of its own, or pages that a window has
  /// left behind); out_of_resources (as join()).
  [[nodiscard]] base::Result<void> watch_instead(SequenceId sequence, std::span<const SequenceId> others);
  /// Drops the last tokens of its own, down to `length` in all. Errors: invalid_argument (it generates; within what it
  /// joined or longer than it is).
  [[nodiscard]] base::Result<void> trim(SequenceId sequence, std::size_t length);
  /// Changes its urgency, see SequenceOptions::level, at any time. It is the client's level, so it counts from the
  /// moment at which the client has no other request. While the sequence waits, it queues anew within its client; while
  /// it runs, this decides who gives way, if EngineOptions::preempt_levels says so. Nothing with Order::arrival.
  /// Errors: invalid_argument (level), not_found.
  [[nodiscard]] base::Result<void> set_level(SequenceId sequence, int level);
  /// Ends its generation and those of all that were forked from it.
  void cancel(SequenceId sequence);
  /// Cancels and forgets it; sequences forked from it stay.
  void close(SequenceId sequence);

  /// Prompt, generation and close in one: the ids tell the samples apart in the listener. Errors: those of create(),
  /// append() and generate(); then nothing was submitted.
  [[nodiscard]] base::Result<std::vector<SequenceId>> submit(const Request& request);

  /// One step of the batch. False if nothing is left to do.
  bool step();
  /// Whether something wants to run.
  [[nodiscard]] bool busy() const;

  /// All its tokens, those it joined included. Requires: it exists.
  [[nodiscard]] std::vector<base::TokenId> tokens(SequenceId sequence) const;
  [[nodiscard]] bool exists(SequenceId sequence) const;
  [[nodiscard]] EngineCounters counters() const;
  /// Pages of the larger pool that only the cache has, so that they are as good as free. O(pages).
  [[nodiscard]] std::uint32_t pages_reclaimable() const;
  /// Clients that wait or run, by name. O(sequences).
  [[nodiscard]] std::vector<ClientLoad> clients() const;
  /// Looks at every page, sequence and client: some 100 µs with 50,000 pages, so a few times a second at most.
  [[nodiscard]] Snapshot snapshot() const;
  /// Every page in as many hands as it is counted, and what else must hold. For tests. O(everything).
  void check_invariants() const;

  class State;

 private:
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace plait::engine
