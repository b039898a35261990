// SPDX-License-Identifier: Apache-2.0
#include "reasoning/state.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "reasoning/state_test_fixture.h"
#include "text/grammar/regex.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::TokenId;
using engine::EndReason;

TEST_F(StateTest, CutsWhatIsAtTheEndAndGoesOnFromThere) {
  const State strand = create();
  get(strand.append(piece("abcdef")));
  const Capture first = get(strand.gen("first", tokens(8)));
  const std::size_t before = strand.length();
  const Appended cut = get(strand.cut(before - 5));
  EXPECT_EQ(cut.tokens, -5);
  EXPECT_EQ(strand.length(), before - 5);
  get(strand.append(token_piece({first.tokens.end() - 5, first.tokens.end()})));
  const Capture second = get(strand.gen("second", tokens(8)));
  EXPECT_LE(second.usage.computed_tokens, 6U);  // what stood before the cut stayed
  const State whole = create();
  std::vector<base::TokenId> all = strand.tokens();
  all.resize(all.size() - 8);
  get(whole.append(token_piece(all)));
  GenOptions options = tokens(8);
  options.generate.sampler.seed = base::random_u64(7, 1);  // the second generation's
  options.seeded = true;
  EXPECT_EQ(get(whole.gen("whole", options)).tokens, second.tokens);
  EXPECT_EQ(error_of(strand.cut(strand.length() + 1)), base::ErrorCode::invalid_argument);
}

TEST_F(StateTest, AGenerationIsWhatTheRequestGivesAlone) {
  const State strand = create(7, false);
  static_cast<void>(strand.append(piece("one two")));
  const Capture first = get(strand.gen("first", tokens(12)));
  const std::vector<TokenId> prompt = tokenizer_->encode("one two");
  EXPECT_EQ(first.tokens, alone(prompt, 12, 7));
  EXPECT_EQ(first.text, tokenizer_->decode(first.tokens));
  EXPECT_EQ(first.reason, EndReason::length);
  EXPECT_EQ(told_, first.text);
  GenOptions seeded = tokens(9);
  seeded.seeded = true;
  seeded.generate.sampler.seed = 99;
  std::vector<TokenId> longer = prompt;
  longer.insert(longer.end(), first.tokens.begin(), first.tokens.end());
  EXPECT_EQ(get(strand.gen("second", seeded)).tokens, alone(longer, 9, 99));
  EXPECT_EQ(strand.length(), prompt.size() + 12 + 9);
  EXPECT_EQ(strand.text(), "onetwo" + first.text + strand.find("second")->text);  // no word here has a space
  ASSERT_NE(strand.find("first"), nullptr);
  EXPECT_EQ(strand.find("first")->text, first.text);
}

TEST_F(StateTest, WhatIsAskedInARowIsDoneInARow) {
  const State strand = create();
  const auto a = strand.append(piece("x"));
  const auto b = strand.gen("b", tokens(3));
  const auto c = strand.append(piece("yz"));
  const auto d = strand.gen("d", tokens(3));
  EXPECT_TRUE(a.ready());
  EXPECT_FALSE(c.ready());
  EXPECT_EQ(strand.waiting(), 3U);
  const std::string last = get(d).text;
  EXPECT_EQ(strand.text(), "x" + get(b).text + "yz" + last);
  EXPECT_TRUE(strand.idle());
  EXPECT_EQ(strand.operations(), 4U);
}

TEST_F(StateTest, TextsInPiecesAreTokenisedAsOne) {
  const State strand = create();
  for (const char* part : {"ab", "t", "ru", "e", "ab", "c!"}) static_cast<void>(strand.append(piece(part)));
  EXPECT_EQ(strand.tokens(), tokenizer_->encode("abtrueabc!"));
  const State child = strand.fork(1).front();
  static_cast<void>(strand.append(piece("a")));
  static_cast<void>(child.append(piece("tr")));
  static_cast<void>(child.append(piece("ue")));
  EXPECT_EQ(child.tokens(), tokenizer_->encode("abtrueabc!true"));
  EXPECT_EQ(strand.tokens(), tokenizer_->encode("abtrueabc!a"));
}

