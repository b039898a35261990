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
