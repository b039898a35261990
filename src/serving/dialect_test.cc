// SPDX-License-Identifier: Apache-2.0
//
// The same engine asked in other words.
#include "serving/dialect.h"

#include <utility>

#include "serving/api_test_fixture.h"

namespace plait::serving {
namespace {

using text::Json;

class DialectTest : public ApiTest {
 protected:
  static Json message(int tokens) {
    return {{"model", "tiny"},
            {"max_tokens", tokens},
            {"system", Json::array({{{"type", "text"}, {"text", "short"}}})},
            {"messages", Json::array({{{"role", "user"}, {"content", "hello"}}})},
            {"seed", 3},
            {"ignore_eos", true}};
  }
  static Json ollama(const Json& more, int tokens) {
    Json body{{"model", "tiny"}, {"options", {{"seed", 3}, {"num_predict", tokens}}}};
    body.update(more);
    return body;
  }
  static std::vector<std::pair<std::string, Json>> named_events(const HttpReply& reply) {
    std::vector<std::pair<std::string, Json>> events;
    std::string_view rest = reply.body;
    while (rest.starts_with("event: ")) {
      const std::size_t line = rest.find('\n');
      const std::size_t end = rest.find("\n\n");
      if (end == rest.npos) break;
      events.emplace_back(rest.substr(7, line - 7), *text::parse_json(rest.substr(line + 7, end - line - 7)));
      rest.remove_prefix(end + 2);
    }
    EXPECT_TRUE(rest.empty()) << rest;
    return events;
  }
  static std::vector<Json> lines(const HttpReply& reply) {
    std::vector<Json> lines;
    std::string_view rest = reply.body;
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      lines.push_back(*text::parse_json(rest.substr(0, end)));
      rest.remove_prefix(end + 1);
    }
    return lines;
  }
};

TEST_F(DialectTest, AMessageSaysWhatAChatSays) {
  const Json whole = json_of(post("/v1/messages", message(12)));
  Json chat = message(12);
  chat.erase("system");
  chat["messages"].insert(chat["messages"].begin(), Json{{"role", "system"}, {"content", "short"}});
  const Json same = json_of(post("/v1/chat/completions", chat));
  EXPECT_EQ(whole["content"][0]["text"], same["choices"][0]["message"]["content"]);
  EXPECT_EQ(whole["stop_reason"], "max_tokens");
  EXPECT_TRUE(whole["stop_sequence"].is_null());
  EXPECT_EQ(whole["usage"]["output_tokens"], 12);
  const Json count = json_of(post("/v1/messages/count_tokens", message(1)));
  EXPECT_EQ(count["input_tokens"], same["usage"]["prompt_tokens"]);
}

TEST_F(DialectTest, AMessageStreamsInNamedEvents) {
  const Json whole = json_of(post("/v1/messages", message(12)));
  Json body = message(12);
  body["stream"] = true;
  const auto events = named_events(post("/v1/messages", body));
  std::string text;
  std::string order;
  for (const auto& [name, event] : events) {
    EXPECT_EQ(event["type"], name);
    if (name == "content_block_delta") text += event["delta"]["text"].get<std::string>();
    if (name != "content_block_delta") order += name + ' ';
  }
  EXPECT_EQ(text, whole["content"][0]["text"].get<std::string>());
  EXPECT_EQ(order, "message_start ping content_block_start content_block_stop message_delta message_stop ");
  EXPECT_EQ(events[events.size() - 2].second["delta"]["stop_reason"], "max_tokens");
}

TEST_F(DialectTest, AStopSequenceIsNamed) {
  const Json whole = json_of(post("/v1/messages", message(12)));
  const std::string text = whole["content"][0]["text"].get<std::string>();
  ASSERT_GE(text.size(), 4U);
  std::size_t middle = text.size() / 2;
  while ((static_cast<unsigned char>(text[middle]) & 0xC0U) == 0x80U) --middle;
  const std::string stop = text.substr(middle);
  Json body = message(12);
  body["stop_sequences"] = Json::array({stop});
  const Json stopped = json_of(post("/v1/messages", body));
  EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
  EXPECT_EQ(stopped["stop_sequence"], stop);
}

TEST_F(DialectTest, MessagesAreRefusedInTheirOwnShape) {
  Json body = message(3);
  body.erase("max_tokens");
  HttpReply reply = post("/v1/messages", body);
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(json_of(reply)["type"], "error");
  EXPECT_EQ(json_of(reply)["error"]["type"], "invalid_request_error");
  body = message(3);
  body["model"] = "other";
  reply = post("/v1/messages", body);
  EXPECT_EQ(json_of(reply)["error"]["type"], "not_found_error");
  for (const Json& content : {Json(5), Json::array({1}), Json::array({{{"type", "image"}}}), Json()}) {
    body = message(3);
    body["messages"][0]["content"] = content;
    EXPECT_EQ(post("/v1/messages", body).status, 400) << content;
  }
  EXPECT_EQ(send_text(HttpMethod::post, "/v1/messages", "{")->wait().status, 400);
}

TEST_F(DialectTest, OllamaGetsLines) {
  const Json messages{{"messages", message(1)["messages"]}};
  Json body = ollama(messages, 9);
  const HttpReply stream = post("/api/chat", body);
  EXPECT_EQ(stream.content_type, "application/x-ndjson");
  std::string text;
  for (const Json& line : lines(stream)) text += line["message"]["content"].get<std::string>();
  body["stream"] = false;
  const Json whole = json_of(post("/api/chat", body));
  EXPECT_EQ(whole["message"]["content"], text);
  EXPECT_EQ(whole["done"], true);
  EXPECT_EQ(lines(stream).back()["eval_count"], whole["eval_count"]);
  EXPECT_GT(whole["prompt_eval_count"], 0);
}

TEST_F(DialectTest, OllamaGenerates) {
  const Json raw = json_of(post("/api/generate", ollama({{"prompt", "ab"}, {"raw", true}, {"stream", false}}, 5)));
  EXPECT_EQ(raw["prompt_eval_count"], 2);
  const Json made = json_of(post("/api/generate", ollama({{"prompt", "ab"}, {"stream", false}}, 5)));
  EXPECT_GT(made["prompt_eval_count"], 2);
  EXPECT_FALSE(made["response"].get<std::string>().empty());
}

TEST_F(DialectTest, OllamaIsRefusedWithAText) {
  Json body = ollama({{"prompt", "ab"}}, 5);
  body["model"] = "other";
  const HttpReply reply = post("/api/generate", body);
  EXPECT_EQ(reply.status, 404);
  EXPECT_TRUE(json_of(reply)["error"].is_string());
  EXPECT_EQ(post("/api/generate", ollama({{"prompt", 1}}, 5)).status, 400);
  EXPECT_EQ(post("/api/chat", ollama({{"messages", 1}}, 5)).status, 400);
  EXPECT_EQ(post("/api/chat", ollama({{"messages", message(1)["messages"]}, {"tools", Json::array({1})}}, 5)).status,
            400);
  EXPECT_EQ(post("/api/show", {{"model", "other"}}).status, 404);
  EXPECT_EQ(post("/api/show", {{"model", "tiny:latest"}}).status, 200);
  EXPECT_EQ(json_of(send(HttpMethod::get, "/api/tags")->wait())["models"][0]["name"], "tiny");
}

}  // namespace
}  // namespace plait::serving