TEST_F(StateTest, TheBoundaryTokenIsChosenAgain) {
  std::size_t healed = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const State strand = create(seed);
    static_cast<void>(strand.append(piece("it is t")));
    const std::vector<TokenId> prompt = strand.tokens();
    const Capture capture = get(strand.gen("x", tokens(5)));
    const TokenId boundary = strand.tokens()[prompt.size() - 1];
    EXPECT_TRUE(strand.text().starts_with("itist")) << strand.text();
    EXPECT_EQ(strand.text(), tokenizer_->decode(prompt) + capture.text);
    EXPECT_TRUE(tokenizer_->piece(boundary).starts_with('t'));
    if (boundary == prompt.back()) {
      EXPECT_EQ(capture.tokens, alone(prompt, 5, seed));
      EXPECT_EQ(strand.length(), prompt.size() + 5);
    } else {
      ++healed;
      EXPECT_EQ(capture.tokens.front(), boundary);
      EXPECT_EQ(strand.length(), prompt.size() - 1 + 5);
    }
  }
  EXPECT_GT(healed, 200U);  // three words of four go on from "t"
  EXPECT_LT(healed, 400U);
}

TEST_F(StateTest, BoundariesThatAreNoTextStay) {
  for (const bool by_option : {true, false}) {
    const State strand = create(3, !by_option);
    static_cast<void>(by_option ? strand.append(piece("t")) : strand.append(token_piece(tokenizer_->encode("xt"))));
    const std::vector<TokenId> prompt = strand.tokens();
    EXPECT_EQ(get(strand.gen("x", tokens(4))).tokens, alone(prompt, 4, 3));
  }
}

TEST_F(StateTest, AGrammarHoldsAcrossTheBoundary) {
  const auto grammar = std::make_shared<const text::Grammar>(text::regex_grammar("^(rue|x)[0-9]{2}$").value());
  std::size_t healed = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const State strand = create(seed);
    static_cast<void>(strand.append(piece("is t")));
    GenOptions options = tokens(20);
    options.ignore_end = false;
    options.generate.sampler.logit_bias = {};
    options.grammar = [&] { return std::make_shared<models::MaskCache>(grammar, words_); };
    const Capture capture = get(strand.gen("x", options));
    EXPECT_TRUE(capture.text.starts_with("rue") || capture.text.starts_with('x')) << capture.text;
    EXPECT_EQ(capture.text.size(), capture.text.starts_with('x') ? 3U : 5U);
    EXPECT_EQ(capture.reason, EndReason::stop);
    healed += tokenizer_->piece(strand.tokens()[2]) == "t" ? 0 : 1;
  }
  EXPECT_GT(healed, 10U);
}

TEST_F(StateTest, WhatFollowsAStopStringIsCutFromTheStrand) {
  std::size_t stopped = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const State strand = create(seed);
    static_cast<void>(strand.append(piece("zt")));
    GenOptions options = tokens(60);
    options.stop.strings = {"ru", "b", "Q"};
    const Capture capture = get(strand.gen("x", options));
    EXPECT_EQ(strand.text(), "zt" + capture.text);
    EXPECT_EQ(capture.text.find("ru"), std::string::npos);
    if (!capture.stop_string) continue;
    ++stopped;
    EXPECT_EQ(capture.reason, EndReason::stop);
    static_cast<void>(strand.append(piece("!")));
    EXPECT_EQ(strand.text(), "zt" + capture.text + "!");
  }
  EXPECT_GT(stopped, 50U);
}

TEST_F(StateTest, ForksDifferAndRepeat) {
  const auto texts = [&](std::uint64_t seed) {
    const State root = create(seed, false);
    static_cast<void>(root.append(piece("root")));
    std::vector<std::string> all;
    std::vector<Value<Capture>> values;
    const auto children = root.fork(3);
    for (const State& child : children) values.push_back(child.gen("x", tokens(8)));
    for (const auto& value : values) all.push_back(get(value).text);
    EXPECT_EQ(get(values[1]).tokens, alone(tokenizer_->encode("root"), 8, base::child_seed(seed, 1)));
    return all;
  };
  const auto first = texts(5);
  EXPECT_EQ(first, texts(5));
  EXPECT_NE(first, texts(6));
  EXPECT_NE(first[0], first[1]);
}

TEST_F(StateTest, ChildrenWaitForWhatTheirParentWasAskedBefore) {
  const State root = create(4, false);
  static_cast<void>(root.append(piece("r")));
  static_cast<void>(root.gen("a", tokens(6)));
  const State child = root.fork(1).front();
  const auto later = root.gen("b", tokens(2));
  const auto value = child.gen("c", tokens(4));
  EXPECT_FALSE(value.ready());
  EXPECT_EQ(get(value).usage.prompt_tokens, 7U);
  EXPECT_EQ(child.text(), "r" + root.find("a")->text + get(value).text);
  EXPECT_EQ(root.text(), "r" + root.find("a")->text + get(later).text);
  EXPECT_EQ(child.find("b"), nullptr);
}

