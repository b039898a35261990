// SPDX-License-Identifier: Apache-2.0
//
// Embeddings through the API, on the tiny model.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "serving/api_test_fixture.h"
#include "serving/embedding_reply.h"

namespace plait::serving {
namespace {

using text::Json;

constexpr auto kEmbeddings = "/v1/embeddings";

class EmbeddingTest : public ApiTest {
 protected:
  std::vector<float> embed(Json body) {
    const HttpReply reply = post(kEmbeddings, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return json_of(reply)["data"][0]["embedding"].get<std::vector<float>>();
  }
};

double length_of(const std::vector<float>& vector) {
  double squares = 0;
  for (const float value : vector) squares += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(squares);
}

/// The mean or last hidden state of a text by a plain forward pass, made to length 1.
std::vector<float> expected(const models::Model& model, std::span<const base::TokenId> tokens, bool last) {
  parallel::Team team(1);
  models::Sequence sequence(model);
  models::Workspace workspace(model, team);
  std::vector<float> hidden(tokens.size() * model.width());
  models::ViewEntry entry = sequence.reserve(tokens.size());
  const models::Rows rows{
      .tokens = tokens, .view = {&entry, 1}, .logits = models::Logits::none, .logits_first = 0, .hidden = hidden};
  EXPECT_TRUE(model.forward(std::span(&rows, 1), workspace, {}));
  std::vector<double> sums(model.width());
  for (std::size_t i = last ? tokens.size() - 1 : 0; i < tokens.size(); ++i) {
    for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += static_cast<double>(hidden[i * sums.size() + j]);
  }
  std::vector<float> pooled;
  for (const double sum : sums) pooled.push_back(static_cast<float>(sum / (last ? 1.0 : double(tokens.size()))));
  return embedding_of(pooled, {});
}

TEST_F(EmbeddingTest, AreThePooledHiddenStates) {
  const std::string text = "What is near to what?";
  const auto tokens = lease_->target.tokenizer->encode(text);
  EXPECT_EQ(embed({{"input", text}}), expected(model_->model(), tokens, false));
  EXPECT_EQ(embed({{"input", text}, {"plait", {{"pooling", "last"}}}}), expected(model_->model(), tokens, true));
  EXPECT_EQ(embed({{"input", text}, {"plait", {{"pooling", "mean"}}}}), expected(model_->model(), tokens, false));
}

TEST_F(EmbeddingTest, HaveTheShapeOfTheApi) {
  const Json reply = json_of(post(kEmbeddings, {{"model", "tiny"}, {"input", {"a", "bcd"}}, {"nonsense", 1}}));
  EXPECT_EQ(reply["object"], "list");
  EXPECT_EQ(reply["model"], "tiny");
  ASSERT_EQ(reply["data"].size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(reply["data"][i]["index"], i);
    EXPECT_EQ(reply["data"][i]["object"], "embedding");
    EXPECT_EQ(reply["data"][i]["embedding"].size(), model_->model().width());
    EXPECT_NEAR(length_of(reply["data"][i]["embedding"].get<std::vector<float>>()), 1, 1e-6);
  }
  EXPECT_EQ(reply["usage"]["prompt_tokens"],
            lease_->target.tokenizer->encode("a").size() + lease_->target.tokenizer->encode("bcd").size());
  EXPECT_EQ(reply["usage"]["total_tokens"], reply["usage"]["prompt_tokens"]);
}

TEST_F(EmbeddingTest, InputsOfAnyKindAndCompanyAreWhatEachIsAlone) {
  const std::vector<std::string> texts{"one", "one and two", "one and two and three", "x"};
  const Json together = json_of(post(kEmbeddings, {{"input", texts}}))["data"];
  Json ids = Json::array();
  for (const std::string& text : texts) {
    ids.push_back(json_of(post("/tokenize", {{"content", text}, {"add_special", true}}))["tokens"]);
  }
  const Json by_ids = json_of(post(kEmbeddings, {{"input", ids}}))["data"];
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::vector<float> alone = embed({{"input", texts[i]}});
    EXPECT_EQ(together[i]["embedding"].get<std::vector<float>>(), alone);
    EXPECT_EQ(by_ids[i]["embedding"].get<std::vector<float>>(), alone);
    EXPECT_EQ(embed({{"input", ids[i]}}), alone);
  }
}

TEST_F(EmbeddingTest, Base64HoldsTheSameFloats) {
  const std::vector<float> plain = embed({{"input", "some text"}});
  const Json coded = json_of(post(kEmbeddings, {{"input", "some text"}, {"encoding_format", "base64"}}));
  EXPECT_EQ(coded["data"][0]["embedding"].get<std::string>(), base64_of(plain));
  EXPECT_EQ(base64_of({}), "");
  EXPECT_EQ(base64_of(std::array{1.0F}), "AACAPw==");
  EXPECT_EQ(base64_of(std::array{1.0F, -2.5F}), "AACAPwAAIMA=");
  EXPECT_EQ(base64_of(std::array{1.0F, -2.5F, 0.0F}), "AACAPwAAIMAAAAAA");
}

TEST_F(EmbeddingTest, FewerDimensionsAreTheFirstOnesMadeToLengthOne) {
  const std::vector<float> whole = embed({{"input", "some text"}});
  const std::vector<float> few = embed({{"input", "some text"}, {"dimensions", 10}});
  ASSERT_EQ(few.size(), 10U);
  EXPECT_NEAR(length_of(few), 1, 1e-6);
  for (std::size_t i = 1; i < few.size(); ++i) EXPECT_NEAR(few[i] / few[0], whole[i] / whole[0], 1e-4);
  EXPECT_EQ(embedding_of(std::vector<float>(4), {}), std::vector<float>(4));
}

TEST_F(EmbeddingTest, TooLongAndWrongInputsAreRefused) {
  const HttpReply reply = post(kEmbeddings, {{"input", {"a", std::string(300, 'a')}}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(json_of(reply)["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(json_of(reply)["error"]["param"], "input");
  EXPECT_EQ(post(kEmbeddings, {{"input", "a"}, {"model", "other"}}).status, 404);
  EXPECT_EQ(post(kEmbeddings, {{"input", std::vector<std::string>(2049, "a")}}).status, 400);
  EXPECT_EQ(send_text(HttpMethod::post, kEmbeddings, "[1]")->wait().status, 400);
}

TEST_F(EmbeddingTest, OllamaAsksInItsOwnWords) {
  const std::vector<float> alone = embed({{"input", "hello"}});
  const Json one = json_of(post("/api/embed", {{"model", "tiny:latest"}, {"input", "hello"}}));
  ASSERT_EQ(one["embeddings"].size(), 1U);
  EXPECT_EQ(one["embeddings"][0].get<std::vector<float>>(), alone);
  EXPECT_EQ(one["model"], "tiny:latest");
  EXPECT_EQ(one["prompt_eval_count"], lease_->target.tokenizer->encode("hello").size());
  const Json few = json_of(post("/api/embed", {{"model", "tiny"}, {"input", {"hello", "x"}}, {"dimensions", 4}}));
  EXPECT_EQ(few["embeddings"].size(), 2U);
  EXPECT_EQ(few["embeddings"][1].size(), 4U);
  const Json old = json_of(post("/api/embeddings", {{"model", "tiny"}, {"prompt", "hello"}}));
  const auto raw = old["embedding"].get<std::vector<float>>();
  EXPECT_GT(std::abs(length_of(raw) - 1), 1e-3);
  EXPECT_EQ(embedding_of(raw, {}), alone);
}

TEST_F(EmbeddingTest, OllamaCutsWhatIsTooLongUnlessToldNotTo) {
  const std::string text(1000, 'a');
  Json body{{"model", "tiny"}, {"input", text}};
  EXPECT_EQ(json_of(post("/api/embed", body))["prompt_eval_count"], 256);
  body["truncate"] = false;
  EXPECT_EQ(post("/api/embed", body).status, 400);
  EXPECT_EQ(post("/api/embeddings", {{"model", "tiny"}, {"prompt", text}}).status, 400);
  EXPECT_EQ(post("/api/embeddings", {{"model", "tiny"}}).status, 400);
  EXPECT_EQ(post("/api/embed", {{"input", text}}).status, 400);
  EXPECT_EQ(post("/api/embed", {{"model", "other"}, {"input", "a"}}).status, 404);
}

TEST_F(EmbeddingTest, GoOnBesideAnswersAndAreCounted) {
  std::vector<std::shared_ptr<RecordedExchange>> sent;
  const Json chat{{"prompt", "hello"}, {"max_tokens", 60}, {"ignore_eos", true}, {"stream", true}};
  for (int i = 0; i < 8; ++i) {
    sent.push_back(send(HttpMethod::post, "/v1/completions", chat));
    sent.push_back(send(HttpMethod::post, kEmbeddings, {{"input", std::string(20, static_cast<char>('a' + i))}}));
  }
  std::vector<HttpReply> replies;
  for (const auto& exchange : sent) replies.push_back(exchange->wait());
  for (int i = 0; i < 8; ++i) {
    const auto vector = json_of(replies[2 * i + 1])["data"][0]["embedding"].get<std::vector<float>>();
    EXPECT_EQ(vector, embed({{"input", std::string(20, static_cast<char>('a' + i))}}));
  }
  EXPECT_NE(send(HttpMethod::get, "/metrics")->wait().body.find("/v1/embeddings"), std::string::npos);
}

}  // namespace
}  // namespace plait::serving
