// SPDX-License-Identifier: Apache-2.0
#include "reasoning/verifier.h"

#include <gtest/gtest.h>

#include "reasoning/search_trace.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;

double score(const Verifier& verifier, std::string_view answer) {
  const auto score = verifier.score(answer);
  EXPECT_TRUE(score) << answer;
  return score.value_or(-1);
}

std::unique_ptr<Verifier> made(std::string_view spec) {
  auto verifier = make_verifier(spec);
  EXPECT_TRUE(verifier) << spec << ": " << verifier.error().text();
  return verifier ? *std::move(verifier) : nullptr;
}

TEST(Verifier, CountdownIsExactAndKnowsWhatIsNear) {
  const auto verifier = made("countdown:3, 5,7,9=16");
  EXPECT_EQ(verifier->name(), "countdown");
  EXPECT_EQ(score(*verifier, "(3+5)*(9-7)"), 1);
  EXPECT_EQ(score(*verifier, "3+5=8\n9-7=2\n8*2=16"), 1);
  EXPECT_EQ(score(*verifier, "3*5+9-7"), 0.5);       // 17
  EXPECT_EQ(score(*verifier, "3+5+7+9"), 1.0 / 9);   // 24
  EXPECT_EQ(score(*verifier, "(3+5)*(9-7)=15"), 0);  // says what is not so
  EXPECT_EQ(score(*verifier, "16"), 0);
  EXPECT_EQ(score(*verifier, "I do not know."), 0);
}

TEST(Verifier, CountdownReadsPathsAndDoesNotBelieveThem) {
  const auto verifier = countdown_verifier({3, 5, 7, 9}, 16);
  const SearchState root{16, {3, 5, 7, 9}, {}};
  const SearchState late{16, {8, 2}, {{3, '+', 5, 8}, {9, '-', 7, 2}}};
  EXPECT_EQ(score(*verifier, state_line(late) + explore_line({8, '*', 2, 16}, {}) + goal_line(16)), 1);
  EXPECT_EQ(score(*verifier, state_line(late) + explore_line({8, '+', 2, 10}, {}) + goal_line(16)), 1.0 / 7);
  EXPECT_EQ(score(*verifier, state_line(root) + explore_line({4, '*', 4, 16}, {}) + goal_line(16)), 0);
  EXPECT_EQ(score(*verifier, state_line(root) + goal_line(16)), 0);
  EXPECT_EQ(score(*verifier, goal_line(16)), 0);
}

TEST(Verifier, ValueTakesTheNumberAlone) {
  const auto verifier = made("value: 12*34 + 1000");
  EXPECT_EQ(verifier->name(), "value");
  for (const char* right : {"1408", " 1408.", "**1,408**", "$1408$", "+1408"})
    EXPECT_EQ(score(*verifier, right), 1) << right;
  for (const char* wrong : {"", "1409", "-1408", "1408 or so", "14,08", "1,,408", ",408", "704*2", "1408.5", "x"}) {
    EXPECT_EQ(score(*verifier, wrong), 0) << wrong;
  }
  EXPECT_EQ(score(*value_verifier(-1234567), "-1,234,567"), 1);
  EXPECT_EQ(score(*value_verifier(408), ",408"), 0);
}

TEST(Verifier, EqualsComparesNormalForms) {
  const auto verifier = made("equals:The cat: a  tale");
  EXPECT_EQ(verifier->name(), "equals");
  EXPECT_EQ(score(*verifier, " **the CAT: a tale.** "), 1);
  EXPECT_EQ(score(*verifier, "the cat"), 0);
  EXPECT_EQ(score(*made("equals:42"), "42."), 1);
}

TEST(Verifier, JsonIsOneDocument) {
  const auto verifier = made("json");
  EXPECT_EQ(verifier->name(), "json");
  EXPECT_EQ(score(*verifier, " {\"a\": [1, null]} \n"), 1);
  EXPECT_EQ(score(*verifier, "3"), 1);
  for (const char* wrong : {"", "{", "{} {}", "```json\n{}\n```", "{'a': 1}"})
    EXPECT_EQ(score(*verifier, wrong), 0) << wrong;
  const auto objects = json_verifier([](const text::Json& value) { return value.is_object(); });
  EXPECT_EQ(score(*objects, "{}"), 1);
  EXPECT_EQ(score(*objects, "[]"), 0);
}

TEST(MakeVerifier, SaysWhatIsWrong) {
  for (const char* spec : {"",
                           "x",
                           "x:1",
                           "JSON",
                           "json:",
                           "json:{}",
                           "equals",
                           "equals:",
                           "equals: ",
                           "value",
                           "value:",
                           "value:1/0",
                           "value:one",
                           "countdown",
                           "countdown:",
                           "countdown:3,5",
                           "countdown:=24",
                           "countdown:3,,5=24",
                           "countdown:3,x=24",
                           "countdown:3,5=",
                           "countdown:3,5=2=4",
                           "countdown:3,-5=24",
                           "countdown:3,5,=24",
                           "countdown:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1=24"}) {
    const auto verifier = make_verifier(spec);
    ASSERT_FALSE(verifier) << spec;
    EXPECT_EQ(verifier.error().code, ErrorCode::invalid_argument) << spec;
  }
}

TEST(MakeVerifier, RefusesCommandsByName) {
  for (const char* spec : {"command", "command:", "command:/bin/true"}) {
    const auto verifier = make_verifier(spec);
    ASSERT_FALSE(verifier) << spec;
    EXPECT_EQ(verifier.error().code, ErrorCode::unsupported);
  }
}

}  // namespace
}  // namespace plait::reasoning
