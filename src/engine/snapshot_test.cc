// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot.h"

#include <gtest/gtest.h>

#include "engine/engine_test_fixture.h"

namespace plait::engine {
namespace {

class SnapshotTest : public EngineTest {
 protected:
  void submit_for(const std::string& client, const std::vector<TokenId>& prompt, std::size_t samples = 1) {
    const auto ids = engine_->submit({.options = {.client = client, .weight = client == "heavy" ? 1.0 : 2.0},
                                      .prompt = prompt,
                                      .generate = {.tokens_max = 20, .listener = &recorder_},
                                      .samples = samples});
    ASSERT_TRUE(ids);
  }
  Snapshot look() {
    const Snapshot taken = engine_->snapshot();
    const PageUse& pages = taken.pages;
    EXPECT_EQ(pages.free + pages.cached + pages.own + pages.shared, engine_->counters().pages);
    EXPECT_EQ(pages.free, engine_->counters().pages_free);
    std::size_t running = 0;
    std::size_t waiting = 0;
    for (const ClientUse& client : taken.clients) {
      running += client.running;
      waiting += client.waiting;
    }
    EXPECT_EQ(running, engine_->counters().running);
    EXPECT_EQ(waiting, engine_->counters().waiting);
    return taken;
  }
};

TEST_F(SnapshotTest, PagesAreToldApartByWhoHasThem) {
  open(500);
  EXPECT_TRUE(look().clients.empty());
  submit_for("heavy", random_tokens(1, 65), 3);  // 4 full pages in common, and one each for the rest
  for (int i = 0; i < 6; ++i) engine_->step();
  const Snapshot busy = look();
  EXPECT_EQ(busy.pages.shared, 4U);
  EXPECT_EQ(busy.pages.own, 3U);
  ASSERT_EQ(busy.clients.size(), 1U);
  EXPECT_EQ(busy.clients[0].sequences, 3U);
  EXPECT_EQ(busy.clients[0].pages, 3 * 5U);
  EXPECT_EQ(busy.clients[0].running, 3U);
  while (engine_->step()) look();
  const Snapshot idle = look();
  EXPECT_EQ(idle.pages.own + idle.pages.shared, 0U);
  EXPECT_GE(idle.pages.cached, 4U);
  EXPECT_EQ(idle.clients[0].sequences, 0U);
}

TEST_F(SnapshotTest, ClientsAreListedByWhatTheyHaveAndHad) {
  open(500, {}, {.rows_max = 2});
  submit_for("light", random_tokens(1, 30));
  run();
  submit_for("heavy", random_tokens(2, 100));
  run();
  submit_for("light", random_tokens(3, 10), 3);
  engine_->step();
  const Snapshot taken = look();
  ASSERT_EQ(taken.clients.size(), 2U);
  EXPECT_EQ(taken.clients_known, 2U);
  EXPECT_EQ(taken.clients[0].name, "light");  // it has sequences; the other had more
  EXPECT_EQ(taken.clients[0].sequences, 3U);
  EXPECT_EQ(taken.clients[0].weight, 2);
  EXPECT_EQ(taken.clients[1].name, "heavy");
  EXPECT_GT(taken.clients[1].service, taken.clients[0].service);
  run();
  EXPECT_EQ(look().clients[0].name, "heavy");
}

TEST_F(SnapshotTest, SequencesSayWhatTheyWaitFor) {
  open(500, {}, {.rows_max = 2});
  const std::vector<TokenId> text = random_tokens(1, 65);
  submit_for("one", text, 2);
  submit_for("two", random_tokens(2, 30));
  const auto states = [this] {
    std::vector<SequenceState> found;
    for (const SequenceUse& use : look().sequences) found.push_back(use.state);
    return found;
  };
  using enum SequenceState;
  EXPECT_EQ(states(), (std::vector{waits_row, waits_prompt, waits_row}));  // nothing has been looked at yet
  EXPECT_EQ(look().sequences[1].behind, look().sequences[0].id);
  EXPECT_EQ(look().sequences[1].client, "one");
  for (int i = 0; i < 6; ++i) engine_->step();
  EXPECT_EQ(states(), (std::vector{decode, decode, waits_row}));
  const SequenceUse first = look().sequences[0];
  EXPECT_EQ(first.shared, 4U);
  EXPECT_EQ(first.own, 1U);
  EXPECT_EQ(first.away, 0U);
  EXPECT_EQ(first.tokens, text.size() + first.generated);
  EXPECT_GT(first.generated, 0U);
  EXPECT_LE(first.computed, first.tokens);
  EXPECT_EQ(look().rows_max, 2U);
  run();
  EXPECT_TRUE(look().sequences.empty());
}

TEST_F(SnapshotTest, WhoFindsAPromptInTheMakingWaitsForIt) {
  open(500);
  const std::vector<TokenId> prompt = random_tokens(1, 1500);  // of more than one step
  submit_for("one", prompt);
  submit_for("two", prompt);
  engine_->step();
  const Snapshot taken = look();
  ASSERT_EQ(taken.sequences.size(), 2U);
  EXPECT_EQ(taken.sequences[0].state, SequenceState::prompt);
  EXPECT_EQ(taken.sequences[1].state, SequenceState::waits_prompt);
  EXPECT_EQ(taken.sequences[1].behind, taken.sequences[0].id);
}

TEST_F(SnapshotTest, WhoHasNoPagesWaitsForThem) {
  open(9);
  submit_for("one", random_tokens(1, 100));  // 7 pages, 8 in the end
  submit_for("two", random_tokens(2, 60));
  engine_->step();
  EXPECT_EQ(look().sequences[1].state, SequenceState::waits_pages);
  run();
}

TEST_F(SnapshotTest, ManyClientsAreCut) {
  open(500);
  for (std::size_t i = 0; i < kSnapshotClients + 7; ++i) submit_for("c" + std::to_string(i), random_tokens(i, 5));
  run();
  const Snapshot taken = engine_->snapshot();
  EXPECT_EQ(taken.clients.size(), kSnapshotClients);
  EXPECT_EQ(taken.clients_known, kSnapshotClients + 7);
}

}  // namespace
}  // namespace plait::engine
