// SPDX-License-Identifier: Apache-2.0
//
// Calls of tools in answers that really run: a random model would never make one by itself.
#include "serving/tools.h"

#include <set>

#include "serving/api_test_fixture.h"

namespace plait::serving {
namespace {

using text::Json;

Json tool(const std::string& name, const Json& properties) {
  Json parameters{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  parameters["required"] = Json::array();
  for (const auto& [key, value] : properties.items()) parameters["required"].push_back(key);
  return {{"type", "function"}, {"function", {{"name", name}, {"parameters", parameters}}}};
}

Json two_tools() {
  return Json::array({tool("get_weather", {{"city", {{"enum", Json::array({"Oslo", "Rome"})}}},
                                           {"days", {{"type", "integer"}, {"minimum", 1}, {"maximum", 9}}}}),
                      tool("stop", Json::object())});
}

// The tiny model's template and others' in its place.
constexpr std::string_view kHermes =
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content or '' }}{% for c in m.tool_calls or [] %}<tool_call>\n{\"name\": \"{{ c.function.name }}\", "
    "\"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
constexpr std::string_view kThinking =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}<|im_end|>\n{% endfor %}<|im_start|>"
    "assistant\n{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% else %}<think>\n"
    "{% endif %}";
constexpr std::string_view kLlama =
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.tool_calls %}{\"name\": \"{{ m.tool_calls[0].function.name }}\", \"parameters\": "
    "{{ m.tool_calls[0].function.arguments | tojson }}}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n";
constexpr std::string_view kMistral =
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}{% if m.tool_calls %}[TOOL_CALLS] ["
    "{% for c in m.tool_calls %}{\"name\": \"{{ c.function.name }}\", \"arguments\": "
    "{{ c.function.arguments | tojson }}}{% endfor %}]{% else %}[INST] {{ m.content }}[/INST]{% endif %}{% endfor %}";
constexpr std::string_view kNamed =
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}{% if m.tool_calls %}"
    "{% for c in m.tool_calls %}[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}"
    "{% endfor %}{% else %}[INST] {{ m.content }}[/INST]{% endif %}{% endfor %}";

class ToolsTest : public ApiTest {
 protected:
  ToolsTest() : ApiTest(2048) {}
  void use(std::string_view source) { model_->use_chat(source); }
  static Json chat(const Json& more, int tokens = 140) {
    Json body{{"messages", Json::array({{{"role", "user"}, {"content", "x"}}})}, {"max_tokens", tokens}, {"seed", 3}};
    body.update(more);
    return body;
  }
  Json ask(const Json& body) { return json_of(post("/v1/chat/completions", body)); }

  /// A call of one of two_tools() with arguments as its schema has them.
  static void check(const Json& call) {
    EXPECT_EQ(call["type"], "function");
    EXPECT_FALSE(call["id"].get<std::string>().empty());
    const auto arguments = text::parse_json(call["function"]["arguments"].get<std::string>());
    ASSERT_TRUE(arguments) << call;
    if (call["function"]["name"] == "stop") {
      EXPECT_TRUE(arguments->empty()) << call;
      return;
    }
    EXPECT_EQ(call["function"]["name"], "get_weather");
    EXPECT_EQ(arguments->size(), 2U);
    EXPECT_TRUE((*arguments)["city"] == "Oslo" || (*arguments)["city"] == "Rome") << call;
    EXPECT_TRUE((*arguments)["days"] >= 1 && (*arguments)["days"] <= 9) << call;
  }
  /// The message that the chunks of a stream make up, as clients put it together.
  static Json joined(const std::vector<Json>& events) {
    Json message{{"role", "assistant"}, {"content", nullptr}, {"finish_reason", nullptr}};
    const auto add = [](Json& to, const Json& more) {
      to = (to.is_string() ? to.get<std::string>() : "") + more.get<std::string>();
    };
    for (const Json& event : events) {
      const Json& choice = event["choices"][0];
      if (!choice["finish_reason"].is_null()) message["finish_reason"] = choice["finish_reason"];
      for (const char* name : {"content", "reasoning_content"}) {
        if (choice["delta"].contains(name)) add(message[name], choice["delta"][name]);
      }
      for (const Json& call : choice["delta"].value("tool_calls", Json::array())) {
        Json& calls = message["tool_calls"];
        if (calls.size() <= call["index"].get<std::size_t>()) {
          EXPECT_TRUE(call.contains("id") && call.contains("type") && call["function"].contains("name")) << call;
          calls.push_back(call);
        } else {
          EXPECT_FALSE(call.contains("id"));
          add(calls[call["index"].get<std::size_t>()]["function"]["arguments"], call["function"]["arguments"]);
        }
      }
    }
    return message;
  }