TEST_F(StateTest, JoinsTakeTheChildrenInTheirOrder) {
  const State root = create(11, false);
  static_cast<void>(root.append(piece("q:")));
  const auto children = root.fork(3);
  std::vector<Value<Capture>> values;
  for (std::size_t i = 0; i < 3; ++i) {
    static_cast<void>(children[i].append(piece(std::to_string(i))));
    values.push_back(children[i].gen("x", tokens(12 - 5 * i)));  // the last one is done first
  }
  const auto joined = root.join({.separator = "|"});
  const auto after = root.gen("y", tokens(2));
  EXPECT_FALSE(joined.ready());
  const Joined done = get(joined);
  std::string expected = "q:";
  std::vector<TokenId> tokens = tokenizer_->encode("q:");
  for (std::size_t i = 0; i < 3; ++i) {
    const Capture capture = get(values[i]);
    expected += (i == 0 ? "" : "|") + std::to_string(i) + capture.text;
    EXPECT_EQ(done.captures[i].front().text, capture.text);
    EXPECT_EQ(root.find("x[" + std::to_string(i) + "]")->text, capture.text);
  }
  EXPECT_EQ(root.text(), expected + get(after).text);
  EXPECT_EQ(root.ledger().critical_path_tokens, 12U + 2U);
  EXPECT_EQ(root.tree_ledger().generated_tokens, 12U + 7U + 2U + 2U);
  EXPECT_EQ(root.ledger().generated_tokens, 2U);
}

TEST_F(StateTest, JoinsByVariablesAppendNothing) {
  const State root = create();
  static_cast<void>(root.append(piece("q")));
  const auto children = root.fork(2);
  for (const State& child : children) static_cast<void>(child.gen("x", tokens(3)));
  EXPECT_EQ(get(root.join({.how = JoinOptions::How::variables})).tokens, 0U);
  EXPECT_EQ(root.text(), "q");
  EXPECT_EQ(root.find("x[1]")->text, children[1].find("x")->text);
  EXPECT_EQ(get(root.join({.children = {children[1].id()}, .capture = "x"})).children.size(), 1U);
  EXPECT_EQ(root.text(), "q" + children[1].find("x")->text);
}

TEST_F(StateTest, JoinsBySpansComputeNothingAgain) {
  const State root = create(2, false);
  static_cast<void>(root.append(piece("question")));
  const auto children = root.fork(2);
  for (const State& child : children) static_cast<void>(child.gen("x", tokens(20)));
  run();
  const std::size_t rows = runner_->rows;
  const Joined joined = get(root.join({.how = JoinOptions::How::spans}));
  EXPECT_EQ(joined.tokens, 40U);
  EXPECT_LE(runner_->rows - rows, 3U);  // the last token of each
  EXPECT_EQ(root.text(), "question" + children[0].find("x")->text + children[1].find("x")->text);
  static_cast<void>(root.append(piece("so")));
  EXPECT_EQ(get(root.gen("y", tokens(4))).tokens.size(), 4U);
  EXPECT_EQ(root.length(), 8U + 40U + 2U + 4U);
}

TEST_F(StateTest, JoinsWithAHealedBoundaryGoByText) {
  std::size_t healed = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const State root = create(seed);
    static_cast<void>(root.append(piece("is t")));
    const State child = root.fork(1).front();
    const Capture capture = get(child.gen("x", tokens(3)));
    const bool changed = child.tokens()[2] != root.tokens()[2];
    if (changed) {
      EXPECT_EQ(error_of(root.join({.how = JoinOptions::How::spans})), ErrorCode::invalid_argument);
    }
    root.recover();
    static_cast<void>(get(root.join({})));
    EXPECT_EQ(root.text(), "ist" + capture.text);
    healed += changed ? 1 : 0;
  }
  EXPECT_GT(healed, 5U);
}

TEST_F(StateTest, AnErrorSurfacesWhereItIsReadAndNowhereElse) {
  const State root = create(1, false);
  static_cast<void>(root.append(piece("r")));
  const auto children = root.fork(3);
  runner_->fails_on = tokenizer_->find("Z").value();
  static_cast<void>(children[1].append(piece("Z")));
  std::vector<Value<Capture>> values;
  for (const State& child : children) {
    GenOptions options = tokens(6);
    options.generate.sampler.logit_bias.emplace_back(tokenizer_->find("Z"), -100);
    values.push_back(child.gen("x", options));
  }
  const auto behind = children[1].append(piece("more"));
  const auto joined = root.join({});
  run();
  EXPECT_EQ(get(values[0]).tokens.size(), 6U);
  EXPECT_EQ(get(values[2]).tokens.size(), 6U);
  EXPECT_EQ(error_of(values[1]), ErrorCode::invalid_data);
  EXPECT_EQ(error_of(behind), ErrorCode::invalid_data);
  EXPECT_EQ(error_of(joined), ErrorCode::invalid_data);
  EXPECT_EQ(children[1].text(), "rZ");
  EXPECT_TRUE(root.error());
  root.recover();
  EXPECT_EQ(get(root.join({.skip_failed = true})).children.size(), 2U);
  children[1].recover();
  EXPECT_EQ(get(children[1].append(piece("!"))).length, 3U);
}

