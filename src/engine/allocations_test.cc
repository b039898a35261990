// SPDX-License-Identifier: Apache-2.0
//
// That bookkeeping of every step allocates nothing once everything has grown to its size.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "engine/eviction.h"
#include "engine/fairness.h"
#include "testing/allocation_count.h"
#include "testing/scripted_runner.h"

namespace plait::engine {
namespace {

// 20 clients, each with some requests in each phase, come, run, are preempted and go.
void round(Fairness& fairness, const std::vector<std::string>& names, std::vector<PromptShare>& shares, double now) {
  for (const std::string& name : names) {
    for (int i = 0; i < 3; ++i) fairness.arrive({.name = name, .level = static_cast<int>(name.size() % 2)}, now);
  }
  shares.clear();
  for (std::size_t i = 0; i < 2 * names.size(); ++i) {
    shares.push_back({.ticket = *fairness.next(now), .left = 100});
    fairness.admit(shares.back().ticket, 50, now);
  }
  fairness.split(shares, 700, now);
  for (const PromptShare& share : shares) fairness.charge(share.ticket, static_cast<double>(share.granted));
  fairness.prompt_done(shares[0].ticket);
  fairness.preempt(shares[0].ticket, now);
  fairness.preempt(shares[1].ticket, now);
  for (std::size_t i = 2; i < shares.size(); ++i) fairness.finish(shares[i].ticket);
  while (const auto rest = fairness.next(now)) fairness.finish(*rest);
}

TEST(Allocations, FairnessHasNoneInTheSteadyState) {
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) names.push_back("a client with a name that no small string holds " + std::to_string(i));
  Fairness fairness;
  std::vector<PromptShare> shares;
  double now = 0;
  while (now < 5) round(fairness, names, shares, now++);
  const std::size_t before = testing::allocation_count();
  while (now < 50) round(fairness, names, shares, now++);
  EXPECT_EQ(testing::allocation_count(), before);
  EXPECT_EQ(fairness.waiting(), 0U);
}

// Every kind of call on every kind of policy, from the first call on: what it needs, it has from the start.
TEST(Allocations, EvictionHasNoneAfterConstruction) {
  constexpr std::uint32_t kSlots = 64;
  for (const EvictionKind kind : kEvictionKinds) {
    const auto policy = make_eviction_policy(kind, {.slots = kSlots, .seed = 1});
    std::uint64_t victims = 0;
    const std::size_t before = testing::allocation_count();
    for (std::uint64_t i = 0; i < 20'000; ++i) {
      const std::uint64_t random = base::random_u64(5, i);
      const PageKey page(static_cast<std::uint32_t>(random % kSlots));
      const bool bit = (random >> 20U) % 3 == 0;
      if (!policy->holds(page)) {
        policy->insert(page, ContentId((random >> 32U) % (4 * kSlots)), bit);
      } else if ((random >> 24U) % 4 == 0) {
        policy->set_evictable(page, bit);
      } else if ((random >> 24U) % 4 == 1) {
        victims += policy->victim().has_value() ? 1U : 0U;
      } else {
        policy->touch(page, bit);
      }
    }
    EXPECT_EQ(testing::allocation_count(), before) << name(kind);
    EXPECT_GT(victims, 1000U) << name(kind);
  }
}

// Decode steps of 32 sequences between two borders of pages: every list has its size, and nothing else is needed. The
// scripted model allocates nothing that counts: its own lists are reserved.
TEST(Allocations, DecodeStepsOfAnEngineHaveNone) {
  testing::VirtualClock clock;
  testing::ScriptedRunner runner({}, clock);
  runner.rows_of_step.reserve(1000);
  const auto engine = *Engine::make(runner, {.kv_bytes = 16 << 20}, clock);
  for (int i = 0; i < 32; ++i) {
    const std::vector<base::TokenId> prompt(17, base::TokenId(i));
    const models::SamplerOptions sampler{.temperature = i % 2 == 0 ? 0.0 : 1.0};
    ASSERT_TRUE(engine->submit({.prompt = prompt, .generate = {.sampler = sampler, .tokens_max = 300}}));
  }
  while (engine->counters().decode_rows < 32 * 3) engine->step();
  const std::size_t before = testing::allocation_count();
  for (int i = 0; i < 8; ++i) engine->step();
  EXPECT_EQ(testing::allocation_count() - before, 0U);
}

}  // namespace
}  // namespace plait::engine
