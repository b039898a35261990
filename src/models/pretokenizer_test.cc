// SPDX-License-Identifier: Apache-2.0
#include "models/pretokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "models/pretokenizer_reference.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

namespace plait::models {
namespace {

using enum PreTokenizerRule;
constexpr PreTokenizerRule kRules[] = {standard, gpt2, llama_bpe, qwen2, smollm};

std::vector<std::size_t> scanned(PreTokenizerRule rule, std::string_view text) {
  std::vector<std::size_t> ends;
  for (std::size_t at = 0; at < text.size(); ends.push_back(at)) at = next_word_end(rule, text, at);
  return ends;
}

std::vector<std::string> words(PreTokenizerRule rule, std::string_view text) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  for (const std::size_t end : scanned(rule, text)) {
    out.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

/// Code points whose class is the same in PCRE2's tables and in ours.
const std::vector<char32_t>& agreed_code_points() {
  static const std::vector<char32_t> points = [] {
    std::vector<char32_t> out;
    const auto reference = PatternPreTokenizer::make(gpt2).value();
    const auto second_reference = PatternPreTokenizer::make(standard).value();
    const auto& classes = text::UnicodeClasses::get();
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      // "a" + c + "1" tells letter (cut behind c), number (cut before c) and the rest (both, or white space) apart.
      std::string probe = "a";
      text::append(probe, c);
      probe += "1";
      const auto ends = reference.word_ends(probe).value();
      const bool letter = ends.front() > 1;
      const bool number = ends.size() == 2 && !letter;
      const auto kind = classes(c);
      bool agreed = letter == (kind == text::CharClass::letter) && number == (kind == text::CharClass::number);
      if (agreed && c >= 0x80 && (kind == text::CharClass::other || kind == text::CharClass::punctuation)) {
        std::string second_probe;  // `default` cuts c from the symbol behind it exactly if c is punctuation
        text::append(second_probe, c);
        second_probe += "`";
        const bool punctuation = second_reference.word_ends(second_probe).value().size() == 2;
        agreed = punctuation == (kind == text::CharClass::punctuation);
      }
      if (agreed) out.push_back(c);
    }
    return out;
  }();
  return points;
}

TEST(PreTokenizer, OurTablesDifferFromPcre2OnlyInYoungCharacters) {
  // 1,112,064 characters; a library one to three Unicode versions older or younger knows other ones of a few thousand.
  EXPECT_GT(agreed_code_points().size(), 1'112'064u - 15'000u);
}

std::string random_text() {
  static constexpr std::string_view kCommon[] = {" ",
                                                 "  ",
                                                 "\t",
                                                 "\n",
                                                 "\r\n",
                                                 "\r",
                                                 "'s",
                                                 "'S",
                                                 "'ll",
                                                 "'Re",
                                                 "'",
                                                 "a",
                                                 "Zq",
                                                 "the",
                                                 "1",
                                                 "12",
                                                 "999",
                                                 "x1",
                                                 "!",
                                                 "?!",
                                                 "$",
                                                 "`",
                                                 "+=",
                                                 "_",
                                                 "\u00A0",
                                                 "\u3000",
                                                 "\u0663",
                                                 "\u00BD",
                                                 "\u4E2D\u6587",
                                                 "\u0301",
                                                 "\U0001F600",
                                                 "\U0001F1E9\U0001F1EA",
                                                 "\u200D",
                                                 "\u0085",
                                                 "\u2028",
                                                 "\v"};
  std::string out;
  const auto& points = agreed_code_points();
  for (const auto pick : *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 1u << 30))) {
    if (pick % 4 != 0) {
      out += kCommon[pick / 4 % std::size(kCommon)];
    } else {
      const std::size_t span = pick % 8 == 0 ? 3000 : points.size();
      text::append(out, points[pick / 8 % span]);
    }
  }
  return out;
}

TEST(PreTokenizer, EqualsThePatternsOnRandomUnicode) {
  for (const auto rule : kRules) {
    const auto reference = PatternPreTokenizer::make(rule).value();
    EXPECT_TRUE(rc::check("scanner == PCRE2, rule " + std::to_string(static_cast<int>(rule)), [&] {
      for (int i = 0; i < 20; ++i) {
        const std::string line = random_text();
        const auto wanted = reference.word_ends(line);
        RC_ASSERT(wanted.has_value());
        RC_ASSERT(scanned(rule, line) == *wanted);
      }
    }));
  }
}

TEST(PreTokenizer, Words) {
  using W = std::vector<std::string>;
  EXPECT_EQ(words(gpt2, "I'll  go\n\n now 123!"), (W{"I", "'ll", " ", " go", "\n\n", " now", " 123", "!"}));
  EXPECT_EQ(words(smollm, "a  42 b"), (W{"a", "  ", "4", "2", " b"}));
  EXPECT_EQ(words(qwen2, "It'S 2024\n\n  x\t!"),
            (W{"It", "'S", " ", "2", "0", "2", "4", "\n\n", " ", " x", "\t", "!"}));
  EXPECT_EQ(words(llama_bpe, "12345 \r\n ..\n"), (W{"123", "45", " \r\n", " ..\n"}));
  EXPECT_EQ(words(standard, "x=12345, `y`"), (W{"x", "=", "123", "45", ",", " `", "y", "`"}));
  EXPECT_EQ(words(standard, "  7"), (W{" ", " ", "7"}));
}

TEST(PreTokenizer, Names) {
  EXPECT_EQ(pre_tokenizer_rule("smollm"), smollm);
  EXPECT_EQ(pre_tokenizer_rule(""), standard);
  EXPECT_EQ(pre_tokenizer_rule("tekken"), std::nullopt);
}

}  // namespace
}  // namespace plait::models
