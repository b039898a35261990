// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/responses.h"

#include <fmt/format.h>

#include "serving/stored/stored_test_fixture.h"

namespace plait::serving {
namespace {

using text::Json;

class ResponsesTest : public StoredTest {
 protected:
  HttpReply create(Json more, const std::string& key = "alice") {
    Json body{{"input", "Hi"}, {"max_output_tokens", 8}, {"ignore_eos", true}, {"seed", 1}};
    body.update(std::move(more));
    return ask(HttpMethod::post, "/v1/responses", text::dump_json(body), key);
  }
  std::string text_of(const Json& response) { return response["output"][0]["content"][0]["text"].get<std::string>(); }
  std::string chat(const Json& messages) {
    const HttpReply reply =
        post("/v1/chat/completions", {{"messages", messages}, {"max_tokens", 8}, {"ignore_eos", true}, {"seed", 1}});
    return json_of(reply)["choices"][0]["message"]["content"].get<std::string>();
  }
};

TEST_F(ResponsesTest, AreAnsweredAndKept) {
  const HttpReply reply = create({{"instructions", "Be brief."}, {"metadata", {{"a", "b"}}}, {"temperature", 0.5}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json response = json_of(reply);
  EXPECT_EQ(response["object"], "response");
  EXPECT_EQ(response["status"], "incomplete");
  EXPECT_EQ(response["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(response["instructions"], "Be brief.");
  EXPECT_EQ(response["metadata"], (Json{{"a", "b"}}));
  EXPECT_EQ(response["temperature"], 0.5);
  EXPECT_EQ(response["store"], true);
  EXPECT_EQ(response["usage"]["output_tokens"], 8);
  const std::string path = "/v1/responses/" + response["id"].get<std::string>();
  for (const bool again : {false, true}) {
    if (again) reopen();
    EXPECT_EQ(get(path), response);
  }
  const Json items = get(path + "/input_items");
  EXPECT_EQ(items["data"].size(), 1U);
  EXPECT_EQ(items["data"][0]["content"], (Json::array({{{"type", "input_text"}, {"text", "Hi"}}})));
  EXPECT_EQ(ask(HttpMethod::post, path + "/cancel").status, 400);
  EXPECT_EQ(ask(HttpMethod::get, path, {}, "bob").status, 404);
  EXPECT_EQ(ask(HttpMethod::remove, path, {}, "bob").status, 404);
  EXPECT_EQ(json_of(ask(HttpMethod::remove, path))["deleted"], true);
  for (const std::string below : {"", "/input_items"}) EXPECT_EQ(ask(HttpMethod::get, path + below).status, 404);
  EXPECT_EQ(ask(HttpMethod::post, path + "/cancel").status, 404);
}

TEST_F(ResponsesTest, GoOnFromOneAnother) {
  const Json first = json_of(create({{"input", "one"}, {"instructions", "not handed on"}}));
  const Json second = json_of(create({{"input", Json::array({{{"role", "user"}, {"content", "two"}}})},
                                      {"previous_response_id", first["id"]},
                                      {"instructions", "Now"}}));
  EXPECT_EQ(text_of(second), chat(Json::array({{{"role", "system"}, {"content", "Now"}},
                                               {{"role", "user"}, {"content", "one"}},
                                               {{"role", "assistant"}, {"content", text_of(first)}},
                                               {{"role", "user"}, {"content", "two"}}})));
  EXPECT_EQ(get("/v1/responses/" + second["id"].get<std::string>() + "/input_items")["data"].size(), 1U);
  const HttpReply foreign = create({{"previous_response_id", first["id"]}}, "bob");
  EXPECT_EQ(foreign.status, 400);
  EXPECT_EQ(json_of(foreign)["error"]["code"], "previous_response_not_found");
  ask(HttpMethod::remove, "/v1/responses/" + first["id"].get<std::string>());
  EXPECT_EQ(create({{"previous_response_id", second["id"]}}).status, 400);
}

TEST_F(ResponsesTest, Stream) {
  const Json whole = json_of(create(Json::object()));
  const HttpReply reply = create({{"stream", true}});
  ASSERT_EQ(reply.status, 200);
  const auto events = named_events(reply.body);
  ASSERT_GT(events.size(), 8U);
  std::vector<std::string> types;
  std::string text;
  for (const Json& event : events) {
    if (event["type"] == "response.output_text.delta") text += event["delta"].get<std::string>();
    if (types.empty() || event["type"] != types.back()) types.push_back(event["type"].get<std::string>());
  }
  EXPECT_EQ(types, (std::vector<std::string>{"response.created", "response.in_progress", "response.output_item.added",
                                             "response.content_part.added", "response.output_text.delta",
                                             "response.output_text.done", "response.content_part.done",
                                             "response.output_item.done", "response.incomplete"}));
  EXPECT_EQ(text, text_of(whole));
  const Json last = events.back()["response"];
  EXPECT_EQ(text_of(last), text);
  EXPECT_EQ(get("/v1/responses/" + last["id"].get<std::string>()), last);
  EXPECT_EQ(events.front()["response"]["id"], last["id"]);
}

TEST_F(ResponsesTest, ThatAreNotKept) {
  const Json response = json_of(create({{"store", false}}));
  EXPECT_EQ(response["store"], false);
  EXPECT_EQ(ask(HttpMethod::get, "/v1/responses/" + response["id"].get<std::string>()).status, 404);
  const auto events = named_events(create({{"store", false}, {"stream", true}}).body);
  EXPECT_EQ(events.back()["type"], "response.incomplete");
}

TEST_F(ResponsesTest, ReadItemsOfAllKinds) {
  const Json parts = Json::array({{{"type", "input_text"}, {"text", "a"}}, {{"type", "input_text"}, {"text", "b"}}});
  const Json input =
      Json::array({{{"type", "message"}, {"role", "developer"}, {"content", "Be"}},
                   {{"role", "user"}, {"content", parts}},
                   {{"type", "reasoning"}, {"id", "rs_1"}, {"summary", Json::array()}},
                   {{"role", "assistant"}, {"content", Json::array({{{"type", "refusal"}, {"refusal", "no"}}})}},
                   {{"role", "user"}, {"content", "c"}}});
  const Json response = json_of(create({{"input", input}}));
  EXPECT_EQ(text_of(response), chat(Json::array({{{"role", "system"}, {"content", "Be"}},
                                                 {{"role", "user"}, {"content", "ab"}},
                                                 {{"role", "assistant"}, {"content", "no"}},
                                                 {{"role", "user"}, {"content", "c"}}})));
  const std::string items = "/v1/responses/" + response["id"].get<std::string>() + "/input_items?order=asc&limit=2";
  const Json page = get(items);
  EXPECT_EQ(page["data"].size(), 2U);
  EXPECT_EQ(page["has_more"], true);
  const Json rest = get(items + "&after=" + page["last_id"].get<std::string>());
  EXPECT_EQ(rest["data"].size(), 2U);
  EXPECT_EQ(rest["has_more"], false);
  EXPECT_EQ(rest["data"][0]["role"], "assistant");
}

TEST_F(ResponsesTest, WrongOnesAreRefusedByName) {
  const Json image = Json::array({{{"type", "input_image"}, {"image_url", "x"}}});
  const std::vector<std::pair<Json, std::string>> bodies{
      {{{"input", nullptr}}, "input"},
      {{{"input", 1}}, "input"},
      {{{"input", Json::array()}}, "input"},
      {{{"input", Json::array({1})}}, "input[0]"},
      {{{"input", Json::array({{{"role", "tool"}, {"content", "x"}}})}}, "input[0].role"},
      {{{"input", Json::array({{{"role", "user"}}})}}, "input[0].content"},
      {{{"input", Json::array({{{"role", "user"}, {"content", image}}})}}, "input[0].content[0]"},
      {{{"input", Json::array({{{"type", "item_reference"}, {"id", "x"}}})}}, "input[0]"},
      {{{"tool_choice", "required"}}, "tool_choice"},
      {{{"background", true}}, "background"},
      {{{"conversation", "c"}}, "conversation"},
      {{{"include", Json::array({"x"})}}, "include"},
      {{{"truncation", "maybe"}}, "truncation"},
      {{{"store", 1}}, "store"},
      {{{"metadata", Json::array()}}, "metadata"},
      {{{"max_output_tokens", 0}}, "max_output_tokens"},
      {{{"max_output_tokens", 100000}}, "input"},
      {{{"temperature", 3}}, "temperature"},
      {{{"n", 2}}, "n"},
      {{{"text", {{"format", {{"type", "odd"}}}}}}, "text.format.type"},
      {{{"previous_response_id", "resp_none"}}, "previous_response_id"}};
  for (const auto& [more, param] : bodies) {
    const HttpReply reply = create(more);
    EXPECT_EQ(reply.status, 400) << more;
    EXPECT_EQ(json_of(reply)["error"]["param"], param) << reply.body;
  }
}

TEST_F(ResponsesTest, LongConversationsAreCutWhereThatIsAllowed) {
  Json input = Json::array({{{"role", "system"}, {"content", "Be"}}});
  for (int i = 0; i < 30; ++i) input.push_back({{"role", "user"}, {"content", fmt::format("question number {}", i)}});
  const HttpReply refused = create({{"input", input}});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(json_of(refused)["error"]["code"], "context_length_exceeded");
  const HttpReply reply = create({{"input", input}, {"truncation", "auto"}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(json_of(reply)["usage"]["output_tokens"], 8);
  EXPECT_GT(json_of(reply)["usage"]["input_tokens"], 150);
}

TEST_F(ResponsesTest, TheOldestGo) {
  close();
  std::int64_t now = now_seconds();
  options_.responses = {.bytes_max = 10'000, .seconds_max = 100, .now = [&] { return now; }};
  open();
  std::vector<std::string> paths;
  for (int i = 0; i < 12; ++i)
    paths.push_back("/v1/responses/" + json_of(create(Json::object()))["id"].get<std::string>());
  EXPECT_EQ(ask(HttpMethod::get, paths.front()).status, 404);
  EXPECT_EQ(ask(HttpMethod::get, paths.back()).status, 200);
  const Json others = json_of(create(Json::object(), "bob"));
  EXPECT_EQ(ask(HttpMethod::get, paths.back()).status, 200);
  now += 200;
  EXPECT_EQ(ask(HttpMethod::get, paths.back()).status, 404);
  const HttpReply large = create({{"input", std::string(40, 'x')},
                                  {"metadata", {{"a", std::string(500, 'x')}}},
                                  {"instructions", std::string(20, 'x')}});
  EXPECT_EQ(large.status, 200);
  close();
  options_.responses.bytes_max = 100;
  open();
  EXPECT_EQ(create(Json::object()).status, 507);
  const auto events = named_events(create({{"stream", true}}).body);
  EXPECT_EQ(events.back()["type"], "response.failed");
  close();  // before `now` goes
  options_.responses = {};
  open();
}

TEST_F(ResponsesTest, WithoutAFolder) {
  Api api(models_, {.seed = 7, .dialects = {responses_dialect(nullptr)}});
  HttpRouter router;
  api.add_routes(router);
  const auto send = [&](const Json& body) {
    auto exchange = std::make_shared<RecordedExchange>();
    router.route({.method = HttpMethod::post, .path = "/v1/responses", .body = text::dump_json(body)},
                 Responder(exchange));
    return exchange->wait();
  };
  const HttpReply reply = send({{"input", "Hi"}, {"max_output_tokens", 2}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(json_of(reply)["store"], false);
  EXPECT_EQ(json_of(send({{"input", "Hi"}, {"store", true}}))["error"]["param"], "store");
  EXPECT_EQ(json_of(send({{"input", "Hi"}, {"previous_response_id", "x"}}))["error"]["param"], "previous_response_id");
  settle();
}

}  // namespace
}  // namespace plait::serving
