// SPDX-License-Identifier: Apache-2.0
#include "reasoning/group_think.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "reasoning/thinking_test_fixture.h"

namespace plait::reasoning {
namespace {

/// Thinkers who name letters; thinker n takes the n-th one that is written nowhere yet.
class GroupThinkTest : public ThinkingTest {
 protected:
  GroupThinkTest() {
    speak_ = [](std::string_view text) -> std::optional<std::string> {
      const std::size_t begin = text.find("[A]");
      if (begin == std::string_view::npos) return std::nullopt;
      const std::string_view said = text.substr(begin + 3);
      if (said.find("Answer") != std::string_view::npos) return std::nullopt;
      const std::size_t own = said.rfind("Thinker ");
      if (own == std::string_view::npos || own + 9 >= said.size()) return std::nullopt;
      auto skip = static_cast<std::size_t>(said[own + 8] - '1');
      for (char c = 'A'; c <= 'P'; ++c) {
        if (said.find(std::string{'<', c, '>'}) != std::string_view::npos || said.ends_with(std::string{'<', c}))
          continue;
        if (said.ends_with("<")) {
          if (skip-- == 0) return std::string(1, c);
        }
      }
      if (!said.empty() && said.back() >= 'A' && said.back() <= 'P' && said[said.size() - 2] == '<') return ">";
      if (said.ends_with("<")) return "-";
      for (char c = 'A'; c <= 'P'; ++c) {
        if (said.find(std::string{'<', c, '>'}) == std::string_view::npos) return "<";
      }
      return std::string();
    };
  }

  [[nodiscard]] static std::set<char> letters(const Thought& thought) {
    std::set<char> all;
    for (const ThoughtPath& path : thought.paths) {
      for (std::size_t i = 1; i + 1 < path.text.size(); ++i) {
        if (path.text[i - 1] == '<' && path.text[i + 1] == '>') all.insert(path.text[i]);
      }
    }
    return all;
  }
};

TEST_F(GroupThinkTest, ThinkersSeeEachOthersTokensAndDivideTheWork) {
  std::size_t alone = 0;
  for (const std::size_t thinkers : {1U, 2U, 4U}) {
    for (const char* layout : {"slots", "last"}) {
      const auto thought =
          think(*make("group-think", {{"thinkers", thinkers}, {"budget", 100}, {"layout", layout}, {"answer", false}}),
                question("letters"));
      ASSERT_TRUE(thought) << thought.error().message;
      EXPECT_EQ(letters(*thought).size(), 16U) << thinkers << layout;
      EXPECT_EQ(thought->paths.size(), thinkers);
      const std::size_t steps = thought->spending().critical_path_tokens;
      if (thinkers == 1) alone = steps;
      EXPECT_LE(static_cast<double>(steps), 1.2 * static_cast<double>(alone) / static_cast<double>(thinkers) + 4);
    }
  }
}

// The second thinker sees what the first one says in the same step, and not the other way round.
TEST_F(GroupThinkTest, UnderACausalMaskThoseBehindAreSeenAStepLater) {
  speak_ = [](std::string_view text) -> std::optional<std::string> {
    const std::size_t begin = text.find("[A]");
    if (begin == std::string_view::npos) return std::nullopt;
    const std::string_view said = text.substr(begin + 3);
    const std::size_t names = static_cast<std::size_t>(std::ranges::count(said, ':'));
    const std::size_t heard = said.size() - names * std::string_view("Thinker 1:").size();
    return heard < 40 ? std::string(1, static_cast<char>('0' + heard % 10)) : std::string();
  };
  for (const char* mask : {"step", "causal"}) {
    const auto thought = think(
        *make("group-think", {{"thinkers", 2}, {"budget", 40}, {"mask", mask}, {"answer", false}}), question("count"));
    ASSERT_TRUE(thought) << thought.error().message;
    // Tokens of both that a thinker sees when it says its next one: 2k each under the step mask, one less for the first
    // one where what the second feeds comes late. Names are fed in the first step, where the second's is late as well.
    const bool causal = std::string_view(mask) == "causal";
    EXPECT_EQ(thought->paths[0].text.substr(0, 5), causal ? "01357" : "02468") << mask;
    EXPECT_EQ(thought->paths[1].text.substr(0, 5), "02468") << mask;
  }
  EXPECT_EQ(all_strategies().make("group-think", {{"mask", "causal"}, {"layout", "last"}}).error().code,
            base::ErrorCode::invalid_argument);
}

TEST_F(GroupThinkTest, OneRowReadsAllAndAnswers) {
  say("Answer, from all that the thinkers have found:", " sixteen letters");
  const auto thought = think(*make("group-think", {{"thinkers", 2}, {"budget", 100}}), question("letters"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->answer, " sixteen letters");
  EXPECT_EQ(thought->selector, "one row that reads all");
  const CallRecord& last = thought->calls.back();
  EXPECT_EQ(last.prefilled_tokens, std::string("\n\nAnswer, from all that the thinkers have found:").size());
}

TEST_F(GroupThinkTest, RefusesWhatDoesNotFit) {
  open({.context = 200});
  EXPECT_EQ(code(think(*make("group-think", {{"thinkers", 16}}), question(std::string(60, 'x')))),
            base::ErrorCode::invalid_argument);
  ThinkOptions options = question("q");
  options.tokens_max = 3;
  EXPECT_EQ(code(think(*make("group-think"), options)), base::ErrorCode::invalid_argument);
}

TEST_F(GroupThinkTest, EndsWithWhatWasReachedWhenItIsCancelledOrLate) {
  const auto strategy = make("group-think", {{"thinkers", 3}});
  for (std::size_t steps = 0; steps < 12; ++steps) {
    const Value<Thought> thought = start(*strategy, question("letters"));
    for (std::size_t i = 0; i < steps; ++i) step();
    thinking_->cancel();
    ASSERT_TRUE(thought.ready()) << steps;
    ASSERT_TRUE(thought.result()) << thought.result().error().message;
    EXPECT_EQ(thought.result()->reason, engine::EndReason::cancelled);
  }
  ThinkOptions options = question("letters");
  options.deadline = clock_.now() + 0.2;
  const auto thought = think(*strategy, options);
  ASSERT_TRUE(thought);
  EXPECT_EQ(thought->reason, engine::EndReason::deadline);
  EXPECT_FALSE(letters(*thought).empty());
}

}  // namespace
}  // namespace plait::reasoning
