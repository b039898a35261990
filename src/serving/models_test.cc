// SPDX-License-Identifier: Apache-2.0
#include "serving/models.h"

#include <atomic>
#include <chrono>
#include <future>

#include "serving/api_test_fixture.h"

namespace plait::serving {
namespace {

using State = ModelStanding::State;

/// Three models of 16 MiB each, of which `bytes_max` holds so many.
class ServedModelsTest : public ::testing::Test {
 protected:
  void open(std::size_t room, double keep_alive = 1000, double wait_max = 1000) {
    models_ = std::make_unique<ServedModels>(
        engines_, ServedModelsOptions{.offers = {{.name = "a", .aliases = {"first", "b"}, .bytes = 1 << 24},
                                                 {.name = "b", .bytes = 1 << 24},
                                                 {.name = "bad", .bytes = 1 << 24},
                                                 {.name = "huge", .bytes = 1 << 30}},
                                      .usual = "a",
                                      .make = [this](const ModelOffer& offer, base::Bytes) { return make(offer.name); },
                                      .bytes_max = room << 24U,
                                      .keep_alive = keep_alive,
                                      .wait_max = wait_max});
    thread_ = std::jthread([&] { engines_.run(); });
  }
  void TearDown() override {
    engines_.stop();
    if (thread_.joinable()) thread_.join();
  }
  base::Result<std::unique_ptr<ReadyModel>> make(const std::string& name) {
    ++made_;
    if (name == "bad") return base::fail(base::ErrorCode::invalid_data, "the file is damaged");
    return std::make_unique<TinyModel>();
  }
  std::future<Accepted<ModelLease>> ask(std::string_view name, std::optional<double> keep_alive = {}) {
    std::promise<Accepted<ModelLease>> promise;
    auto future = promise.get_future();
    models_->acquire(name, keep_alive, [promise = std::move(promise)](Accepted<ModelLease> lease) mutable {
      promise.set_value(std::move(lease));
    });
    return future;
  }
  State state(std::size_t model) { return models_->list()[model].state; }

  EngineThread engines_;
  std::unique_ptr<ServedModels> models_;
  std::atomic<int> made_ = 0;
  std::jthread thread_;
};

TEST_F(ServedModelsTest, NamesAliasesAndNothingFindAModel) {
  open(3);
  EXPECT_EQ(models_->find("a"), "a");
  EXPECT_EQ(models_->find(""), "a");
  EXPECT_EQ(models_->find("first"), "a");
  EXPECT_EQ(models_->find("first:latest"), "a");
  EXPECT_EQ(models_->find("b"), "b");  // a name is stronger than another's alias
  const auto none = models_->find("c\x01");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().status, 404);
  EXPECT_EQ(none.error().code, "model_not_found");
  EXPECT_EQ(ask("c").get().error(), models_->find("c").error());
}

TEST_F(ServedModelsTest, AModelIsLoadedOnceForAllWhoWait) {
  open(3);
  auto first = ask("b");
  auto second = ask("b");
  const auto one = first.get();
  const auto two = second.get();
  ASSERT_TRUE(one && two);
  EXPECT_EQ((*one)->loop, (*two)->loop);
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(state(1), State::ready);
  EXPECT_EQ(state(0), State::absent);
  EXPECT_EQ(models_->list()[1].leases, 2U);
}

TEST_F(ServedModelsTest, WhatNobodyUsesMakesRoom) {
  open(1);
  ask("a").get();
  ASSERT_TRUE(ask("b").get());
  EXPECT_EQ(state(0), State::absent);
  EXPECT_EQ(state(1), State::ready);
}

TEST_F(ServedModelsTest, WhatIsUsedIsWaitedFor) {
  open(1);
  auto used = ask("a").get();
  ASSERT_TRUE(used);
  auto waits = ask("b");
  EXPECT_EQ(waits.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  used->reset();
  EXPECT_TRUE(waits.get());
}

TEST_F(ServedModelsTest, ButNotForEver) {
  open(1, 1000, 0.1);
  const auto used = ask("a").get();
  const auto refused = ask("b").get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 503);
  EXPECT_EQ(refused.error().code, "overloaded");
}

TEST_F(ServedModelsTest, WhatNeverFitsIsRefusedAtOnce) {
  open(2);
  const auto refused = ask("huge").get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "huge takes at least 1.0 GiB of memory; 0 B of 32.0 MiB are in use");
}

TEST_F(ServedModelsTest, AModelThatCannotBeLoadedSaysWhyAndMayBeAskedAgain) {
  open(3);
  const auto refused = ask("bad").get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "bad cannot be loaded: the file is damaged");
  EXPECT_FALSE(ask("bad").get());
  EXPECT_EQ(made_, 2);
}

TEST_F(ServedModelsTest, IdleModelsGoAfterTheirTimeTheUsualOneStays) {
  open(3, 0);
  ask("a").get();
  ask("b").get();
  EXPECT_TRUE(comes([&] { return state(1) == State::absent; }));
  EXPECT_EQ(state(0), State::ready);
  ask("b", 1000).get();
  const auto left = models_->list()[1].seconds_left;
  ASSERT_TRUE(left);
  EXPECT_NEAR(*left, 1000, 10);
  ask("b", -1).get();
  EXPECT_FALSE(models_->list()[1].seconds_left);
}

TEST_F(ServedModelsTest, CountersSurviveTheirModel) {
  open(1);
  {
    const auto lease = ask("a").get();
    std::promise<void> done;
    (*lease)->loop->post([&](engine::Engine& engine) {
      EXPECT_TRUE(engine.submit({.prompt = {base::TokenId(1)}, .generate = {.tokens_max = 3}}));
      while (engine.step()) {
      }
      done.set_value();
    });
    done.get_future().get();
    ASSERT_TRUE(comes([&] { return models_->counters().steps > 0; }));  // the thread tells after the work
  }
  EXPECT_TRUE(ask("b").get());
  EXPECT_GT(models_->counters().steps, 0U);
}

}  // namespace
}  // namespace plait::serving
