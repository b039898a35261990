// SPDX-License-Identifier: Apache-2.0
#include "reasoning/aggregate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace plait::reasoning {
namespace {

using Candidates = std::vector<Candidate>;

/// Scores that are looked up; any other answer is an error.
class TableVerifier : public Verifier {
 public:
  explicit TableVerifier(std::map<std::string, double, std::less<>> scores) : scores_(std::move(scores)) {}
  [[nodiscard]] std::string_view name() const override { return "table"; }
  [[nodiscard]] base::Result<double> score(std::string_view answer) const override {
    const auto at = scores_.find(answer);
    if (at == scores_.end()) return base::fail(base::ErrorCode::internal, "not in the table");
    return at->second;
  }

 private:
  std::map<std::string, double, std::less<>> scores_;
};

/// Every order of the candidates must give what this one gives.
template <class Choose>
Choice in_every_order(Candidates candidates, Choose choose) {
  const Choice first = choose(candidates);
  const auto by_index = [](const Candidate& a, const Candidate& b) { return a.index < b.index; };
  std::ranges::sort(candidates, by_index);
  do {
    const Choice choice = choose(candidates);
    EXPECT_EQ(choice.index, first.index);
    EXPECT_EQ(choice.answer, first.answer);
    EXPECT_EQ(choice.votes, first.votes);
    EXPECT_EQ(choice.abstained, first.abstained);
  } while (std::next_permutation(candidates.begin(), candidates.end(), by_index));
  return first;
}

Choice majority(const Candidates& candidates) { return in_every_order(candidates, majority_vote); }

TEST(Majority, CountsNormalForms) {
  const Choice choice =
      majority({{0, "41", -0.1, false}, {1, "**42**", -2, false}, {2, " 42. ", -1, false}, {3, "7", 0, false}});
  EXPECT_EQ(choice.selector, Selector::majority);
  EXPECT_EQ(choice.index, 2U);  // the better one of those that say so
  EXPECT_EQ(choice.answer, " 42. ");
  EXPECT_EQ(choice.votes, 2U);
  EXPECT_EQ(choice.candidates, 4U);
  EXPECT_EQ(choice.abstained, 0U);
}

TEST(Majority, ATieGoesToTheLikelierThenToTheFirst) {
  EXPECT_EQ(majority({{0, "a", -2, false}, {1, "b", -3, false}, {2, "b", -1, false}, {3, "a", -2, false}}).index, 2U);
  EXPECT_EQ(majority({{4, "b", -1, false}, {1, "a", -1, false}, {2, "a", -1, false}, {3, "b", -1, false}}).index, 1U);
  EXPECT_EQ(majority({{3, "c", -1, false}, {2, "b", -1, false}, {1, "a", -1, false}}).index, 1U);
  // Votes go before likelihood.
  EXPECT_EQ(majority({{0, "a", -9, false}, {1, "a", -9, false}, {2, "b", -1, false}}).index, 0U);
}

TEST(Majority, AnUnknownLikelihoodIsTheLeast) {
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(majority({{0, "a", unknown, false}, {1, "b", -100, false}}).index, 1U);
  EXPECT_EQ(majority({{1, "a", unknown, false}, {0, "b", unknown, false}}).index, 0U);
}

TEST(Majority, WhoAbstainsDoesNotVote) {
  const Choice choice = majority(
      {{0, "a", -5, false}, {1, "none", -1, true}, {2, "none", -1, true}, {3, "", -1, false}, {4, " . ", -1, false}});
  EXPECT_EQ(choice.index, 0U);
  EXPECT_EQ(choice.abstained, 4U);
  EXPECT_EQ(choice.votes, 1U);
  const Choice nobody = majority({{0, "a", 0, true}});
  EXPECT_EQ(nobody.index, std::nullopt);
  EXPECT_EQ(nobody.abstained, 1U);
  EXPECT_EQ(majority({}).index, std::nullopt);
}

TEST(MostLikely, IsTheLargestMean) {
  const auto likely = [](const Candidates& candidates) { return in_every_order(candidates, most_likely); };
  const Choice choice = likely({{0, "a", -2, false}, {1, "b", -1, false}, {2, "b", -1, false}, {3, "c", 0, true}});
  EXPECT_EQ(choice.selector, Selector::likelihood);
  EXPECT_EQ(choice.index, 1U);
  EXPECT_EQ(choice.score, -1);
  EXPECT_EQ(choice.votes, 2U);
  EXPECT_EQ(likely({}).index, std::nullopt);
}

TEST(FirstVerified, IsTheFirstByIndex) {
  const TableVerifier verifier({{"bad", 0}, {"near", 0.99}, {"good", 1}, {"fine", 1}});
  const auto first = [&](const Candidates& candidates) {
    return in_every_order(candidates, [&](const Candidates& some) { return first_verified(some, verifier).value(); });
  };
  const Choice choice =
      first({{3, "fine", 0, false}, {2, "good", -9, false}, {0, "good", 0, true}, {1, "near", 0, false}});
  EXPECT_EQ(choice.selector, Selector::verifier);
  EXPECT_EQ(choice.index, 2U);
  EXPECT_EQ(choice.score, 1);
  EXPECT_EQ(choice.abstained, 1U);
  EXPECT_EQ(first({{0, "bad", 0, false}, {1, "near", 0, false}}).index, std::nullopt);
}

TEST(FirstVerified, LooksNoFurtherAndPassesErrorsOn) {
  const TableVerifier verifier({{"good", 1}});
  EXPECT_EQ(first_verified(Candidates{{0, "good", 0, false}, {1, "unknown", 0, false}}, verifier)->index, 0U);
  const auto failed = first_verified(Candidates{{0, "unknown", 0, false}, {1, "good", 0, false}}, verifier);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, base::ErrorCode::internal);
  EXPECT_FALSE(highest_score(Candidates{{0, "good", 0, false}, {1, "unknown", 0, false}}, verifier));
}

