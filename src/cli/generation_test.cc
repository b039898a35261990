// SPDX-License-Identifier: Apache-2.0
#include "cli/generation.h"

#include <gtest/gtest.h>

#include <span>

#include "cli/conversation.h"
#include "testing/tiny_model.h"

namespace plait::cli {
namespace {

using base::TokenId;

bool never() { return false; }

/// A tiny random model with its tokenizer. It babbles, but always the same.
struct Loaded : LoadedModel {
  explicit Loaded(std::size_t context = 0) : bytes(testing::make_tiny_model({})) {
    team = std::make_unique<parallel::Team>(2);
    auto file = models::GgufFile::parse(bytes);
    auto read = models::Model::load(*std::move(file), {.context = context}, *team);
    EXPECT_TRUE(read) << read.error().chain();
    model = *std::move(read);
    tokenizer = *models::Tokenizer::load(model->file());
    chat = *models::ChatTemplate::make(std::nullopt, {});
  }
  std::vector<std::byte> bytes;
};

struct Answer {
  Generation generation;
  std::string shown;
};

Answer run(Generator& generator, std::span<const TokenId> prompt, const GenerationOptions& options) {
  Answer answer;
  auto done = generator.run(prompt, options, [&](std::string_view text) { answer.shown += text; }, never);
  EXPECT_TRUE(done) << done.error().chain();
  if (done) answer.generation = *std::move(done);
  return answer;
}

TEST(Generator, ShowsWhatItReturnsAndKeepsToTheLimit) {
  const Loaded loaded;
  Generator generator(*loaded.model, *loaded.tokenizer, *loaded.team);
  const auto prompt = loaded.tokenizer->encode("hello");
  const Answer answer = run(generator, prompt, {.tokens_max = 20, .ignore_eos = true});
  EXPECT_EQ(answer.shown, answer.generation.text);
  EXPECT_EQ(answer.generation.tokens.size(), 20U);
  EXPECT_EQ(answer.generation.reason, FinishReason::length);
  EXPECT_EQ(answer.generation.prompt_tokens, prompt.size());
  EXPECT_EQ(answer.generation.cached_tokens, 0U);
}

TEST(Generator, APromptWithAKnownBeginningGivesTheSameAnswer) {
  const Loaded loaded;
  const GenerationOptions options{.tokens_max = 16, .ignore_eos = true};
  const auto longer = loaded.tokenizer->encode("hello world, this is how it begins: how are you");
  Generator fresh(*loaded.model, *loaded.tokenizer, *loaded.team);
  const Answer expected = run(fresh, longer, options);
  Generator used(*loaded.model, *loaded.tokenizer, *loaded.team);
  run(used, loaded.tokenizer->encode("hello world, this is how it begins: what"), options);
  const Answer answer = run(used, longer, options);
  EXPECT_GT(answer.generation.cached_tokens, 0U);
  EXPECT_EQ(answer.generation.tokens, expected.generation.tokens);
  const Answer again = run(used, longer, options);
  EXPECT_EQ(again.generation.cached_tokens, (longer.size() - 1) / 16 * 16);
  EXPECT_EQ(again.generation.tokens, expected.generation.tokens);
}

TEST(Generator, StopsBeforeAStopString) {
  const Loaded loaded;
  Generator generator(*loaded.model, *loaded.tokenizer, *loaded.team);
  const auto prompt = loaded.tokenizer->encode("abc");
  const Answer whole = run(generator, prompt, {.tokens_max = 40, .ignore_eos = true});
  ASSERT_GT(whole.shown.size(), 8U);
  // A piece of its own text that is whole UTF-8: the model's bytes above 0x7f come out as replacement characters.
  std::size_t at = 4;
  while ((static_cast<unsigned char>(whole.shown[at]) & 0xC0U) == 0x80U) ++at;
  std::size_t end = at + 3;
  while (end < whole.shown.size() && (static_cast<unsigned char>(whole.shown[end]) & 0xC0U) == 0x80U) ++end;
  const std::string stop = whole.shown.substr(at, end - at);
  const Answer cut = run(generator, prompt, {.tokens_max = 40, .stop = {stop}, .ignore_eos = true});
  EXPECT_EQ(cut.generation.reason, FinishReason::stop);
  EXPECT_EQ(cut.shown, whole.shown.substr(0, whole.shown.find(stop)));
}

TEST(Generator, AnInterruptEndsTheRunAndTheNextOneIsWhole) {
  const Loaded loaded;
  Generator generator(*loaded.model, *loaded.tokenizer, *loaded.team);
  const auto prompt = loaded.tokenizer->encode("hello");
  int asked = 0;
  const auto after_five = [&] { return ++asked > 5; };
  const GenerationOptions options{.tokens_max = 12, .ignore_eos = true};
  const auto cut = generator.run(prompt, options, [](std::string_view) {}, after_five);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->reason, FinishReason::interrupted);
  EXPECT_LT(cut->tokens.size(), 6U);
  const Answer next = run(generator, prompt, options);
  Generator fresh(*loaded.model, *loaded.tokenizer, *loaded.team);
  EXPECT_EQ(next.generation.tokens, run(fresh, prompt, options).generation.tokens);
}

TEST(Generator, RefusesAnEmptyPromptAndOneBeyondTheContext) {
  const Loaded loaded(16);
  Generator generator(*loaded.model, *loaded.tokenizer, *loaded.team);
  const std::vector<TokenId> long_prompt(17, TokenId(5));
  for (const auto& prompt : {std::vector<TokenId>{}, long_prompt}) {
    const auto done = generator.run(prompt, {}, [](std::string_view) {}, never);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, base::ErrorCode::invalid_argument);
  }
}

