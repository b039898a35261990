// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <unordered_map>

#include "engine/engine_state.h"

namespace plait::engine {
namespace {

std::vector<ClientUse> clients_of(const Engine::State& state) {
  std::vector<ClientUse> clients;
  std::unordered_map<std::string_view, std::size_t> places;
  for (const auto& [name, standing] : state.fairness.standings()) {
    places.emplace(name, clients.size());
    clients.push_back({.name = std::string(name),
                       .weight = standing.weight,
                       .level = standing.level,
                       .service = standing.service,
                       .running = standing.running,
                       .waiting = standing.waiting});
  }
  const std::size_t group = state.memory.used(0) ? 0 : 1;
  for (const auto& [id, sequence] : state.sequences) {
    const auto place = places.find(sequence->options.client);
    if (place == places.end()) continue;
    ClientUse& client = clients[place->second];
    ++client.sequences;
    if (!sequence->span.away()) client.pages += static_cast<std::uint32_t>(sequence->span.pages(group).size());
  }
  std::ranges::sort(clients, [](const ClientUse& a, const ClientUse& b) {
    return std::tuple(b.sequences > 0, b.service, a.name) < std::tuple(a.sequences > 0, a.service, b.name);
  });
  return clients;
}

/// Of the layer group that pages are counted in: the one with the larger pool.
std::size_t group_of(const Engine::State& state) { return state.memory.used(0) ? 0 : 1; }

/// [page]: in how many hands of sequences each page is; what only the prefix cache has is in none.
std::vector<std::uint32_t> holders_of(const Engine::State& state) {
  const PagePool& pool = state.memory.pool(group_of(state));
  std::vector<std::uint32_t> holders(pool.pages());  // first of the cache
  state.cache.count_pages(group_of(state), holders);
  for (PageNumber page = 0; page < pool.pages(); ++page) {
    holders[page] = pool.count(page) - std::min(pool.count(page), holders[page]);
  }
  return holders;
}

std::size_t pages_away(const Span& span, std::size_t group) {
  if (!span.away()) return 0;
  const std::size_t last = (span.length() + kPageTokens - 1) / kPageTokens;
  return last - std::min(last, span.first_away(group));
}

PageUse pages_of(const Engine::State& state, const std::vector<std::uint32_t>& holders) {
  const PagePool& pool = state.memory.pool(group_of(state));
  PageUse use{.free = pool.free_pages()};
  for (PageNumber page = 0; page < pool.pages(); ++page) {
    use.cached += pool.count(page) > 0 && holders[page] == 0 ? 1 : 0;
    use.own += holders[page] == 1 ? 1 : 0;
    use.shared += holders[page] > 1 ? 1 : 0;
  }
  for (const auto& [id, sequence] : state.sequences) use.away += pages_away(sequence->span, group_of(state));
  return use;
}

SequenceState state_of(const Engine::State& state, const Sequence& sequence) {
  if (!sequence.generation) return SequenceState::idle;
  if (sequence.leader) return SequenceState::waits_prompt;
  if (sequence.running) {
    if (sequence.away) return SequenceState::waits_swap;
    if (sequence.prompt_done || sequence.group != 0) return SequenceState::decode;
    return sequence.behind ? SequenceState::waits_prompt : SequenceState::prompt;
  }
  const bool has_row = state.running.size() < state.rows_for(sequence);
  const bool is_new = sequence.generation->asked_step == state.counters.steps;  // nobody has looked at it yet
  return has_row && !is_new ? SequenceState::waits_pages : SequenceState::waits_row;
}

void count_pages(const Span& span, std::size_t group, const std::vector<std::uint32_t>& holders, SequenceUse& use) {
  use.away += pages_away(span, group);
  for (const PageNumber page : span.pages(group)) {
    if (page != kNoPage) ++(holders[page] > 1 ? use.shared : use.own);
  }
}

SequenceUse use_of(const Engine::State& state, const Sequence& sequence, const std::vector<std::uint32_t>& holders) {
  SequenceUse use{.id = sequence.id.value(),
                  .client = sequence.options.client,
                  .state = state_of(state, sequence),
                  .tokens = sequence.tokens.size(),
                  .computed = sequence.span.length()};
  const std::optional<SequenceId> behind = sequence.leader ? sequence.leader : sequence.behind;
  if (use.state == SequenceState::waits_prompt && behind) use.behind = behind->value();
  if (sequence.parent) use.parent = sequence.parent->value();
  if (const auto& generation = sequence.generation) {
    use.generated = generation->generated;
    use.preemptions = generation->usage.preemptions;
    use.seconds = state.clock.now() - generation->asked_at;
  }
  for (const JoinedPart& part : sequence.parts) count_pages(part.span, group_of(state), holders, use);
  count_pages(sequence.span, group_of(state), holders, use);
  return use;
}

std::vector<SequenceUse> sequences_of(const Engine::State& state, const std::vector<std::uint32_t>& holders) {
  std::vector<const Sequence*> all;
  for (const auto& [id, sequence] : state.sequences) all.push_back(sequence.get());
  const auto key = [](const Sequence* sequence) {
    return std::tuple(!sequence->running, !sequence->generation, sequence->arrival, sequence->id);
  };
  const std::size_t listed = std::min(all.size(), kSnapshotSequences);
  std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(listed), {}, key);
  all.resize(listed);
  std::vector<SequenceUse> uses;
  for (const Sequence* sequence : all) uses.push_back(use_of(state, *sequence, holders));
  return uses;
}

}  // namespace

std::string_view name(SequenceState state) {
  constexpr std::array<std::string_view, 7> kNames = {"idle",       "decode",    "prompt",     "waits_prompt",
                                                      "waits_swap", "waits_row", "waits_pages"};
  return kNames[static_cast<std::size_t>(state)];
}

Snapshot Engine::snapshot() const {
  const std::vector<std::uint32_t> holders = holders_of(*state_);
  Snapshot taken{.sequences = sequences_of(*state_, holders),
                 .clients = clients_of(*state_),
                 .rows_max = state_->options.rows_max - state_->options.rows_newcomers,
                 .rows_newcomers = state_->options.rows_newcomers,
                 .pages = pages_of(*state_, holders)};
  taken.clients_known = taken.clients.size();
  if (taken.clients.size() > kSnapshotClients) taken.clients.resize(kSnapshotClients);
  return taken;
}

}  // namespace plait::engine
