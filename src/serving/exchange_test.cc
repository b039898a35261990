// SPDX-License-Identifier: Apache-2.0
//
// Replies to requests that really run, on the tiny model.
#include "serving/exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "models/model.h"
#include "serving/tiny_test_target.h"

namespace plait::serving {
namespace {

using text::Json;

class ExchangeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    model_ = *models::Model::load(*models::GgufFile::parse(tiny_.bytes), {.context = 256}, team_);
    runner_ = std::make_unique<engine::ModelRunner>(*model_, team_);
    open(1 << 22);
  }
  void open(base::Bytes kv_bytes) { engine_ = *engine::Engine::make(*runner_, {.kv_bytes = kv_bytes}); }

  Reply ask(Endpoint endpoint, const Json& body) {
    auto request = read_request(endpoint, body, tiny_.target, 1);
    EXPECT_TRUE(request) << request.error().message;
    int done = 0;
    const auto exchange = Exchange::start(*engine_, tiny_.target, *std::move(request), {.done = [&] { ++done; }});
    EXPECT_TRUE(exchange);
    while (engine_->step()) {
    }
    EXPECT_EQ(done, 1);
    return (*exchange)->reply({.id = "x", .created = 5, .model = "tiny"});
  }
  Json complete(const Json& body) {
    const Reply reply = ask(Endpoint::completions, body);
    EXPECT_EQ(reply.status, 200);
    return reply.body;
  }

  TinyTarget tiny_;
  parallel::Team team_{1};
  std::unique_ptr<models::Model> model_;
  std::unique_ptr<engine::ModelRunner> runner_;
  std::unique_ptr<engine::Engine> engine_;
};

TEST_F(ExchangeTest, AChatHasTheShapeOfTheApi) {
  const Json body{{"messages", Json::array({{{"role", "user"}, {"content", "hi"}}})},
                  {"max_tokens", 6},
                  {"ignore_eos", true},
                  {"nonsense", 1}};
  Reply reply = ask(Endpoint::chat_completions, body);
  ASSERT_EQ(reply.status, 200);
  const std::string text = reply.body["choices"][0]["message"]["content"].get<std::string>();
  const std::size_t prompt = reply.body["usage"]["prompt_tokens"].get<std::size_t>();
  EXPECT_GT(reply.body["usage"]["plait"]["pte"].get<double>(), 0);
  reply.body["usage"]["plait"].erase("pte");
  const Json round = reply.body["usage"]["plait"]["round"];
  EXPECT_EQ(round["context"], prompt);
  EXPECT_EQ(round["prefilled"], prompt);
  EXPECT_EQ(round["decoded"], 5) << "the first of six comes from the prompt";
  EXPECT_EQ(round["batch"], 1);
  EXPECT_EQ(round["meanwhile"]["prefilled"], prompt) << "nobody else was there";
  EXPECT_EQ(round["meanwhile"]["weight_reads"], 5);
  reply.body["usage"]["plait"].erase("round");
  const Json message{{"role", "assistant"}, {"content", text}, {"refusal", nullptr}};
  const Json choice{{"index", 0}, {"message", message}, {"logprobs", nullptr}, {"finish_reason", "length"}};
  const Json usage{{"prompt_tokens", prompt},
                   {"completion_tokens", 6},
                   {"total_tokens", prompt + 6},
                   {"prompt_tokens_details", {{"cached_tokens", 0}}},
                   {"plait", {{"prefill_tokens", prompt}, {"critical_path_tokens", 6}}}};
  const Json expected{{"id", "x"},
                      {"object", "chat.completion"},
                      {"created", 5},
                      {"model", "tiny"},
                      {"choices", Json::array({choice})},
                      {"usage", usage},
                      {"plait", {{"warnings", Json::array({"unknown field ignored: nonsense"})}}}};
  EXPECT_EQ(reply.body, expected) << reply.body << expected;
}

