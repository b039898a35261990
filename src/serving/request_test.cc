// SPDX-License-Identifier: Apache-2.0
#include "serving/request.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "serving/tiny_test_target.h"

namespace plait::serving {
namespace {

using text::Json;

Json ids_json(const std::vector<base::TokenId>& ids) {
  Json json = Json::array();
  for (const base::TokenId id : ids) json.push_back(id.value());
  return json;
}

/// What was read, as the cases write it: members with their default value are left out.
Json summary(const Request& request, const models::Tokenizer& tokenizer) {
  Json json = Json::object();
  const auto put = [&](const char* name, const Json& value, const Json& usual) {
    if (value != usual) json[name] = value;
  };
  Json prompts = Json::array();
  Json limits = Json::array();
  for (const engine::Request& prompt : request.prompts) {
    prompts.push_back(tokenizer.decode(prompt.prompt, true));
    limits.push_back(prompt.generate.tokens_max);
  }
  const engine::Request& first = request.prompts.front();
  const models::SamplerOptions& sampler = first.generate.sampler;
  json["prompts"] = prompts;
  json["tokens_max"] = limits;
  put("prompt_only", first.generate.prompt_only, false);
  put("samples", first.samples, 1);
  put("best", request.reply.best, 0);
  put("temperature", sampler.temperature, 1.0);
  put("top_p", sampler.top_p, 1.0);
  put("top_k", sampler.top_k, 0);
  put("min_p", sampler.min_p, 0.0);
  put("repetition_penalty", sampler.repetition_penalty, 1.0);
  put("presence_penalty", sampler.presence_penalty, 0.0);
  put("frequency_penalty", sampler.frequency_penalty, 0.0);
  put("seed", sampler.seed, 77);
  put("logprobs", sampler.top_logprobs.value_or(-1), -1);
  Json bias = Json::array();
  for (const auto& [token, value] : sampler.logit_bias) bias.push_back({token.value(), value});
  put("logit_bias", bias, Json::array());
  put("stop", request.stop.strings, Json::array());
  put("stop_ids", ids_json(request.stop.ids), Json::array());
  put("stop_include", request.stop.include_text, false);
  put("ignore_eos", request.ignore_eos, false);
  put("client", first.options.client, "");
  put("salt", first.options.salt, "");
  put("level", first.options.level, 0);
  put("returns", first.generate.returns, false);
  put("model", request.model_asked, "");
  put("echo", request.reply.echo, Json::array());
  const auto& scored = first.generate.prompt_logprobs;
  put("prompt_logprobs", scored ? scored->top : -1, -1);
  put("tell_stop", first.generate.tell_stop, false);
  if (first.generate.pooling) json["pooling"] = *first.generate.pooling == models::Pooling::last ? "last" : "mean";
  put("dimensions", request.reply.embedding.dimensions, 0);
  put("base64", request.reply.embedding.base64, false);
  put("token_ids", request.reply.token_ids, false);
  put("stream", request.reply.stream, false);
  put("warnings", request.reply.warnings, Json::array());
  return json;
}

Json cases(const char* name) {
  const std::string path = std::string(PLAIT_SOURCE_DIR) + "/src/serving/testdata/" + name;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto json = text::parse_json(text);
  EXPECT_TRUE(json) << json.error().message;
  return json.value_or(Json::array());
}

Endpoint endpoint_of(const Json& one) {
  if (one.contains("embedding")) return Endpoint::embeddings;
  return one.contains("completion") ? Endpoint::completions : Endpoint::chat_completions;
}

Json body_of(const Json& one) {
  if (one.contains("completion")) return one["completion"];
  if (one.contains("chat")) return one["chat"];
  if (one.contains("embedding")) return one["embedding"];
  Json body = one["field"];  // of a chat that is fine otherwise
  body["messages"] = Json::array({{{"role", "user"}, {"content", "hi"}}});
  return body;
}

TEST(ServingRequest, ReadsEveryField) {
  const TinyTarget tiny;
  for (const Json& one : cases("requests.json")) {
    const auto request = read_request(endpoint_of(one), body_of(one), tiny.target, 77);
    ASSERT_TRUE(request) << one << request.error().message;
    const nlohmann::json read = summary(*request, *tiny.tokenizer);  // whose members have no order
    EXPECT_EQ(read, nlohmann::json(one["reads"])) << one;
  }
}

TEST(ServingRequest, RefusesByName) {
  const TinyTarget tiny;
  for (const Json& one : cases("refusals.json")) {
    const auto request = read_request(endpoint_of(one), body_of(one), tiny.target, 77);
    ASSERT_FALSE(request) << one;
    const Json error = refusal_body(request.error())["error"];
    EXPECT_EQ(error["param"], one.value("param", Json())) << one << error;
    EXPECT_EQ(error["code"], one.value("code", Json("invalid_value"))) << one << error;
    EXPECT_EQ(error["type"], "invalid_request_error");
    EXPECT_EQ(request.error().status, 400);
    EXPECT_FALSE(error["message"].get<std::string>().empty());
  }
}

TEST(ServingRequest, TheContextHasRoomForPromptAndAnswer) {
  const TinyTarget tiny;
  const auto ask = [&](std::size_t prompt, Json tokens_max, std::size_t kv_tokens = 0) {
    Target target = tiny.target;
    target.kv_tokens = kv_tokens;
    const Json body{{"prompt", std::vector<int>(prompt, 65)}, {"max_tokens", std::move(tokens_max)}};
    return read_request(Endpoint::completions, body, target, 0);
  };
  EXPECT_TRUE(ask(200, 56));
  EXPECT_TRUE(ask(256, 0));
  EXPECT_TRUE(ask(255, nullptr));
  EXPECT_EQ(ask(250, nullptr)->prompts[0].generate.tokens_max, 6U);
  for (const auto& refused : {ask(200, 57), ask(257, 0), ask(256, nullptr), ask(1, std::int64_t{1} << 62)}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "context_length_exceeded");
  }
  const auto refused = ask(200, 57);
  for (const char* number : {"200", "57", "256"}) {
    EXPECT_NE(refused.error().message.find(number), std::string::npos) << refused.error().message;
  }
  EXPECT_EQ(ask(90, 20, 100).error().code, "kv_memory_exceeded");
  EXPECT_EQ(ask(90, nullptr, 100)->prompts[0].generate.tokens_max, 10U);
}

TEST(ServingRequest, LogProbabilitiesOfPromptsAreBounded) {
  const TinyTarget tiny;
  const auto ask = [&](int prompts, int logprobs) {
    const Json body{{"prompt", std::vector<std::vector<int>>(static_cast<std::size_t>(prompts), std::vector(250, 65))},
                    {"max_tokens", 1},
                    {"echo", true},
                    {"logprobs", logprobs}};
    return read_request(Endpoint::completions, body, tiny.target, 0);
  };
  EXPECT_TRUE(ask(199, 20));
  ASSERT_FALSE(ask(200, 20));
  EXPECT_EQ(ask(200, 20).error().param, "logprobs");
}

TEST(ServingRequest, TheModelsFileSaysHowItsStatesArePooled) {
  TinyTarget tiny;
  tiny.target.pooling = models::Pooling::last;
  const auto pooling = [&](const Json& body) {
    return read_request(Endpoint::embeddings, body, tiny.target, 0)->prompts[0].generate.pooling;
  };
  EXPECT_EQ(pooling({{"input", "a"}}), models::Pooling::last);
  EXPECT_EQ(pooling({{"input", "a"}, {"plait", {{"pooling", "mean"}}}}), models::Pooling::mean);
  tiny.target.width = 0;
  EXPECT_EQ(read_request(Endpoint::embeddings, {{"input", "a"}}, tiny.target, 0).error().code, "unsupported_parameter");
}

TEST(ServingRequest, ManyAnswersAreBounded) {
  const TinyTarget tiny;
  const Json body{{"prompt", std::vector<std::string>(9, "a")}, {"n", 128}};
  const auto request = read_request(Endpoint::completions, body, tiny.target, 0);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().param, "n");
}

}  // namespace
}  // namespace plait::serving
