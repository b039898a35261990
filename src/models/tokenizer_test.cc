// SPDX-License-Identifier: Apache-2.0
#include "models/tokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "text/utf8.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::TokenId;
using Ids = std::vector<TokenId>;

/// Owns the texts of a small vocabulary.
struct Small {
  std::vector<std::string> tokens;
  std::vector<std::string> merges;
  TokenizerSource source;

  std::unique_ptr<Tokenizer> make() {
    source.tokens.assign(tokens.begin(), tokens.end());
    source.merges.assign(merges.begin(), merges.end());
    auto made = Tokenizer::make(source);
    EXPECT_TRUE(made.has_value()) << made.error().text();
    return made.has_value() ? *std::move(made) : nullptr;
  }
  void add(std::string text, TokenKind kind, float score = 0) {
    tokens.push_back(std::move(text));
    source.kinds.push_back(static_cast<int>(kind));
    source.scores.push_back(score);
  }
};

/// All 256 bytes, a few merges, two special tokens and one user-defined one.
Small byte_level() {
  Small small;
  char32_t next = 0x100;
  for (char32_t b = 0; b < 256; ++b) {
    std::string text;
    text::append(text, (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD) ? b : next++);
    small.add(text, TokenKind::normal);
  }
  for (const char* text : {"he", "ll", "hell", "hello", "\u0120\u0120", "\u0120hello"})
    small.add(text, TokenKind::normal);
  small.merges = {"h e",     "l l", "he ll", "hell o", "\u0120 \u0120", "\u0120 hello",
                  "no such", "x",   "",      " ",      "a \u4E2D"};
  small.add("<|im_end|>", TokenKind::control);
  small.add("<think>", TokenKind::user_defined);
  small.add("<s>", TokenKind::control);
  small.source.pre = "qwen2";
  small.source.eos = 262;
  small.source.bos = 264;
  return small;
}

Small sentence_pieces(bool space_prefix) {
  Small small;
  small.add("<unk>", TokenKind::unknown);
  small.add("<s>", TokenKind::control);
  small.add("</s>", TokenKind::control);
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) {
    small.add(std::string("<0x") + kHex[b / 16] + kHex[b % 16] + ">", TokenKind::byte);
  }
  float score = 0;
  for (const char* text : {"\u2581he", "llo", "ll", "\u2581h", "he", "\u2581\u2581", "h", "e", "l", "o", "\u2581"}) {
    small.add(text, TokenKind::normal, score--);
  }
  small.source.model = "llama";
  small.source.add_space_prefix = space_prefix;
  return small;
}

TEST(Tokenizer, ByteLevelMergesWords) {
  const auto t = byte_level().make();
  EXPECT_EQ(t->encode("hello  hello"), (Ids{TokenId(259), TokenId(' '), TokenId(261)}));
  EXPECT_EQ(t->encode("hello hello"), (Ids{TokenId(259), TokenId(261)}));
  EXPECT_EQ(t->encode("hel"), (Ids{TokenId(256), TokenId('l')}));
  EXPECT_TRUE(t->encode("").empty());
}

TEST(Tokenizer, SpecialTokensInText) {
  const auto t = byte_level().make();
  EXPECT_EQ(t->encode("hello<|im_end|>hello"), (Ids{TokenId(259), TokenId(262), TokenId(259)}));
  EXPECT_GT(t->encode("hello<|im_end|>", {.parse_special = false}).size(), 2u);
  EXPECT_EQ(t->encode("<think>hello", {.parse_special = false}), (Ids{TokenId(263), TokenId(259)}));
  EXPECT_EQ(t->decode(t->encode("hello<|im_end|>")), "hello");
  EXPECT_EQ(t->decode(t->encode("hello<|im_end|>"), true), "hello<|im_end|>");
  EXPECT_EQ(t->find("<|im_end|>"), TokenId(262));
  EXPECT_EQ(t->find("<|no|>"), base::kNoToken);
  EXPECT_TRUE(t->is_end_of_generation(TokenId(262)));
  EXPECT_FALSE(t->is_end_of_generation(TokenId(263)));
  EXPECT_EQ(t->kind(TokenId(263)), TokenKind::user_defined);
  EXPECT_EQ(t->kind(TokenId(-5)), TokenKind::undefined);
}

TEST(Tokenizer, BeginAndEndOfText) {
  Small small = byte_level();
  small.source.add_bos = true;
  small.source.add_eos = true;
  const auto t = small.make();
  EXPECT_EQ(t->encode("hello"), (Ids{TokenId(264), TokenId(259), TokenId(262)}));
  EXPECT_EQ(t->encode("hello", {.add_special = false}), (Ids{TokenId(259)}));
}

