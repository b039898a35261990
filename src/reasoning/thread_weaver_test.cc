// SPDX-License-Identifier: Apache-2.0
#include "reasoning/thread_weaver.h"

#include <gtest/gtest.h>

#include "reasoning/outline_grammar.h"
#include "reasoning/thinking_test_fixture.h"

namespace plait::reasoning {
namespace {

class ThreadWeaverTest : public ThinkingTest {
 protected:
  ThreadWeaverTest() {
    say("[A]",
        "Two parts.\n<Parallel>\n<Outlines>\n<Outline>1: left</Outline>\n<Outline>2: right</Outline>\n</Outlines>");
    say("<Thread>\n1:", " the left part is quite long</Thread>");
    say("<Thread>\n2:", " right</Thread>");
    say("</Thread>\n", "</Parallel>\nBoth done: 12");
  }
  static constexpr std::string_view kWhole =
      "Two parts.\n<Parallel>\n<Outlines>\n<Outline>1: left</Outline>\n<Outline>2: right</Outline>\n</Outlines>"
      "\n<Thread>\n1: the left part is quite long</Thread><Thread>\n2: right</Thread>\n</Parallel>\nBoth done: 12";
};

TEST_F(ThreadWeaverTest, JoinsThreadsInTheOrderOfTheirOutlines) {
  const auto thought = think(*make("threads"), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->answer, "\nBoth done: 12");
  ASSERT_EQ(thought->paths.size(), 3U);
  EXPECT_EQ(thought->paths[0].text, " the left part is quite long");
  EXPECT_EQ(thought->paths[1].text, " right");
  EXPECT_EQ(thought->paths.back().text, kWhole);
  EXPECT_TRUE(check_trajectory(thought->paths.back().text));
  EXPECT_EQ(thought->counts.at("blocks"), 1U);
  EXPECT_FALSE(thought->counts.contains("broken_threads"));
  EXPECT_EQ(thought->reason, engine::EndReason::stop);
}

TEST_F(ThreadWeaverTest, ComputesThePrefixOnceAndReadsOnlyOtherThreadsAgain) {
  const auto thought = think(*make("threads"), question("q"));
  ASSERT_TRUE(thought);
  std::size_t prompt = 0;
  for (const CallRecord& call : thought->calls) {
    if (call.label == "main" && prompt == 0) prompt = call.prompt_tokens;
    if (call.role == CallRole::child) {
      // The last token of the text before it, and its header.
      EXPECT_LE(call.prefilled_tokens, 12U) << call.label;
    }
  }
  const CallRecord& last = thought->calls.back();
  const std::string read = "</Thread><Thread>\n2: right</Thread>\n";
  EXPECT_LE(last.prefilled_tokens, read.size() + 1);
  const Spending spent = thought->spending();
  EXPECT_LT(spent.critical_path_tokens, spent.generated_tokens);
}

TEST_F(ThreadWeaverTest, AThreadThatDoesNotEndByItselfEndsTheBlock) {
  say("<Thread>\n2:", " goes on and on and does not come to an end before its budget does");
  ThinkOptions options = question("q");
  options.call_tokens = 130;
  options.tokens_max = 200;
  const auto thought = think(*make("threads"), options);
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->counts.at("broken_threads"), 1U);
  EXPECT_TRUE(thought->paths.back().text.ends_with("</Parallel>"));
}

TEST_F(ThreadWeaverTest, LeavesOutOutlinesBeyondItsLimit) {
  const auto thought = think(*make("threads", {{"max_threads", 1}}), question("q"));
  ASSERT_TRUE(thought);
  EXPECT_EQ(thought->counts.at("outlines_left_out"), 1U);
  EXPECT_EQ(thought->paths.size(), 2U);
}

TEST_F(ThreadWeaverTest, ATextWithoutOutlinesIsAnOrdinaryAnswer) {
  say("[user]plain;[A]", "no parts here");
  ThinkOptions options = question("plain");
  options.raw = "[user]plain;[A]";
  const auto thought = think(*make("threads"), options);
  ASSERT_TRUE(thought);
  EXPECT_EQ(thought->answer, "no parts here");
  EXPECT_EQ(thought->calls.size(), 1U);
}

}  // namespace
}  // namespace plait::reasoning
