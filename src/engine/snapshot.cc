// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot.h"

#include <algorithm>
#include <string_view>
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

PageUse pages_of(const Engine::State& state) {
  const std::size_t group = state.memory.used(0) ? 0 : 1;
  const PagePool& pool = state.memory.pool(group);
  std::vector<std::uint32_t> cached(pool.pages());
  state.cache.count_pages(group, cached);
  PageUse use{.free = pool.free_pages()};
  for (PageNumber page = 0; page < pool.pages(); ++page) {
    const std::uint32_t count = pool.count(page);
    const std::uint32_t sequences = count - std::min(count, cached[page]);
    use.cached += count > 0 && sequences == 0 ? 1 : 0;
    use.own += sequences == 1 ? 1 : 0;
    use.shared += sequences > 1 ? 1 : 0;
  }
  for (const auto& [id, sequence] : state.sequences) {
    const Span& span = sequence->span;
    if (!span.away()) continue;
    const std::size_t last = (span.length() + kPageTokens - 1) / kPageTokens;
    use.away += last - std::min(last, span.first_away(group));
  }
  return use;
}

}  // namespace

Snapshot Engine::snapshot() const {
  Snapshot taken{.clients = clients_of(*state_), .pages = pages_of(*state_)};
  taken.clients_known = taken.clients.size();
  if (taken.clients.size() > kSnapshotClients) taken.clients.resize(kSnapshotClients);
  return taken;
}

}  // namespace plait::engine