TEST(Tokenizer, SentencePiecesByScore) {
  const auto t = sentence_pieces(true).make();
  EXPECT_EQ(t->encode("hello"), (Ids{TokenId(1), TokenId(259), TokenId(260)}));
  EXPECT_EQ(t->encode("\u00E9", {.add_special = false}), (Ids{TokenId(269), TokenId(3 + 0xC3), TokenId(3 + 0xA9)}));
  EXPECT_EQ(t->decode(t->encode(" hello")), " hello");
  EXPECT_EQ(sentence_pieces(false).make()->encode("hello", {.add_special = false}), (Ids{TokenId(263), TokenId(260)}));
}

std::string random_text(bool any_bytes) {
  std::string out;
  for (const auto pick :
       *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 1u << 31))) {
    static const std::vector<std::string> kPieces = {"hello", " ", "  ", "l", "\n", "h", "'s", "12", "\u00E9", "!"};
    if (pick % 4 < 2) {
      out += kPieces[pick / 4 % kPieces.size()];
    } else if (pick % 4 == 2 || !any_bytes) {
      const std::uint32_t c = pick / 4 % 0x110000;
      if (c != 0x2581) text::append(out, c);
    } else {
      out.push_back(static_cast<char>(static_cast<unsigned char>(pick / 4)));
    }
  }
  return out;
}

TEST(Tokenizer, DecodeUndoesEncode) {
  const std::unique_ptr<Tokenizer> all[] = {byte_level().make(), sentence_pieces(true).make(),
                                            sentence_pieces(false).make()};
  for (const auto& t : all) {
    EXPECT_TRUE(rc::check("decode(encode(x)) == x", [&] {
      const std::string text = random_text(false);
      RC_ASSERT(t->decode(t->encode(text)) == text);
    }));
  }
}

TEST(Tokenizer, AnyBytesEncodeAsTheirRepairedText) {
  const std::unique_ptr<Tokenizer> all[] = {byte_level().make(), sentence_pieces(true).make()};
  for (const auto& t : all) {
    EXPECT_TRUE(rc::check("encode(x) == encode(sanitize(x))", [&] {
      const std::string bytes = random_text(true);
      RC_ASSERT(t->encode(bytes) == t->encode(text::sanitize(bytes)));
      RC_ASSERT(t->decode(t->encode(bytes)) == text::sanitize(bytes));
    }));
  }
}

TEST(Tokenizer, StreamsAreWholeUtf8AndAddUpToDecode) {
  const std::unique_ptr<Tokenizer> all[] = {byte_level().make(), sentence_pieces(true).make()};
  for (const auto& t : all) {
    EXPECT_TRUE(rc::check("stream", [&] {
      Ids ids;
      for (const int id : *rc::gen::container<std::vector<int>>(rc::gen::inRange(-2, 280))) ids.emplace_back(id);
      Detokenizer stream(*t);
      std::string whole;
      for (const TokenId id : ids) {
        const std::string part = stream.push(id);
        RC_ASSERT(text::is_valid(part));
        whole += part;
      }
      whole += stream.flush();
      RC_ASSERT(text::is_valid(whole));
      RC_ASSERT(whole == t->decode(ids));
    }));
  }
}

TEST(Tokenizer, LongRunsOfOneCharacter) {
  for (Small small : {byte_level(), sentence_pieces(false)}) {
    const auto t = small.make();
    for (const char letter : {'l', ' ', '\n', 'z'}) {
      const std::string text(letter == 'l' ? 1u << 20 : 1u << 15, letter);
      EXPECT_EQ(t->decode(t->encode(text)), text);
    }
  }
}

TEST(Tokenizer, ThreadsAgree) {
  const auto t = byte_level().make();
  const std::string text = "hello hello hell  hello\n" + std::string(200, 'h') + "hello";
  const Ids wanted = byte_level().make()->encode(text);
  std::vector<Ids> found(4);
  {
    std::vector<std::jthread> threads;
    for (Ids& ids : found) threads.emplace_back([&] { ids = t->encode(text); });
  }
  for (const Ids& ids : found) EXPECT_EQ(ids, wanted);
}

TEST(Tokenizer, RefusesByName) {
  Small small = byte_level();
  small.source.pre = "tekken";
  small.source.tokens.assign(small.tokens.begin(), small.tokens.end());
  EXPECT_EQ(Tokenizer::make(small.source).error().code, ErrorCode::unsupported);
  EXPECT_NE(Tokenizer::make(small.source).error().message.find("tekken"), std::string::npos);
  small.source.model = "bert";
  EXPECT_EQ(Tokenizer::make(small.source).error().code, ErrorCode::unsupported);
}