  TinyModel* tiny_ = nullptr;
};

TEST_F(ToolsTest, RequiredCallsFitTheirSchemasInEveryFormat) {
  for (const std::string_view source : {std::string_view(), kHermes, kLlama, kMistral, kNamed}) {
    if (!source.empty()) use(source);
    Json body = chat({{"tools", two_tools()}, {"tool_choice", "required"}, {"n", 6}});
    const Json reply = ask(body);
    ASSERT_TRUE(reply.contains("choices")) << reply;
    std::set<std::string> ids;
    std::size_t calls = 0;
    for (const Json& choice : reply["choices"]) {
      EXPECT_EQ(choice["finish_reason"], "tool_calls") << choice;
      EXPECT_TRUE(choice["message"]["content"].is_null()) << choice;
      for (const Json& call : choice["message"]["tool_calls"]) {
        check(call);
        ids.insert(call["id"].get<std::string>());
        ++calls;
      }
    }
    EXPECT_GE(calls, 6U);
    EXPECT_EQ(ids.size(), calls);
    EXPECT_EQ(ask(body)["choices"], reply["choices"]);  // ids repeat with the seed
  }
}

TEST_F(ToolsTest, AStreamSaysTheSameAndIsValidSoFar) {
  for (const std::string_view source : {kHermes, kLlama, kMistral, kNamed}) {
    use(source);
    for (int seed = 1; seed < 5; ++seed) {
      Json body = chat({{"tools", two_tools()}, {"tool_choice", "required"}, {"seed", seed}});
      const Json whole = ask(body)["choices"][0];
      body["stream"] = true;
      const Json streamed = joined(events_of(post("/v1/chat/completions", body)));
      EXPECT_EQ(streamed["finish_reason"], whole["finish_reason"]);
      const Json& calls = whole["message"]["tool_calls"];
      ASSERT_EQ(streamed["tool_calls"].size(), calls.size());
      for (std::size_t i = 0; i < calls.size(); ++i) {
        EXPECT_EQ(streamed["tool_calls"][i]["id"], calls[i]["id"]);
        EXPECT_EQ(streamed["tool_calls"][i]["function"], calls[i]["function"]);
      }
    }
  }
}

TEST_F(ToolsTest, ANamedToolAndASingleCall) {
  use(kHermes);
  const Json choice{{"type", "function"}, {"function", {{"name", "get_weather"}}}};
  const Json named =
      ask(chat({{"tools", two_tools()}, {"tool_choice", choice}, {"parallel_tool_calls", false}, {"n", 4}}));
  for (const Json& one : named["choices"]) {
    ASSERT_EQ(one["message"]["tool_calls"].size(), 1U) << one;
    EXPECT_EQ(one["message"]["tool_calls"][0]["function"]["name"], "get_weather");
    check(one["message"]["tool_calls"][0]);
  }
  EXPECT_EQ(ask(chat({{"tools", two_tools()}, {"tool_choice", "required"}}, 3))["error"]["param"], "max_tokens");
}

