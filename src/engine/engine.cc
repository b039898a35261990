// SPDX-License-Identifier: Apache-2.0
//
// What callers ask of an engine between steps. The steps themselves are in step.cc.
#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/random.h"
#include "engine/engine_state.h"

namespace plait::engine {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

/// Generated tokens that a sequence has room for from the start, at most.
constexpr std::size_t kTokensReserved = 4096;
/// A million tokens: more than any context is asked for.
constexpr std::uint32_t kGroupPagesMax = 1U << 16;

}  // namespace

std::string_view name(EndReason reason) {
  switch (reason) {
    case EndReason::stop:
      return "stop";
    case EndReason::length:
      return "length";
    case EndReason::cancelled:
      return "cancelled";
    case EndReason::deadline:
      return "deadline";
    case EndReason::failed:
      return "failed";
  }
  return "unknown";
}

namespace {

/// From one page to the next: what the tier of the group wants.
KvMemory::PageBytes page_bytes_of(const models::KvLayout& layout, const KvSwapOptions& swap) {
  KvMemory::PageBytes bytes = {};
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (layout.page_bytes(group) == 0) continue;
    bytes[group] = std::max(layout.page_bytes(group), swap.tiers[group] ? swap.tiers[group]->slot_bytes() : 0);
  }
  return bytes;
}

Result<void> check_tiers(const models::KvLayout& layout, const KvSwapOptions& swap) {
  std::size_t groups = 0;
  std::size_t tiers = 0;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (layout.page_bytes(group) == 0) continue;
    ++groups;
    if (swap.tiers[group] == nullptr) continue;
    ++tiers;
    if (swap.tiers[group]->slot_bytes() < layout.page_bytes(group)) {
      return fail(ErrorCode::invalid_argument, fmt::format("a slot of the swap tier holds {} and a page has {}",
                                                           base::human_bytes(swap.tiers[group]->slot_bytes()),
                                                           base::human_bytes(layout.page_bytes(group))));
    }
  }
  if (tiers == 0 || tiers == groups) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("{} of {} layer groups have a swap tier", tiers, groups));
}

}  // namespace

Engine::State::State(Runner& the_runner, const EngineOptions& the_options, const base::Clock& the_clock,
                     std::uint32_t pages)
    : runner(the_runner),
      options(the_options),
      clock(the_clock),
      memory(the_runner.layout(), pages, page_bytes_of(the_runner.layout(), the_options.swap), the_options.group_pages),
      cache(memory, the_options.cache),
      swap(memory, the_options.swap, the_clock),
      fairness(the_options.fairness),
      budget(the_options.budget) {}

Result<std::unique_ptr<Engine>> Engine::make(Runner& runner, const EngineOptions& options, const base::Clock& clock) {
  PLAIT_TRY_VOID(check_tiers(runner.layout(), options.swap));
  const KvMemory::PageBytes page_bytes = page_bytes_of(runner.layout(), options.swap);
  const base::Bytes page = page_bytes[0] + page_bytes[1];
  const base::Bytes pages = std::min<base::Bytes>(options.kv_bytes / page, 1U << 29);
  if (pages == 0) {
    return fail(ErrorCode::out_of_resources,
                fmt::format("{} for keys and values do not hold {} tokens, which take {}",
                            base::human_bytes(options.kv_bytes), kPageTokens, base::human_bytes(page)));
  }
  if (options.rows_max == 0 || options.rows_max > models::kStepRows) {
    return fail(ErrorCode::invalid_argument, fmt::format("rows_max is 1 to {}", models::kStepRows));
  }
  if (options.rows_newcomers >= options.rows_max) {
    return fail(ErrorCode::invalid_argument, "rows_newcomers must be less than rows_max");
  }
  if (options.group_pages == 0 || options.group_pages > kGroupPagesMax) {
    return fail(ErrorCode::invalid_argument, fmt::format("group_pages is 1 to {}", kGroupPagesMax));
  }
  try {
    auto state = std::make_unique<State>(runner, options, clock, static_cast<std::uint32_t>(pages));
    return std::unique_ptr<Engine>(new Engine(std::move(state)));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_resources,
                fmt::format("the system has no {} for keys and values", base::human_bytes(options.kv_bytes)));
  }
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}