TEST_F(ExchangeTest, ManyPromptsAndSamplesAreWhatEachIsAlone) {
  const Json together =
      complete({{"prompt", {"one", "two"}}, {"n", 3}, {"max_tokens", 8}, {"seed", 9}, {"ignore_eos", true}});
  ASSERT_EQ(together["choices"].size(), 6U);
  std::size_t prompt_tokens = 0;
  for (std::size_t prompt = 0; prompt < 2; ++prompt) {
    const Json alone = complete(
        {{"prompt", prompt == 0 ? "one" : "two"}, {"n", 3}, {"max_tokens", 8}, {"seed", 9}, {"ignore_eos", true}});
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(together["choices"][prompt * 3 + i]["index"], prompt * 3 + i);
      EXPECT_EQ(together["choices"][prompt * 3 + i]["text"], alone["choices"][i]["text"]);
    }
    prompt_tokens += alone["usage"]["prompt_tokens"].get<std::size_t>();
    EXPECT_NE(alone["choices"][0]["text"], alone["choices"][1]["text"]);
  }
  EXPECT_EQ(together["usage"]["prompt_tokens"], prompt_tokens);  // not once for each sample
  EXPECT_EQ(together["usage"]["completion_tokens"], 48);
  EXPECT_EQ(together["usage"]["plait"]["critical_path_tokens"], 8);
}

double mean_of(const Json& list) {
  double sum = 0;
  for (const Json& value : list) sum += value.get<double>();
  return sum / static_cast<double>(list.size());
}

TEST_F(ExchangeTest, TheBestAreThoseOfTheHighestMeanLogprob) {
  Json body{{"prompt", {"one", "two"}}, {"n", 5}, {"max_tokens", 8}, {"seed", 9}, {"logprobs", 0}};
  const Json all = complete(body);
  body["n"] = 2;
  body["best_of"] = 5;
  const Json best = complete(body);
  body.erase("logprobs");
  const Json bare = complete(body);
  ASSERT_EQ(best["choices"].size(), 4U);
  for (std::size_t prompt = 0; prompt < 2; ++prompt) {
    std::vector<std::pair<double, std::string>> ranked;
    for (std::size_t i = 0; i < 5; ++i) {
      const Json& choice = all["choices"][prompt * 5 + i];
      ranked.emplace_back(-mean_of(choice["logprobs"]["token_logprobs"]), choice["text"].get<std::string>());
    }
    std::ranges::sort(ranked);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::size_t at = prompt * 2 + i;
      EXPECT_EQ(best["choices"][at]["index"], at);
      EXPECT_EQ(best["choices"][at]["text"], ranked[i].second);
      EXPECT_EQ(bare["choices"][at]["text"], ranked[i].second);
      EXPECT_TRUE(bare["choices"][at]["logprobs"].is_null());
    }
  }
  EXPECT_EQ(best["usage"]["completion_tokens"], all["usage"]["completion_tokens"]);  // the others cost something, too
  EXPECT_EQ(complete({{"prompt", "one"}, {"best_of", 3}, {"max_tokens", 0}})["choices"][0]["text"], "");
}

TEST_F(ExchangeTest, LogprobsComeInBothShapes) {
  const Json common{{"max_tokens", 5}, {"temperature", 0}, {"ignore_eos", true}};
  Json body = common;
  body["prompt"] = "abc";
  body["logprobs"] = 2;
  const Json old = complete(body)["choices"][0];
  const Json& shape = old["logprobs"];
  for (const char* list : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
    EXPECT_EQ(shape[list].size(), 5U) << list;
  }
  body = common;
  body["plait"] = {{"prompt_token_ids", Json::array()}};
  for (const base::TokenId id : tiny_.tokenizer->encode("abc")) {
    body["plait"]["prompt_token_ids"].push_back(id.value());
  }
  body["logprobs"] = true;
  body["top_logprobs"] = 2;
  const Json content = ask(Endpoint::chat_completions, body).body["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(content[i]["logprob"], shape["token_logprobs"][i]);
    EXPECT_EQ(content[i]["logprob"], content[i]["top_logprobs"][0]["logprob"]);  // greedy
    EXPECT_EQ(content[i]["top_logprobs"].size(), 2U);
    EXPECT_EQ(shape["top_logprobs"][i].size(), 2U);
    EXPECT_EQ(shape["top_logprobs"][i][shape["tokens"][i].get<std::string>()], shape["token_logprobs"][i]);
    EXPECT_FALSE(content[i]["bytes"].empty());
  }
}

