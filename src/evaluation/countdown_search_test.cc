// SPDX-License-Identifier: Apache-2.0
#include "evaluation/countdown_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace plait::evaluation {
namespace {

using reasoning::SearchState;
using reasoning::Step;

const CountdownProblem kThree{{3, 5, 9}, 24};  // 3*5+9

std::vector<CountdownProblem> problems(std::size_t numbers, std::size_t count) {
  return countdown_problems({.numbers = numbers, .seed = 21}, count).value();
}

TEST(TaskTokens, AreDigitsWordsAndSigns) {
  const std::string line = reasoning::state_line({24, {3, 15}, {}});
  EXPECT_EQ(task_tokens(line), (std::vector<std::string_view>{"Current", "state", ":", "2", "4", "from", "[", "3", ",",
                                                              "1", "5", "]", ",", "operations", "[", "]", "\n"}));
  EXPECT_EQ(count_task_tokens(line), 17U);
  EXPECT_EQ(first_task_tokens(line, 4), "Current state: 2");
  EXPECT_EQ(first_task_tokens(line, 17), line);
  EXPECT_EQ(first_task_tokens(line, 100), line);
  EXPECT_EQ(first_task_tokens(line, 0), "");
  EXPECT_EQ(count_task_tokens("  "), 0U);
}

// The vocabulary of learners: what all searches together write.
TEST(TaskTokens, TheLanguageHasFortySix) {
  std::set<std::string> words;
  const auto add = [&](const std::string& text) {
    for (const std::string_view token : task_tokens(text)) words.insert(std::string(token));
  };
  for (const CountdownProblem& problem : problems(4, 30)) {
    add(depth_first_text(problem).text);
    const SpawnedSearch search = spawned_search(problem, {.beam = 6, .seed = 1});
    add(search.text);
    for (const SpawnedSegment& segment : search.segments) add(segment.text);
  }
  EXPECT_EQ(words.size(), 46U);
}

TEST(PathText, SaysEveryStep) {
  const SearchState root = countdown_root(kThree);
  const std::vector<Step> steps{{5, '*', 3, 15}, {15, '+', 9, 24}};
  EXPECT_EQ(path_text(root, "0", steps),
            "Current state: 24 from [3,5,9], operations []\n"
            "Exploring operation: 5*3=15, resulting numbers [9,15]\n"
            "Moving to node #0,7\n"
            "Current state: 24 from [9,15], operations [5*3=15]\n"
            "Exploring operation: 15+9=24, resulting numbers [24]\n"
            "Goal reached: 24 is 24\n");
  const SearchState later{24, {9, 15}, {steps[0]}};
  EXPECT_EQ(path_text(later, "0,3", steps),
            "Current state: 24 from [9,15], operations [5*3=15]\n"
            "Exploring operation: 15+9=24, resulting numbers [24]\n"
            "Goal reached: 24 is 24\n");
  EXPECT_EQ(reasoning::path_steps(path_text(later, "0,3", steps)), steps);
}

const CountdownProblem kTwelve{{3, 5, 9}, 12};  // (9-5)*3, which is what all of them look at first
constexpr const char* kTwelvePath =
    "Current state: 12 from [3,5,9], operations []\n"
    "Exploring operation: 9-5=4, resulting numbers [3,4]\n"
    "Moving to node #0,0\n"
    "Current state: 12 from [3,4], operations [9-5=4]\n"
    "Exploring operation: 4*3=12, resulting numbers [12]\n"
    "Goal reached: 12 is 12\n";

TEST(DepthFirst, IsWrittenThisWay) {
  EXPECT_EQ(depth_first_text(kTwelve).text, std::string("Current state: 12 from [3,5,9], operations []\n"
                                                        "Exploring operation: 9-5=4, resulting numbers [3,4]\n"
                                                        "Generated node #0,0: 12 from [3,4], operations [9-5=4]\n"
                                                        "Moving to node #0,0\n"
                                                        "Current state: 12 from [3,4], operations [9-5=4]\n"
                                                        "Exploring operation: 4*3=12, resulting numbers [12]\n"
                                                        "Goal reached: 12 is 12\n") +
                                                kTwelvePath);
}

TEST(DepthFirst, FindsWhatIsThereUnlessItIsLeftOut) {
  std::size_t pruned = 0;
  for (const CountdownProblem& problem : problems(3, 60)) {
    const SearchText whole = depth_first_text(problem, false);
    EXPECT_TRUE(whole.solved);
    const auto path = reasoning::solution_path(whole.text);
    ASSERT_TRUE(path);
    EXPECT_TRUE(is_right_path(problem, *path));
    EXPECT_EQ(*path, path_text(countdown_root(problem), "0", *solve_countdown(problem)));
    pruned += depth_first_text(problem).solved ? 0 : 1;
  }
  EXPECT_GT(pruned, 0U);
  EXPECT_LT(pruned, 30U);
}

TEST(DepthFirst, ComesBackToWhereItGoesOnFrom) {
  // Whatever is explored starts from the numbers of the state line before it.
  for (const CountdownProblem& problem : problems(4, 5)) {
    std::optional<SearchState> state;
    const SearchText search = depth_first_text(problem);
    std::string_view text = search.text;
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(line.size() + 1);
      if (auto read = reasoning::parse_state_line(line)) state = std::move(read);
      if (const auto step = reasoning::parse_explore_line(line)) {
        ASSERT_TRUE(state);
        const auto moves = countdown_moves(*state);
        EXPECT_NE(std::ranges::find(moves, *step, &CountdownMove::step), moves.end()) << line;
      }
    }
  }
}