Engine::~Engine() {
  std::vector<SequenceId> all;
  for (const auto& [id, sequence] : state_->sequences) all.push_back(id);
  for (const SequenceId id : all) close(id);
}

Sequence* Engine::State::find(SequenceId id) {
  const auto at = sequences.find(id);
  return at == sequences.end() || at->second->closed ? nullptr : at->second.get();
}

std::vector<Sequence*> Engine::State::members(std::uint64_t group) const {
  std::vector<Sequence*> all;
  for (const auto& [id, sequence] : sequences) {
    if (sequence->group == group) all.push_back(sequence.get());
  }
  return all;
}

Sequence& Engine::State::add(const SequenceOptions& sequence_options) {
  const SequenceId id(next_sequence++);
  auto& slot = sequences[id];
  slot = std::make_unique<Sequence>(id, sequence_options, memory);
  slot->place = cache.root(sequence_options.salt);
  return *slot;
}

/// A sequence that may be changed.
Result<Sequence*> Engine::State::idle(SequenceId id) {
  Sequence* sequence = find(id);
  if (sequence == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no sequence {}", id.value()));
  if (sequence->generation) {
    return fail(ErrorCode::invalid_argument, fmt::format("sequence {} generates; cancel it first", id.value()));
  }
  return sequence;
}

Result<SequenceId> Engine::create(const SequenceOptions& options) {
  if (!(options.weight > 0) || options.weight > 1e6) {
    return fail(ErrorCode::invalid_argument, "a client's weight is above 0 and at most 1000000");
  }
  if (options.level < 0 || options.level >= Fairness::kLevels) {
    return fail(ErrorCode::invalid_argument, fmt::format("a level is 0 to {}", Fairness::kLevels - 1));
  }
  if (state_->options.order == Order::arrival) return state_->add({.salt = options.salt}).id;
  return state_->add(options).id;
}

Result<void> Engine::append(SequenceId id, std::span<const base::TokenId> tokens) {
  PLAIT_TRY(Sequence * sequence, state_->idle(id));
  for (const base::TokenId token : tokens) {
    if (token.value() < 0 || static_cast<std::size_t>(token.value()) >= state_->runner.vocabulary()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("token {} is outside the vocabulary of {}", token.value(), state_->runner.vocabulary()));
    }
  }
  if (sequence->length() + tokens.size() > state_->runner.context()) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} tokens are beyond the context of {}",
                                                         sequence->length() + tokens.size(), state_->runner.context()));
  }
  sequence->tokens.insert(sequence->tokens.end(), tokens.begin(), tokens.end());
  return {};
}

/// Whether the sequence could ever run to its end with all memory for itself.
Result<void> Engine::State::check_fits(const Sequence& sequence, const GenerateOptions& generate) const {
  const std::size_t most = runner.context() - static_cast<std::size_t>(sequence.base());
  const std::size_t tokens = std::min(most, sequence.tokens.size() + std::max<std::size_t>(1, generate.tokens_max));
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (!memory.used(group)) continue;
    const std::size_t window = memory.layout().window(group);
    const std::size_t held =
        window == 0 || sequence.span.keeps_all() ? tokens : std::min(tokens, window + models::kStepRows + kPageTokens);
    std::size_t pages = (held + kPageTokens - 1) / kPageTokens;
    for (const JoinedPart& part : sequence.parts) pages += part.span.pages(group).size();
    if (pages <= memory.pool(group).pages()) continue;
    return fail(ErrorCode::out_of_resources,
                fmt::format("{} tokens need {} pages of keys and values and there are {}; raise the memory for them",
                            tokens, pages, memory.pool(group).pages()));
  }
  return {};
}