TEST_F(ExchangeTest, EchoAndTokenIds) {
  const Json body =
      complete({{"prompt", "ab"}, {"max_tokens", 4}, {"echo", true}, {"plait", {{"return_token_ids", true}}}});
  const Json plain = complete({{"prompt", "ab"}, {"max_tokens", 4}});
  EXPECT_EQ(body["choices"][0]["text"], "ab" + plain["choices"][0]["text"].get<std::string>());
  EXPECT_EQ(body["choices"][0]["plait"]["token_ids"].size(), body["usage"]["completion_tokens"]);
  EXPECT_EQ(body["plait"]["prompt_token_ids"].size(), 1U);
  EXPECT_EQ(body["plait"]["prompt_token_ids"][0].size(), body["usage"]["prompt_tokens"]);
  EXPECT_FALSE(plain.contains("plait"));
}

// What a model says of its own words, when it writes them and when it reads them.
TEST_F(ExchangeTest, EchoedTokensHaveTheProbabilitiesWithWhichTheyWereWritten) {
  const Json prompt = Json::array({65, 66, 67, 32, 240, 159});  // the last two are a part of a character
  Json body{{"prompt", prompt}, {"max_tokens", 6}, {"temperature", 0}, {"ignore_eos", true}, {"logprobs", 3}};
  body["plait"] = {{"return_token_ids", true}};
  const Json written = complete(body)["choices"][0];
  Json whole = prompt;
  for (const Json& id : written["plait"]["token_ids"]) whole.push_back(id);
  for (const int more : {0, 2}) {
    const Json read = complete({{"prompt", whole},
                                {"max_tokens", more},
                                {"temperature", 0},
                                {"ignore_eos", true},
                                {"logprobs", 3},
                                {"echo", true}})["choices"][0];
    const Json& logprobs = read["logprobs"];
    for (const char* list : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
      ASSERT_EQ(logprobs[list].size(), whole.size() + static_cast<std::size_t>(more)) << list;
    }
    EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
    EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
    for (std::size_t i = 0; i < 6; ++i) {
      const std::size_t at = prompt.size() + i;
      EXPECT_EQ(logprobs["token_logprobs"][at], written["logprobs"]["token_logprobs"][i]);
      EXPECT_EQ(logprobs["top_logprobs"][at], written["logprobs"]["top_logprobs"][i]);
      EXPECT_EQ(logprobs["tokens"][at], written["logprobs"]["tokens"][i]);
    }
    for (std::size_t i = 1; i < logprobs["tokens"].size(); ++i) {
      double best = -1e9;
      for (const Json& value : logprobs["top_logprobs"][i]) best = std::max(best, value.get<double>());
      EXPECT_LE(logprobs["token_logprobs"][i].get<double>(), best);
      EXPECT_LE(logprobs["text_offset"][i - 1], logprobs["text_offset"][i]);
    }
  }
}

TEST_F(ExchangeTest, EchoesOfManyPromptsAreWhatEachIsAlone) {
  Json body{{"prompt", {"one", "three two one", "o"}}, {"n", 2}, {"max_tokens", 3}, {"seed", 9}, {"echo", true}};
  body["logprobs"] = 1;
  const Json together = complete(body);
  for (std::size_t prompt = 0; prompt < 3; ++prompt) {
    Json one = body;
    one["prompt"] = body["prompt"][prompt];
    const Json alone = complete(one);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(together["choices"][prompt * 2 + i]["logprobs"], alone["choices"][i]["logprobs"]);
      EXPECT_EQ(together["choices"][prompt * 2 + i]["text"], alone["choices"][i]["text"]);
    }
    const Json& logprobs = alone["choices"][0]["logprobs"];
    const std::string text = alone["choices"][0]["text"].get<std::string>();
    const std::string echo = body["prompt"][prompt].get<std::string>();
    EXPECT_TRUE(text.starts_with(echo));
    for (std::size_t i = 0; i < logprobs["tokens"].size(); ++i) {
      const std::size_t offset = logprobs["text_offset"][i].get<std::size_t>();
      if (offset >= echo.size()) break;
      EXPECT_TRUE(text.substr(offset).starts_with(logprobs["tokens"][i].get<std::string>())) << i;
    }
  }
}

