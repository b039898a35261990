// SPDX-License-Identifier: Apache-2.0
//
// What engine.cc, step.cc, preemption.cc and prompt_outputs.cc share and nobody else needs to see.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/kv_memory.h"
#include "engine/kv_swap.h"

namespace plait::engine {

/// Tokens that a sequence sees in front of its own: of another, or its own before it joined another's.
struct JoinedPart {
  Span span;
  std::vector<base::TokenId> tokens;  ///< Of the span, from its origin.
  std::size_t first = 0;              ///< Tokens first … span.length() - 1 are seen,
  std::ptrdiff_t base = 0;            ///< that at the origin at this position.
};

/// Tokens of another sequence that are seen as they come.
struct WatchedPart {
  SequenceId sequence;
  std::optional<std::ptrdiff_t> position;  ///< Of its first own token; nothing: behind what stands before it.
  bool late = false;                       ///< What it feeds in a step is not seen in that step.
};

/// One generation of a sequence.
struct Generation {
  static constexpr std::size_t kNoRow = SIZE_MAX;

  /// Behind the last own token whose row has to give more than keys and values. A row's logits say something about the
  /// token behind it.
  [[nodiscard]] std::size_t wanted_end() const { return prompt_length - (options.pooling ? 0 : 1); }
  [[nodiscard]] bool wants_rows() const { return wanted_row < wanted_end(); }

  GenerateOptions options;
  models::Sampler sampler;
  std::size_t prompt_length = 0;  ///< Own tokens before it.
  std::size_t generated = 0;
  std::size_t forced = 0;    ///< Of the tokens at the end, these were forced and are not computed yet.
  std::size_t computed = 0;  ///< Most own tokens that were ever computed: what comes again was lost to preemption.
  std::size_t wanted_row = kNoRow;  ///< The next own token whose row has to give more than keys and values.
  std::vector<double> pooled = {};  ///< [width]: sum of the hidden states of wanted rows before that one.
  Usage usage = {};
  StepWork work_before = {};  ///< Of all steps before it was asked for.
  double asked_at = 0;
  std::uint64_t asked_step = 0;  ///< EngineCounters::steps then.
  double started_at = -1;        ///< First row; negative: not yet.
  double first_token_at = -1;    ///< The same.
};

struct Sequence {
  Sequence(SequenceId number, SequenceOptions its_options, KvMemory& memory)
      : id(number), options(std::move(its_options)), span(memory) {}

  /// Own tokens that are not computed yet.
  [[nodiscard]] std::size_t pending() const { return tokens.size() - span.length(); }
  /// Position behind what it joined.
  [[nodiscard]] std::ptrdiff_t joined_end() const {
    if (parts.empty()) return 0;
    return parts.back().base + static_cast<std::ptrdiff_t>(parts.back().span.length());
  }
  /// Position of the first own token.
  [[nodiscard]] std::ptrdiff_t base() const { return own_position ? *own_position : joined_end() + watched_tokens; }
  [[nodiscard]] std::size_t length() const { return static_cast<std::size_t>(base()) + tokens.size(); }
  SequenceId id;
  SequenceOptions options;
  std::vector<JoinedPart> parts;
  std::vector<WatchedPart> watched;
  std::ptrdiff_t watched_tokens = 0;  ///< Of those without a position of their own, as of the last step.
  std::optional<std::ptrdiff_t> own_position;
  std::uint64_t group = 0;            ///< Its row group; 0: none.
  std::size_t feeding = 0;            ///< Tokens that it feeds in this step: watchers see them.
  bool closed = false;                ///< Nobody knows it any more, but others watch it.
  std::vector<base::TokenId> tokens;  ///< Own ones: computed, then pending.
  Span span;                          ///< The computed ones.
  bool away = false;                  ///< Pages of `span` are in the host tier, or on the way there or back.
  PrefixCache::Place place;           ///< Behind the pages of `span` that are in the cache.
  std::optional<Generation> generation;
  std::optional<Ticket> ticket;  ///< While it waits or runs.
  int ticket_level = 0;          ///< That the ticket was taken with.
  int rank = 0;                  ///< What before() goes by: the level that fairness serves it at, as of this step.
  bool running = false;
  bool prompt_done = false;                 ///< It decodes. After a preemption it has a prompt again.
  std::uint64_t arrival = 0;                ///< Order of generate() calls.
  std::uint64_t used_at = 0;                ///< Step in which it last ran.
  std::optional<std::uint64_t> stopped_at;  ///< Step after which it was last preempted.
  bool close_at_end = false;
  std::optional<SequenceId> parent;
  std::vector<SequenceId> children;
  std::optional<SequenceId> leader;     ///< Whose prompt it waits for.
  std::vector<SequenceId> followers;    ///< Who wait for this one's.
  std::optional<SequenceId> behind;     ///< Who computes its prompt's next page, as of this step.
  std::vector<models::ViewEntry> view;  ///< Of this step.
};

/// One sequence's part of a step.
struct StepItem {
  Sequence* sequence = nullptr;
  std::size_t tokens = 0;
  bool decode = false;
  bool chooses = false;         ///< The last row's logits choose a token.
  std::size_t scored = 0;       ///< So many rows of logits say how likely the prompt's next token was; they come first.
  std::size_t logits_rows = 0;  ///< Last rows with logits, for whatever.
  std::size_t pooled = 0;       ///< Last rows whose hidden states are pooled.
};

class Engine::State {
 public:
  State(Runner& the_runner, const EngineOptions& the_options, const base::Clock& the_clock, std::uint32_t pages);