TEST(HighestScore, TiesGoByLikelihoodThenIndex) {
  const TableVerifier verifier({{"a", 0.5}, {"b", 0.5}, {"c", 0.25}, {"zero", 0}});
  const auto best = [&](const Candidates& candidates) {
    return in_every_order(candidates, [&](const Candidates& some) { return highest_score(some, verifier).value(); });
  };
  const Choice choice = best({{0, "c", 0, false}, {1, "a", -2, false}, {2, "b", -1, false}, {3, "b", -1, false}});
  EXPECT_EQ(choice.selector, Selector::score);
  EXPECT_EQ(choice.index, 2U);
  EXPECT_EQ(choice.score, 0.5);
  EXPECT_EQ(best({{1, "zero", -1, false}, {0, "zero", -1, false}}).index, 0U);  // the best of bad ones is still there
  EXPECT_EQ(best({}).index, std::nullopt);
}

TEST(Selector, HasAName) {
  EXPECT_EQ(name(Selector::majority), "majority");
  EXPECT_EQ(name(Selector::likelihood), "likelihood");
  EXPECT_EQ(name(Selector::verifier), "verifier");
  EXPECT_EQ(name(Selector::score), "score");
}

TEST(FinalAnswer, IsWhatCounts) {
  struct Case {
    const char* text;
    const char* answer;
  };
  for (const Case& c : {
           Case{"so \\boxed{1} and \\boxed{ \\frac{1}{2} }. Answer: 3", "\\frac{1}{2}"},
           Case{"\\boxed{1} but \\boxed{2", "1"},
           Case{"\\boxed{}", ""},
           Case{"Answer: 1\nno, ANSWER:  2 \nsure", "2"},
           Case{"The answer is 42.", "42."},
           Case{"The answer is: 42", "42"},
           Case{"**Answer:** 42", "42"},
           Case{"**Answer: 42**", "42"},
           Case{"Answer:\n\n 42 \nbye", "42"},
           Case{"answer: 1\nThe answer is 2", "2"},
           Case{"The answer is 2\nanswer: 1", "1"},
           Case{"first\n\n  last line \n \n", "last line"},
           Case{"one", "one"},
           Case{"", ""},
           Case{" \n ", ""},
       }) {
    EXPECT_EQ(final_answer(c.text), c.answer) << c.text;
  }
}

TEST(FinalAnswer, LongTextsTakeLinearTime) {
  for (const std::string part : {"\\boxed{", "{", "answer:", "*", "\n", "answer is\n"}) {
    std::string text;
    while (text.size() < (1U << 20U)) text += part;
    EXPECT_LE(final_answer("\\boxed{" + text).size(), text.size() + 7);
  }
}

}  // namespace
}  // namespace plait::reasoning