TEST(BestFirst, EndsWithAPathThatIsRightOrWithoutOne) {
  std::size_t solved = 0;
  for (const CountdownProblem& problem : problems(4, 40)) {
    for (const double nested : {0.0, 0.5, 1.0}) {
      const SearchText search = best_first_text(problem, {.beam = 4, .child_beam = 4, .nested_probability = nested});
      const std::size_t tokens = count_task_tokens(search.text);
      EXPECT_EQ(is_solved_within(problem, search.text, tokens), search.solved);
      EXPECT_FALSE(is_solved_within(problem, search.text, tokens / 2));
      EXPECT_EQ(reasoning::parse_spawn(search.text, 10).ending, reasoning::SpawnBlock::Ending::none);
      solved += search.solved ? 1 : 0;
    }
  }
  EXPECT_GT(solved, 40U);
  EXPECT_LT(solved, 120U);
}

TEST(BestFirst, AWideBeamFindsWhatIsThere) {
  for (const CountdownProblem& problem : problems(3, 40)) {
    EXPECT_TRUE(best_first_text(problem, {.beam = 100, .child_beam = 100, .nested_probability = 0}).solved);
    EXPECT_TRUE(best_first_text(problem, {.beam = 100, .child_beam = 100, .nested_probability = 1}).solved);
  }
}

/// Goes through a spawned search as a runtime does: it sees nothing but texts.
std::string run_again(const SpawnedSearch& search) {
  std::string context = search.prompt;
  for (const SpawnedSegment& segment : search.segments) {
    context += segment.text;
    const auto block = reasoning::parse_spawn(context, 10);
    if (block.ending != reasoning::SpawnBlock::Ending::closed) break;
    const auto children = reasoning::spawn_children(context, block);
    EXPECT_EQ(children.size(), segment.children.size());
    std::vector<reasoning::SubSearchResult> results;
    for (std::size_t i = 0; i < children.size(); ++i) {
      EXPECT_EQ(children[i].call, segment.children[i].call);
      EXPECT_TRUE(children[i].state);
      if (!children[i].state) continue;
      EXPECT_EQ(reasoning::child_prompt(children[i].call.node, *children[i].state), segment.children[i].prompt);
      const auto path = reasoning::solution_path(segment.children[i].text);
      results.push_back({children[i].call, path ? std::optional<std::string>(*path) : std::nullopt});
    }
    context = reasoning::joined_text(context, block, results);
  }
  return context;
}

TEST(SpawnedSearch, IsWhatARuntimeMakesOfItsTexts) {
  std::size_t solved = 0;
  for (const CountdownProblem& problem : problems(4, 40)) {
    for (const std::size_t window : {0U, 300U, 700U, 1500U, 4096U}) {
      BestFirstOptions options = spawning_policy(static_cast<std::uint64_t>(problem.target));
      options.context_tokens = window;
      const SpawnedSearch search = spawned_search(problem, options);
      EXPECT_EQ(run_again(search), search.text);
      const auto path = reasoning::solution_path(search.text);
      EXPECT_EQ(path && is_right_path(problem, *path), search.solved);
      std::size_t total = 0;
      std::size_t sequential = 0;
      for (const SpawnedSegment& segment : search.segments) {
        std::size_t longest = 0;
        for (const SpawnedChild& child : segment.children) {
          longest = std::max(longest, count_task_tokens(child.text));
          total += count_task_tokens(child.text);
          const std::size_t context = count_task_tokens(child.prompt) + count_task_tokens(child.text);
          EXPECT_TRUE(window == 0 || context <= window) << context;
        }
        total += count_task_tokens(segment.text);
        sequential += count_task_tokens(segment.text) + longest;
      }
      EXPECT_EQ(search.total_tokens, total);
      EXPECT_EQ(search.sequential_tokens, sequential);
      solved += search.solved ? 1 : 0;
    }
  }
  EXPECT_GT(solved, 40U);
}

