// SPDX-License-Identifier: Apache-2.0
//
// Sequences that see each other's tokens as they come (Engine::watch(), watch_instead()).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/engine_test_fixture.h"

namespace plait::engine {
namespace {

using base::TokenId;

/// Workers behind one prompt who watch each other, beside other work in a memory that is too small for all.
class RowGroups : public EngineTest {
 protected:
  static constexpr std::size_t kWorkers = 3;
  static constexpr std::ptrdiff_t kSlot = 60;

  /// `causal`: in slots, and those behind are seen a step later.
  void start(bool slots, bool causal = false) {
    prompt_ = random_tokens(1, 33);
    const SequenceId root = *engine_->create({});
    ASSERT_TRUE(engine_->append(root, prompt_));
    ASSERT_TRUE(engine_->generate(root, {.prompt_only = true, .listener = &recorder_}));
    run();
    for (std::size_t w = 0; w < kWorkers; ++w) {
      workers_.push_back(*engine_->create({}));
      ASSERT_TRUE(engine_->join(workers_[w], root, 0));
      ASSERT_TRUE(engine_->append(workers_[w], std::vector{TokenId(static_cast<std::int32_t>(w))}));
    }
    engine_->close(root);
    for (std::size_t w = 0; w < kWorkers; ++w) {
      for (std::size_t other = 0; other < kWorkers; ++other) {
        if (other == w) continue;
        Watch watch;
        if (slots) watch = {.other_position = slot(other), .own_position = slot(w), .late = causal && other > w};
        ASSERT_TRUE(engine_->watch(workers_[w], workers_[other], watch));
      }
    }
    for (std::size_t w = 0; w < kWorkers; ++w) {
      ASSERT_TRUE(engine_->generate(workers_[w], {.tokens_max = kLengths[w], .listener = &recorder_}));
    }
  }
  [[nodiscard]] std::ptrdiff_t slot(std::size_t worker) const {
    return static_cast<std::ptrdiff_t>(prompt_.size()) + static_cast<std::ptrdiff_t>(worker) * kSlot;
  }

