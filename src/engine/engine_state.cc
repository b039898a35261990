// SPDX-License-Identifier: Apache-2.0
//
// What an engine tells of itself.
#include "engine/engine_state.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"
#include "engine/engine.h"

namespace plait::engine {

EngineCounters Engine::counters() const {
  EngineCounters counters = state_->counters;
  counters.sequences = state_->sequences.size();
  counters.running = state_->running.size();
  counters.waiting = state_->fairness.waiting();
  const PagePool& pool = state_->memory.pool(state_->memory.used(0) ? 0 : 1);
  counters.swap = state_->swap.counters();
  counters.pages = pool.pages();
  counters.pages_free = pool.free_pages();
  counters.prefixes = state_->cache.counters();
  return counters;
}

std::vector<ClientLoad> Engine::clients() const {
  std::map<std::string_view, ClientLoad> clients;
  for (const auto& [id, sequence] : state_->sequences) {
    if (!sequence->generation) continue;
    ClientLoad& load = clients[sequence->options.client];
    load.weight = sequence->options.weight;
    load.level =
        load.running + load.waiting == 0 ? sequence->options.level : std::min(load.level, sequence->options.level);
    ++(sequence->running ? load.running : load.waiting);
  }
  std::vector<ClientLoad> list;
  for (auto& [name, load] : clients) {
    load.client = name;
    if (const auto standing = state_->fairness.standing(name)) load.service = standing->service;
    list.push_back(std::move(load));
  }
  return list;
}

void Engine::check_invariants() const {
  state_->cache.check_invariants();
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (!state_->memory.used(group)) continue;
    const PagePool& pool = state_->memory.pool(group);
    std::vector<std::uint32_t> counts(pool.pages());
    const auto count = [&](const Span& span) {
      for (const PageNumber page : span.pages(group)) {
        if (page != kNoPage) ++counts[page];
      }
    };
    for (const auto& [id, sequence] : state_->sequences) {
      count(sequence->span);
      PLAIT_CHECK(sequence->away || !sequence->span.away(), id.value());
      for (const PageNumber page : sequence->span.pages(group)) {
        if (page != kNoPage) PLAIT_CHECK(sequence->away || !state_->swap.busy(group, page), id.value(), page);
      }
      for (const JoinedPart& part : sequence->parts) count(part.span);
      PLAIT_CHECK(sequence->span.length() <= sequence->tokens.size(), id.value());
    }
    state_->cache.count_pages(group, counts);
    state_->swap.count_pages(group, counts);
    std::uint32_t free = 0;
    for (PageNumber page = 0; page < pool.pages(); ++page) {
      PLAIT_CHECK(counts[page] == pool.count(page), page, counts[page], pool.count(page));
      PLAIT_CHECK(counts[page] > 0 || !state_->swap.busy(group, page), page);
      free += counts[page] == 0 ? 1 : 0;
    }
    PLAIT_CHECK(free == pool.free_pages(), free, pool.free_pages());
  }
}

}  // namespace plait::engine