TEST(SpawnedSearch, IsWrittenThisWay) {
  const SpawnedSearch search = spawned_search(kTwelve, {.beam = 2, .child_beam = 2, .nested_probability = 1});
  const std::string looked =
      "Exploring operation: 9-5=4, resulting numbers [3,4]\n"
      "Generated node #0,0: 12 from [3,4], operations [9-5=4]\n"
      "Exploring operation: 9+3=12, resulting numbers [5,12]\n"
      "Generated node #0,1: 12 from [5,12], operations [9+3=12]\n";
  const std::string child_path =
      "Current state: 12 from [3,4], operations [9-5=4]\n"
      "Exploring operation: 4*3=12, resulting numbers [12]\n"
      "Goal reached: 12 is 12\n";
  const std::string said = std::string("Goal reached: 12 is 12\n") + kTwelvePath;
  EXPECT_EQ(search.prompt, "Current state: 12 from [3,5,9], operations []\n");
  ASSERT_EQ(search.segments.size(), 2U);
  EXPECT_EQ(search.segments[0].text,
            looked + "<Calling Sub Searches>\n0 at node #0,0\n1 at node #0,1\n<End Calling Sub Searches>");
  EXPECT_EQ(search.segments[1].text, said);
  ASSERT_EQ(search.segments[0].children.size(), 2U);
  EXPECT_EQ(search.segments[0].children[0].prompt,
            "Moving to node #0,0\nCurrent state: 12 from [3,4], operations [9-5=4]\n");
  EXPECT_EQ(search.segments[0].children[0].text,
            "Exploring operation: 4*3=12, resulting numbers [12]\nGoal reached: 12 is 12\n" + child_path);
  EXPECT_EQ(search.segments[0].children[1].text,
            "Exploring operation: 12-5=7, resulting numbers [7]\nNo solution: 7 is not 12\n"
            "Exploring operation: 12+5=17, resulting numbers [17]\nNo solution: 17 is not 12\n");
  EXPECT_EQ(search.text, search.prompt + looked + "<Sub Searches>\n0 at node #0,0: Goal reached\n" + child_path +
                             "1 at node #0,1: No solution\n<End Sub Searches>\n" + said);
  EXPECT_TRUE(search.solved);
}

TEST(SpawnedSearch, WithoutSpawnsIsTheSerialOne) {
  for (const CountdownProblem& problem : problems(4, 20)) {
    const BestFirstOptions options{.beam = 5, .nested_probability = 0};
    const SpawnedSearch search = spawned_search(problem, options);
    const SearchText serial = best_first_text(problem, options);
    EXPECT_EQ(search.text, serial.text);
    EXPECT_EQ(search.solved, serial.solved);
    EXPECT_EQ(search.children, 0U);
    EXPECT_EQ(search.segments.size(), 1U);
    EXPECT_EQ(search.total_tokens, search.sequential_tokens);
    EXPECT_EQ(search.prompt + search.segments[0].text, search.text);
  }
}

TEST(SpawnedSearch, CallsNoMoreThanItsBudget) {
  for (const CountdownProblem& problem : problems(4, 10)) {
    const SpawnedSearch search =
        spawned_search(problem, {.beam = 9, .nested_probability = 1, .children_max = 3, .seed = 2});
    for (const SpawnedSegment& segment : search.segments) EXPECT_LE(segment.children.size(), 3U);
    EXPECT_GT(search.children, 0U);
  }
}

TEST(Policies, DrawTheirBeams) {
  std::set<std::size_t> serial;
  std::set<std::size_t> spawning;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    serial.insert(serial_policy(seed).beam);
    spawning.insert(spawning_policy(seed).beam);
    EXPECT_EQ(serial_policy(seed).child_beam, serial_policy(seed).beam);
  }
  EXPECT_EQ(serial, (std::set<std::size_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(spawning, (std::set<std::size_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

}  // namespace
}  // namespace plait::evaluation
