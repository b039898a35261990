// SPDX-License-Identifier: Apache-2.0
#include "reasoning/outline_grammar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace plait::reasoning {
namespace {

using Fault = TrajectoryFault;
using Texts = std::vector<std::string>;

constexpr const char* kBlock =
    "<think>Two parts.\n<Parallel>\n<Outlines>\n<Outline>1: 12 x 34</Outline>\n<Outline>2: 56 x 78</Outline>\n"
    "</Outlines>\n<Thread>\n1: 12 x 34 = 408</Thread><Thread>\n2: 56 x 78 = 4368</Thread>\n</Parallel>\nTogether "
    "4776.</think>4776";

/// A block with these insides.
std::string block(const std::string& outlines, const std::string& threads) {
  return "<Parallel><Outlines>" + outlines + "</Outlines>" + threads + "</Parallel>";
}

const std::string kOutline1 = "<Outline>1: a</Outline>";
const std::string kOutline2 = "<Outline>2: b</Outline>";
const std::string kThread1 = "<Thread>\n1: x</Thread>";
const std::string kThread2 = "<Thread>\n2: y</Thread>";

TEST(OutlinesBehind, AreThoseOfTheLastList) {
  const std::string old = "<Outlines><Outline>1: old</Outline></Outlines> then ";
  EXPECT_EQ(outlines_behind(old + "<Outlines>\n<Outline>2: b </Outline>\n<Outline> 1:a</Outline></Outlines>"),
            (std::vector<Outline>{{2, "b"}, {1, "a"}}));
  EXPECT_EQ(outlines_behind(old + "<Outlines><Outline>1: new"), (std::vector<Outline>{{1, "new"}}));
  EXPECT_TRUE(outlines_behind(old + "<Outlines>").empty());
  EXPECT_TRUE(outlines_behind("<Outline>1: a</Outline>").empty());
  EXPECT_TRUE(outlines_behind("").empty());
}

TEST(OutlinesBehind, ReadWhatCanBeRead) {
  EXPECT_EQ(outlines_behind("<Outlines><Outline>1: a<Outline>x: no</Outline><Outline>1: again</Outline>"
                            "<Outline>1234567890: big</Outline><Outline>7:</Outline><Outline>3 no colon</Outline>"
                            "<Outline>-4: no</Outline></Outlines><Outline>5: behind</Outline>"),
            (std::vector<Outline>{{1, "a"}, {7, ""}}));
}

TEST(OutlinesBehind, AreFiftyAtMost) {
  std::string text = "<Outlines>";
  for (int i = 60; i > 0; --i) text += "<Outline>" + std::to_string(i) + ": o</Outline>";
  const auto outlines = outlines_behind(text);
  ASSERT_EQ(outlines.size(), kOutlinesMax);
  EXPECT_EQ(outlines.front().number, 60U);
  EXPECT_EQ(outlines.back().number, 11U);
}

TEST(CheckTrajectory, PassesWhatKeepsTheRules) {
  const std::string two = block(kOutline1 + " \n" + kOutline2, "\n" + kThread1 + kThread2 + "\n");
  for (const std::string& text :
       {std::string(kBlock), two, "a" + two + "b" + two, std::string("no block"), std::string(),
        "<Conclusion>" + two + "</Conclusion>", std::string("a <b> c < d"), block(kOutline1, "<Thread>1:</Thread>")}) {
    const auto checked = check_trajectory(text);
    EXPECT_TRUE(checked) << text << ": " << name(checked.error().fault);
  }
}

struct Bad {
  Fault fault;
  std::string text;
};

std::vector<Bad> bad_texts() {
  const std::string list = "<Outlines>" + kOutline1 + "</Outlines>";
  std::string many;
  for (int i = 1; i <= 51; ++i) many += "<Outline>" + std::to_string(i) + ": o</Outline>";
  return {
      {Fault::unbalanced, "<Parallel>"},
      {Fault::unbalanced, "text</Parallel>"},
      {Fault::unbalanced, block(kOutline1, "<Thread>1: x")},
      {Fault::unbalanced, block("<Outline>1: a", kThread1)},
      {Fault::unbalanced, "<think>" + block(kOutline1, kThread1)},
      {Fault::nested, block(kOutline1, "<Thread>1: " + block(kOutline1, kThread1) + "</Thread>")},
      {Fault::nested, block(kOutline1, "<Thread>1: <Thread>1: x</Thread></Thread>")},
      {Fault::nested, "<think><think></think></think>"},
      {Fault::crossed, "</Parallel><Parallel>"},
      {Fault::crossed, "<Parallel>" + list + "<Thread>1: x</Parallel></Thread>"},
      {Fault::crossed, "<think>" + block(kOutline1, kThread1 + "</think>")},
      {Fault::outside, kOutline1},
      {Fault::outside, list},
      {Fault::outside, "before " + kThread1 + block(kOutline1, kThread1)},
      {Fault::foreign, block(kOutline1, kThread1 + "<Conclusion>done</Conclusion>")},
      {Fault::foreign, block(kOutline1 + "<think></think>", kThread1)},
      {Fault::order, "<Parallel>" + kThread1 + list + "</Parallel>"},
      {Fault::order, "<Parallel>" + list + list + kThread1 + "</Parallel>"},
      {Fault::order, "<Parallel>" + kOutline1 + list + kThread1 + "</Parallel>"},
      {Fault::order, block(kOutline1 + kThread1, "")},
      {Fault::loose_text, block(kOutline1, " so: " + kThread1)},
      {Fault::loose_text, block("first " + kOutline1, kThread1)},
      {Fault::loose_text, block(kOutline1 + kOutline2, kThread1 + "," + kThread2)},
      {Fault::loose_text, block(kOutline1, kThread1 + "end")},
      {Fault::tag_in_text, block(kOutline1, "<Thread>1: <Outline>2: b</Outline></Thread>")},
      {Fault::tag_in_text, block("<Outline>1: <Conclusion></Conclusion></Outline>", kThread1)},
      {Fault::tag_in_text, block(kOutline1, "<Thread>1: </think><think></Thread>")},
      {Fault::no_outlines, "<Parallel></Parallel>"},
      {Fault::no_outlines, block("", "")},
      {Fault::no_outlines, block("", kThread1)},
      {Fault::outline_number, block(kOutline2, kThread2)},
      {Fault::outline_number, block(kOutline1 + "<Outline>3: c</Outline>", kThread1 + kThread2)},
      {Fault::outline_number, block(kOutline1 + kOutline1, kThread1 + kThread1)},
      {Fault::outline_number, block("<Outline>a</Outline>", kThread1)},
      {Fault::outlines_max, block(many, kThread1)},
      {Fault::thread_number, block(kOutline1 + kOutline2, kThread2 + kThread1)},
      {Fault::thread_number, block(kOutline1, "<Thread>x</Thread>")},
      {Fault::thread_number, block(kOutline1, "<Thread>1 x</Thread>")},
      {Fault::thread_count, block(kOutline1 + kOutline2, kThread1)},
      {Fault::thread_count, block(kOutline1, kThread1 + kThread2)},
      {Fault::thread_count, block(kOutline1, "")},
      {Fault::thread_space, block(kOutline1 + kOutline2, kThread1 + "\n" + kThread2)},
  };
}

TEST(CheckTrajectory, SaysWhichRuleIsBroken) {
  std::set<Fault> seen;
  for (const Bad& bad : bad_texts()) {
    const auto checked = check_trajectory(bad.text);
    ASSERT_FALSE(checked) << bad.text;
    EXPECT_EQ(name(checked.error().fault), name(bad.fault)) << bad.text;
    EXPECT_LT(checked.error().at, bad.text.size());
    EXPECT_EQ(bad.text[checked.error().at], '<') << bad.text;
    seen.insert(bad.fault);
  }
  EXPECT_EQ(seen.size(), 14U);  // every rule has a text that breaks it
}

TEST(CheckTrajectory, EveryFaultHasItsOwnWords) {
  std::set<std::string_view> words;
  for (int fault = 0; fault < 14; ++fault) {
    words.insert(name(static_cast<Fault>(fault)));
    words.insert(description(static_cast<Fault>(fault)));
  }
  EXPECT_EQ(words.size(), 28U);
}

/// Every byte a token.
TrajectoryCount account_bytes(std::string_view text) {
  std::vector<std::string_view> tokens;
  for (std::size_t i = 0; i < text.size(); ++i) tokens.push_back(text.substr(i, 1));
  return account_trajectory(tokens);
}

TEST(AccountTrajectory, CountsThreadsApart) {
  const TrajectoryCount count = account_bytes(kBlock);
  ASSERT_EQ(count.threads.size(), 1U);
  EXPECT_EQ(count.threads[0], (std::vector<std::size_t>{17, 18}));  // "\n1: 12 x 34 = 408", "\n2: 56 x 78 = 4368"
  EXPECT_EQ(count.total, std::string_view(kBlock).size());
  EXPECT_EQ(count.sequential + 17 + 18, count.total);
  EXPECT_EQ(count.critical(), count.total - 17);
  EXPECT_DOUBLE_EQ(count.eta(), 17.0 / static_cast<double>(count.total));
}

TEST(AccountTrajectory, ATokenBelongsToWhereItBegins) {
  const std::vector<std::string_view> tokens{"<Parallel>", "<Thr", "ead>1", ":", "x</", "Thread>", "", "</Parallel>"};
  const TrajectoryCount count = account_trajectory(tokens);
  EXPECT_EQ(count.threads, (std::vector<std::vector<std::size_t>>{{2}}));
  EXPECT_EQ(count.sequential, 6U);
  EXPECT_EQ(account_trajectory({}).total, 0U);
  EXPECT_EQ(account_trajectory({}).eta(), 0);
}

TEST(AccountTrajectory, TagsWithoutMeaningAreText) {
  using Threads = std::vector<std::vector<std::size_t>>;
  EXPECT_EQ(account_bytes("<Thread>1</Thread></Parallel>").threads, Threads{});
  EXPECT_EQ(account_bytes("<Parallel><Thread>1<Parallel>2</Thread></Parallel>").threads, (Threads{{12}}));
  EXPECT_EQ(account_bytes("<Parallel><Thread>1<Thread>2</Thread>3</Thread></Parallel>").threads, (Threads{{10}}));
  EXPECT_EQ(account_bytes("<Parallel><Thread>123</Parallel>4<Parallel><Thread>56").threads, (Threads{{3}, {2}}));
  EXPECT_EQ(account_bytes("<Parallel>ab").threads, (Threads{{}}));
}

// The tokens of a trajectory by their parts: words here, digits there, tags whole.
TEST(AccountTrajectory, NothingIsLostHoweverTheTextIsCut) {
  const std::string_view text = kBlock;
  for (std::size_t length = 1; length <= text.size(); ++length) {
    std::vector<std::string_view> tokens;
    for (std::size_t i = 0; i < text.size(); i += length) tokens.push_back(text.substr(i, length));
    const TrajectoryCount count = account_trajectory(tokens);
    EXPECT_EQ(count.sequential + count.threads[0][0] + count.threads[0][1], tokens.size());
  }
}

TEST(ParsePlan, ReadsTagsAndDropsRepeats) {
  const Plan plan = parse_plan(
      "Plan:\n<Outlines>\n<Outline>1: Factor  it.</Outline>\n<Outline> factor it. </Outline><Outline>3:</Outline>\n"
      "<Outline>2: work\nback</Outline>\n</Outlines>\n1. not this");
  EXPECT_EQ(plan.outlines, (Texts{"Factor it.", "work back"}));
  EXPECT_EQ(plan.empty, 1U);
  EXPECT_EQ(plan.repeated, 1U);
  EXPECT_TRUE(plan.tagged);
  EXPECT_EQ(parse_plan("<Outline>a</Outline><Outline>b").outlines, (Texts{"a", "b"}));
}

TEST(ParsePlan, ReadsNumberedLinesElse) {
  const Plan plan = parse_plan(
      "Sure:\n 1. Add first\r\n2) Divide\n\n3: back\nOutline 4: ADD FIRST\n5.\n6.5 is no line\n- nor this\n12 nor "
      "this\n7:last");
  EXPECT_EQ(plan.outlines, (Texts{"Add first", "Divide", "back", "last"}));
  EXPECT_EQ(plan.empty, 1U);
  EXPECT_EQ(plan.repeated, 1U);
  EXPECT_FALSE(plan.tagged);
  EXPECT_TRUE(parse_plan("no plan at all").outlines.empty());
}

TEST(ParsePlan, IsFiftyOutlinesAtMost) {
  std::string text;
  for (int i = 1; i <= 70; ++i) text += std::to_string(i) + ". plan " + std::to_string(i) + "\n";
  EXPECT_EQ(parse_plan(text).outlines.size(), kOutlinesMax);
}

// A megabyte of what a careless parser would read again and again.
TEST(OutlineGrammar, LongTextsTakeLinearTime) {
  for (const std::string part :
       {"<Outline>", "<Outlines>", "<Parallel><Thread>", "<", "1. ", "</Outline>", "<Outline>1:"}) {
    std::string text = "<Outlines>";
    while (text.size() < (1U << 20U)) text += part;
    EXPECT_LE(outlines_behind(text).size(), kOutlinesMax);
    EXPECT_FALSE(check_trajectory(text));
    EXPECT_EQ(account_trajectory(std::vector<std::string_view>{text}).total, 1U);
    EXPECT_LE(parse_plan(text).outlines.size(), kOutlinesMax);
  }
}

}  // namespace
}  // namespace plait::reasoning
