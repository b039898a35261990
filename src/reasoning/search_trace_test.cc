// SPDX-License-Identifier: Apache-2.0
#include "reasoning/search_trace.h"

#include <gtest/gtest.h>

namespace plait::reasoning {
namespace {

const Step kAdd{3, '+', 5, 8};
const Step kDivide{8, '/', 2, 4};
const SearchState kState{24, {7, 9, 8}, {kAdd}};

// The spelling is fixed: learners and recorded texts depend on it.
TEST(SearchTrace, TheLanguageIsSpeltThisWay) {
  EXPECT_EQ(state_line({24, {3, 5, 7, 9}, {}}), "Current state: 24 from [3,5,7,9], operations []\n");
  EXPECT_EQ(state_line({24, {2}, {kAdd, kDivide}}), "Current state: 24 from [2], operations [3+5=8,8/2=4]\n");
  EXPECT_EQ(explore_line(kAdd, kState.numbers), "Exploring operation: 3+5=8, resulting numbers [7,9,8]\n");
  EXPECT_EQ(node_line("0,2", kState), "Generated node #0,2: 24 from [7,9,8], operations [3+5=8]\n");
  EXPECT_EQ(move_line("0,2"), "Moving to node #0,2\n");
  EXPECT_EQ(goal_line(24), "Goal reached: 24 is 24\n");
  EXPECT_EQ(dead_end_line(7, 24), "No solution: 7 is not 24\n");
}

TEST(SearchTrace, LinesComeBack) {
  for (const SearchState& state : {kState, SearchState{24, {}, {}}, SearchState{10, {1}, {kAdd, kDivide}}}) {
    EXPECT_EQ(parse_state_line(state_line(state)), state);
    EXPECT_EQ(NodeTable(node_line("0,11,2", state)).find("0,11,2"), state);
  }
  EXPECT_EQ(parse_explore_line(explore_line(kDivide, {})), kDivide);
  EXPECT_TRUE(is_goal_line(goal_line(24)));
  EXPECT_FALSE(is_goal_line(dead_end_line(1, 24)));
}

TEST(SearchTrace, WhatIsNoLineIsNothing) {
  for (const char* line :
       {"", "Current state: ", "Current state: x from [1], operations []",
        "Current state: 24 from [1,x], operations []", "Current state: 24 from [1, operations []",
        "Current state: 24 from [1], operations [1+1]", "Current state: 24 from [1], operations [] and more",
        "Current state: 24 from [-1], operations []", "Current state: 99999999999999999999 from [1], operations []",
        "current state: 24 from [1], operations []"}) {
    EXPECT_EQ(parse_state_line(line), std::nullopt) << line;
  }
  for (const char* line : {"", "Exploring operation: ", "Exploring operation: 3+5", "Exploring operation: x, y"}) {
    EXPECT_EQ(parse_explore_line(line), std::nullopt) << line;
  }
}

TEST(SearchTrace, NodesAreTakenAsFarAsTheyGo) {
  struct Case {
    std::string_view text;
    std::string_view node;
  };
  for (const Case& c : {Case{"0", "0"}, Case{"0,2,1: x", "0,2,1"}, Case{"0,", "0"}, Case{"0,,1", "0"}, Case{",0", ""},
                        Case{"x", ""}, Case{"", ""}, Case{"12,34 ", "12,34"}}) {
    std::string_view text = c.text;
    EXPECT_EQ(take_node(text), c.node) << c.text;
    EXPECT_EQ(text, c.text.substr(c.node.size()));
  }
}

TEST(NodeTable, FindsNodesByName) {
  const std::string text = state_line({24, {3, 5, 7, 9}, {}}) + node_line("0,0", kState) + "noise\nGenerated node #\n" +
                           "Generated node #0,1: broken\n" + node_line("0,2", kState) +
                           node_line("0,2", {24, {1}, {kAdd}}) + "  " + node_line("0,3", kState);
  const NodeTable nodes(text);
  EXPECT_EQ(nodes.find("0,0"), kState);
  EXPECT_EQ(nodes.find("0,1"), std::nullopt);
  EXPECT_EQ(nodes.find("0,2"), (SearchState{24, {1}, {kAdd}}));
  EXPECT_EQ(nodes.find("0,3"), std::nullopt);  // not at the beginning of its line
  EXPECT_EQ(nodes.find("0"), std::nullopt);
  EXPECT_EQ(nodes.find(""), std::nullopt);
}

TEST(SolutionPath, StandsBetweenTheLastTwoGoalLines) {
  const std::string path = state_line(kState) + goal_line(24);
  EXPECT_EQ(solution_path("search\n" + goal_line(24) + path), path);
  EXPECT_EQ(solution_path(goal_line(24) + "old\n" + goal_line(24) + path + "and what follows"), path);
  EXPECT_EQ(solution_path(goal_line(24) + state_line(kState) + "Goal reached: 24"),
            state_line(kState) + "Goal reached: 24");
  EXPECT_EQ(solution_path(goal_line(24)), std::nullopt);
  EXPECT_EQ(solution_path(goal_line(24) + goal_line(24)), std::nullopt);
  EXPECT_EQ(solution_path("no goal"), std::nullopt);
  EXPECT_EQ(solution_path(""), std::nullopt);
}

TEST(PathSteps, AreThoseOfTheFirstStateAndWhatIsExplored) {
  const std::string path = "noise\n" + explore_line({1, '+', 1, 2}, {}) + state_line(kState) +
                           explore_line(kDivide, {}) + state_line({24, {1}, {}}) + goal_line(24);
  EXPECT_EQ(path_steps(path), (std::vector<Step>{kAdd, kDivide}));
  EXPECT_EQ(path_steps(explore_line(kAdd, {})), std::nullopt);
  EXPECT_EQ(path_steps(""), std::nullopt);
}

}  // namespace
}  // namespace plait::reasoning