TEST_F(StateTest, CancellingAParentCancelsItsChildren) {
  const State root = create(1, false);
  static_cast<void>(root.append(piece("r")));
  const State child = root.fork(1).front();
  const State grandchild = child.fork(1).front();
  const State other = create(2, false);
  static_cast<void>(other.append(piece("o")));
  const auto own = root.gen("a", tokens(100));
  const auto runs = grandchild.gen("b", tokens(100));
  const auto waits = grandchild.gen("c", tokens(100));
  const auto apart = other.gen("d", tokens(20));
  for (int i = 0; i < 5; ++i) engine_->step();
  EXPECT_EQ(root.cancel(), 3U);
  EXPECT_EQ(get(own).reason, EndReason::cancelled);
  EXPECT_EQ(get(runs).reason, EndReason::cancelled);
  EXPECT_EQ(get(runs).tokens.size(), 5U);
  EXPECT_EQ(grandchild.text(), "r" + get(runs).text);
  EXPECT_EQ(error_of(waits), ErrorCode::interrupted);
  EXPECT_EQ(get(apart).tokens.size(), 20U);
  EXPECT_EQ(get(grandchild.gen("e", tokens(2))).tokens.size(), 2U);
}

TEST_F(StateTest, ForksThatAreNeverReachedFail) {
  const State root = create();
  const auto bad = root.gen("a", tokens(3));  // nothing to go on from
  const State child = root.fork(1).front();
  const auto value = child.gen("b", tokens(3));
  EXPECT_EQ(error_of(bad), ErrorCode::invalid_argument);
  EXPECT_EQ(error_of(value), ErrorCode::invalid_argument);
  child.recover();  // of no use
  EXPECT_EQ(error_of(child.append(piece("x"))), ErrorCode::invalid_argument);
  child.close();
  EXPECT_EQ(error_of(child.append(piece("x"))), ErrorCode::not_found);
}

TEST_F(StateTest, ClosingAndDropping) {
  std::optional<State> root = create();
  static_cast<void>(root->append(piece("r")));
  auto children = root->fork(2);
  const auto runs = children[0].gen("x", tokens(50));
  const State grandchild = children[1].fork(1).front();
  const auto below = grandchild.gen("x", tokens(50));
  for (int i = 0; i < 3; ++i) engine_->step();
  children[0].close();
  EXPECT_EQ(get(runs).reason, EndReason::cancelled);
  children.clear();  // the grandchild's parent is gone, and it goes on
  EXPECT_EQ(get(below).tokens.size(), 50U);
  EXPECT_EQ(engine_->counters().sequences, 2U);
  EXPECT_EQ(grandchild.parent()->id(), root->id());
  root->close();
  EXPECT_TRUE(grandchild.closed());
  EXPECT_EQ(std::ranges::count(kinds_, StrandEvent::Kind::closed), 4);
}

TEST_F(StateTest, TheBestOptionIsAppended) {
  const State strand = create(3, false);
  static_cast<void>(strand.append(piece("pick")));
  const std::vector<std::string> options{"x", "true", "abcab", "true!"};
  const Capture capture = get(strand.select("s", options));
  std::vector<double> sums;
  for (const std::string& option : options) {
    std::vector<TokenId> tokens = tokenizer_->encode("pick");
    double sum = 0;
    for (const TokenId token : tokenizer_->encode(option)) {
      sum += models::log_probabilities(runner_->logits(tokens), token, 0)->chosen;
      tokens.push_back(token);
    }
    sums.push_back(sum);
  }
  ASSERT_TRUE(capture.selection);
  std::size_t best = 0;
  double total = 0;
  for (std::size_t i = 0; i < options.size(); ++i) {
    const ScoredOption& one = capture.selection->options[i];
    EXPECT_EQ(one.tokens, tokenizer_->encode(options[i]).size());
    EXPECT_NEAR(one.logprob, sums[i], 1e-5) << options[i];
    EXPECT_NEAR(one.score, sums[i] / static_cast<double>(one.tokens), 1e-5);
    if (one.score > capture.selection->options[best].score) best = i;
    total += one.probability;
  }
  EXPECT_EQ(capture.selection->best, best);
  EXPECT_NEAR(total, 1, 1e-9);
  EXPECT_EQ(strand.text(), "pick" + options[best]);
  EXPECT_EQ(engine_->counters().sequences, 1U);
  const std::vector<TokenId> all = strand.tokens();
  EXPECT_EQ(get(strand.gen("after", tokens(4))).tokens, alone(all, 4, 3));  // on the option's own keys and values
}

