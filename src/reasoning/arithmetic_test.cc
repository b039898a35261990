// SPDX-License-Identifier: Apache-2.0
#include "reasoning/arithmetic.h"

#include <gtest/gtest.h>

#include <limits>

namespace plait::reasoning {
namespace {

using Numbers = std::vector<std::int64_t>;
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

TEST(Arithmetic, ApplyIsExactOrNothing) {
  EXPECT_EQ(apply(3, '+', 4), 7);
  EXPECT_EQ(apply(3, '-', 4), -1);
  EXPECT_EQ(apply(-3, '*', 4), -12);
  EXPECT_EQ(apply(12, '/', -4), -3);
  EXPECT_EQ(apply(0, '/', 7), 0);
  EXPECT_EQ(apply(7, '/', 2), std::nullopt);
  EXPECT_EQ(apply(7, '/', 0), std::nullopt);
  EXPECT_EQ(apply(7, '%', 2), std::nullopt);
  EXPECT_EQ(apply(kMax, '+', 1), std::nullopt);
  EXPECT_EQ(apply(kMin, '-', 1), std::nullopt);
  EXPECT_EQ(apply(kMax, '*', 2), std::nullopt);
  EXPECT_EQ(apply(kMin, '/', -1), std::nullopt);
  EXPECT_EQ(apply(kMax, '/', -1), -kMax);
}

TEST(Arithmetic, StepsAreReadAndWritten) {
  const Step step{36, '-', 5, 31};
  EXPECT_EQ(step_text(step), "36-5=31");
  for (const char* text : {"36-5=31", " 36 - 5 = 31 ", "36 − 5=31"}) EXPECT_EQ(parse_step(text), step) << text;
  EXPECT_EQ(parse_step("3×4=13"), (Step{3, '*', 4, 13}));
  for (const char* text : {"", "36", "36-5", "36-5=", "36-5=31 x", "36-5=-31", "-36-5=31", "36--5=41", "(36-5)=31",
                           "36-5-1=30", "99999999999999999999+1=2", "36%5=1"}) {
    EXPECT_EQ(parse_step(text), std::nullopt) << text;
  }
}

TEST(Arithmetic, ExpressionsHaveTheirValue) {
  struct Case {
    const char* text;
    std::int64_t value;
  };
  for (const Case& good : {Case{"7", 7}, Case{"(3+4)*5", 35}, Case{"3+4*5", 23}, Case{"20-3-4", 13}, Case{"64/4/2", 8},
                           Case{" ( 2 × 3 ) · 4 ÷ 6 − 9 ", -5}, Case{"-3*-4", 12}, Case{"--+5", 5}, Case{"0/3", 0},
                           Case{"((((1))))+1", 2}, Case{"9223372036854775807", kMax}, Case{"2*(3-5)", -4}}) {
    const auto read = evaluate(good.text);
    ASSERT_TRUE(read) << good.text << ": " << read.error().text();
    EXPECT_EQ(read->value, good.value) << good.text;
  }
  EXPECT_EQ(evaluate("(30+4)*30-1")->operands, (Numbers{30, 4, 30, 1}));
}

TEST(Arithmetic, WhatHasNoValueIsInvalidData) {
  for (const char* text : {"",
                           " ",
                           "(",
                           ")",
                           "()",
                           "3+",
                           "*3",
                           "3 4",
                           "3(4)",
                           "(3+4",
                           "3+4)",
                           "7/2",
                           "1/0",
                           "a",
                           "3.5",
                           "9223372036854775807+1",
                           "9223372036854775808",
                           "3**4",
                           "3=3",
                           "×"}) {
    const auto read = evaluate(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, base::ErrorCode::invalid_data);
  }
  EXPECT_FALSE(evaluate(std::string(100'000, '(')));
  EXPECT_FALSE(evaluate(std::string(100'000, '-') + "1"));
  EXPECT_FALSE(evaluate(std::string(70, '(') + "1" + std::string(70, ')')));
  EXPECT_TRUE(evaluate(std::string(60, '(') + "1" + std::string(60, ')')));
}

TEST(Arithmetic, NaturalsNeverGoBelowZero) {
  EXPECT_TRUE(evaluate("3-5+9"));
  EXPECT_FALSE(evaluate("3-5+9", {.naturals = true}));
  EXPECT_FALSE(evaluate("-3", {.naturals = true}));
  EXPECT_EQ(evaluate("5-5", {.naturals = true})->value, 0);
}

TEST(CountdownCheck, ExpressionsAndStepsSayTheSame) {
  const Numbers numbers{3, 5, 7, 9};
  for (const char* answer : {"(3+5)*(9-7)", "(9-7)*(5+3) = 16", "3+5=8\n9-7=2\n8*2=16\n", "3+5=8, 9-7=2; 8*2=16"}) {
    const CountdownCheck check = check_countdown(numbers, answer);
    EXPECT_TRUE(check.reaches(16)) << answer << ": " << check.why;
    EXPECT_FALSE(check.reaches(17));
  }
}

TEST(CountdownCheck, EveryRuleIsKept) {
  const Numbers numbers{3, 5, 7, 9};
  for (const char* answer : {"",
                             " \n ",
                             "24",
                             "3+5+7",
                             "3+5+7+9+9",
                             "3+5+7+8",
                             "3+5+7-9-8",
                             "3-5+7+9",
                             "5/3+7+9",
                             "(3+5)*(9-7) = 17",
                             "(3+5)*(9-7) =",
                             "(3+5)*(9-7) = 16 = 16",
                             "3+5=8\n9-7=2",
                             "3+5=9\n9-7=2\n9*2=18",
                             "3+5=8\n3-7=2\n8*2=16",
                             "3+5=8\n9-7=2\n8*2=16\n16+0=16",
                             "3+5=8\nso\n8*2=16",
                             "3-5=2\n9-7=2\n2*2=4",
                             "57+39",
                             "3 + 5 + 7 - -9"}) {
    const CountdownCheck check = check_countdown(numbers, answer);
    EXPECT_FALSE(check.legal) << answer;
    EXPECT_FALSE(check.why.empty()) << answer;
  }
}

TEST(CountdownCheck, AResultIsUsedOnce) {
  const std::vector<Step> twice{{2, '+', 2, 4}, {4, '*', 4, 16}};
  EXPECT_FALSE(check_countdown_steps(Numbers{2, 2, 3}, twice).legal);
  EXPECT_TRUE(check_countdown_steps(Numbers{2, 2, 4}, twice).reaches(16));
  EXPECT_FALSE(check_countdown_steps(Numbers{5}, {}).legal);
  EXPECT_TRUE(check_countdown(Numbers{5}, "5").reaches(5));
}

}  // namespace
}  // namespace plait::reasoning
