// SPDX-License-Identifier: Apache-2.0
#include "reasoning/spawn_grammar.h"

#include <gtest/gtest.h>

namespace plait::reasoning {
namespace {

using Ending = SpawnBlock::Ending;
using Calls = std::vector<SpawnCall>;

const SearchState kRoot{24, {3, 5, 7, 9}, {}};
const SearchState kFirst{24, {7, 9, 8}, {{3, '+', 5, 8}}};
const SearchState kSecond{24, {5, 9, 21}, {{3, '*', 7, 21}}};

std::string before_block() { return state_line(kRoot) + node_line("0,0", kFirst) + node_line("0,1", kSecond); }

std::string spawning(const std::string& lines) {
  return before_block() + "<Calling Sub Searches>\n" + lines + "<End Calling Sub Searches>";
}

constexpr const char* kTwoCalls = "0 at node #0,0\n1 at node #0,1\n";

TEST(SpawnBlock, IsSpeltThisWay) {
  const Calls calls{{0, "0,0"}, {1, "0,1"}};
  EXPECT_EQ(before_block() + spawn_block(calls), spawning(kTwoCalls));
  EXPECT_EQ(parse_spawn(spawn_block(calls), 2).calls, calls);
  EXPECT_EQ(spawn_block({}), "<Calling Sub Searches>\n<End Calling Sub Searches>");
}

TEST(ParseSpawn, ReadsTheBlockAtTheEnd) {
  for (const char* behind : {"", "\n", " \n\n"}) {
    const SpawnBlock block = parse_spawn(spawning(kTwoCalls) + behind, 10);
    EXPECT_EQ(block.ending, Ending::closed);
    EXPECT_EQ(block.begin, before_block().size());
    EXPECT_EQ(block.calls, (Calls{{0, "0,0"}, {1, "0,1"}}));
    EXPECT_EQ(block.doubled + block.unreadable + block.beyond, 0U);
  }
}

TEST(ParseSpawn, WhatDoesNotCountIsCounted) {
  const SpawnBlock block = parse_spawn(
      spawning("0 at node #0,0\n1 at node #0,0\n0 at node #0,1\n2 at node #\nso\n-1 at node #0,1\n3 at node #0,1 now\n"
               "\n 4 at node #0,7 \n5 at node #0,8\n6 at node #0,9\n"),
      3);
  EXPECT_EQ(block.ending, Ending::closed);
  EXPECT_EQ(block.calls, (Calls{{0, "0,0"}, {4, "0,7"}, {5, "0,8"}}));
  EXPECT_EQ(block.doubled, 2U);
  EXPECT_EQ(block.unreadable, 4U);
  EXPECT_EQ(block.beyond, 1U);
}

TEST(ParseSpawn, HowATextMayEnd) {
  const std::string block = spawning(kTwoCalls);
  EXPECT_EQ(parse_spawn("", 10).ending, Ending::none);
  EXPECT_EQ(parse_spawn(before_block(), 10).ending, Ending::none);
  EXPECT_EQ(parse_spawn(block + "\nmore", 10).ending, Ending::none);
  EXPECT_EQ(parse_spawn(before_block() + "<Calling Sub Searches>\n0 at node", 10).ending, Ending::unclosed);
  EXPECT_EQ(parse_spawn(before_block() + "<End Calling Sub Searches>", 10).ending, Ending::unopened);
  EXPECT_EQ(parse_spawn(block + "\n<End Calling Sub Searches>", 10).ending, Ending::unopened);
  EXPECT_EQ(parse_spawn(spawning(""), 10).ending, Ending::closed);
  EXPECT_TRUE(parse_spawn(spawning(""), 10).calls.empty());
  const SpawnBlock second =
      parse_spawn(block + "\n<Calling Sub Searches>\n7 at node #0,1\n<End Calling Sub Searches>", 10);
  EXPECT_EQ(second.calls, (Calls{{7, "0,1"}}));
  EXPECT_EQ(second.begin, block.size() + 1);
}

TEST(SpawnChildren, HaveTheStateOfTheParentsOwnText) {
  // What stands in the block, or behind it, is no place to invent nodes.
  const std::string text = spawning("1 at node #0,1\n" + node_line("0,5", kFirst) + "0 at node #0,0\n2 at node #0,5\n");
  const SpawnBlock block = parse_spawn(text, 10);
  EXPECT_EQ(block.unreadable, 1U);
  const auto children = spawn_children(text, block);
  ASSERT_EQ(children.size(), 3U);
  EXPECT_EQ(children[0].state, kSecond);
  EXPECT_EQ(children[1].state, kFirst);
  EXPECT_EQ(children[2].call, (SpawnCall{2, "0,5"}));
  EXPECT_EQ(children[2].state, std::nullopt);
  EXPECT_EQ(child_prompt("0,1", kSecond),
            "Moving to node #0,1\nCurrent state: 24 from [5,9,21], operations [3*7=21]\n");
}

TEST(SpawnInsteadOfJoin, OnlyAtTheEnd) {
  EXPECT_EQ(spawn_instead_of_join("a\n<Sub Searches>"), "a\n<Calling Sub Searches>");
  EXPECT_EQ(spawn_instead_of_join("<Sub Searches>\n"), "<Calling Sub Searches>");
  for (const char* text : {"", "a", "<Sub Searches> a", "<Calling Sub Searches>", "<End Sub Searches>"}) {
    EXPECT_EQ(spawn_instead_of_join(text), std::nullopt) << text;
  }
}

// The spelling of a join, byte by byte.
TEST(JoinedText, ReplacesTheBlockByTheResults) {
  const std::string text = spawning(kTwoCalls) + "\n";
  const SpawnBlock block = parse_spawn(text, 10);
  const std::string path = state_line(kSecond) + goal_line(24);
  const std::vector<SubSearchResult> results{{block.calls[0], std::nullopt}, {block.calls[1], path}};
  EXPECT_EQ(joined_text(text, block, results), before_block() +
                                                   "<Sub Searches>\n"
                                                   "0 at node #0,0: No solution\n"
                                                   "1 at node #0,1: Goal reached\n"
                                                   "Current state: 24 from [5,9,21], operations [3*7=21]\n"
                                                   "Goal reached: 24 is 24\n"
                                                   "<End Sub Searches>\n");
  EXPECT_EQ(join_block({}), "<Sub Searches>\n<End Sub Searches>\n");
  const SubSearchResult open_line{{0, "0,0"}, "no end of line"};
  EXPECT_EQ(join_block(std::vector{open_line}),
            "<Sub Searches>\n0 at node #0,0: Goal reached\nno end of line\n<End Sub Searches>\n");
}

TEST(JoinedText, IsNoBlockItselfAndAddsNoGoalOfTheParents) {
  const std::string text = spawning(kTwoCalls);
  const SpawnBlock block = parse_spawn(text, 10);
  const std::vector<SubSearchResult> results{{block.calls[0], state_line(kFirst) + goal_line(24)}};
  const std::string joined = joined_text(text, block, results);
  EXPECT_EQ(parse_spawn(joined, 10).ending, Ending::none);
  EXPECT_EQ(solution_path(joined), std::nullopt);  // the parent has said nothing yet
  const std::string own = state_line(kRoot) + goal_line(24);
  EXPECT_EQ(solution_path(joined + goal_line(24) + own), own);
}

TEST(SpawnGrammar, LongTextsTakeLinearTime) {
  for (const std::string part : {"<Calling Sub Searches>", "<End Calling Sub Searches>", "0 at node #0,0\n", "\n", "0,",
                                 "Generated node #0,0: 1 from [", "Goal reached: "}) {
    std::string text = "<Calling Sub Searches>";
    while (text.size() < (1U << 20U)) text += part;
    text += "<End Calling Sub Searches>";
    const SpawnBlock block = parse_spawn(text, 10);
    EXPECT_LE(block.calls.size(), 10U);
    if (block.ending == Ending::closed) {
      EXPECT_LE(spawn_children(text, block).size(), 10U);
    }
    static_cast<void>(NodeTable(text).find("0,0"));
    static_cast<void>(solution_path(text));
  }
}

}  // namespace
}  // namespace plait::reasoning
