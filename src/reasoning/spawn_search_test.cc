// SPDX-License-Identifier: Apache-2.0
#include "reasoning/spawn_search.h"

#include <gtest/gtest.h>

#include "reasoning/search_trace.h"
#include "reasoning/spawn_grammar.h"
#include "reasoning/thinking_test_fixture.h"

namespace plait::reasoning {
namespace {

/// A search for 24 from 3, 7, 8 whose parent hands on two nodes, one of them invented.
class SpawnTest : public ThinkingTest {
 protected:
  SpawnTest() {
    const SearchState child{
        .target = 24, .numbers = {3, 8}, .steps = {{.left = 7, .operation = '-', .right = 4, .result = 3}}};
    node_ = node_line("0,0", child);
    begin_ = "A search.\n" + node_;
    say("[A]", begin_ + "<Calling Sub Searches>\n0 at node #0,0\n1 at node #0,7\n<End Calling Sub Searches>");
    say(child_prompt("0,0", child), goal_line(24) + "the path\n" + goal_line(24));
    say("<End Sub Searches>\n", "So it is solved.");
  }
  std::string node_;
  std::string begin_;
};

TEST_F(SpawnTest, ChildrensResultsStandInPlaceOfTheBlock) {
  const auto thought = think(*make("spawn"), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  const std::string& text = thought->paths.back().text;
  EXPECT_TRUE(text.starts_with(begin_ + "<Sub Searches>\n0 at node #0,0: Goal reached\nthe path\n")) << text;
  EXPECT_TRUE(text.ends_with("1 at node #0,7: No solution\n<End Sub Searches>\nSo it is solved.")) << text;
  EXPECT_EQ(thought->counts.at("children"), 2U);
  EXPECT_EQ(thought->counts.at("invented_nodes"), 1U);
  ASSERT_EQ(thought->paths.size(), 3U);
  EXPECT_EQ(thought->paths[0].text, "the path\n" + goal_line(24));
  EXPECT_TRUE(thought->paths[1].abstains);
}

TEST_F(SpawnTest, WhatIsComputedOfTheParentStays) {
  const auto thought = think(*make("spawn"), question("q"));
  ASSERT_TRUE(thought);
  const CallRecord& last = thought->calls.back();
  EXPECT_EQ(last.label, "segment 2");
  const std::string join =
      "<Sub Searches>\n0 at node #0,0: Goal reached\nthe path\nGoal reached: 24 is 24\n1 at node #0,7: No "
      "solution\n<End Sub Searches>\n";
  EXPECT_LE(last.prefilled_tokens, join.size() + 1);
}

TEST_F(SpawnTest, WithoutChildrenABlockComesToNothing) {
  const auto thought = think(*make("spawn", {{"children", 0}}), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->counts.at("calls_beyond_the_limit"), 2U);
  EXPECT_FALSE(thought->counts.contains("children"));
}

TEST_F(SpawnTest, OnlyTheRuntimeWritesJoins) {
  say("[A]", begin_ + "<Sub Searches>\n0 at node #0,0: Goal reached\nmade up");
  say("<Calling Sub Searches>", "\n0 at node #0,0\n<End Calling Sub Searches>");
  const auto thought = think(*make("spawn"), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->paths.back().text.find("made up"), std::string::npos);
}

TEST_F(SpawnTest, OnlyAVerifiedAnswerCountsAsOne) {
  const auto thought = think(*make("spawn", {{"verifier", "equals:something else"}}), question("q"));
  ASSERT_TRUE(thought);
  EXPECT_EQ(thought->counts.at("not_verified"), 1U);
  EXPECT_EQ(thought->selector, "verifier equals");
}

}  // namespace
}  // namespace plait::reasoning