  // engine.cc
  [[nodiscard]] Sequence* find(SequenceId id);
  Sequence& add(const SequenceOptions& options);
  [[nodiscard]] base::Result<Sequence*> idle(SequenceId id);
  [[nodiscard]] base::Result<void> check_fits(const Sequence& sequence, const GenerateOptions& generate) const;
  [[nodiscard]] base::Result<Generation> prepare(const Sequence& sequence, const GenerateOptions& generate) const;
  [[nodiscard]] base::Result<void> keep_watched(Sequence& sequence, Sequence& other, const Watch& watch);
  void form_group(Sequence& sequence, Sequence& other);
  [[nodiscard]] base::Result<void> check_group(const Sequence& sequence) const;
  [[nodiscard]] base::Result<void> begin(Sequence& sequence, const GenerateOptions& generate);
  void arrive(Sequence& sequence);
  /// Ends its generation and tells the listener, which may do anything: `sequence` may be gone afterwards.
  void end(Sequence& sequence, EndReason reason, std::optional<base::Error> error = {});
  void promote_follower(Sequence& leader);
  void erase(SequenceId id);
  [[nodiscard]] std::vector<Sequence*> members(std::uint64_t group) const;

  // step.cc
  bool step();
  [[nodiscard]] std::size_t rows_for(const Sequence& sequence) const;

  // prompt_outputs.cc
  /// Whether what is asked of a prompt's rows can be had.
  [[nodiscard]] base::Result<void> check_outputs(const Sequence& sequence, const GenerateOptions& generate) const;
  /// Notes what is asked of the rows; computed tokens whose rows are wanted are forgotten.
  void want_rows(Sequence& sequence, Generation& generation);

  // preemption.cc
  /// Cuts its own computed tokens; where that is impossible it has none any more.
  void trim_span(Sequence& sequence, std::size_t length);
  /// Its computed tokens are gone, wherever they were.
  void clear_span(Sequence& sequence);
  /// Reads the pages of a sequence that is away, and waits for that. They may be lost, then it has none. Errors:
  /// out_of_resources (no pages for it without preempting others).
  [[nodiscard]] base::Result<void> bring_here(Sequence& sequence);
  /// Its level has changed: if it waits, it queues anew.
  void renew_ticket(Sequence& sequence);

  Runner& runner;
  EngineOptions options;
  const base::Clock& clock;
  KvMemory memory;
  PrefixCache cache;
  KvSwap swap;
  Fairness fairness;
  StepBudget budget;
  std::map<SequenceId, std::unique_ptr<Sequence>> sequences;
  std::vector<Sequence*> running;    ///< The most important first, see before().
  std::vector<Sequence*> by_ticket;  ///< [ticket]
  std::uint64_t next_sequence = 1;
  std::uint64_t next_arrival = 0;
  std::uint64_t next_group = 1;
  EngineCounters counters;