Result<Generation> Engine::State::prepare(const Sequence& sequence, const GenerateOptions& generate) const {
  PLAIT_TRY(models::Sampler sampler, models::Sampler::make(generate.sampler));
  if (sequence.tokens.empty()) return fail(ErrorCode::invalid_argument, "the prompt is empty");
  if (!generate.prompt_only && sequence.length() >= runner.context()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the prompt has {} tokens and the context holds {}: nothing can follow", sequence.length(),
                            runner.context()));
  }
  PLAIT_TRY_VOID(check_outputs(sequence, generate));
  PLAIT_TRY_VOID(check_fits(sequence, generate));
  Generation generation{.options = generate,
                        .sampler = std::move(sampler),
                        .prompt_length = sequence.tokens.size(),
                        .work_before = counters.work,
                        .asked_at = clock.now(),
                        .asked_step = counters.steps};
  generation.usage.prompt_tokens = sequence.length();
  generation.computed = sequence.span.length();
  return generation;
}

void Engine::State::arrive(Sequence& sequence) {
  const Client client{
      .name = sequence.options.client, .weight = sequence.options.weight, .level = sequence.options.level};
  sequence.ticket = fairness.arrive(client, clock.now());
  sequence.ticket_level = sequence.options.level;
  const std::size_t index = sequence.ticket->value();
  if (by_ticket.size() <= index) by_ticket.resize(index + 1);
  by_ticket[index] = &sequence;
}

/// Whether a member of a row group may begin now: the group has to fit into a step.
Result<void> Engine::State::check_group(const Sequence& sequence) const {
  if (sequence.pending() > kForcedRows) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} tokens of sequence {} are not computed, and a row group feeds {} at a time; generate with "
                    "prompt_only before it watches",
                    sequence.pending(), sequence.id.value(), kForcedRows));
  }
  const auto all = members(sequence.group);
  const auto active = std::ranges::count_if(all, [](const Sequence* one) { return one->generation.has_value(); });
  if (static_cast<std::size_t>(active) < options.rows_max) return {};
  return fail(ErrorCode::out_of_resources,
              fmt::format("a row group of more than {} sequences cannot run in one step", options.rows_max));
}

/// Gives it a generation; what is left is arrive(), by itself or behind a leader. Errors: those of generate(); then
/// nothing has changed.
Result<void> Engine::State::begin(Sequence& sequence, const GenerateOptions& generate) {
  PLAIT_TRY(Generation generation, prepare(sequence, generate));
  if (sequence.group != 0) PLAIT_TRY_VOID(check_group(sequence));
  want_rows(sequence, generation);
  if (sequence.pending() == 0) {  // the last token again: its logits are what decoding starts from
    trim_span(sequence, sequence.tokens.size() - 1);
  }
  generation.usage.cached_tokens = static_cast<std::size_t>(sequence.base()) + sequence.span.length();
  generation.usage.counters.start(generation.usage.cached_tokens);
  sequence.tokens.reserve(sequence.tokens.size() + std::min(generate.tokens_max, kTokensReserved));
  sequence.generation = std::move(generation);
  sequence.arrival = next_arrival++;
  return {};
}

Result<void> Engine::generate(SequenceId id, const GenerateOptions& options) {
  PLAIT_TRY(Sequence * sequence, state_->idle(id));
  PLAIT_TRY_VOID(state_->begin(*sequence, options));
  state_->arrive(*sequence);
  return {};
}

