// SPDX-License-Identifier: Apache-2.0
//
// Masks against every token tried byte by byte, and walks under masks that must end within their tokens.
#include "models/token_mask.h"

#include <gtest/gtest.h>

#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "testing/allocation_count.h"
#include "text/grammar/ebnf.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/json_text.h"
#include "text/grammar/regex.h"
#include "text/utf8.h"

namespace plait::models {
namespace {

using base::TokenId;
using text::kRefused;
using text::StateId;

/// GPT-2's letters for bytes: those that print stand for themselves, the others follow from U+0100 on.
std::string letter_of(int byte) {
  const auto prints = [](int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255); };
  char32_t letter = static_cast<char32_t>(byte);
  if (!prints(byte)) {
    letter = 0x100;
    for (int b = 0; b < byte; ++b) letter += prints(b) ? 0 : 1;
  }
  std::string out;
  text::append(out, letter);
  return out;
}

std::string written(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += letter_of(static_cast<unsigned char>(c));
  return out;
}

/// All bytes but those of `without`, some words of JSON made by merging, and special tokens.
std::unique_ptr<Tokenizer> small_tokenizer(std::string_view without = "") {
  std::vector<std::string> tokens, merges;
  for (int byte = 0; byte < 256; ++byte) {
    if (!without.contains(static_cast<char>(byte))) tokens.push_back(letter_of(byte));
  }
  for (const std::string_view word :
       {"{\"", "\":", "\": ", "\": \"", "\",", "\", \"", "na", "nam",      "name",     "ag",  "age",
        "tr",  "tru", "true", "12",     "123", "\"}",    "}}", "\xC3\xA9", "\xE2\x82", "e\"", "e\":"}) {
    tokens.push_back(written(word));
    merges.push_back(written(word.substr(0, word.size() - 1)) + " " + written(word.substr(word.size() - 1)));
  }
  std::vector<std::int32_t> kinds(tokens.size(), 1);
  for (const char* special : {"<|end|>", "<|user|>"}) {
    tokens.emplace_back(special);
    kinds.push_back(3);
  }
  TokenizerSource source;
  source.tokens.assign(tokens.begin(), tokens.end());
  source.kinds = kinds;
  source.merges.assign(merges.begin(), merges.end());
  source.eos = static_cast<std::int64_t>(tokens.size()) - 2;
  return Tokenizer::make(source).value();
}

std::vector<std::shared_ptr<const text::Grammar>> grammars() {
  std::vector<std::shared_ptr<const text::Grammar>> all;
  const auto add = [&](base::Result<text::Grammar> grammar) {
    all.push_back(std::make_shared<const text::Grammar>(std::move(grammar).value()));
  };
  add(text::regex_grammar("^(name|age|true)*x{3}$"));
  add(text::ebnf_grammar("root ::= \"(\" root \")\" | [0-9]{1,4} | \"name\""));
  add(text::json_object_grammar());
  for (const char* schema : {
           R"({"properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150}},
               "required":["name","age"]})",
           R"({"properties":{"a":{"items":{"enum":["name","true",12]},"minItems":2},"b":{"type":"boolean"}},
               "additionalProperties":{"type":"number"}})",
           R"({"$ref":"#/$defs/n","$defs":{"n":{"properties":{"name":{"type":"string","maxLength":5},
               "next":{"$ref":"#/$defs/n"}},"required":["name"]}}})",
           R"({"items":{"type":"string","minLength":2,"maxLength":45}})",
           R"({"items":{"anyOf":[{"pattern":"^.*a.?$"},{"type":"string","maxLength":1}]}})",
       }) {
    add(text::json_schema_grammar(text::parse_json(schema).value()));
  }
  return all;
}

bool allows(MaskCache::Mask mask, TokenId token) {
  const auto id = static_cast<std::size_t>(token.value());
  return (mask[id / 64] >> (id % 64) & 1) != 0;
}

std::vector<TokenId> allowed(MaskCache::Mask mask, const Tokenizer& tokenizer) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < tokenizer.size(); ++i) {
    const TokenId id(static_cast<std::int32_t>(i));
    if (allows(mask, id)) tokens.push_back(id);
  }
  return tokens;
}

/// Whether a text stays within the grammar, by itself.
bool fits(text::GrammarStates& states, std::string_view text) {
  StateId at = states.start();
  for (const char c : text) at = states.advance(at, static_cast<std::uint8_t>(c));
  return at != kRefused;
}