TEST(TokenizerHoles, WrongArrays) {
  TokenizerSource source;
  EXPECT_EQ(Tokenizer::make(source).error().code, ErrorCode::invalid_data);
  source.tokens = {"a", "b"};
  source.kinds = {1};
  EXPECT_EQ(Tokenizer::make(source).error().code, ErrorCode::invalid_data);
  source.kinds = {};
  source.scores = {1};
  EXPECT_EQ(Tokenizer::make(source).error().code, ErrorCode::invalid_data);
}

TEST(TokenizerHoles, ByteTokensThatAreNone) {
  Small small = sentence_pieces(true);
  for (const char* text : {"<0x-1>", "<0xZZ>", "<0x>", "<0x", "", "<0x100>", "<0xFFFFFFFF>"}) {
    small.add(text, TokenKind::byte);
  }
  small.add("<0x0A>", TokenKind::byte);  // a second line feed: the last one counts
  const auto t = small.make();
  for (std::int32_t id = 270; id < 277; ++id) EXPECT_TRUE(t->piece(TokenId(id)).empty()) << id;
  EXPECT_EQ(t->encode("\n", {.add_special = false}), (Ids{TokenId(269), TokenId(277)}));
  EXPECT_EQ(t->decode(t->encode("a\nb")), "a\nb");
}

TEST(TokenizerHoles, IdsScoresAndKindsOutOfRange) {
  for (Small small : {byte_level(), sentence_pieces(true)}) {
    auto& s = small.source;
    s.bos = s.eos = s.unk = s.pad = s.eot = 1LL << 40;
    s.eom = s.fim_pad = s.fim_repository = -3;
    s.add_bos = s.add_eos = true;
    s.kinds[5] = -7;
    s.kinds[6] = 1000;
    s.scores[7] = std::numeric_limits<float>::quiet_NaN();
    s.scores[8] = std::numeric_limits<float>::infinity();
    const auto t = small.make();
    EXPECT_EQ(t->pad(), base::kNoToken);
    EXPECT_FALSE(t->encode("hello").empty());
  }
}

TEST(TokenizerHoles, MissingBytesAndMergesOfNothing) {
  Small small;
  small.tokens = {"a", "ab", "abc"};
  small.merges = {"b c", "a b", "a bc", "c \u0120", "a b"};  // "bc" is no token
  const auto t = small.make();
  EXPECT_EQ(t->encode("a"), (Ids{TokenId(0)}));
  EXPECT_EQ(t->encode("abc"), (Ids{TokenId(2)}));  // by way of "bc"
  EXPECT_EQ(t->encode("bc"), Ids{});               // as llama.cpp: no bytes, no ids
  EXPECT_EQ(t->encode("\xF0\x9F\x98\x80"), Ids{});
}

TEST(TokenizerHoles, SpecialTokensThatArePartsOfCharacters) {
  for (Small small : {byte_level(), sentence_pieces(true)}) {
    for (const char* text : {"\xE2", "\x82", "\xAC", "a\xE2", "\xAC!"}) small.add(text, TokenKind::user_defined);
    const auto tokenizer = small.make();
    ASSERT_NE(tokenizer, nullptr);
    for (const std::string text : {"a\u20AC!", "\u20AC", "\u20AC\u20AC", "\xE2"}) {
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {.add_special = false}), true), text::sanitize(text));
    }
  }
}

TEST(TokenizerHoles, DuplicatesAndAHugeToken) {
  Small small;
  small.add("x", TokenKind::normal);
  small.add("x", TokenKind::normal);
  small.add(std::string(1u << 20, 'x'), TokenKind::normal);
  small.add(std::string(1u << 20, 'y'), TokenKind::control);
  small.source.model = "llama";
  small.source.add_space_prefix = false;
  const auto t = small.make();
  EXPECT_EQ(t->encode("x", {.add_special = false}), (Ids{TokenId(1)}));
  small.source.model = "gpt2";
  const auto bytes = small.make();
  EXPECT_EQ(bytes->piece(TokenId(2)).size(), 1u << 20);
  for (const char letter : {'x', 'y'}) {
    static_cast<void>(t->encode(std::string(1u << 16, letter)));
    static_cast<void>(bytes->encode(std::string(1u << 16, letter)));
  }
}

}  // namespace
}  // namespace plait::models