 private:
  struct Choice {
    Sequence* sequence = nullptr;  ///< While choosing.
    SequenceId id;
    std::uint64_t arrival = 0;  ///< Tells this generation from a later one of the sequence.
    std::size_t row = 0;        ///< Of logits_.
    std::span<const std::uint64_t> mask = {};
    base::Result<models::Sample> sample;
  };
  struct Score {
    SequenceId id;
    std::uint64_t arrival = 0;
    std::size_t index = 0;  ///< Of the token in its sequence.
    base::TokenId token = base::kNoToken;
    std::size_t top = 0;
    std::size_t row = 0;  ///< Of logits_.
    base::Result<models::Logprobs> logprobs;
  };

  void expire(double now);
  void admit(double now);
  void plan(double now);
  void plan_prompts(std::size_t decode_rows, double now);
  [[nodiscard]] std::optional<SequenceId> who_computes_for(Sequence& sequence);
  void find_computed(Sequence& sequence);
  std::size_t take_part_of_page(Sequence& sequence);
  void reserve_items();
  void drop_reserved();
  void end_all(const std::vector<SequenceId>& ids, const base::Error& error);
  void add_view(Sequence& sequence);
  void keep_groups_whole();
  [[nodiscard]] std::size_t length_after_step(const Sequence& sequence);
  void start_running(Sequence& sequence, double now);
  [[nodiscard]] base::Result<void> run_items();
  void account(double seconds);
  void choose();
  void choose_for(Sequence& sequence, std::size_t row);
  void choose_token(Choice& choice);
  void deliver(SequenceId id, std::uint64_t arrival, base::Result<models::Sample> sample);
  [[nodiscard]] bool tell_stop(Sequence& sequence, const models::Sample& sample);
  bool take(Sequence& sequence, base::TokenId token);

  // prompt_outputs.cc
  [[nodiscard]] std::span<const base::TokenId> findable(const Sequence& sequence) const;
  void share_prompts(std::size_t tokens);
  void ask_outputs(StepItem& item) const;
  [[nodiscard]] double logits_rows_cost(const StepItem& item) const;
  void score(const StepItem& item, std::size_t row);
  void pool(const StepItem& item, std::size_t row);
  void score_token(Score& score);
  void tell_scores();
  [[nodiscard]] bool tell_pooled(Sequence& sequence);

  // preemption.cc
  [[nodiscard]] bool before(const Sequence& a, const Sequence& b) const;
  [[nodiscard]] int rank_of(const Sequence& sequence) const;
  void rank_running();
  [[nodiscard]] bool make_pages(Sequence& sequence, std::size_t tokens);
  [[nodiscard]] bool fits(const Sequence& sequence);
  [[nodiscard]] bool enough_coming(const PageCounts& pages) const;
  bool free_copies(Sequence& sequence, const PageCounts& pages);
  bool give_way(const Sequence& sequence);
  bool set_idle_aside(const Sequence& sequence);
  bool displace(const Sequence& sequence);
  [[nodiscard]] PageCounts pages_to_run(const Sequence& sequence) const;
  [[nodiscard]] base::Bytes own_bytes(const Sequence& sequence) const;
  void preempt(Sequence& sequence);
  void stop_running(Sequence& sequence);
  [[nodiscard]] bool worth_swapping(const Sequence& sequence) const;
  bool swap_out(Sequence& sequence);
  bool start_return(Sequence& sequence);
  void take_swap_events(const std::vector<KvSwap::Event>& events);
  void wait_for_returning();

  std::vector<StepItem> items_;
  std::vector<SequenceId> without_pages_;  ///< Cannot go on and nobody can give way.
  std::vector<PromptShare> shares_;
  std::vector<Sequence*> prompts_;
  bool paced_ = false;  ///< Somebody decodes in this step whose pace its prompts must keep.
  std::unordered_map<std::uint64_t, Sequence*> computing_;  ///< Name of a page → who computes it next.
  std::vector<models::Rows> rows_;
  std::vector<float> logits_;  ///< At least as many as the step has.
  std::vector<float> hidden_;  ///< [pooled rows, width], likewise.
  std::vector<Choice> choices_;
  std::vector<Score> scores_;
};

}  // namespace plait::engine
