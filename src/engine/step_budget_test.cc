// SPDX-License-Identifier: Apache-2.0
//
// On a made-up machine whose times are known.
#include "engine/step_budget.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace plait::engine {
namespace {

// A step takes (base + per_row w + per_token p) milliseconds, give or take `noise`; one in `outlier_every` ten times
// that.
struct Machine {
  double base = 5;
  double per_row = 0.4;
  double per_token = 0.2;
  double noise = 0.05;
  std::uint64_t outlier_every = 0;
  std::uint64_t seed = 1;
  std::uint64_t steps = 0;
  bool stolen = false;  // whether the last step was an outlier

  [[nodiscard]] double ideal(std::size_t rows, std::size_t tokens) const {
    return 1e-3 * (base + per_row * static_cast<double>(rows) + per_token * static_cast<double>(tokens));
  }
  double run(std::size_t rows, std::size_t tokens) {
    const double wobble = 1 + noise * (2 * base::random_unit(seed, 2 * steps) - 1);
    stolen = outlier_every > 0 && base::random_u64(seed, 2 * steps + 1) % outlier_every == 0;
    ++steps;
    return ideal(rows, tokens) * wobble * (stolen ? 10 : 1);
  }
  // The prompt tokens with which a step lasts `factor` decode-only ones.
  [[nodiscard]] double best(std::size_t rows, double factor = 2) const {
    return (factor - 1) * ideal(rows, 0) * 1e3 / per_token;
  }
};

// `steps` steps of so many streams; prompts wait in three of four stretches of 16 steps.
void serve(StepBudget& budget, Machine& machine, std::size_t rows, int steps) {
  for (int i = 0; i < steps; ++i) {
    const bool prompts = machine.steps / 16 % 4 != 0;
    const std::size_t tokens = prompts ? budget.tokens(rows) : 0;
    budget.observe(rows, tokens, machine.run(rows, tokens));
  }
}

// The budget that the present estimate amounts to, without limits and rounding.
double estimate(const StepBudget& budget, std::size_t rows, double factor = 2) {
  const double alone = budget.seconds(rows, 0);
  return (factor - 1) * alone / (budget.seconds(rows, 1) - alone);
}

constexpr StepBudgetOptions kFine{.tokens_min = 4, .granularity = 1};

TEST(StepBudget, BeforeAnythingIsKnown) {
  const StepBudget budget({.tokens_min = 8, .tokens_max = 256, .tokens_first = 48});
  EXPECT_EQ(budget.tokens(0), 256U);
  EXPECT_EQ(budget.tokens(4), 48U);
  EXPECT_EQ(budget.tokens(5), 47U);  // 52 rows in all
  EXPECT_EQ(budget.seconds(3, 10), 0);
  EXPECT_EQ(budget.prompt_share(3), 0);
}

TEST(StepBudget, AQuietMachineIsLearnedInAFewSteps) {
  StepBudget budget(kFine);
  Machine machine{.noise = 0};
  budget.observe(4, 0, machine.run(4, 0));
  std::vector<std::size_t> asked;
  for (int i = 0; i < 5; ++i) {
    asked.push_back(budget.tokens(4));
    budget.observe(4, asked.back(), machine.run(4, asked.back()));
  }
  EXPECT_EQ(asked, (std::vector<std::size_t>{64, 4, 64, 4, 64}));  // looks
  EXPECT_NEAR(budget.seconds(4, 0), machine.ideal(4, 0), 1e-9);
  EXPECT_NEAR(static_cast<double>(budget.tokens(4)), machine.best(4), 1.01);
}

TEST(StepBudget, FindsTheBestBudgetInSpiteOfNoiseAndOutliers) {
  EXPECT_TRUE(rc::check([] {
    Machine machine;
    machine.base = *rc::gen::inRange(2, 20);
    machine.per_row = *rc::gen::inRange(1, 20) / 10.0;
    machine.per_token = *rc::gen::inRange(5, 40) / 100.0;
    machine.noise = *rc::gen::element(0.0, 0.02, 0.1);
    machine.outlier_every = *rc::gen::element<std::uint64_t>(0, 50, 15);
    machine.seed = *rc::gen::arbitrary<std::uint64_t>();
    const auto rows = *rc::gen::inRange<std::size_t>(1, 80);
    StepBudget budget({.tokens_min = 4, .tokens_max = 100'000, .granularity = 1});
    serve(budget, machine, rows, 300);
    int good = 0;
    for (int i = 0; i < 50; ++i) {
      serve(budget, machine, rows, 1);
      good += std::abs(estimate(budget, rows) - machine.best(rows)) <= 0.25 * machine.best(rows) ? 1 : 0;
    }
    RC_ASSERT(good >= (machine.outlier_every == 0 ? 50 : 40));
  }));
}

TEST(StepBudget, StreamsKeepTheirPace) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    StepBudget budget;
    Machine machine{.noise = 0.1, .outlier_every = 50, .seed = seed};
    constexpr std::size_t kRows = 16;
    std::vector<double> ratios;
    for (int i = 0; i < 3000; ++i) {
      const std::size_t tokens = i < 5 ? 0 : budget.tokens(kRows);
      const double took = machine.run(kRows, tokens);
      budget.observe(kRows, tokens, took);
      if (!machine.stolen) ratios.push_back(took / machine.ideal(kRows, 0));  // a stolen core is not ours to answer for
    }
    std::ranges::sort(ratios);
    EXPECT_LE(ratios[ratios.size() * 999 / 1000], 3.0) << seed;
    EXPECT_GE(ratios[ratios.size() / 2], 1.5) << seed;  // and prompts get what there is
  }
}

TEST(StepBudget, PromptsKeepTheShareThatTheFactorLeaves) {
  for (const auto& [factor, share] : {std::pair(1.5, 0.33), {2.0, 0.5}, {2.5, 0.6}, {3.0, 0.66}}) {
    StepBudget budget({.factor = factor, .tokens_min = 4, .granularity = 1});
    Machine machine{.noise = 0.02};
    for (int i = 0; i < 20; ++i) budget.observe(0, 512, machine.run(0, 512));
    serve(budget, machine, 8, 200);
    EXPECT_GE(budget.prompt_share(8), share - 0.03) << factor;
    EXPECT_LE(budget.prompt_share(8), share + 0.1) << factor;
  }
}

TEST(StepBudget, PromptsGetTheShareAskedForAsFarAsTheLongerStepAllows) {
  struct Case {
    Machine machine;
    double factor;  // that the steps of 16 streams should have
  };
  // Where reading the weights is most of a step, the factor gives prompts more than their share. Where computing rows
  // is, a longer step does, up to the longest.
  for (const auto& [machine, factor] :
       {Case{{.base = 20, .per_row = 0.1, .per_token = 0.1, .noise = 0}, 2.25}, Case{{.noise = 0}, 2.504},
        Case{{.base = 0.5, .per_row = 1, .per_token = 1, .noise = 0}, 2.6}}) {
    StepBudget budget({.factor = 2.25, .prompt_share = 0.63, .factor_most = 2.6, .tokens_min = 4, .granularity = 1});
    Machine running = machine;
    for (int i = 0; i < 20; ++i) budget.observe(0, 512, running.run(0, 512));
    serve(budget, running, 16, 100);
    EXPECT_NEAR(static_cast<double>(budget.tokens(16)), machine.best(16, factor), 1.5) << factor;
    EXPECT_GE(budget.prompt_share(16), 0.6);
  }
}

TEST(StepBudget, FirstLooksAreNotLongerThanPromptsAloneSuggest) {
  StepBudget budget(kFine);
  Machine dear{.per_token = 0.6, .noise = 0};
  budget.observe(0, 512, dear.run(0, 512));
  EXPECT_EQ(budget.tokens(8), 64U);  // nothing is known of streams
  budget.observe(8, 0, dear.run(8, 0));
  EXPECT_LE(static_cast<double>(budget.tokens(8)), dear.best(8));
  EXPECT_GE(static_cast<double>(budget.tokens(8)), 0.9 * dear.best(8));
  dear.per_token = 6;
  StepBudget dearer(kFine);
  dearer.observe(0, 512, dear.run(0, 512));
  dearer.observe(8, 0, dear.run(8, 0));
  EXPECT_EQ(dearer.tokens(8), 5U);  // a look that tells nothing would never end
}

TEST(StepBudget, OneStolenStepChangesLittle) {
  StepBudget budget(kFine);
  Machine machine;
  serve(budget, machine, 8, 200);
  for (const std::size_t tokens : {std::size_t{0}, budget.tokens(8)}) {
    const double before = estimate(budget, 8);
    budget.observe(8, tokens, 10 * machine.ideal(8, tokens));
    EXPECT_NEAR(estimate(budget, 8), before, 0.1 * before) << tokens;
  }
}

TEST(StepBudget, AStolenFirstStepIsSoonForgotten) {
  for (const std::size_t bad : {0U, 1U, 2U, 3U}) {
    StepBudget budget({.tokens_min = 4, .tokens_max = 4096, .granularity = 1});
    Machine machine{.noise = 0.02};
    for (std::size_t i = 0; i < 16; ++i) {
      const std::size_t tokens = i % 2 == 0 ? 0 : budget.tokens(8);
      budget.observe(8, tokens, machine.run(8, tokens) * (i == bad ? 10 : 1));
    }
    EXPECT_NEAR(estimate(budget, 8), machine.best(8), 0.3 * machine.best(8)) << bad;
  }
}

TEST(StepBudget, FollowsAMachineThatChanges) {
  for (const double change : {3.0, 0.3}) {
    StepBudget budget(kFine);
    Machine machine;
    serve(budget, machine, 8, 200);
    machine.per_token *= change;  // prompts with a long context, or with a short one again
    serve(budget, machine, 8, 100);
    EXPECT_NEAR(estimate(budget, 8), machine.best(8), 0.25 * machine.best(8)) << change;
    machine.base *= change;
    machine.per_row *= change;
    serve(budget, machine, 8, 100);
    EXPECT_NEAR(estimate(budget, 8), machine.best(8), 0.25 * machine.best(8)) << change;
  }
}

TEST(StepBudget, AWidthNeverSeenGoesByItsNeighbours) {
  StepBudget budget(kFine);
  Machine machine{.noise = 0};
  serve(budget, machine, 4, 100);
  serve(budget, machine, 16, 100);
  EXPECT_NEAR(budget.seconds(10, 50), machine.ideal(10, 50), 0.02 * machine.ideal(10, 50));
  for (const std::size_t beyond : {1U, 2U, 24U, 400U}) {
    EXPECT_LE(budget.tokens(beyond), machine.best(beyond) * 1.02 + 1) << beyond;
    EXPECT_GE(budget.tokens(beyond), kFine.tokens_min) << beyond;
  }
  const auto before = static_cast<double>(budget.tokens(10));
  budget.observe(10, 0, 10 * machine.ideal(10, 0));  // stolen, as the first step of its width
  EXPECT_LE(static_cast<double>(budget.tokens(10)), 3 * before);
}

TEST(StepBudget, PromptsAlwaysGoOn) {
  StepBudget budget({.factor = 1.01});
  Machine machine{.per_token = 5};
  serve(budget, machine, 1, 100);
  EXPECT_EQ(budget.tokens(1), StepBudgetOptions{}.tokens_min);
}

TEST(StepBudget, StaysWithinItsLimitsWhateverItIsTold) {
  EXPECT_TRUE(rc::check([] {
    StepBudgetOptions options;
    options.tokens_min = *rc::gen::inRange<std::size_t>(1, 64);
    options.tokens_max = options.tokens_min + *rc::gen::inRange<std::size_t>(0, 2000);
    options.granularity = *rc::gen::inRange<std::size_t>(1, 65);
    options.factor = 1 + *rc::gen::inRange(1, 400) / 100.0;
    options.factor_most = *rc::gen::inRange(0, 500) / 100.0;
    options.prompt_share = *rc::gen::inRange(0, 100) / 100.0;
    StepBudget budget(options);
    StepBudget twin(options);
    for (int i = *rc::gen::inRange(0, 200); i > 0; --i) {
      const auto rows = *rc::gen::oneOf(rc::gen::inRange<std::size_t>(0, 40), rc::gen::arbitrary<std::size_t>());
      const auto tokens = *rc::gen::inRange<std::size_t>(0, 600);
      const double seconds = *rc::gen::element(0.0, -1.0, INFINITY, NAN, 1e-300, 1e300, 0.01, 0.02, 5.0);
      budget.observe(rows, tokens, seconds);
      twin.observe(rows, tokens, seconds);
      RC_ASSERT(budget.tokens(rows) >= options.tokens_min);
      RC_ASSERT(budget.tokens(rows) <= options.tokens_max);
      RC_ASSERT(budget.tokens(rows) == twin.tokens(rows));
      RC_ASSERT(budget.tokens(0) == options.tokens_max);
    }
  }));
}

}  // namespace
}  // namespace plait::engine
