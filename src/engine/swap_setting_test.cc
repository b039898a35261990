// SPDX-License-Identifier: Apache-2.0
#include "engine/swap_setting.h"

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "testing/scripted_runner.h"
#include "testing/temp_dir.h"

namespace plait::engine {
namespace {

using enum base::ErrorCode;

TEST(SwapSetting, SaysWhatIsAllowed) {
  for (const char* text : {"none", "recompute"}) {
    const auto setting = parse_swap_setting(text, 0);
    ASSERT_TRUE(setting);
    EXPECT_TRUE(setting->folder.empty());
  }
  EXPECT_EQ(parse_swap_setting("file:/a b", 5)->folder, "/a b");
  for (const char* text : {"", "file", "file:", "File:/tmp", "pinned", " none"}) {
    EXPECT_EQ(parse_swap_setting(text, 1 << 20).error().code, invalid_argument) << text;
  }
  EXPECT_EQ(parse_swap_setting("file:/tmp", 0).error().code, invalid_argument);
}

TEST(SwapSetting, EachWayAddsAPart) {
  const testing::TempDir folder;
  testing::VirtualClock clock;
  testing::ScriptedRunner runner({}, clock);
  const auto options_of = [&](std::string_view name) {
    const auto tiers = SwapTiers::make({folder.path(), 1 << 20, *swap_way(name)}, runner.layout());
    EXPECT_TRUE(tiers);
    return tiers->options();
  };
  int parts = 0;
  for (const char* name : {"pages", "runs", "async", "reuse"}) {
    const KvSwapOptions options = options_of(name);
    EXPECT_EQ(options.wait == SwapWait::adaptive, !options.wait_out);
    EXPECT_EQ(int(options.manager.join_pages) + int(!options.wait_out) + int(options.manager.reuse), parts++) << name;
  }
  EXPECT_FALSE(swap_way("asynchronous"));
}

TEST(SwapSetting, TiersOfAFileServeAnEngine) {
  const testing::TempDir folder;
  testing::VirtualClock clock;
  for (const std::size_t window : {0U, 40U}) {
    testing::ScriptedRunner runner({.window = window}, clock);
    EXPECT_EQ(SwapTiers::make({folder.path(), 100}, runner.layout()).error().code, invalid_argument);
    EXPECT_EQ(SwapTiers::make({folder.path() / "missing", 1 << 22}, runner.layout()).error().code, not_found);
    EXPECT_EQ(SwapTiers::make({}, runner.layout())->pages(), 0U);
    const auto tiers = SwapTiers::make({folder.path(), 1 << 22}, runner.layout());
    ASSERT_TRUE(tiers) << tiers.error().message;
    EXPECT_EQ(tiers->pages(), window == 0 ? 1024U : 512U);
    EngineOptions options{.kv_bytes = 30 * 8192, .swap = tiers->options()};
    options.swap.choice = SwapChoice::swap;
    auto engine = Engine::make(runner, options, clock);
    ASSERT_TRUE(engine) << engine.error().message;
    for (std::int32_t i = 0; i < 8; ++i) {
      ASSERT_TRUE((*engine)->submit({.prompt = std::vector(60, base::TokenId(i)), .generate = {.tokens_max = 120}}));
    }
    while ((*engine)->step()) (*engine)->check_invariants();
    EXPECT_GT((*engine)->counters().swap.swap_ins, 0U);
    EXPECT_EQ((*engine)->counters().swap.recomputes, 0U);
    EXPECT_EQ(runner.rows, 8 * (60U + 119));  // nothing is computed twice
  }
}

}  // namespace
}  // namespace plait::engine