Result<SequenceId> Engine::fork(SequenceId id) {
  Sequence* parent = state_->find(id);
  if (parent == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no sequence {}", id.value()));
  const bool here = state_->bring_here(*parent).has_value();
  Sequence& child = state_->add(parent->options);
  for (const JoinedPart& part : parent->parts) {
    child.parts.push_back({part.span.fork(part.span.length()), part.tokens, part.first, part.base});
  }
  child.tokens = parent->tokens;
  if (here) {  // else the child computes what it needs, or finds it
    child.span = parent->span.fork(parent->span.length());
    child.place = parent->place;
  }
  child.watched = parent->watched;
  child.watched_tokens = parent->watched_tokens;
  child.own_position = parent->own_position;
  child.group = parent->group;
  child.parent = id;
  parent->children.push_back(child.id);
  return child.id;
}

Result<void> Engine::join(SequenceId id, SequenceId other_id, std::size_t first) {
  PLAIT_TRY(Sequence * sequence, state_->idle(id));
  if (sequence->group != 0) return fail(ErrorCode::invalid_argument, "join before watching");
  Sequence* other = state_->find(other_id);
  if (other == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no sequence {}", other_id.value()));
  const std::size_t computed = other->span.length();
  if (first >= computed) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("sequence {} has computed {} tokens of its own; nothing is there from {} on",
                            other_id.value(), computed, first));
  }
  if (sequence->pending() > 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("sequence {} has {} tokens that are not computed; generate with prompt_only first",
                            id.value(), sequence->pending()));
  }
  if (sequence->length() + computed - first > state_->runner.context()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} tokens are beyond the context of {}", sequence->length() + computed - first,
                            state_->runner.context()));
  }
  PLAIT_TRY_VOID(state_->bring_here(*sequence));
  PLAIT_TRY_VOID(state_->bring_here(*other));
  if (other->span.length() < computed || sequence->pending() > 0) {
    return fail(ErrorCode::out_of_resources, "what was computed is lost to an error of the swap tier; generate again");
  }
  Span seen = other->span.fork(computed);
  std::vector<base::TokenId> tokens(other->tokens.begin(),
                                    other->tokens.begin() + static_cast<std::ptrdiff_t>(computed));
  if (!sequence->tokens.empty()) {
    const std::ptrdiff_t base = sequence->base();
    sequence->parts.push_back({std::move(sequence->span), std::move(sequence->tokens), 0, base});
    sequence->span = Span(state_->memory);
    state_->clear_span(*sequence);  // a copy in the tier is of what it had
    sequence->tokens.clear();
  }
  const std::ptrdiff_t base = sequence->base() - static_cast<std::ptrdiff_t>(first);
  sequence->parts.push_back({std::move(seen), std::move(tokens), first, base});
  return {};
}

/// With positions of their own, rows may see tokens that a window has left behind elsewhere: those pages have to be
/// there, and stay. Errors: invalid_argument (they are not).
Result<void> Engine::State::keep_watched(Sequence& sequence, Sequence& other, const Watch& watch) {
  const std::optional<std::ptrdiff_t> own = watch.own_position ? watch.own_position : sequence.own_position;
  if (!own && !watch.other_position) return {};
  std::vector<Span*> seen{&other.span};
  if (own) {
    for (const WatchedPart& part : sequence.watched) seen.push_back(&sequences.at(part.sequence)->span);
  }
  if (own && *own < sequence.joined_end()) {
    for (JoinedPart& part : sequence.parts) seen.push_back(&part.span);
  }
  if (!std::ranges::all_of(seen, &Span::has_all)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("sequence {} would see pages that a window has left behind; watch before they are",
                            sequence.id.value()));
  }
  for (Span* span : seen) span->keep_all();
  return {};
}

/// Both, and all that either had in its row group, run in one step from now on.
void Engine::State::form_group(Sequence& sequence, Sequence& other) {
  const std::uint64_t group = sequence.group != 0 ? sequence.group : other.group != 0 ? other.group : next_group++;
  const std::uint64_t merged = other.group;
  for (const auto& [number, member] : sequences) {
    const bool joins = member.get() == &sequence || member.get() == &other || (merged != 0 && member->group == merged);
    if (joins) member->group = group;
  }
}

Result<void> Engine::watch(SequenceId id, SequenceId other_id, const Watch& watch) {
  PLAIT_TRY(Sequence * sequence, state_->idle(id));
  PLAIT_TRY(Sequence * other, state_->idle(other_id));
  if (sequence == other) return fail(ErrorCode::invalid_argument, "a sequence sees itself already");
  PLAIT_TRY_VOID(state_->bring_here(*sequence));  // a row group is never preempted
  PLAIT_TRY_VOID(state_->bring_here(*other));
  for (const Sequence* one : {sequence, other}) {
    if (one->pending() <= kForcedRows) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("sequence {} has {} tokens that are not computed; generate with prompt_only first",
                            one->id.value(), one->pending()));
  }
  PLAIT_TRY_VOID(state_->keep_watched(*sequence, *other, watch));
  sequence->watched.push_back({other_id, watch.other_position, watch.late});
  if (!watch.other_position) sequence->watched_tokens += static_cast<std::ptrdiff_t>(other->span.length());
  if (watch.own_position) sequence->own_position = watch.own_position;
  state_->form_group(*sequence, *other);
  sequence->place.node = PrefixCache::kLost;  // what it computes depends on what it watches
  return {};
}

