// SPDX-License-Identifier: Apache-2.0
//
// One step of the batch: who runs, with how many tokens, on which pages; the forward pass; and what follows from it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "engine/engine_state.h"

namespace plait::engine {
namespace {

using base::ErrorCode;
using base::Result;

/// Tokens that a generation is expected to have if it does not say.
constexpr std::size_t kTokensExpected = 128;

}  // namespace

bool Engine::State::step() {
  const double now = clock.now();
  expire(now);
  take_swap_events(swap.poll());
  rank_running();
  admit(now);
  wait_for_returning();
  plan(now);
  reserve_items();
  if (!without_pages_.empty()) {
    drop_reserved();
    end_all(without_pages_, {ErrorCode::out_of_resources, "others hold the memory of keys and values and keep it"});
    return true;
  }
  if (items_.empty()) {
    const bool wanted = !running.empty() || fairness.waiting() > 0;
    if (wanted && swap.moving()) take_swap_events(swap.wait());
    return wanted;
  }
  const Result<void> ran = run_items();
  if (!ran) {  // nothing was computed; whoever took part ends
    drop_reserved();
    std::vector<SequenceId> failed;
    for (const StepItem& item : items_) failed.push_back(item.sequence->id);
    for (const StepItem& item : items_) item.sequence->feeding = 0;
    end_all(failed, ran.error());
    return true;
  }
  account(clock.now() - now);
  choose();
  return true;
}

void Engine::State::end_all(const std::vector<SequenceId>& ids, const base::Error& error) {
  for (const SequenceId id : ids) {
    Sequence* sequence = find(id);
    if (sequence != nullptr && sequence->generation) end(*sequence, EndReason::failed, error);
  }
}

/// Ends generations whose deadline has passed, or whom others have pushed to the end of the context.
void Engine::State::expire(double now) {
  std::vector<SequenceId> late;
  std::vector<SequenceId> pushed;
  for (const auto& [id, sequence] : sequences) {
    if (sequence->generation && !sequence->watched.empty() && length_after_step(*sequence) > runner.context())
      pushed.push_back(id);
    if (sequence->generation && sequence->generation->options.deadline &&
        *sequence->generation->options.deadline <= now)
      late.push_back(id);
  }
  for (const SequenceId id : late) {
    Sequence* sequence = find(id);
    if (sequence != nullptr && sequence->generation) end(*sequence, EndReason::deadline);
  }
  for (const SequenceId id : pushed) {
    Sequence* sequence = find(id);
    if (sequence != nullptr && sequence->generation) end(*sequence, EndReason::length);
  }
}

/// Lets waiting sequences run while there are rows and pages for them.
void Engine::State::admit(double now) {
  while (running.size() < options.rows_max || options.preempt_levels) {
    const auto ticket = fairness.next(now);
    if (!ticket) return;
    Sequence& sequence = *by_ticket[ticket->value()];
    if (running.size() >= rows_for(sequence)) {
      if (displace(sequence)) continue;
      return;
    }
    // Who has just given way would only be given its pages back, if nobody has computed anything since.
    if (!running.empty() && sequence.stopped_at == counters.steps) return;
    if (options.share_prefixes && !sequence.away) find_computed(sequence);
    if (!running.empty() && !fits(sequence)) {
      if (set_idle_aside(sequence) || displace(sequence)) continue;
      return;
    }
    if (sequence.away && !start_return(sequence)) return;
    if (sequence.group == 0) {
      start_running(sequence, now);
      continue;
    }
    std::vector<Sequence*> waiting;  // all of a row group or none
    for (Sequence* member : members(sequence.group)) {
      if (member->ticket && !member->running) waiting.push_back(member);
    }
    if (running.size() + waiting.size() > rows_for(sequence)) return;
    for (Sequence* member : waiting) start_running(*member, now);
  }
}

/// Rows that may be taken when this one begins to run.
std::size_t Engine::State::rows_for(const Sequence& sequence) const {
  if (options.rows_newcomers == 0) return options.rows_max;
  const auto standing = fairness.standing(sequence.options.client);
  return options.rows_max - (standing && standing->running > 0 ? options.rows_newcomers : 0);
}

void Engine::State::start_running(Sequence& sequence, double now) {
  const Generation& generation = *sequence.generation;
  const std::size_t most = generation.options.tokens_max;
  const std::size_t expected = sequence.pending() + (most == 0 ? kTokensExpected : most) - generation.generated;
  fairness.admit(*sequence.ticket, static_cast<double>(expected), now);
  sequence.running = true;
  sequence.rank = rank_of(sequence);
  sequence.prompt_done = sequence.pending() == 1 && generation.first_token_at >= 0;
  if (sequence.prompt_done) fairness.prompt_done(*sequence.ticket);
  const auto after = [&](const Sequence* a, const Sequence* b) { return before(*a, *b); };
  running.insert(std::ranges::upper_bound(running, &sequence, after), &sequence);
}

/// Only whole pages have a name, but who runs can be asked for the beginning of one: takes over what a running sequence
/// has of the page behind the span, up to where their texts part. Returns how many tokens.
std::size_t Engine::State::take_part_of_page(Sequence& sequence) {
  constexpr std::size_t kWorthIt = 4;  // tokens; a part costs a copy of the page
  const std::size_t begin = sequence.span.length();
  const auto mine = findable(sequence).subspan(std::min(begin, findable(sequence).size()));
  const std::size_t most = std::min(kPageTokens, mine.size() - std::min<std::size_t>(mine.size(), 1));
  std::size_t gain = kWorthIt - 1;
  const Sequence* from = nullptr;
  for (const Sequence* other : running) {
    if (other == &sequence || other->away || other->group != 0 || !other->parts.empty() ||
        other->tokens.size() <= begin || other->options.salt != sequence.options.salt) {
      continue;
    }
    const auto common = static_cast<std::size_t>(
        std::ranges::mismatch(mine.first(most), std::span(other->tokens).subspan(begin)).in1 - mine.begin());
    const bool computed = begin + common <= other->span.length() && other->span.can_cut(begin + common);
    if (common <= gain || !(computed || common == kPageTokens)) continue;
    if (!std::ranges::equal(std::span(sequence.tokens).first(begin), std::span(other->tokens).first(begin))) continue;
    if (common == kPageTokens) return 0;  // it will be found as a page
    gain = common;
    from = other;
  }
  if (from == nullptr) return 0;
  sequence.span = from->span.fork(begin + gain);
  return gain;
}

/// Takes over what someone else has computed by now.
void Engine::State::find_computed(Sequence& sequence) {
  if (!sequence.parts.empty() || sequence.span.length() != sequence.place.pages * kPageTokens) return;
  std::size_t found =
      cache.adopt(sequence.place, findable(sequence), sequence.span, !sequence.generation->options.returns);
  if (sequence.group == 0) found += take_part_of_page(sequence);
  if (found == 0 || sequence.generation->first_token_at >= 0) return;
  const std::size_t before = sequence.generation->computed;
  if (sequence.span.length() <= before) return;  // it had them once
  const std::size_t fresh = sequence.span.length() - std::max(before, sequence.span.length() - found);
  Usage& usage = sequence.generation->usage;
  usage.cached_tokens += fresh;
  usage.counters.context += static_cast<double>(fresh);
  usage.counters.cached += static_cast<double>(fresh);
  sequence.generation->computed = sequence.span.length();
}

/// The earlier sequence that is about to compute the next page of its prompt, if there is one.
std::optional<SequenceId> Engine::State::who_computes_for(Sequence& sequence) {
  const PrefixCache::Place& place = sequence.place;
  if (!options.share_prefixes || !sequence.parts.empty() || place.node == PrefixCache::kLost ||
      findable(sequence).size() <= (place.pages + 1) * kPageTokens) {
    return {};
  }
  const auto [at, first] = computing_.try_emplace(cache.next_name(place, sequence.tokens), &sequence);
  const bool waits =
      !first && at->second->place.pages == place.pages && sequence.span.length() == place.pages * kPageTokens;
  return waits ? std::optional(at->second->id) : std::nullopt;
}

/// Fills items_: everyone who decodes, then pieces of prompts.
void Engine::State::plan(double now) {
  items_.clear();
  prompts_.clear();
  computing_.clear();
  std::size_t decode_rows = 0;
  paced_ = false;
  for (Sequence* sequence : running) {
    if (sequence->away) continue;  // its pages are on the way back
    if (sequence->prompt_done || sequence->group != 0) {
      const std::size_t room = models::kStepRows - decode_rows;
      const std::size_t tokens = std::min({sequence->pending(), kForcedRows, room});
      if (tokens == 0 || (sequence->group != 0 && tokens < sequence->pending())) continue;
      items_.push_back({.sequence = sequence, .tokens = tokens, .decode = true});
      decode_rows += tokens;
      paced_ |= !sequence->generation->options.patient;
    } else {
      if (options.share_prefixes) find_computed(*sequence);
      sequence->behind = who_computes_for(*sequence);
      if (!sequence->behind) prompts_.push_back(sequence);
    }
  }
  keep_groups_whole();
  plan_prompts(decode_rows, now);
  std::ranges::sort(items_, [&](const StepItem& a, const StepItem& b) { return before(*a.sequence, *b.sequence); });
}

/// Takes out items of row groups of which somebody cannot take part.
void Engine::State::keep_groups_whole() {
  const auto takes_part = [&](const Sequence* member) {
    return std::ranges::any_of(items_,
                               [&](const StepItem& item) { return item.sequence == member && item.tokens > 0; });
  };
  std::vector<std::uint64_t> broken;
  for (const StepItem& item : items_) {
    const std::uint64_t group = item.sequence->group;
    if (group == 0 || std::ranges::find(broken, group) != broken.end()) continue;
    const std::vector<Sequence*> all = members(group);
    const bool whole =
        std::ranges::all_of(all, [&](const Sequence* member) { return !member->generation || takes_part(member); });
    if (!whole) broken.push_back(group);
  }
  if (broken.empty()) return;
  std::erase_if(items_, [&](const StepItem& item) {
    return item.sequence->group != 0 && std::ranges::find(broken, item.sequence->group) != broken.end();
  });
}

/// Where its next token will stand, plus one, when all it watches have fed theirs.
std::size_t Engine::State::length_after_step(const Sequence& sequence) {
  if (sequence.own_position) return static_cast<std::size_t>(*sequence.own_position) + sequence.tokens.size();
  std::size_t length = static_cast<std::size_t>(sequence.joined_end()) + sequence.tokens.size();
  for (const WatchedPart& part : sequence.watched) {
    const Sequence& other = *sequences.at(part.sequence);
    if (!part.position) length += other.generation ? other.tokens.size() : other.span.length();
  }
  return length;
}

void Engine::State::plan_prompts(std::size_t decode_rows, double now) {
  const std::size_t room = models::kStepRows - decode_rows;
  const std::size_t tokens = std::min(budget.tokens(paced_ ? decode_rows : 0), room);
  share_prompts(tokens);
  fairness.split(shares_, tokens, now);
  for (const PromptShare& share : shares_) {
    if (share.granted > 0) items_.push_back({.sequence = by_ticket[share.ticket.value()], .tokens = share.granted});
  }
}

/// Gives every item its pages; items that get none are left out.
void Engine::State::reserve_items() {
  without_pages_.clear();
  for (StepItem& item : items_) {
    Sequence& sequence = *item.sequence;
    if (!sequence.running || !make_pages(sequence, item.tokens)) item.tokens = 0;
  }
  std::erase_if(items_, [](const StepItem& item) { return item.tokens == 0 || !item.sequence->running; });
  keep_groups_whole();
}

/// The step does not take place: its pages are for anybody.
void Engine::State::drop_reserved() {
  for (const StepItem& item : items_) item.sequence->span.trim(item.sequence->span.length());
}

void Engine::State::add_view(Sequence& sequence) {
  sequence.view.clear();
  for (const JoinedPart& part : sequence.parts) {
    models::ViewEntry entry = part.span.entry();
    entry.first = part.first;
    entry.base = part.base;
    sequence.view.push_back(entry);
  }
  sequence.watched_tokens = 0;
  for (const WatchedPart& part : sequence.watched) {
    const Sequence& other = *sequences.at(part.sequence);
    models::ViewEntry entry = other.span.entry();
    if (!part.late) entry.last += other.feeding;
    entry.base = part.position ? *part.position : sequence.joined_end() + sequence.watched_tokens;
    if (!part.position) sequence.watched_tokens += static_cast<std::ptrdiff_t>(entry.last);
    if (entry.last > 0) sequence.view.push_back(entry);
  }
  sequence.view.push_back(sequence.span.entry());
  sequence.view.back().base = sequence.base();
}

Result<void> Engine::State::run_items() {
  rows_.clear();
  std::size_t logits = 0;
  std::size_t hidden = 0;
  for (StepItem& item : items_) {
    item.sequence->feeding = item.tokens;
    ask_outputs(item);
    logits += item.logits_rows * runner.vocabulary();
    hidden += item.pooled * runner.width();
  }
  if (logits_.size() < logits) logits_.resize(logits);
  if (hidden_.size() < hidden) hidden_.resize(hidden);
  std::span<float> hidden_left = hidden_;
  for (const StepItem& item : items_) {
    Sequence& sequence = *item.sequence;
    add_view(sequence);
    const std::span<const base::TokenId> tokens(sequence.tokens);
    rows_.push_back({.tokens = tokens.subspan(sequence.span.length(), item.tokens),
                     .view = sequence.view,
                     .logits = item.logits_rows > 0 ? models::Logits::all : models::Logits::none,
                     .logits_first = item.tokens - item.logits_rows,
                     .hidden = hidden_left.first(item.pooled * runner.width())});
    hidden_left = hidden_left.subspan(rows_.back().hidden.size());
  }
  return runner.forward(rows_, std::span(logits_).first(logits));
}

/// What was computed becomes findable, is counted and charged.
void Engine::State::account(double seconds) {
  std::size_t decode_rows = 0;
  std::size_t prompt_rows = 0;
  for (const StepItem& item : items_) (item.decode ? decode_rows : prompt_rows) += item.tokens;
  // Whole steps of prompts beside patient streams are far from those whose length the budget has to foretell.
  double extra_rows = 0;  // what logits of prompt rows cost
  for (const StepItem& item : items_) extra_rows += logits_rows_cost(item);
  if (paced_ || decode_rows == 0 || prompt_rows == 0) {
    budget.observe(decode_rows, prompt_rows + static_cast<std::size_t>(extra_rows), seconds);
  }
  ++counters.steps;
  counters.decode_rows += decode_rows;
  counters.prompt_rows += prompt_rows;
  counters.work.weight_reads += decode_rows > 0 ? 1 : 0;
  for (const StepItem& item : items_) {
    Sequence& sequence = *item.sequence;
    Generation& generation = *sequence.generation;
    Usage& usage = generation.usage;
    const std::size_t before = sequence.length() - sequence.pending();
    if (generation.started_at < 0) generation.started_at = clock.now() - seconds;
    sequence.span.append(item.tokens);
    sequence.feeding = 0;
    sequence.used_at = counters.steps;
    StepShare share{.context = before, .rows = items_.size()};
    if (item.decode) {
      usage.counters.add_decode(items_.size(), item.tokens);
      share.decoded = item.tokens;
    } else {
      const std::size_t again =
          generation.computed - std::min(generation.computed, sequence.span.length() - item.tokens);
      const std::size_t lost = std::min(again, item.tokens);
      if (lost > 0) usage.counters.add_prefill(lost, true);
      if (item.tokens > lost) usage.counters.add_prefill(item.tokens - lost);
      usage.computed_tokens += item.tokens;
      share.prefilled = item.tokens;
    }
    generation.computed = std::max(generation.computed, sequence.span.length());
    counters.work += step_work(share);
    fairness.charge(*sequence.ticket, step_charge(share, options.rates, options.unit) + logits_rows_cost(item));
    if (options.share_prefixes && sequence.parts.empty() && sequence.place.node != PrefixCache::kLost) {
      cache.publish(sequence.place, sequence.tokens, sequence.span, !generation.options.returns);
    }
  }
}

/// Chooses a token for every row of logits that is for that and for the samples that waited for them, scores tokens of
/// prompts with the other rows, and tells the listeners.
void Engine::State::choose() {
  choices_.clear();
  scores_.clear();
  std::vector<std::pair<SequenceId, std::uint64_t>> computed;  // whoever wanted no more than that
  std::size_t row = 0;
  std::size_t hidden_row = 0;
  for (const StepItem& item : items_) {
    Sequence& sequence = *item.sequence;
    score(item, row);
    pool(item, hidden_row);
    row += item.logits_rows;
    hidden_row += item.pooled;
    if (item.chooses) {
      choose_for(sequence, row - 1);
    } else if (sequence.pending() == 0) {
      computed.emplace_back(sequence.id, sequence.arrival);
    }
  }
  runner.for_each(choices_.size() + scores_.size(), [&](std::size_t i) {
    i < choices_.size() ? choose_token(choices_[i]) : score_token(scores_[i - choices_.size()]);
  });
  tell_scores();
  for (Choice& choice : choices_) deliver(choice.id, choice.arrival, std::move(choice.sample));
  for (const auto& [id, arrival] : computed) {
    Sequence* sequence = find(id);
    if (sequence == nullptr || !sequence->generation || sequence->arrival != arrival) continue;
    if (tell_pooled(*sequence)) end(*sequence, EndReason::length);
  }
}

void Engine::State::choose_token(Choice& choice) {
  if (!choice.sample) return;  // its guide failed
  Generation& generation = *choice.sequence->generation;
  const auto given = std::span<const float>(logits_).subspan(choice.row * runner.vocabulary(), runner.vocabulary());
  std::span<const float> logits = given;
  std::vector<float> masked;
  if (!choice.mask.empty()) {
    masked.assign(logits.begin(), logits.end());
    for (std::size_t t = 0; t < masked.size(); ++t) {
      const bool allowed = t / 64 < choice.mask.size() && (choice.mask[t / 64] >> (t % 64) & 1) != 0;
      if (!allowed) masked[t] = -std::numeric_limits<float>::infinity();
    }
    logits = masked;
  }
  choice.sample = generation.sampler.sample(
      logits, {.tokens = choice.sequence->tokens, .prompt_length = generation.prompt_length, .given = given});
}

/// The row is for the sequence and for those who share its prompt.
void Engine::State::choose_for(Sequence& sequence, std::size_t row) {
  const auto add = [&](Sequence& one) {
    choices_.push_back(
        {.sequence = &one, .id = one.id, .arrival = one.arrival, .row = row, .sample = models::Sample{}});
    Guide* guide = one.generation->options.guide;
    if (guide == nullptr) return;
    auto mask = guide->mask();
    if (mask) {
      choices_.back().mask = *mask;
    } else {
      choices_.back().sample = std::unexpected(std::move(mask).error());
    }
  };
  add(sequence);
  for (const SequenceId id : sequence.followers) {
    Sequence* follower = find(id);
    if (follower == nullptr || !follower->generation || follower->leader != sequence.id) continue;
    follower->span = sequence.span.fork(sequence.span.length());
    follower->place = sequence.place;
    follower->leader.reset();
    follower->generation->started_at = sequence.generation->started_at;
    follower->generation->computed = sequence.generation->computed;
    follower->generation->wanted_row = Generation::kNoRow;  // the leader is told
    Usage& usage = follower->generation->usage;
    usage.cached_tokens = usage.prompt_tokens;
    usage.counters.start(usage.prompt_tokens);
    arrive(*follower);
    add(*follower);
  }
  sequence.followers.clear();
}

/// Makes a token the sequence's next one. False if the generation is over; a last token needs no place in the context.
bool Engine::State::take(Sequence& sequence, base::TokenId token) {
  Generation& generation = *sequence.generation;
  sequence.tokens.push_back(token);
  ++generation.generated;
  const std::size_t most = generation.options.tokens_max;
  return (most == 0 || generation.generated < most) && sequence.length() <= runner.context();
}

/// Tells of a stop token where that is wanted. False if the generation is over meanwhile.
bool Engine::State::tell_stop(Sequence& sequence, const models::Sample& sample) {
  Generation& generation = *sequence.generation;
  Listener* listener = generation.options.listener;
  if (!generation.options.tell_stop || listener == nullptr) return true;
  ++generation.generated;
  const SequenceId id = sequence.id;
  const std::uint64_t arrival = sequence.arrival;
  static_cast<void>(listener->on_token(id, sample));
  const Sequence* still = find(id);
  return still != nullptr && still->generation && still->arrival == arrival;
}

void Engine::State::deliver(SequenceId id, std::uint64_t arrival, Result<models::Sample> sample) {
  Sequence* sequence = find(id);  // a listener may have closed it meanwhile
  if (sequence == nullptr || !sequence->generation || sequence->arrival != arrival) return;
  Generation& generation = *sequence->generation;
  if (!sample) return end(*sequence, EndReason::failed, sample.error());
  if (generation.first_token_at < 0) generation.first_token_at = clock.now();
  if (sequence->running && !sequence->prompt_done) {
    sequence->prompt_done = true;
    fairness.prompt_done(*sequence->ticket);
  }
  if (std::ranges::find(generation.options.stop, sample->token) != generation.options.stop.end()) {
    if (!tell_stop(*sequence, *sample)) return;
    return end(*sequence, EndReason::stop);
  }
  bool more = take(*sequence, sample->token);
  Guide* guide = generation.options.guide;
  std::vector<base::TokenId> forced;
  if (guide != nullptr) {
    const auto next = guide->accept(sample->token);
    forced.assign(next.begin(), next.end());
  }
  Listener* listener = generation.options.listener;
  const auto tell = [&](const models::Sample& chosen) {
    const bool wants = listener == nullptr || listener->on_token(id, chosen);
    sequence = find(id);
    return sequence != nullptr && sequence->generation && sequence->arrival == arrival ? wants : false;
  };
  bool wants = tell(*sample);
  for (std::size_t i = 0; i < forced.size() && wants && more; ++i) {
    more = take(*sequence, forced[i]);
    wants = tell({.token = forced[i]});
  }
  if (sequence == nullptr || !sequence->generation || sequence->arrival != arrival) return;
  if (!wants) return end(*sequence, EndReason::stop);
  if (!more) end(*sequence, EndReason::length);
}

}  // namespace plait::engine