  /// All workers step by step by hand.
  [[nodiscard]] std::vector<std::vector<TokenId>> expected(bool slots, bool causal = false) const {
    std::vector<std::vector<TokenId>> own;
    for (std::size_t w = 0; w < kWorkers; ++w) own.push_back({TokenId(static_cast<std::int32_t>(w))});
    for (std::size_t step = 0; step < kLengths.back(); ++step) {
      // A worker that has ended computed all tokens but its last.
      std::vector<std::size_t> computed;
      for (std::size_t w = 0; w < kWorkers; ++w) computed.push_back(std::min(step + 1, kLengths[w]));
      const std::vector<std::vector<TokenId>> before = own;
      for (std::size_t w = 0; w < kWorkers; ++w) {
        if (step >= kLengths[w]) continue;
        std::vector<TokenId> tokens = prompt_;
        std::vector<std::ptrdiff_t> positions;
        for (std::size_t i = 0; i < prompt_.size(); ++i) positions.push_back(static_cast<std::ptrdiff_t>(i));
        const auto see = [&](std::size_t other) {
          const bool late = causal && other > w && step < kLengths[other];  // what it feeds in this step
          for (std::size_t i = 0; i + (late ? 1 : 0) < computed[other]; ++i) {
            positions.push_back(slots ? slot(other) + static_cast<std::ptrdiff_t>(i) : positions.back() + 1);
            tokens.push_back(before[other][i]);
          }
        };
        for (std::size_t other = 0; other < kWorkers; ++other) {
          if (other != w) see(other);
        }
        see(w);
        const auto logits = runner_->logits(tokens, positions);
        own[w].emplace_back(static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
      }
    }
    for (auto& tokens : own) tokens.erase(tokens.begin());
    return own;
  }

  static constexpr std::array<std::size_t, kWorkers> kLengths{20, 45, 50};
  std::vector<TokenId> prompt_;
  std::vector<SequenceId> workers_;
};

TEST_F(RowGroups, SeeEachOthersTokensOfTheSameStep) {
  for (const bool slots : {false, true}) {
    for (const std::size_t window : {0U, 16U, 40U}) {
      open(40, {.window = window}, {.rows_max = 5});
      start(slots);
      for (std::uint64_t i = 0; i < 12; ++i) submit(random_tokens(100 + i, 90), 60);
      run();
      const auto want = expected(slots);
      for (std::size_t w = 0; w < kWorkers; ++w)
        ASSERT_EQ(recorder_.tokens[workers_[w]], want[w]) << w << slots << window;
      EXPECT_GT(engine_->counters().preemptions, 0U);
      for (const SequenceId worker : workers_) engine_->close(worker);
      engine_->check_invariants();
      EXPECT_EQ(engine_->counters().sequences, 0U);
      workers_.clear();
      recorder_ = {};
    }
  }
}

TEST_F(RowGroups, SeeThoseBehindThemAStepLaterIfTheyAreToldSo) {
  open(40, {}, {.rows_max = 5});
  start(true, true);
  for (std::uint64_t i = 0; i < 6; ++i) submit(random_tokens(200 + i, 90), 60);
  run();
  const auto want = expected(true, true);
  for (std::size_t w = 0; w < kWorkers; ++w) EXPECT_EQ(recorder_.tokens[workers_[w]], want[w]) << w;
  EXPECT_NE(want, expected(true));
}

TEST_F(RowGroups, RefuseWhatWouldBreakTheirStep) {
  open(100, {}, {.rows_max = 2});
  const SequenceId a = *engine_->create({});
  const SequenceId b = *engine_->create({});
  const auto code = [](const auto& result) { return result ? base::ErrorCode::internal : result.error().code; };
  EXPECT_EQ(code(engine_->watch(a, a)), base::ErrorCode::invalid_argument);
  ASSERT_TRUE(engine_->append(a, random_tokens(1, 65)));
  EXPECT_EQ(code(engine_->watch(b, a)), base::ErrorCode::invalid_argument);
  ASSERT_TRUE(engine_->generate(a, {.prompt_only = true, .listener = &recorder_}));
  run();
  ASSERT_TRUE(engine_->watch(b, a));
  EXPECT_EQ(code(engine_->trim(a, 2)), base::ErrorCode::invalid_argument);
  EXPECT_EQ(code(engine_->join(a, b, 0)), base::ErrorCode::invalid_argument);
  ASSERT_TRUE(engine_->append(b, random_tokens(2, 65)));
  EXPECT_EQ(code(engine_->generate(b, {.listener = &recorder_})), base::ErrorCode::invalid_argument);
  EXPECT_EQ(code(engine_->watch_instead(b, std::array{b})), base::ErrorCode::invalid_argument);
  EXPECT_EQ(code(engine_->watch_instead(b, std::array{a, a})), base::ErrorCode::invalid_argument);
  EXPECT_EQ(code(engine_->watch_instead(b, std::array{SequenceId(99)})), base::ErrorCode::not_found);
}

/// What the workers of a history do: the first one ends a step of its work, which both see from then on, and begins the
/// next one with a few given tokens, all while the second one generates.
class EndsItsStep final : public Listener {
 public:
  EndsItsStep(Engine& engine, SequenceId prompt, SequenceId first, SequenceId second, std::vector<TokenId> header)
      : engine_(engine), prompt_(prompt), first_(first), second_(second), header_(std::move(header)) {}

  bool on_token(SequenceId sequence, const models::Sample& sample) override {
    tokens[sequence].push_back(sample.token);
    return true;
  }
  void on_end(SequenceId sequence, const Ending& ending) override {
    EXPECT_EQ(ending.reason, EndReason::length);
    if (sequence != first_ || next) return;
    next = *engine_.create({});
    EXPECT_TRUE(engine_.join(*next, prompt_, 0));
    EXPECT_TRUE(engine_.append(*next, header_));
    EXPECT_TRUE(engine_.watch_instead(*next, std::array{first_, second_}));
    EXPECT_TRUE(engine_.watch_instead(second_, std::array{first_, *next}));
    EXPECT_TRUE(engine_.generate(first_, {.prompt_only = true, .listener = this}));  // its last token
    EXPECT_TRUE(engine_.generate(*next, {.tokens_max = 12, .listener = this}));
  }

  std::map<SequenceId, std::vector<TokenId>> tokens;
  std::optional<SequenceId> next;

