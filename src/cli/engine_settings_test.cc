// SPDX-License-Identifier: Apache-2.0
#include "cli/engine_settings.h"

#include <gtest/gtest.h>

#include "testing/scripted_runner.h"
#include "testing/temp_dir.h"

namespace plait::cli {
namespace {

using base::Bytes;
using base::ErrorCode;

Config config_of(std::vector<std::pair<std::string, std::string>> settings) {
  auto config = Config::load({.command_line = std::move(settings)});
  EXPECT_TRUE(config) << config.error().message;
  return config ? *config : Config();
}

class EngineSettingsTest : public ::testing::Test {
 protected:
  testing::VirtualClock clock_;
  testing::ScriptedRunner runner_{{}, clock_};
  testing::TempDir folder_;
};

TEST_F(EngineSettingsTest, MemoryIsWhatIsAskedForOrWhatCanBeFilledOrHalfOfWhatIsFree) {
  const Bytes page = runner_.layout().page_bytes(0);
  constexpr Bytes kPlenty = Bytes{1} << 50;
  EXPECT_EQ(kv_bytes(12345, runner_, {.sequences = 3}, kPlenty), 12345U);
  const Bytes one = kv_bytes(0, runner_, {.sequences = 1}, kPlenty);
  EXPECT_GE(one, runner_.context() / models::kPageTokens * page);
  EXPECT_LE(one, (runner_.context() / models::kPageTokens + 3) * page);
  EXPECT_EQ(kv_bytes(0, runner_, {.sequences = 7}, kPlenty), 7 * one);
  EXPECT_EQ(kv_bytes(0, runner_, {.sequences = 7}, 2 * one), one);
  EXPECT_LT(kv_bytes(0, runner_, {.sequences = 1, .tokens = 40}, kPlenty), 6 * page);
  EXPECT_EQ(kv_bytes(0, runner_, {.sequences = 1}, 1), page);  // never less
  EXPECT_LE(kv_bytes(0, runner_, {.sequences = 1'000'000}, 0), Bytes{1} << 30);
}

TEST_F(EngineSettingsTest, SettingsBecomeOptions) {
  const Config config = config_of({{"kv.bytes", "999999"},
                                   {"kv.group_pages", "5"},
                                   {"kv.swap", "file:" + folder_.path().string()},
                                   {"kv.swap_bytes", "1000000"},
                                   {"kv.swap_way", "pages"},
                                   {"cache.policy", "lru"},
                                   {"scheduler.priority", "arrival"}});
  ASSERT_TRUE(check_engine_settings(config));
  auto settings = EngineSettings::make(config, runner_, {.sequences = 2});
  ASSERT_TRUE(settings) << settings.error().message;
  const EngineSettings moved = *std::move(settings);
  EXPECT_EQ(moved.options().kv_bytes, 999999U);
  EXPECT_EQ(moved.options().group_pages, 5U);
  EXPECT_EQ(moved.options().order, engine::Order::arrival);
  EXPECT_EQ(moved.options().cache.policy, engine::EvictionKind::lru);
  EXPECT_FALSE(moved.options().swap.manager.join_pages);
  ASSERT_NE(moved.options().swap.tiers[0], nullptr);
  EXPECT_GT(moved.options().swap.tiers[0]->slots(), 0U);
  EXPECT_LE(moved.options().swap.tiers[0]->slots() * moved.options().swap.tiers[0]->slot_bytes(), 1'000'000U);
  EXPECT_TRUE(engine::Engine::make(runner_, moved.options(), clock_));

  const auto plain = EngineSettings::make(Config(), runner_, {.sequences = 2});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->options().swap.tiers[0], nullptr);
  EXPECT_EQ(plain->options().order, engine::Order::fair);
}

TEST_F(EngineSettingsTest, WrongOnesAreRefused) {
  const auto code = [&](std::vector<std::pair<std::string, std::string>> settings) {
    return EngineSettings::make(config_of(std::move(settings)), runner_, {}).error().code;
  };
  const std::string here = "file:" + folder_.path().string();
  EXPECT_EQ(code({{"kv.swap", "pinned"}}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({{"kv.swap", here + "/missing"}}), ErrorCode::not_found);
  EXPECT_EQ(code({{"kv.swap", here}, {"kv.swap_bytes", "0"}}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({{"kv.swap", here}, {"kv.swap_bytes", "100"}}), ErrorCode::invalid_argument);
  EXPECT_FALSE(check_engine_settings(config_of({{"kv.swap", "pinned"}})));
  for (const char* text : {"", "disk", "file:", "file", "none ", "FILE:/tmp"}) {
    EXPECT_FALSE(Config::load({.command_line = {{"kv.swap", text}}})) << text;
  }
  for (const char* text : {"random", "markov", ""}) {
    EXPECT_FALSE(Config::load({.command_line = {{"scheduler.priority", text}}})) << text;
  }
  EXPECT_FALSE(Config::load({.command_line = {{"kv.group_pages", "0"}}}));
}

TEST(PreemptionText, SaysNothingAboutNothing) {
  EXPECT_EQ(preemption_text({}), "");
  EXPECT_NE(preemption_text({.preemptions = 3}).find("3 times"), std::string::npos);
  const engine::EngineCounters counters{.preemptions = 3, .swap = {.swap_outs = 2, .operations_out = 17}};
  EXPECT_NE(preemption_text(counters).find("17 writes"), std::string::npos);
  EXPECT_EQ(preemption_json(counters)["writes"], 17);
}

}  // namespace
}  // namespace plait::cli