TEST_F(StateTest, SelectionRules) {
  for (const ScoreRule rule : {ScoreRule::sum, ScoreRule::unconditional}) {
    const State strand = create(3, false);
    static_cast<void>(strand.append(piece("pick")));
    const Selection selection = *get(strand.select("s", {"x", "true"}, rule)).selection;
    for (const ScoredOption& one : selection.options) {
      double expected = one.logprob;
      std::vector<TokenId> tokens{tokenizer_->bos()};
      for (const TokenId token : tokenizer_->encode(one.text)) {
        const double there = models::log_probabilities(runner_->logits(tokens), token, 0)->chosen;
        if (rule == ScoreRule::unconditional) expected -= there;
        tokens.push_back(token);
      }
      EXPECT_NEAR(one.score, expected, 1e-5);
    }
  }
}

TEST_F(StateTest, OptionsThatMergeWithTheTextAreScoredFromItsLastToken) {
  const State strand = create();
  static_cast<void>(strand.append(piece("it t")));
  const Capture capture = get(strand.select("s", {"rue", "x"}));
  EXPECT_EQ(capture.selection->options[0].tokens, 1U);
  EXPECT_EQ(capture.selection->options[1].tokens, 2U);
  EXPECT_EQ(strand.text(), "itt" + capture.text);
  EXPECT_EQ(strand.tokens(), tokenizer_->encode("it t" + capture.text));
}

TEST_F(StateTest, SelectionsThatCannotBeLeaveTheTextAsItWas) {
  const State strand = create();
  static_cast<void>(strand.append(piece("abt")));
  const std::vector<std::vector<std::string>> bad{{}, {""}, {"x", std::string(5000, 'q')}};
  for (const auto& options : bad) {
    EXPECT_EQ(error_of(strand.select("s", options)), ErrorCode::invalid_argument);
    EXPECT_EQ(strand.text(), "abt");
    strand.recover();
  }
  const auto value = strand.select("s", {std::string(300, 'q'), "x"});
  for (int i = 0; i < 5; ++i) engine_->step();
  strand.cancel();
  EXPECT_EQ(error_of(value), ErrorCode::interrupted);
  EXPECT_EQ(strand.text(), "abt");
  EXPECT_EQ(engine_->counters().sequences, 1U);
}

TEST_F(StateTest, MessagesMakeTheConversationOfTheTemplate) {
  const State strand = create(1, false);
  const auto user = [](const char* text) { return text::Json::array({{{"role", "user"}, {"content", text}}}); };
  static_cast<void>(get(strand.append(*chat_piece(strands_->model(), user("hi")))));
  EXPECT_EQ(strand.text(), "[user]hi;[A]");
  const std::string answer = get(strand.gen("a", tokens(5))).text;
  static_cast<void>(get(strand.append(*chat_piece(strands_->model(), user("more")))));
  EXPECT_EQ(strand.text(), "[user]hi;[assistant]" + answer + ";[user]more;[A]");
  EXPECT_EQ(strand.tokens(), tokenizer_->encode(strand.text()));
}

TEST_F(StateTest, FailedGenerationsLeaveTheTextAsItWas) {
  open({.context = 64});
  const State strand = create(1);
  static_cast<void>(strand.append(piece("abct")));
  EXPECT_EQ(error_of(strand.append(piece(std::string(100, 'q')))), ErrorCode::invalid_argument);
  EXPECT_EQ(strand.text(), "abct");
  strand.recover();
  runner_->next_error = base::Error{ErrorCode::internal, "scripted"};
  EXPECT_EQ(error_of(strand.gen("x", tokens(5))), ErrorCode::internal);
  EXPECT_EQ(strand.text(), "abct");
  strand.recover();
  EXPECT_EQ(get(strand.gen("x", tokens(0))).reason, EndReason::length);  // to the end of the context
}

}  // namespace
}  // namespace plait::reasoning