TEST(TokenMask, AreWhatEachTokenByItselfWouldSay) {
  const auto tokenizer = small_tokenizer();
  const auto table = std::make_shared<const TokenMaskTable>(*tokenizer);
  for (const auto& grammar : grammars()) {
    MaskCache masks(grammar, table);
    text::GrammarStates states(grammar);
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      std::string text;
      StateId at = masks.start();
      for (std::uint64_t step = 0; step < 25; ++step) {
        const auto mask = masks.mask(at);
        ASSERT_TRUE(mask.has_value());
        for (std::size_t i = 0; i < tokenizer->size(); ++i) {
          const TokenId id(static_cast<std::int32_t>(i));
          bool expected = fits(states, text + std::string(tokenizer->piece(id)));
          if (tokenizer->kind(id) == TokenKind::control)
            expected = id == tokenizer->eos() && masks.states().accepts(at);
          ASSERT_EQ(allows(*mask, id), expected) << text << " + " << tokenizer->piece(id);
        }
        const std::vector<TokenId> next = allowed(*mask, *tokenizer);
        ASSERT_FALSE(next.empty());
        const TokenId token = next[base::random_u64(seed, step) % next.size()];
        if (token == tokenizer->eos()) break;
        text += tokenizer->piece(token);
        at = masks.advance(at, token);
      }
    }
  }
}

/// Bytes, and words as they are in vocabularies that know nothing of characters: with parts of them, long stretches,
/// and marks of JSON in the middle.
std::unique_ptr<Tokenizer> wordy_tokenizer() {
  static constexpr std::string_view kParts[] = {
      "a",        "na",   "name", " ",    "\"",       "\":", "\\",   "\\n",      ",",
      "\xC3\xA9", "\xE2", "\x82", "\xAC", "\xF0\x9F", "]",   "\x7F", "xxxxxxxx", "\n"};
  std::set<std::string> words;
  for (int byte = 0; byte < 256; ++byte) words.emplace(1, static_cast<char>(byte));
  words.insert(std::string(40, 'x'));
  words.insert(std::string(35, ' ') + "\",");
  for (std::uint64_t i = 0; words.size() < 1500; ++i) {
    std::string word;
    for (std::uint64_t k = 0; k < 1 + base::random_u64(i, 0) % 7; ++k) {
      word += kParts[base::random_u64(i, 1 + k) % std::size(kParts)];
    }
    words.insert(word);
  }
  std::vector<std::string> tokens;
  for (const std::string& word : words) tokens.push_back(written(word));
  tokens.emplace_back("<|end|>");
  std::vector<std::int32_t> kinds(tokens.size(), 1);
  kinds.back() = 3;
  TokenizerSource source;
  source.tokens.assign(tokens.begin(), tokens.end());
  source.kinds = kinds;
  source.eos = static_cast<std::int64_t>(tokens.size()) - 1;
  return Tokenizer::make(source).value();
}

TEST(TokenMask, PlainWordsTakenTogetherAreAllowedAsByTheWalkOverAll) {
  const auto tokenizer = wordy_tokenizer();
  const auto table = std::make_shared<const TokenMaskTable>(*tokenizer);
  EXPECT_EQ(table->plain.longest(), PlainWords::kCountMax);
  for (const auto& grammar : grammars()) {
    MaskCache masks(grammar, table), reference(grammar, table, {.plain_words = false});
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      StateId at = masks.start(), same = reference.start();
      for (std::uint64_t step = 0; step < 40; ++step) {
        const std::vector<TokenId> next = allowed(*masks.mask(at), *tokenizer);
        ASSERT_EQ(next, allowed(*reference.mask(same), *tokenizer));
        const std::size_t left = 2 + base::random_u64(seed, step + 1000) % 60;
        ASSERT_EQ(allowed(*masks.mask_within(at, left), *tokenizer),
                  allowed(*reference.mask_within(same, left), *tokenizer));
        ASSERT_FALSE(next.empty());
        const TokenId token = next[base::random_u64(seed, step) % next.size()];
        if (token == tokenizer->eos()) break;
        at = masks.advance(at, token);
        same = reference.advance(same, token);
      }
    }
  }
}

