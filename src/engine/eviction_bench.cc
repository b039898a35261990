// SPDX-License-Identifier: Apache-2.0
//
// The cost of a request at 1,000 and 100,000 pages: a hit, a miss with its victim, and a page that is pinned for its
// use and released. The line to hold: 2 µs a request at 100,000 pages.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/eviction.h"

namespace plait::engine {
namespace {

EvictionKind kind_of(const benchmark::State& state) { return kEvictionKinds[static_cast<std::size_t>(state.range(0))]; }

/// A full cache of range(1) pages. Content c is in slot c at first; a third of the bits say done.
class Full {
 public:
  explicit Full(benchmark::State& state)
      : pages(static_cast<std::uint32_t>(state.range(1))),
        policy(make_eviction_policy(kind_of(state), {.slots = pages, .seed = 1})) {
    for (std::uint32_t page = 0; page < pages; ++page) policy->insert(PageKey(page), ContentId(page), bit());
    for (std::uint32_t i = 0; i < pages; ++i) policy->touch(page_of(draw()), bit());
    state.SetLabel(std::string(name(kind_of(state))));
  }
  std::uint64_t draw() { return base::random_u64(7, draws_++); }
  bool bit() { return draw() % 3 == 0; }
  [[nodiscard]] PageKey page_of(std::uint64_t random) const {
    return PageKey(static_cast<std::uint32_t>((random >> 32U) * pages >> 32U));
  }
  void miss(ContentId content) {
    const PageKey page = *policy->victim();
    policy->insert(page, content, bit());
  }

  std::uint32_t pages;
  std::unique_ptr<EvictionPolicy> policy;

 private:
  std::uint64_t draws_ = 0;
};

void hit(benchmark::State& state) {
  Full cache(state);
  for (auto _ : state) cache.policy->touch(cache.page_of(cache.draw()), cache.bit());
  state.SetItemsProcessed(state.iterations());
}

/// Half of the contents are new, half are drawn from three times what the cache holds, so that some come back.
void miss(benchmark::State& state) {
  Full cache(state);
  std::uint64_t fresh = 1ULL << 40U;
  for (auto _ : state) {
    const std::uint64_t random = cache.draw();
    cache.miss(ContentId((random & 1U) != 0 ? ++fresh : random % (3ULL * cache.pages)));
  }
  state.SetItemsProcessed(state.iterations());
}

void use(benchmark::State& state) {
  Full cache(state);
  for (auto _ : state) {
    const PageKey page = cache.page_of(cache.draw());
    cache.policy->set_evictable(page, false);
    cache.policy->touch(page, cache.bit());
    cache.policy->set_evictable(page, true);
  }
  state.SetItemsProcessed(state.iterations());
}

/// Three hits for each miss; a request is one of the four.
void mixed(benchmark::State& state) {
  Full cache(state);
  std::uint64_t content = 1ULL << 40U;
  for (auto _ : state) {
    for (int i = 0; i < 3; ++i) cache.policy->touch(cache.page_of(cache.draw()), cache.bit());
    cache.miss(ContentId(++content % (2ULL * cache.pages)));
  }
  state.SetItemsProcessed(4 * state.iterations());
}

void cases(benchmark::internal::Benchmark* bench) {
  for (std::size_t kind = 0; kind < kEvictionKinds.size(); ++kind) {
    for (const int pages : {1'000, 100'000}) bench->Args({static_cast<int>(kind), pages});
  }
  bench->ArgNames({"kind", "pages"});
}
BENCHMARK(hit)->Apply(cases);
BENCHMARK(miss)->Apply(cases);
BENCHMARK(use)->Apply(cases);
BENCHMARK(mixed)->Apply(cases);

}  // namespace
}  // namespace plait::engine
