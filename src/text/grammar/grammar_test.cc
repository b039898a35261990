// SPDX-License-Identifier: Apache-2.0
//
// Automata against the reference on random grammars; then texts that each front end takes and refuses.
#include "text/grammar/grammar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "text/grammar/acceptance.h"
#include "text/grammar/ebnf.h"
#include "text/grammar/reference_matcher.h"
#include "text/grammar/regex.h"
#include "text/grammar/states.h"

namespace plait::text {
namespace {

using base::ErrorCode;

/// A grammar over the letters a, b and c. References to rules stand behind a letter, so there is no left recursion.
class RandomGrammar {
 public:
  explicit RandomGrammar(std::uint64_t seed) : seed_(seed) {
    for (int i = 0; i < 3; ++i) rules_.push_back(source.declare("r" + std::to_string(i)));
    for (const RuleId rule : rules_) source.define(rule, expr(3));
    source.set_root(rules_.front());
  }
  GrammarSource source;

 private:
  std::uint64_t random(std::uint64_t n) { return base::random_u64(seed_, count_++) % n; }
  ExprId letter() {
    const auto first = static_cast<std::uint8_t>('a' + random(3));
    return source.byte_set({{first, random(2) == 0 ? first : static_cast<std::uint8_t>('c')}});
  }
  ExprId expr(int depth) {
    if (depth == 0) return random(6) == 0 ? source.empty() : letter();
    switch (random(8)) {
      case 0:
        return source.literal(std::string_view("abcab").substr(random(3), 1 + random(2)));
      case 1:
        return source.choice({expr(depth - 1), expr(depth - 1)});
      case 2: {
        const auto min = static_cast<std::uint32_t>(random(3));
        return source.repeat(expr(depth - 1), min, random(2) == 0 ? Expr::kNoMaximum : min + 1);
      }
      case 3: {
        std::vector<JoinedItem> items;
        for (std::uint64_t i = 0; i < 1 + random(3); ++i) {
          items.push_back({expr(depth - 1), static_cast<Presence>(random(3))});
        }
        return source.joined(items, letter());
      }
      case 4:
        return source.sequence({letter(), source.rule(rules_[random(3)]), expr(depth - 1)});
      case 5:
        return source.sequence({letter(), source.optional(source.rule(rules_[random(3)]))});
      default:
        return source.sequence({expr(depth - 1), expr(depth - 1)});
    }
  }

  std::uint64_t seed_, count_ = 0;
  std::vector<RuleId> rules_;
};

TEST(Grammar, AutomataReadWhatTheReferenceReads) {
  constexpr std::size_t kLongest = 5;
  int compiled = 0, accepted = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    RandomGrammar random(seed);
    const auto grammar = Grammar::compile(random.source);
    ReferenceMatcher reference(random.source);
    std::vector<std::string> texts{""};
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (texts[i].size() == kLongest) break;
      for (const char c : {'a', 'b', 'c'}) texts.push_back(texts[i] + c);
    }
    if (!grammar) {
      EXPECT_EQ(grammar.error().code, ErrorCode::invalid_argument);
      for (const std::string& text : texts) EXPECT_FALSE(reference.matches(text)) << seed << " " << text;
      continue;
    }
    ++compiled;
    GrammarStates states(std::make_shared<const Grammar>(*grammar));
    std::vector<std::string> matching;
    for (const std::string& text : texts) {
      if (reference.matches(text)) matching.push_back(text);
    }
    for (const std::string& text : texts) {
      const StateId at = run(states, text);
      const bool matches = std::ranges::find(matching, text) != matching.end();
      ASSERT_TRUE(states.check().has_value());
      ASSERT_EQ(at != kRefused && states.accepts(at), matches) << seed << " '" << text << "'";
      accepted += matches ? 1 : 0;
      std::size_t shortest = kLongest + 1;  // of the rests that are short enough to have been tried
      for (const std::string& whole : matching) {
        if (whole.starts_with(text)) shortest = std::min(shortest, whole.size() - text.size());
      }
      if (at == kRefused) {
        ASSERT_EQ(shortest, kLongest + 1) << seed << " '" << text << "'";
        continue;
      }
      if (text.size() + states.cost(at) <= kLongest) {
        ASSERT_EQ(states.cost(at), shortest) << seed << " '" << text << "'";
      }
      std::string whole = text;
      StateId end = at;
      for (std::uint32_t cost = states.cost(at); cost > 0; --cost) {
        ASSERT_EQ(states.cost(end), cost);
        whole += static_cast<char>(states.shortest_byte(end));
        end = states.advance(end, states.shortest_byte(end));
      }
      ASSERT_TRUE(states.accepts(end) && (whole.size() > 24 || reference.matches(whole)))
          << seed << " '" << whole << "'";
    }
  }
  EXPECT_GT(compiled, 300);
  EXPECT_GT(accepted, 3000);
}