Result<void> Engine::watch_instead(SequenceId id, std::span<const SequenceId> others) {
  Sequence* sequence = state_->find(id);
  if (sequence == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no sequence {}", id.value()));
  if (sequence->own_position) return fail(ErrorCode::invalid_argument, "it has positions of its own");
  PLAIT_TRY_VOID(state_->bring_here(*sequence));
  std::vector<Sequence*> seen;
  for (const SequenceId number : others) {
    Sequence* other = state_->find(number);
    if (other == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no sequence {}", number.value()));
    if (other == sequence || std::ranges::find(seen, other) != seen.end()) {
      return fail(ErrorCode::invalid_argument, fmt::format("sequence {} would be seen twice", number.value()));
    }
    PLAIT_TRY_VOID(state_->bring_here(*other));
    if (!other->span.has_all()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("a window has left pages of sequence {} behind; watch before it does", number.value()));
    }
    seen.push_back(other);
  }
  sequence->watched.clear();
  sequence->watched_tokens = 0;
  for (Sequence* other : seen) {
    other->span.keep_all();
    sequence->watched.push_back({.sequence = other->id, .position = {}});
    sequence->watched_tokens += static_cast<std::ptrdiff_t>(other->span.length());
    state_->form_group(*sequence, *other);
  }
  if (!seen.empty()) sequence->place.node = PrefixCache::kLost;
  return {};
}

Result<void> Engine::trim(SequenceId id, std::size_t length) {
  PLAIT_TRY(Sequence * sequence, state_->idle(id));
  if (sequence->group != 0) return fail(ErrorCode::invalid_argument, "what others watch cannot be taken back");
  const auto base = static_cast<std::size_t>(sequence->base());
  if (length < base || length > sequence->length()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a length of {} is outside of {} to {}, its own tokens", length, base, sequence->length()));
  }
  const std::size_t own = length - base;
  sequence->tokens.resize(own);
  state_->trim_span(*sequence, own);
  return {};
}

Result<void> Engine::set_level(SequenceId id, int level) {
  Sequence* sequence = state_->find(id);
  if (sequence == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no sequence {}", id.value()));
  if (level < 0 || level >= Fairness::kLevels) {
    return fail(ErrorCode::invalid_argument, fmt::format("a level is 0 to {}", Fairness::kLevels - 1));
  }
  if (sequence->options.level == level || state_->options.order == Order::arrival) return {};
  sequence->options.level = level;
  state_->renew_ticket(*sequence);
  return {};
}

void Engine::State::promote_follower(Sequence& leader) {
  std::vector<SequenceId> followers = std::move(leader.followers);
  leader.followers.clear();
  Sequence* first = nullptr;
  for (const SequenceId id : followers) {
    Sequence* follower = find(id);
    if (follower == nullptr || !follower->generation || follower->leader != leader.id) continue;
    if (first == nullptr) {
      first = follower;
      first->leader.reset();
      arrive(*first);
    } else {
      follower->leader = first->id;
      first->followers.push_back(id);
    }
  }
}

void Engine::State::end(Sequence& sequence, EndReason reason, std::optional<base::Error> error) {
  PLAIT_CHECK(sequence.generation.has_value());
  if (sequence.ticket) fairness.finish(*sequence.ticket);
  sequence.ticket.reset();
  if (sequence.running) std::erase(running, &sequence);
  sequence.running = false;
  sequence.leader.reset();
  promote_follower(sequence);
  Generation over = std::move(*sequence.generation);
  sequence.generation.reset();
  const double now = clock.now();
  Usage& usage = over.usage;
  usage.generated_tokens = over.generated;
  const double started = over.started_at >= 0 ? over.started_at : now;
  const double first = over.first_token_at >= 0 ? over.first_token_at : now;
  usage.waited_seconds = started - over.asked_at;
  usage.prompt_seconds = first - started;
  usage.decode_seconds = now - first;
  usage.counters.meanwhile = counters.work - over.work_before;
  usage.cost = round_cost(usage.counters, options.rates);
  const SequenceId id = sequence.id;
  const bool close = sequence.close_at_end;
  if (over.options.listener != nullptr) over.options.listener->on_end(id, {reason, std::move(error), usage});
  if (close && find(id) != nullptr) erase(id);
}

void Engine::State::erase(SequenceId id) {
  Sequence* sequence = find(id);
  if (sequence->parent) {
    if (Sequence* parent = find(*sequence->parent)) std::erase(parent->children, id);
  }
  for (const SequenceId child : sequence->children) {
    if (Sequence* other = find(child)) other->parent = sequence->parent;
  }
  if (sequence->parent && !sequence->children.empty()) {
    if (Sequence* parent = find(*sequence->parent)) {
      parent->children.insert(parent->children.end(), sequence->children.begin(), sequence->children.end());
    }
  }
  sequence->parent.reset();
  sequence->children.clear();
  if (sequence->group == 0) {
    clear_span(*sequence);
    sequences.erase(id);
    return;
  }
  sequence->closed = true;  // others watch it: its tokens stay as long as the row group
  const std::vector<Sequence*> all = members(sequence->group);
  if (!std::ranges::all_of(all, &Sequence::closed)) return;
  for (Sequence* member : all) {
    clear_span(*member);
    sequences.erase(member->id);
  }
}

void Engine::cancel(SequenceId id) {
  Sequence* sequence = state_->find(id);
  if (sequence == nullptr) return;
  const std::vector<SequenceId> children = sequence->children;
  if (sequence->generation) state_->end(*sequence, EndReason::cancelled);
  for (const SequenceId child : children) cancel(child);
}

void Engine::close(SequenceId id) {
  Sequence* sequence = state_->find(id);
  if (sequence == nullptr) return;
  if (sequence->generation) state_->end(*sequence, EndReason::cancelled);
  if (state_->find(id) != nullptr) state_->erase(id);
}

Result<std::vector<SequenceId>> Engine::submit(const Request& request) {
  if (request.samples == 0 || request.samples > 1024) {
    return fail(ErrorCode::invalid_argument, "samples are 1 to 1024");
  }
  std::vector<SequenceId> ids;
  const auto undo = [&](auto&& error) {
    for (const SequenceId id : ids) state_->erase(id);
    return std::unexpected(std::move(error).error());
  };
  for (std::size_t i = 0; i < request.samples; ++i) {
    auto id = create(request.options);
    if (!id) return undo(std::move(id));
    ids.push_back(*id);
    if (auto appended = append(*id, request.prompt); !appended) return undo(std::move(appended));
    GenerateOptions options = request.generate;
    if (i > 0) options.sampler.seed = base::child_seed(request.generate.sampler.seed, i);
    if (auto begun = state_->begin(*state_->find(*id), options); !begun) return undo(std::move(begun));
  }
  Sequence& leader = *state_->find(ids.front());
  for (const SequenceId id : ids) {
    Sequence& sequence = *state_->find(id);
    sequence.close_at_end = true;
    if (&sequence == &leader) continue;
    sequence.leader = leader.id;
    leader.followers.push_back(id);
  }
  state_->arrive(leader);
  return ids;
}

bool Engine::step() { return state_->step(); }

bool Engine::busy() const { return !state_->running.empty() || state_->fairness.waiting() > 0; }

std::vector<base::TokenId> Engine::tokens(SequenceId id) const {
  const Sequence* sequence = state_->find(id);
  PLAIT_CHECK(sequence != nullptr, id.value());
  std::vector<base::TokenId> all;
  for (const JoinedPart& part : sequence->parts) {
    all.insert(all.end(), part.tokens.begin() + static_cast<std::ptrdiff_t>(part.first), part.tokens.end());
  }
  all.insert(all.end(), sequence->tokens.begin(), sequence->tokens.end());
  return all;
}

bool Engine::exists(SequenceId id) const { return state_->find(id) != nullptr; }

}  // namespace plait::engine