TEST_F(ToolsTest, WithoutNeedTheModelSaysWhatItLikes) {
  use(kHermes);
  Json body = chat({{"tools", two_tools()}}, 30);
  const Json automatic = ask(body);
  EXPECT_TRUE(automatic["choices"][0]["message"]["content"].is_string()) << automatic;
  EXPECT_FALSE(automatic["choices"][0]["message"].contains("tool_calls"));
  body["tool_choice"] = "none";
  const Json none = ask(body);
  EXPECT_LT(none["usage"]["prompt_tokens"], automatic["usage"]["prompt_tokens"]);
  body.erase("tools");
  EXPECT_EQ(ask(body)["choices"][0]["message"]["content"], none["choices"][0]["message"]["content"]);
}

TEST_F(ToolsTest, ASchemaThatCannotBeEnforcedIsAWarning) {
  Json tools = two_tools();
  tools[1]["function"]["parameters"]["not"] = Json::object();
  const HttpReply reply = post("/v1/chat/completions", chat({{"tools", tools}}, 5));
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(json_of(reply)["plait"]["warnings"][0].get<std::string>().contains("tools[1].function.parameters"));
}

TEST_F(ToolsTest, CallsAndResultsReachThePrompt) {
  const Json call{{"id", "c1"}, {"type", "function"}, {"function", {{"name", "stop"}, {"arguments", "{\"a\": 1}"}}}};
  const Json messages = Json::array({{{"role", "user"}, {"content", "x"}},
                                     {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array({call})}},
                                     {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "done"}}});
  const auto prompt = [&] {
    const Json tokens = json_of(post("/tokenize", {{"messages", messages}, {"tools", two_tools()}}))["tokens"];
    return json_of(post("/detokenize", {{"tokens", tokens}}))["content"].get<std::string>();
  };
  const std::string told = prompt();  // by instructions
  EXPECT_TRUE(told.contains(R"({"tool_calls": [{"name": "stop", "arguments": {"a": 1}}]})")) << told;
  EXPECT_TRUE(told.contains("<|im_start|>user\nstop answered:\ndone")) << told;
  EXPECT_TRUE(told.starts_with("<|im_start|>system\n") && told.contains("get_weather")) << told;
  use(kHermes);
  const std::string printed = prompt();
  EXPECT_TRUE(printed.contains("<tool_call>\n{\"name\": \"stop\", \"arguments\": {\"a\": 1}}")) << printed;
  EXPECT_TRUE(printed.contains("<|im_start|>tool\ndone")) << printed;
}

// The bodies that Anthropic's and ollama's clients send for the same question.
Json anthropic_body(const Json& more) {
  Json tools = Json::array();
  for (const Json& tool : two_tools()) {
    tools.push_back({{"name", tool["function"]["name"]}, {"input_schema", tool["function"]["parameters"]}});
  }
  Json body{{"model", "tiny"}, {"max_tokens", 140},
            {"seed", 3},       {"messages", Json::array({{{"role", "user"}, {"content", "x"}}})},
            {"tools", tools},  {"tool_choice", {{"type", "any"}}}};
  body.update(more);
  return body;
}