// Whoever sums up an echo leaves out one entry for the answer: it has to be there when the answer is no text.
TEST_F(ExchangeTest, TheTokenThatEndsAnEchoHasAnEntry) {
  Json body{{"prompt", "abc"}, {"max_tokens", 1}, {"temperature", 0}, {"ignore_eos", true}, {"logprobs", 1}};
  body["plait"] = {{"return_token_ids", true}};
  const Json first = complete(body)["choices"][0];
  body["echo"] = true;
  body["stop"] = first["plait"]["token_ids"];
  const Json reply = complete(body);
  const Json& choice = reply["choices"][0];
  EXPECT_EQ(choice["text"], "abc");
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["logprobs"]["token_logprobs"].size(), 4U);
  EXPECT_EQ(choice["logprobs"]["token_logprobs"][3], first["logprobs"]["token_logprobs"][0]);
  EXPECT_EQ(reply["usage"]["completion_tokens"], 1);
}

TEST_F(ExchangeTest, EchoesInAFormatHaveTheirProbabilitiesToo) {
  Grammars grammars(*tiny_.tokenizer);
  tiny_.target.grammars = &grammars;
  const Json body{{"prompt", "abc"}, {"n", 3},       {"max_tokens", 3},
                  {"logprobs", 0},   {"echo", true}, {"response_format", {{"type", "regex"}, {"pattern", "[a-z]{3}"}}}};
  const Json reply = complete(body);
  for (const Json& choice : reply["choices"]) {
    EXPECT_GE(choice["logprobs"]["token_logprobs"].size(), 6U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(choice["logprobs"]["token_logprobs"][i], reply["choices"][0]["logprobs"]["token_logprobs"][i]);
    }
  }
}

TEST_F(ExchangeTest, StopStringsAreCutAndNamedAsStop) {
  const Json request{{"prompt", "hello"}, {"max_tokens", 40}, {"ignore_eos", true}, {"seed", 3}};
  const std::string whole = complete(request)["choices"][0]["text"].get<std::string>();
  const auto plain = std::find_if(whole.begin() + 2, whole.end(), [](char c) { return c > 0; });
  ASSERT_NE(plain, whole.end()) << whole;
  const std::string stop(1, *plain);
  Json with_stop = request;
  with_stop["stop"] = stop;
  const Json cut = complete(with_stop)["choices"][0];
  EXPECT_EQ(cut["text"], whole.substr(0, whole.find(stop)));
  EXPECT_EQ(cut["finish_reason"], "stop");
  with_stop["plait"] = {{"stop_include", true}};
  EXPECT_EQ(complete(with_stop)["choices"][0]["text"], whole.substr(0, whole.find(stop) + 1));
}

TEST_F(ExchangeTest, NothingToGenerateIsAnAnswer) {
  const Json body = complete({{"prompt", "abc"}, {"max_tokens", 0}});
  EXPECT_EQ(body["choices"][0]["text"], "");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["completion_tokens"], 0);
}

TEST_F(ExchangeTest, WhatTheEngineRefusesLeavesNothingBehind) {
  const base::Bytes page = runner_->layout().page_bytes(0) + runner_->layout().page_bytes(1);
  open(2 * page);
  auto request = read_request(Endpoint::completions, {{"prompt", {"a", "b"}}, {"max_tokens", 20}}, tiny_.target, 1);
  request->prompts[1].generate.tokens_max = 100;  // does not fit
  const auto exchange = Exchange::start(*engine_, tiny_.target, *std::move(request), {.done = [] { FAIL(); }});
  ASSERT_FALSE(exchange);
  EXPECT_EQ(exchange.error().code, "kv_memory_exceeded");
  EXPECT_EQ(engine_->counters().sequences, 0U);
}

TEST_F(ExchangeTest, DyingExchangesCancel) {
  auto request = read_request(Endpoint::completions, {{"prompt", "a"}, {"n", 4}, {"max_tokens", 100}}, tiny_.target, 1);
  auto exchange = Exchange::start(*engine_, tiny_.target, *std::move(request), {.done = [] { FAIL(); }});
  ASSERT_TRUE(exchange);
  for (int i = 0; i < 5; ++i) engine_->step();
  exchange->reset();
  EXPECT_EQ(engine_->counters().sequences, 0U);
  EXPECT_FALSE(engine_->step());
}

}  // namespace
}  // namespace plait::serving
