// SPDX-License-Identifier: Apache-2.0
//
// Calls of functions in /v1/responses: as items, as events, and in the conversation that goes on.
#include <set>

#include "serving/stored/responses_output.h"
#include "serving/stored/stored_test_fixture.h"

namespace plait::serving {
namespace {

using models::AnswerEvent;
using text::Json;
using Kind = AnswerEvent::Kind;

Json tool(const char* name = "count") {
  const Json parameters{{"type", "object"},
                        {"properties", {{"to", {{"type", "integer"}, {"minimum", 1}, {"maximum", 9}}}}},
                        {"required", {"to"}},
                        {"additionalProperties", false}};
  return {{"type", "function"}, {"name", name}, {"parameters", parameters}};
}

class ResponsesToolsTest : public StoredTest {
 protected:
  ResponsesToolsTest() : StoredTest(1024) {}
  HttpReply create(Json more, const std::string& key = "alice") {
    Json body{{"input", "Hi"}, {"tools", Json::array({tool()})}, {"max_output_tokens", 100}, {"seed", 1}};
    body.update(std::move(more));
    return ask(HttpMethod::post, "/v1/responses", text::dump_json(body), key);
  }
  Json called() { return json_of(create({{"tool_choice", "required"}, {"parallel_tool_calls", false}})); }
};

Json output_for(const Json& call, const Json& output = "9") {
  return {{"type", "function_call_output"}, {"call_id", call["call_id"]}, {"output", output}};
}

TEST_F(ResponsesToolsTest, CallsAreItems) {
  const Json response = called();
  EXPECT_EQ(response["status"], "completed") << response;
  ASSERT_EQ(response["output"].size(), 1U);
  const Json& call = response["output"][0];
  EXPECT_EQ(call["type"], "function_call");
  EXPECT_EQ(call["status"], "completed");
  EXPECT_EQ(call["name"], "count");
  const Json arguments = *text::parse_json(call["arguments"].get<std::string>());
  EXPECT_EQ(arguments.size(), 1U);
  EXPECT_LE(arguments["to"].get<int>(), 9);
  EXPECT_EQ(response["tool_choice"], "required");
  EXPECT_EQ(response["parallel_tool_calls"], false);
  EXPECT_EQ(response["tools"][0]["name"], "count");
  EXPECT_EQ(get("/v1/responses/" + response["id"].get<std::string>()), response);
}

TEST_F(ResponsesToolsTest, StreamsSayTheSame) {
  const Json whole = called()["output"][0];
  const auto events =
      named_events(create({{"tool_choice", "required"}, {"parallel_tool_calls", false}, {"stream", true}}).body);
  std::vector<std::string> types;
  std::string arguments;
  for (const Json& event : events) {
    if (types.empty() || event["type"] != types.back()) types.push_back(event["type"].get<std::string>());
    if (event["type"] == "response.function_call_arguments.delta") arguments += event["delta"].get<std::string>();
    if (event["type"] == "response.function_call_arguments.done") {
      EXPECT_EQ(event["arguments"], whole["arguments"]);
    }
  }
  EXPECT_EQ(types,
            (std::vector<std::string>{"response.created", "response.in_progress", "response.output_item.added",
                                      "response.function_call_arguments.delta", "response.function_call_arguments.done",
                                      "response.output_item.done", "response.completed"}));
  EXPECT_EQ(Json(arguments), whole["arguments"]);
  const Json last = events.back()["response"];
  EXPECT_EQ(last["output"][0]["call_id"], whole["call_id"]);
  EXPECT_EQ(last["output"][0], (*(events.end() - 2))["item"]);
  EXPECT_EQ(get("/v1/responses/" + last["id"].get<std::string>()), last);
}

TEST_F(ResponsesToolsTest, TheConversationGoesOn) {
  const Json first = called();
  const Json& call = first["output"][0];
  const Json plain{{"tool_choice", "none"}, {"max_output_tokens", 8}, {"ignore_eos", true}};
  Json more = plain;
  more["previous_response_id"] = first["id"];
  more["input"] = Json::array({output_for(call, Json::array({{{"type", "input_text"}, {"text", "9"}}}))});
  const Json chained = json_of(create(more));
  ASSERT_TRUE(chained.contains("output")) << chained;
  // The same conversation as one list, and as a chat.
  more = plain;
  more["input"] = Json::array({{{"role", "user"}, {"content", "Hi"}}, call, output_for(call)});
  more["store"] = false;
  const Json listed = json_of(create(more));
  EXPECT_EQ(chained["output"][0]["content"], listed["output"][0]["content"]);
  EXPECT_EQ(chained["usage"]["input_tokens"], listed["usage"]["input_tokens"]);
  const Json asked{{"id", call["call_id"]},
                   {"type", "function"},
                   {"function", {{"name", call["name"]}, {"arguments", call["arguments"]}}}};
  const Json messages =
      Json::array({{{"role", "user"}, {"content", "Hi"}},
                   {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array({asked})}},
                   {{"role", "tool"}, {"tool_call_id", call["call_id"]}, {"content", "9"}}});
  const Json chat = json_of(
      post("/v1/chat/completions", {{"messages", messages}, {"max_tokens", 8}, {"ignore_eos", true}, {"seed", 1}}));
  EXPECT_EQ(chat["choices"][0]["message"]["content"], chained["output"][0]["content"][0]["text"]);
  const Json items = get("/v1/responses/" + chained["id"].get<std::string>() + "/input_items");
  EXPECT_EQ(items["data"][0]["type"], "function_call_output");
  EXPECT_EQ(items["data"][0]["output"], "9");
}

TEST_F(ResponsesToolsTest, ACallThatIsCutOffIsNoCall) {
  const Json call{{"type", "function_call"},
                  {"call_id", "c1"},
                  {"name", "count"},
                  {"arguments", "{\"to\""},
                  {"status", "incomplete"}};
  const Json user{{"role", "user"}, {"content", "Hi"}};
  const HttpReply reply = create({{"input", Json::array({user, call, output_for(call)})}});
  EXPECT_EQ(json_of(reply)["error"]["param"], "input[2].call_id") << reply.body;
  const Json with = json_of(create({{"input", Json::array({user, call})}, {"tool_choice", "none"}}));
  const Json without = json_of(create({{"input", Json::array({user})}, {"tool_choice", "none"}}));
  EXPECT_EQ(with["usage"]["input_tokens"], without["usage"]["input_tokens"]);
}

TEST_F(ResponsesToolsTest, WrongOnesAreRefusedByName) {
  const auto with = [](Json item) { return Json{{"input", Json::array({std::move(item)})}}; };
  Json loose = tool();
  loose["strict"] = true;
  loose["parameters"]["not"] = Json::object();
  const std::vector<std::pair<Json, std::string>> bodies{
      {{{"tools", 1}}, "tools"},
      {{{"tools", Json::array({1})}}, "tools[0]"},
      {{{"tools", Json::array({{{"type", "web_search"}}})}}, "tools[0].type"},
      {{{"tools", Json::array({{{"type", "function"}}})}}, "tools[0].name"},
      {{{"tools", Json::array({tool(), tool()})}}, "tools[1].name"},
      {{{"tools", Json::array({loose})}}, "tools[0].parameters"},
      {{{"tool_choice", "maybe"}}, "tool_choice"},
      {{{"tool_choice", {{"type", "function"}, {"name", "other"}}}}, "tool_choice"},
      {{{"tool_choice", "required"}, {"tools", nullptr}}, "tool_choice"},
      {{{"tool_choice", "required"}, {"text", {{"format", {{"type", "json_object"}}}}}}, "text.format"},
      {{{"parallel_tool_calls", 1}}, "parallel_tool_calls"},
      {with({{"type", "function_call_output"}, {"call_id", "c"}, {"output", "x"}}), "input[0].call_id"},
      {with({{"type", "function_call_output"}}), "input[0].call_id"},
      {with({{"type", "function_call"}, {"call_id", "c"}, {"arguments", "{}"}}), "input[0].name"},
      {with({{"type", "function_call"}, {"call_id", "c"}, {"name", "f"}}), "input[0].arguments"},
      {with({{"type", "reasoning"}, {"content", Json::array({1})}}), "input[0].content[0].text"}};
  for (const auto& [more, param] : bodies) {
    const HttpReply reply = create(more);
    EXPECT_EQ(reply.status, 400) << more;
    EXPECT_EQ(json_of(reply)["error"]["param"], param) << reply.body;
    EXPECT_EQ(reply.body.find(".function."), std::string::npos) << reply.body;
  }
}

// A conversation that is cut must not begin with the result of a call that is gone.
TEST_F(ResponsesToolsTest, LongConversationsLoseCallsTogetherWithTheirResults) {
  Json input = Json::array();
  for (int i = 0; i < 40; ++i) {
    const std::string id = "c" + std::to_string(i);
    input.push_back({{"role", "user"}, {"content", "Count to nine, please."}});
    input.push_back({{"type", "function_call"}, {"call_id", id}, {"name", "count"}, {"arguments", "{\"to\":9}"}});
    input.push_back({{"type", "function_call_output"}, {"call_id", id}, {"output", "9"}});
  }
  const Json more{{"input", input}, {"tool_choice", "none"}, {"max_output_tokens", 8}};
  EXPECT_EQ(json_of(create(more))["error"]["code"], "context_length_exceeded");
  Json cut = more;
  cut["truncation"] = "auto";
  EXPECT_EQ(create(cut).status, 200);
}

/// The types of the events, and the items.
std::pair<std::vector<std::string>, Json> told(const std::vector<AnswerEvent>& events, bool full) {
  std::vector<std::string> types;
  ResponseOutput output([&](const char* type, const Json&) { types.emplace_back(type); });
  for (const AnswerEvent& event : events) output.add(event);
  output.finish(full);
  return {types, output.items()};
}

TEST(ResponseOutputTest, HasAnItemForEachPart) {
  const auto [types, items] = told({{.kind = Kind::thought, .text = "hm"},
                                    {.kind = Kind::text, .text = "a"},
                                    {.kind = Kind::text, .text = "b"},
                                    {.kind = Kind::call, .text = "f", .id = "c1"},
                                    {.kind = Kind::arguments, .text = "{}"},
                                    {.kind = Kind::call_end},
                                    {.kind = Kind::call, .text = "g", .id = "c2"},
                                    {.kind = Kind::arguments, .text = "{"}},
                                   true);
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(items[0]["type"], "reasoning");
  EXPECT_EQ(items[0]["content"][0], (Json{{"type", "reasoning_text"}, {"text", "hm"}}));
  EXPECT_EQ(items[1]["content"][0]["text"], "ab");
  EXPECT_EQ(items[1]["status"], "completed");
  EXPECT_EQ(items[2]["call_id"], "c1");
  EXPECT_EQ(items[2]["status"], "completed");
  EXPECT_EQ(items[3]["arguments"], "{");
  EXPECT_EQ(items[3]["status"], "incomplete");
  std::set<std::string> ids;
  for (const Json& item : items) ids.insert(item["id"].get<std::string>());
  EXPECT_EQ(ids.size(), 4U);
  EXPECT_EQ(std::ranges::count(types, "response.output_item.added"), 4);
  EXPECT_EQ(std::ranges::count(types, "response.output_item.done"), 4);
  EXPECT_EQ(std::ranges::count(types, "response.reasoning_text.delta"), 1);
  EXPECT_EQ(std::ranges::count(types, "response.function_call_arguments.done"), 2);
}

TEST(ResponseOutputTest, TextBehindABrokenCallIsAMessageOfItsOwn) {
  const auto [types, items] = told({{.kind = Kind::call, .text = "f", .id = "c1"},
                                    {.kind = Kind::arguments, .text = "{\"a\":"},
                                    {.kind = Kind::text, .text = "oh"}},
                                   false);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0]["status"], "incomplete");
  EXPECT_EQ(items[1]["content"][0]["text"], "oh");
  EXPECT_EQ(items[1]["status"], "completed");
  EXPECT_EQ(told({}, false).second[0]["content"][0]["text"], "");
}

}  // namespace
}  // namespace plait::serving