 private:
  Engine& engine_;
  SequenceId prompt_;
  SequenceId first_;
  SequenceId second_;
  std::vector<TokenId> header_;
};

TEST_F(RowGroups, WatchOthersInsteadWhileTheyGenerate) {
  for (const std::size_t window : {0U, 16U}) {
    open(100, {.window = window});
    prompt_ = random_tokens(1, 33);
    const SequenceId root = *engine_->create({});
    ASSERT_TRUE(engine_->append(root, prompt_));
    ASSERT_TRUE(engine_->generate(root, {.prompt_only = true, .listener = &recorder_}));
    run();
    std::array<std::vector<TokenId>, 3> own{std::vector{TokenId(3)}, std::vector{TokenId(4)},
                                            std::vector{TokenId(5), TokenId(6), TokenId(7)}};
    std::array<SequenceId, 2> pair{*engine_->create({}), *engine_->create({})};
    EndsItsStep listener(*engine_, root, pair[0], pair[1], own[2]);
    for (std::size_t w = 0; w < 2; ++w) {
      ASSERT_TRUE(engine_->join(pair[w], root, 0));
      ASSERT_TRUE(engine_->append(pair[w], own[w]));
    }
    ASSERT_TRUE(engine_->watch_instead(pair[0], std::array{pair[1]}));
    ASSERT_TRUE(engine_->watch_instead(pair[1], std::array{pair[0]}));
    ASSERT_TRUE(engine_->generate(pair[0], {.tokens_max = 6, .listener = &listener}));
    ASSERT_TRUE(engine_->generate(pair[1], {.tokens_max = 15, .listener = &listener}));
    run();
    ASSERT_TRUE(listener.next);

    const auto choose = [&](std::initializer_list<const std::vector<TokenId>*> view) {
      std::vector<TokenId> tokens = prompt_;
      for (const auto* part : view) tokens.insert(tokens.end(), part->begin(), part->end());
      std::vector<std::ptrdiff_t> positions(tokens.size());
      std::iota(positions.begin(), positions.end(), 0);
      const auto logits = runner_->logits(tokens, positions);
      return TokenId(static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
    };
    for (std::size_t step = 0; step < 18; ++step) {
      const auto before = own;
      if (step < 6) own[0].push_back(choose({&before[1], &before[0]}));
      if (step < 6) own[1].push_back(choose({&before[0], &before[1]}));
      if (step >= 6 && step < 15) own[1].push_back(choose({&before[0], &before[2], &before[1]}));
      if (step < 6) continue;
      std::vector<TokenId> second = before[1];
      second.resize(std::min<std::size_t>(15, second.size()));  // its last token is never fed
      own[2].push_back(choose({&before[0], &second, &before[2]}));
    }
    EXPECT_EQ(listener.tokens[pair[0]], std::vector(own[0].begin() + 1, own[0].end()));
    EXPECT_EQ(listener.tokens[pair[1]], std::vector(own[1].begin() + 1, own[1].end()));
    EXPECT_EQ(listener.tokens[*listener.next], std::vector(own[2].begin() + 3, own[2].end()));
    for (const SequenceId sequence : {root, pair[0], pair[1], *listener.next}) engine_->close(sequence);
    engine_->check_invariants();
    EXPECT_EQ(engine_->counters().sequences, 0U);
    recorder_ = {};
  }
}

TEST_F(RowGroups, DoNotSeeWhatAWindowHasLeftBehind) {
  open(100, {.window = 20});
  const SequenceId a = *engine_->create({});
  ASSERT_TRUE(engine_->append(a, random_tokens(1, 150)));
  ASSERT_TRUE(engine_->generate(a, {.prompt_only = true, .listener = &recorder_}));
  run();
  const auto code = [](const auto& result) { return result ? base::ErrorCode::internal : result.error().code; };
  const SequenceId b = *engine_->create({});
  EXPECT_EQ(code(engine_->watch(b, a, {.other_position = 300})), base::ErrorCode::invalid_argument);
  EXPECT_EQ(code(engine_->watch(b, a, {.own_position = 0})), base::ErrorCode::invalid_argument);
  const SequenceId c = *engine_->create({});
  ASSERT_TRUE(engine_->join(c, a, 0));
  EXPECT_EQ(code(engine_->watch(c, b, {.own_position = 10})), base::ErrorCode::invalid_argument);
  EXPECT_TRUE(engine_->watch(c, b, {.own_position = 150}));  // behind all of it
  EXPECT_TRUE(engine_->watch(b, a));
}

}  // namespace
}  // namespace plait::engine
