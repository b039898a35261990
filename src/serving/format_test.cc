// SPDX-License-Identifier: Apache-2.0
//
// Answers in a format: a random model would never keep to one by itself.
#include <regex>
#include <set>

#include "serving/api_test_fixture.h"

namespace plait::serving {
namespace {

using text::Json;

class FormatTest : public ApiTest {
 protected:
  static Json chat(const Json& format, int tokens) {
    return {{"messages", Json::array({{{"role", "user"}, {"content", "x"}}})},
            {"max_tokens", tokens},
            {"seed", 3},
            {"response_format", format}};
  }
  static Json schema_format(const Json& schema) {
    return {{"type", "json_schema"}, {"json_schema", {{"name", "answer"}, {"schema", schema}, {"strict", true}}}};
  }
  static Json person() {
    return {{"type", "object"},
            {"properties",
             {{"name", {{"type", "string"}, {"maxLength", 8}}},
              {"age", {{"type", "integer"}, {"minimum", 0}, {"maximum", 150}}},
              {"tags", {{"type", "array"}, {"items", {{"enum", Json::array({"a", "b"})}}}, {"maxItems", 3}}}}},
            {"required", Json::array({"name", "age", "tags"})},
            {"additionalProperties", false}};
  }
  Json ask(const Json& body) { return json_of(post("/v1/chat/completions", body)); }
};

TEST_F(FormatTest, EveryAnswerFitsTheSchema) {
  Json body = chat(schema_format(person()), 80);
  body["n"] = 8;
  const Json reply = ask(body);
  std::set<std::string> different;
  for (const Json& choice : reply["choices"]) {
    const auto content = choice["message"]["content"].get<std::string>();
    different.insert(content);
    const auto answer = text::parse_json(content);
    ASSERT_TRUE(answer) << content;
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_TRUE((*answer)["name"].is_string());
    EXPECT_GE((*answer)["age"].get<int>(), 0);
    EXPECT_LE((*answer)["age"].get<int>(), 150);
    EXPECT_LE((*answer)["tags"].size(), 3U);
    EXPECT_EQ(answer->size(), 3U);
  }
  EXPECT_GE(different.size(), 4U);
}

TEST_F(FormatTest, ATightBudgetStillEndsWell) {
  const Json refused = ask(chat(schema_format(person()), 2));
  ASSERT_EQ(refused["error"]["param"], "max_tokens");
  std::size_t accepted = 0;
  for (int tokens = 20; tokens < 45; ++tokens) {
    const Json reply = ask(chat(schema_format(person()), tokens));
    if (reply.contains("error")) continue;
    ++accepted;
    const auto content = reply["choices"][0]["message"]["content"].get<std::string>();
    EXPECT_TRUE(text::parse_json(content)) << tokens << ": " << content;
  }
  EXPECT_GE(accepted, 5U);
}

TEST_F(FormatTest, StreamsAndOthersDoNotMatter) {
  Json body = chat(schema_format(person()), 80);
  const Json alone = ask(body);
  body["stream"] = true;
  std::vector<std::shared_ptr<RecordedExchange>> streams;
  for (int i = 0; i < 16; ++i) {
    body["seed"] = 3 + i;
    streams.push_back(send(HttpMethod::post, "/v1/chat/completions", body));
  }
  std::string text;
  for (const Json& event : events_of(streams[0]->wait())) text += event["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(text, alone["choices"][0]["message"]["content"].get<std::string>());
  for (const auto& stream : streams) {
    std::string answer;
    for (const Json& event : events_of(stream->wait())) answer += event["choices"][0]["delta"].value("content", "");
    EXPECT_TRUE(text::parse_json(answer)) << answer;
  }
}

TEST_F(FormatTest, PatternsAndGrammarsAreKeptToFromBeginningToEnd) {
  const auto text = [&](const Json& format) {
    return ask(chat(format, 40))["choices"][0]["message"]["content"].get<std::string>();
  };
  const std::string date = text({{"type", "regex"}, {"pattern", "[0-9]{4}-[0-9]{2}|never"}});
  EXPECT_TRUE(std::regex_match(date, std::regex("[0-9]{4}-[0-9]{2}|never"))) << date;
  const std::string word = text({{"type", "grammar"}, {"grammar", "root ::= \"yes\" | \"no\""}});
  EXPECT_TRUE(word == "yes" || word == "no") << word;
  Json object = chat({{"type", "json_object"}}, 60);
  EXPECT_TRUE(text::parse_json(ask(object)["choices"][0]["message"]["content"].get<std::string>())->is_object());
  object["stream"] = false;
  const Json ollama{{"model", "tiny"},
                    {"messages", object["messages"]},
                    {"stream", false},
                    {"format", person()},
                    {"options", {{"num_predict", 80}}}};
  EXPECT_TRUE(text::parse_json(json_of(post("/api/chat", ollama))["message"]["content"].get<std::string>()));
}

TEST_F(FormatTest, WhatIsNoFormatIsRefusedByName) {
  const auto param = [&](const Json& format) { return ask(chat(format, 9))["error"]["param"]; };
  EXPECT_EQ(param({{"type", "regex"}, {"pattern", "("}}), "response_format.pattern");
  EXPECT_EQ(param({{"type", "regex"}}), "response_format.pattern");
  EXPECT_EQ(param({{"type", "grammar"}, {"grammar", "root ::= other"}}), "response_format.grammar");
  EXPECT_EQ(param({{"type", "json_schema"}}), "response_format.json_schema");
  EXPECT_EQ(param(schema_format({{"type", "object"}, {"not", Json::object()}})), "response_format.json_schema.schema");
  EXPECT_EQ(param({{"type", "xml"}}), "response_format.type");
  EXPECT_EQ(param(Json::object()), "response_format.type");
  EXPECT_EQ(param("json"), "response_format");
  Json body = chat({{"type", "json_object"}}, 30);
  body["ignore_eos"] = true;
  EXPECT_EQ(ask(body)["error"]["param"], "ignore_eos");
}

}  // namespace
}  // namespace plait::serving
