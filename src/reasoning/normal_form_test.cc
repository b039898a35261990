// SPDX-License-Identifier: Apache-2.0
#include "reasoning/normal_form.h"

#include <gtest/gtest.h>

namespace plait::reasoning {
namespace {

TEST(NormalForm, SpaceIsOneBlankAndNoneAtTheEnds) {
  EXPECT_EQ(squeezed(" \t a \r\n  b\vc \n"), "a b c");
  EXPECT_EQ(squeezed(" \n "), "");
  EXPECT_EQ(trimmed("\n a  b "), "a  b");
  EXPECT_EQ(trimmed(""), "");
}

TEST(NormalForm, OnlyAsciiLettersLoseTheirCase) { EXPECT_EQ(lowered("AbZ[1] Ä"), "abz[1] Ä"); }

TEST(NormalForm, NumbersComeOffTheFront) {
  std::string_view text = "007: x";
  EXPECT_EQ(take_number(text), 7U);
  EXPECT_EQ(text, ": x");
  EXPECT_EQ(take_number(text), std::nullopt);
  EXPECT_EQ(text, ": x");
  text = "999999999";
  EXPECT_EQ(take_number(text), 999'999'999U);
  text = "1234567890";
  EXPECT_EQ(take_number(text), std::nullopt);
  EXPECT_EQ(text.size(), 10U);
}

TEST(NormalForm, AnswersThatSayTheSameAreEqual) {
  for (const char* same : {"The cat", " the  CAT. ", "**the cat**", "\"the cat\".", "`the cat`;", "$the cat$ ,"}) {
    EXPECT_EQ(normal_answer(same), "the cat") << same;
  }
  EXPECT_EQ(normal_answer("5!"), "5!");
  EXPECT_EQ(normal_answer("-5"), "-5");
  EXPECT_EQ(normal_answer("3.50"), "3.50");
  EXPECT_EQ(normal_answer("(3+4)*5"), "(3+4)*5");
  EXPECT_EQ(normal_answer(" .$** "), "");
}

TEST(NormalForm, ANormalFormIsItsOwn) {
  for (const char* text : {" A. b. ", "'x' y", "..a..", "* * a * b"}) {
    EXPECT_EQ(normal_answer(normal_answer(text)), normal_answer(text)) << text;
  }
}

}  // namespace
}  // namespace plait::reasoning