TEST_F(ToolsTest, AnthropicsClientsGetBlocks) {
  use(kHermes);
  const Json same =
      ask(chat({{"tools", two_tools()}, {"tool_choice", "required"}}))["choices"][0]["message"]["tool_calls"];
  const Json whole = json_of(post("/v1/messages", anthropic_body(Json::object())));
  EXPECT_EQ(whole["stop_reason"], "tool_use") << whole;
  ASSERT_EQ(whole["content"].size(), same.size());
  for (std::size_t i = 0; i < same.size(); ++i) {
    const Json& block = whole["content"][i];
    EXPECT_EQ(block["type"], "tool_use");
    EXPECT_EQ(block["id"], same[i]["id"]);
    EXPECT_EQ(block["input"], *text::parse_json(same[i]["function"]["arguments"].get<std::string>()));
  }
  const HttpReply stream = post("/v1/messages", anthropic_body({{"stream", true}}));
  std::vector<std::string> inputs;
  std::string_view rest = stream.body;
  std::string stop;
  for (std::size_t at = rest.find("data: "); at != rest.npos; at = rest.find("data: ")) {
    rest.remove_prefix(at + 6);
    const Json event = *text::parse_json(rest.substr(0, rest.find('\n')));
    if (event["type"] == "content_block_start") inputs.emplace_back();
    if (event["type"] == "content_block_delta") inputs.back() += event["delta"]["partial_json"].get<std::string>();
    if (event["type"] == "message_delta") stop = event["delta"]["stop_reason"].get<std::string>();
  }
  EXPECT_EQ(stop, "tool_use");
  ASSERT_EQ(inputs.size(), same.size());
  for (std::size_t i = 0; i < same.size(); ++i) EXPECT_EQ(inputs[i], same[i]["function"]["arguments"]);
}

TEST_F(ToolsTest, AnthropicsBlocksReachThePrompt) {
  use(kHermes);
  const Json call{{"type", "tool_use"}, {"id", "c1"}, {"name", "stop"}, {"input", Json::object()}};
  const Json result{{"type", "tool_result"}, {"tool_use_id", "c1"}, {"content", "done"}, {"is_error", true}};
  const auto count = [&](const Json& messages) {
    return json_of(post("/v1/messages/count_tokens", anthropic_body({{"messages", messages}})))["input_tokens"];
  };
  const Json user{{"role", "user"}, {"content", "x"}};
  const Json with = count(Json::array({user,
                                       {{"role", "assistant"}, {"content", Json::array({call})}},
                                       {{"role", "user"}, {"content", Json::array({result})}}}));
  const Json openai_call{{"id", "c1"}, {"type", "function"}, {"function", {{"name", "stop"}, {"arguments", "{}"}}}};
  const Json messages =
      Json::array({user,
                   {{"role", "assistant"}, {"content", ""}, {"tool_calls", Json::array({openai_call})}},
                   {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "Error: done"}}});
  EXPECT_EQ(with, json_of(post("/tokenize", {{"messages", messages}, {"tools", two_tools()}}))["count"]);
  for (const Json& bad : {Json{{"type", "tool_use"}}, Json{{"type", "tool_result"}}, Json{{"type", "image"}}}) {
    const Json refused = Json::array({{{"role", "user"}, {"content", Json::array({bad})}}});
    EXPECT_EQ(post("/v1/messages", anthropic_body({{"messages", refused}})).status, 400) << bad;
  }
  for (const Json& bad :
       {Json{{"tools", Json::array({{{"type", "bash_20250124"}}})}}, Json{{"tool_choice", {{"type", "x"}}}},
        Json{{"thinking", {{"type", "enabled"}}}}, Json{{"thinking", {{"type", "enabled"}, {"budget_tokens", 140}}}}}) {
    EXPECT_EQ(post("/v1/messages", anthropic_body(bad)).status, 400) << bad;
  }
}

TEST_F(ToolsTest, AnthropicsThoughtsAreBlocks) {
  use(kThinking);
  const Json off = json_of(post("/v1/messages", anthropic_body({{"tools", nullptr}, {"tool_choice", nullptr}})));
  EXPECT_EQ(off["content"][0]["type"], "text") << off;
  const Json on =
      json_of(post("/v1/messages", anthropic_body({{"thinking", {{"type", "enabled"}, {"budget_tokens", 9}}}})));
  EXPECT_EQ(on["content"][0]["type"], "thinking") << on;
  EXPECT_EQ(on["content"].back()["type"], "tool_use") << on;
}