TEST(TokenMask, WalksEndWithinTheirTokens) {
  const auto tokenizer = small_tokenizer();
  const auto table = std::make_shared<const TokenMaskTable>(*tokenizer);
  for (const auto& grammar : grammars()) {
    MaskCache masks(grammar, table, {.bytes_max = 1});
    const std::uint32_t least = masks.tokens_to_end(masks.start());
    for (std::uint64_t seed = 0; seed < 120; ++seed) {
      std::size_t left = least + 1 + base::random_u64(seed, 999) % 30;
      std::string text;
      StateId at = masks.start();
      for (std::uint64_t step = 0;; ++step) {
        ASSERT_GT(left, 0U) << text;
        ASSERT_LE(masks.tokens_to_end(at) + 1, left) << text;
        const auto mask = masks.mask_within(at, left);
        ASSERT_TRUE(mask.has_value());
        const std::vector<TokenId> next = allowed(*mask, *tokenizer);
        ASSERT_FALSE(next.empty()) << text;
        const TokenId token = next[base::random_u64(seed, step) % next.size()];
        --left;
        if (token == tokenizer->eos()) break;
        text += tokenizer->piece(token);
        at = masks.advance(at, token);
      }
      EXPECT_TRUE(masks.states().accepts(at)) << text;
      const bool json = text.starts_with('{');
      EXPECT_TRUE(!json || text::parse_json(text).has_value()) << text;
    }
  }
}

TEST(TokenMask, WithTooFewTokensTheShortestWayIsTaken) {
  const auto tokenizer = small_tokenizer();
  MaskCache masks(grammars()[3], std::make_shared<const TokenMaskTable>(*tokenizer));
  StateId at = masks.start();
  std::uint32_t needed = masks.tokens_to_end(at);
  for (; needed > 0; --needed) {
    const auto next = allowed(*masks.mask_within(at, 1), *tokenizer);
    ASSERT_FALSE(next.empty());
    at = masks.advance(at, next.front());
    ASSERT_LT(masks.tokens_to_end(at), needed);
  }
  EXPECT_EQ(allowed(*masks.mask_within(at, 1), *tokenizer), std::vector{tokenizer->eos()});
}

TEST(TokenMask, ForcedTokensAreTheOnlyTextThatMayFollow) {
  const auto tokenizer = small_tokenizer();
  const auto table = std::make_shared<const TokenMaskTable>(*tokenizer);
  std::size_t found = 0;
  for (const auto& grammar : grammars()) {
    MaskCache masks(grammar, table);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      StateId at = masks.start();
      for (std::uint64_t step = 0; step < 30; ++step) {
        const auto forced_now = masks.forced(at);
        const std::vector<TokenId> forced(forced_now.begin(), forced_now.end());
        for (const TokenId token : forced) {
          ++found;
          ASSERT_FALSE(masks.states().accepts(at));
          std::string_view piece = tokenizer->piece(token);
          for (const TokenId other : allowed(*masks.mask(at), *tokenizer)) {
            ASSERT_TRUE(piece.starts_with(tokenizer->piece(other)) || tokenizer->piece(other).size() > piece.size());
          }
          at = masks.advance(at, token);
          ASSERT_NE(at, kRefused);
        }
        const auto next = allowed(*masks.mask(at), *tokenizer);
        const TokenId token = next[base::random_u64(seed, step) % next.size()];
        if (token == tokenizer->eos()) break;
        at = masks.advance(at, token);
      }
    }
  }
  EXPECT_GT(found, 50U);
  const auto fixed = std::make_shared<const text::Grammar>(text::regex_grammar("^name\": true$").value());
  MaskCache masks(fixed, table);
  std::string text;
  for (const TokenId token : masks.forced(masks.start())) text += tokenizer->piece(token);
  EXPECT_EQ(text, "name\": true");
}

TEST(TokenMask, KeptMasksCostNoAllocation) {
  const auto tokenizer = small_tokenizer();
  MaskCache masks(grammars()[2], std::make_shared<const TokenMaskTable>(*tokenizer));
  const StateId first = masks.start();
  const StateId second = masks.advance(first, tokenizer->find("{"));
  ASSERT_TRUE(masks.mask(first).has_value() && masks.mask(second).has_value());
  const std::size_t before = testing::allocation_count();
  for (int i = 0; i < 100; ++i) {
    static_cast<void>(masks.mask(first));
    static_cast<void>(masks.mask_within(second, 10'000));
    static_cast<void>(masks.advance(first, tokenizer->find("{")));
  }
  EXPECT_EQ(testing::allocation_count(), before);
  EXPECT_EQ(masks.masks_made(), 2U);
}

TEST(TokenMask, WordsThatAreMissingAreAnError) {
  const auto tokenizer = small_tokenizer("}");  // only as part of longer words
  const auto table = std::make_shared<const TokenMaskTable>(*tokenizer);
  MaskCache masks(std::make_shared<const text::Grammar>(text::regex_grammar("^a\\}$").value()), table);
  EXPECT_EQ(masks.tokens_to_end(masks.start()), MaskCache::kNever);
  EXPECT_EQ(masks.mask_within(masks.start(), 3).error().code, base::ErrorCode::unsupported);
}

}  // namespace
}  // namespace plait::models