TEST(Generator, EndsWhenTheContextIsFull) {
  const Loaded loaded(16);
  Generator generator(*loaded.model, *loaded.tokenizer, *loaded.team);
  const std::vector<TokenId> prompt(10, TokenId(5));
  const Answer answer = run(generator, prompt, {.tokens_max = 0, .ignore_eos = true});
  EXPECT_EQ(answer.generation.reason, FinishReason::length);
  EXPECT_EQ(answer.generation.tokens.size(), 7U);  // the last one needs no place of its own
}

TEST(Generator, KeepsToTheMemoryItIsGiven) {
  const Loaded loaded;
  const base::Bytes page = loaded.model->kv_layout().page_bytes(0) + loaded.model->kv_layout().page_bytes(1);
  const std::vector<TokenId> prompt(40, TokenId(5));
  Generator small(*loaded.model, *loaded.tokenizer, *loaded.team, 2 * page);
  const auto refused = small.run(prompt, {.tokens_max = 4}, [](std::string_view) {}, never);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::out_of_resources);
  Generator enough(*loaded.model, *loaded.tokenizer, *loaded.team, 4 * page);
  EXPECT_EQ(run(enough, prompt, {.tokens_max = 4, .ignore_eos = true}).generation.tokens.size(), 4U);
}

TEST(Conversation, DropsTheOldestTurnsWhenTheContextIsFull) {
  const Loaded loaded(160);
  Generator generator(*loaded.model, *loaded.tokenizer, *loaded.team);
  Conversation conversation("be brief");
  const GenerationOptions options{.tokens_max = 4, .ignore_eos = true};
  std::size_t dropped = 0;
  for (int i = 0; i < 12; ++i) {
    const auto turn = conversation.say("tell me more", loaded, generator, options, [](std::string_view) {}, never);
    ASSERT_TRUE(turn) << turn.error().chain();
    dropped += turn->turns_dropped;
  }
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(conversation.messages().front().at("role"), "system");
  EXPECT_EQ(conversation.messages().back().at("role"), "assistant");
  conversation.reset();
  EXPECT_EQ(conversation.messages().size(), 1U);
}

TEST(Conversation, AFailedTurnLeavesTheDialogueAsItWas) {
  const Loaded loaded(64);
  Generator generator(*loaded.model, *loaded.tokenizer, *loaded.team);
  Conversation conversation("");
  const std::string endless(500, 'x');
  const auto turn = conversation.say(endless, loaded, generator, {}, [](std::string_view) {}, never);
  ASSERT_FALSE(turn);
  EXPECT_TRUE(conversation.messages().empty());
}

}  // namespace
}  // namespace plait::cli