TEST_F(ToolsTest, OllamasClientsGetObjects) {
  use(kHermes);
  const Json same = ask(chat({{"tools", two_tools()},
                              {"tool_choice", "required"},
                              {"temperature", 0.8},
                              {"top_k", 40},
                              {"top_p", 0.9}}))["choices"][0]["message"]["tool_calls"];
  Json body{{"model", "tiny"},      {"messages", Json::array({{{"role", "user"}, {"content", "x"}}})},
            {"tools", two_tools()}, {"tool_choice", "required"},
            {"stream", false},      {"options", {{"seed", 3}, {"num_predict", 140}}}};
  const Json whole = json_of(post("/api/chat", body))["message"];
  ASSERT_EQ(whole["tool_calls"].size(), same.size()) << whole;
  for (std::size_t i = 0; i < same.size(); ++i) {
    EXPECT_EQ(whole["tool_calls"][i]["function"]["arguments"],
              *text::parse_json(same[i]["function"]["arguments"].get<std::string>()));
  }
  body["messages"].push_back({{"role", "assistant"}, {"content", ""}, {"tool_calls", whole["tool_calls"]}});
  body["messages"].push_back({{"role", "tool"}, {"tool_name", "stop"}, {"content", "done"}});
  EXPECT_EQ(post("/api/chat", body).status, 200);
  use(kThinking);
  body.erase("tools");
  body.erase("tool_choice");
  EXPECT_TRUE(json_of(post("/api/chat", body))["message"].contains("thinking"));
  body["think"] = false;
  EXPECT_FALSE(json_of(post("/api/chat", body))["message"].contains("thinking"));
  body["think"] = 1;
  EXPECT_EQ(post("/api/chat", body).status, 400);
}

TEST_F(ToolsTest, ThoughtsEndWithinTheirBudget) {
  use(kThinking);
  Json body = chat({{"plait", {{"thinking_budget", 12}}}}, 60);
  const Json message = ask(body)["choices"][0]["message"];
  ASSERT_TRUE(message.contains("reasoning_content")) << message;
  body["stream"] = true;
  const Json streamed = joined(events_of(post("/v1/chat/completions", body)));
  EXPECT_EQ(streamed["reasoning_content"], message["reasoning_content"]);
  EXPECT_EQ(streamed["content"], message["content"]);
  body["plait"]["thinking_budget"] = 0;
  body["stream"] = false;
  EXPECT_FALSE(ask(body)["choices"][0]["message"].contains("reasoning_content"));
  const Json endless = ask(chat(Json::object(), 20))["choices"][0]["message"];
  EXPECT_EQ(endless["content"], "");
  EXPECT_TRUE(endless.contains("reasoning_content"));
  const Json off = ask(chat({{"chat_template_kwargs", {{"enable_thinking", false}}}}, 20))["choices"][0]["message"];
  EXPECT_FALSE(off.contains("reasoning_content"));
  EXPECT_NE(off["content"], "");
  EXPECT_EQ(ask(chat({{"reasoning_effort", "none"}}, 20))["choices"][0]["message"], off);
}

TEST_F(ToolsTest, WhatIsRequiredComesBehindTheThought) {
  use(kThinking);
  const Json reply = ask(chat({{"tools", two_tools()}, {"tool_choice", "required"}, {"n", 4}}, 120));
  ASSERT_TRUE(reply.contains("choices")) << reply;
  for (const Json& choice : reply["choices"]) {
    EXPECT_TRUE(choice["message"].contains("reasoning_content")) << choice;
    ASSERT_FALSE(choice["message"].value("tool_calls", Json::array()).empty()) << choice;
    for (const Json& call : choice["message"]["tool_calls"]) check(call);
  }
  const Json format{{"type", "regex"}, {"pattern", "yes|no"}};
  const Json answer = ask(chat({{"response_format", format}, {"plait", {{"thinking_budget", 5}}}}, 60));
  const Json& said = answer["choices"][0]["message"]["content"];
  EXPECT_TRUE(said == "yes" || said == "no") << answer;
}

}  // namespace
}  // namespace plait::serving