TEST(Grammar, TheOnlyByteThatMayFollow) {
  const auto grammar = std::make_shared<const Grammar>(regex_grammar("^ab(c|d)$").value());
  GrammarStates states(grammar);
  EXPECT_EQ(states.only_byte(states.start()), std::uint8_t{'a'});
  EXPECT_EQ(states.only_byte(run(states, "a")), std::uint8_t{'b'});
  EXPECT_EQ(states.only_byte(run(states, "ab")), std::nullopt);
  EXPECT_EQ(states.only_byte(run(states, "abc")), std::nullopt);
  EXPECT_EQ(states.cost(states.start()), 3U);
}

TEST(Grammar, RightRecursionTakesNoStack) {
  const auto grammar = std::make_shared<const Grammar>(ebnf_grammar("root ::= \"x\" root | \"y\"").value());
  GrammarStates states(grammar, {.depth_max = 4});
  EXPECT_TRUE(states.accepts(run(states, fmt::format("{:x>{}}", 'y', 10'001))));
  EXPECT_LT(states.size(), 10U);
}

TEST(Grammar, CallsNestAsDeepAsAllowed) {
  const auto grammar = std::make_shared<const Grammar>(ebnf_grammar("root ::= \"(\" root \")\" | \"x\"").value());
  GrammarStates states(grammar, {.depth_max = 100});
  const auto nested = [&](std::size_t depth) {
    const StateId at = run(states, std::string(depth, '(') + "x" + std::string(depth, ')'));
    return at != kRefused && states.accepts(at);
  };
  EXPECT_TRUE(nested(50));
  EXPECT_FALSE(nested(200));
  EXPECT_TRUE(states.check().has_value());
}

TEST(Grammar, LimitsAreErrors) {
  const auto grammar = std::make_shared<const Grammar>(
      ebnf_grammar("root ::= \"a\" root \"x\" | \"a\" root other | \"\"\nother ::= \"a\" other \"b\" | \"c\"").value());
  GrammarStates states(grammar, {.entries_max = 30});
  EXPECT_EQ(run(states, std::string(400, 'a')), kRefused);
  EXPECT_EQ(states.check().error().code, ErrorCode::out_of_resources);
  GrammarStates small(grammar, {.bytes_max = 20'000});
  EXPECT_EQ(run(small, std::string(400, 'a')), kRefused);
  EXPECT_EQ(small.check().error().code, ErrorCode::out_of_resources);
  EXPECT_EQ(regex_grammar("^(a|b)*a(a|b){40}$").error().code, ErrorCode::out_of_resources);
  EXPECT_EQ(regex_grammar("^((a{1000}b){1000}c){1000}$").has_value(), true);  // calls, not copies
  EXPECT_EQ(regex_grammar("a{100001}").error().code, ErrorCode::out_of_resources);
  EXPECT_EQ(regex_grammar(std::string(500, '(') + std::string(500, ')')).error().code, ErrorCode::out_of_resources);
}

TEST(Grammar, LeftRecursionIsRefusedByName) {
  for (const char* text : {"root ::= root \"a\" | \"b\"", "root ::= b\nb ::= c? root \"x\" | \"y\"\nc ::= \"c\"",
                           "root ::= \"a\" b\nb ::= e b \"x\" | \"y\"\ne ::= \"\" | \"(\" e \")\""}) {
    const auto grammar = ebnf_grammar(text);
    ASSERT_FALSE(grammar.has_value()) << text;
    EXPECT_EQ(grammar.error().code, ErrorCode::invalid_argument) << text;
  }
  EXPECT_EQ(ebnf_grammar("root ::= \"a\" root").error().code, ErrorCode::invalid_argument);  // never ends
}

struct Language {
  const char* grammar;
  std::vector<std::string> accepted;
  std::vector<std::string> refused;
};

TEST(Regex, AcceptsAndRefuses) {
  const std::vector<Language> cases = {
      {"^abc$", {"abc"}, {"", "ab", "abcd", "xabc"}},
      {"b", {"b", "abc", "bb", "é b\n"}, {"", "a"}},
      {"^a|b$", {"a", "ax", "b", "xb"}, {"xa", "bx", ""}},
      {"^[a-c]{2,3}$", {"ab", "abc"}, {"a", "abca", "ad"}},
      {"^(ab|c)*$", {"", "ab", "cabc"}, {"a", "ba"}},
      {"^\\d+\\.\\d{2}$", {"0.00", "12.34"}, {"1.2", ".12", "1x23"}},
      {"^\\w\\W\\s\\S$", {"a- b", "_!\tx"}, {"aa b"}},
      {"^[^x]$", {"a", "é", "\xF0\x9F\x98\x80", "\n"}, {"x", "", "\xC3", "\xED\xA0\x80", "\xFF"}},
      {"^.$", {"a", "\xE2\x82\xAC"}, {"\n", "\xE2\x80\xA8"}},
      {"^[\\u00e0-\\u00ff\\-\\]]+$", {"é-]"}, {"e"}},
      {"^\\u{1F600}\\uD83D\\uDE00\\x41\\cA$",
       {"\xF0\x9F\x98\x80\xF0\x9F\x98\x80"
        "A\x01"},
       {"A"}},
      {"^(?:a(?<name>b)+?)?$", {"", "ab", "abb"}, {"a"}},
      {"^a{0}b{2}c{1,}$", {"bbc", "bbcc"}, {"abbc", "bc"}},
      {"^[]$|^x$", {"x"}, {"", "y"}},
      {"", {"", "anything"}, {}},
  };
  for (const Language& one : cases) {
    const auto grammar = regex_grammar(one.grammar);
    ASSERT_TRUE(grammar.has_value()) << one.grammar << ": " << grammar.error().message;
    for (const std::string& text : one.accepted) EXPECT_TRUE(accepts(*grammar, text)) << one.grammar << " " << text;
    for (const std::string& text : one.refused) EXPECT_FALSE(accepts(*grammar, text)) << one.grammar << " " << text;
  }
}

TEST(Regex, SaysWhatItCannotDo) {
  for (const char* pattern : {"(?=a)", "(?!a)", "(?<=a)b", "(a)\\1", "\\bx", "\\p{L}", "(^a)", "(?<n>a)\\k<n>"}) {
    EXPECT_EQ(regex_grammar(pattern).error().code, ErrorCode::unsupported) << pattern;
  }
  for (const char* pattern : {"(", ")", "[", "a**", "*", "a{2,1}", "a{", "[b-a]", "\\", "\\u12", "\\uD800", "\\q",
                              "^$x", "(?x)", "[\\d-z]", "\\xg0", "\\u{110000}", "\xFF"}) {
    EXPECT_EQ(regex_grammar(pattern).error().code, ErrorCode::invalid_argument) << pattern;
  }
}

TEST(Ebnf, AcceptsAndRefuses) {
  const std::vector<Language> cases = {
      {"root ::= \"a\" | \"b\" [0-9]+", {"a", "b1", "b23"}, {"", "b", "ab"}},
      {"# sums\nroot ::= term (\"+\" term)*\nterm ::= num | \"(\" root \")\" # nested\nnum ::= [0-9]{1,3}",
       {"1", "1+22", "(1+(2))+3"},
       {"", "1+", "(1", "1234"}},
      {"root ::=\n  item |\n  item root\nitem ::= \"\\x41\\u00e9\\n\" ",
       {"A\xC3\xA9\n", "A\xC3\xA9\nA\xC3\xA9\n"},
       {"A"}},
      {"root ::= [^\\]\\-\"] . x?\nx ::= \"\\\"\"", {"ab", "a\xC3\xA9\""}, {"]a", "-a", "\"a", "a\xC3"}},
      {"root ::= a{2,} \"\"\na ::= \"x\"", {"xx", "xxx"}, {"x"}},
  };
  for (const Language& one : cases) {
    const auto grammar = ebnf_grammar(one.grammar);
    ASSERT_TRUE(grammar.has_value()) << one.grammar << ": " << grammar.error().message;
    for (const std::string& text : one.accepted) EXPECT_TRUE(accepts(*grammar, text)) << one.grammar << " " << text;
    for (const std::string& text : one.refused) EXPECT_FALSE(accepts(*grammar, text)) << one.grammar << " " << text;
  }
}

TEST(Ebnf, BadTextsAreErrorsWithTheirLine) {
  for (const char* text : {"", "x ::= \"a\"", "root ::= b", "root ::= \"a", "root ::= (\"a\"", "root ::= \"a\")",
                           "root \"a\"", "root ::= \"a\"\nroot ::= \"b\"", "root ::= *", "root ::= [b-a]",
                           "root ::= \"\\q\"", "root ::= \"a\"{2,1}", "root ::= \"\\ud800\"", "root ::= \xFF"}) {
    EXPECT_EQ(ebnf_grammar(text).error().code, ErrorCode::invalid_argument) << text;
  }
  EXPECT_TRUE(ebnf_grammar("root ::= a\na ::= ?").error().message.contains("line 2"));
}

}  // namespace
}  // namespace plait::text
