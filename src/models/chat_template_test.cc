// SPDX-License-Identifier: Apache-2.0
#include "models/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "models/gguf.h"
#include "testing/real_model.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using text::Json;
using text::parse_json;

const std::filesystem::path kFolder = std::filesystem::path(PLAIT_SOURCE_DIR) / "tests/data/templates";

std::string read(const std::string& name) {
  std::ifstream file(kFolder / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ChatTemplate chat(const std::string& name) {
  return ChatTemplate::make(read(name + ".jinja"), {.bos = "<s>", .eos = "</s>"}).value();
}

Json messages(std::string_view text) { return parse_json(text).value(); }

std::string hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325ULL;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits += kDigits[(value >> shift) & 15U];
  return digits;
}

constexpr std::string_view kCallWithText = R"([{"role": "user", "content": "Weather?"},
  {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefghi", "type": "function",
   "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": \"ü\"}"}}]}])";
constexpr std::string_view kCallWithObject = R"([{"role": "user", "content": "Weather?"},
  {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefghi", "type": "function",
   "function": {"name": "f", "arguments": {"b": 1, "a": "ü"}}}]}])";

TEST(ChatTemplate, TheTemplatesOfRealModelsEqualJinja2) {
  const Json goldens = parse_json(read("models.json")).value();
  int found = 0;
  const Json conversations = parse_json(read("conversations.json")).value();
  for (const auto& [name, hashes] : goldens.items()) {
    const std::filesystem::path path = testing::real_model(name);
    if (path.empty()) continue;
    ++found;
    const GgufFile file = GgufFile::open(path).value();
    const auto parsed = text::Template::parse(file.get<std::string_view>("tokenizer.chat_template").value()).value();
    std::size_t i = 0;
    for (const Json& conversation : conversations) {
      for (const bool prompt : {true, false}) {
        Json variables = {
            {"tools", nullptr}, {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"add_generation_prompt", prompt}};
        variables.update(conversation["variables"]);
        const auto text = parsed.render(variables);
        const Json& golden = hashes[i++];
        ASSERT_EQ(text.has_value(), !golden.is_null()) << name << conversation["name"];
        if (!text) continue;
        EXPECT_EQ(hash(*text), golden.get<std::string>()) << name << conversation["name"] << *text;
      }
    }
  }
  if (found == 0) GTEST_SKIP() << "no model file";
}

TEST(ChatTemplate, ChatMl) {
  EXPECT_EQ(chat("chatml")
                .render(messages(R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])"))
                .value(),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, ArgumentsTakeTheShapeThatTheTemplatePrints) {
  // tojson of a text would quote it again: this template needs objects.
  const ChatTemplate objects = chat("hermes_tools");
  EXPECT_TRUE(objects.traits().wants_argument_objects);
  EXPECT_EQ(objects.render(messages(kCallWithText)).value(), objects.render(messages(kCallWithObject)).value());
  EXPECT_TRUE(objects.render(messages(kCallWithText))->contains(R"("arguments": {"b": 1, "a": "ü"})"));
  // This one adds the arguments to a string: it needs text.
  const ChatTemplate texts = chat("deepseek");
  EXPECT_TRUE(texts.traits().wants_argument_text);
  EXPECT_TRUE(texts.render(messages(kCallWithObject))->contains(R"({"b":1,"a":"ü"})"));
  EXPECT_TRUE(texts.render(messages(kCallWithText))->contains(R"({"b": 1, "a": "ü"})"));
  // This one takes both: nothing is changed.
  const ChatTemplate both = chat("qwen_tools");
  EXPECT_FALSE(both.traits().wants_argument_objects || both.traits().wants_argument_text);
  EXPECT_TRUE(both.render(messages(kCallWithText))->contains(R"({"b": 1, "a": "ü"})"));
}

TEST(ChatTemplate, ContentListsAndTextsTakeTheShapeThatTheTemplateReads) {
  const Json parts =
      messages(R"([{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}])");
  EXPECT_FALSE(chat("chatml").traits().reads_content_lists);
  EXPECT_EQ(chat("chatml").render(parts, {.add_generation_prompt = false}).value(),
            "<|im_start|>user\none\ntwo<|im_end|>\n");
  EXPECT_TRUE(chat("gemma").traits().reads_content_lists);
  EXPECT_EQ(chat("gemma").render(parts, {.add_generation_prompt = false}).value(),
            "<s><start_of_turn>user\nonetwo<end_of_turn>\n");
  const auto only_lists = ChatTemplate::make("{% for m in messages %}{{ m.content[0].text }}{% endfor %}", {}).value();
  EXPECT_TRUE(only_lists.traits().needs_content_lists);
  EXPECT_EQ(only_lists.render(messages(R"([{"role": "user", "content": "x"}])")).value(), "x");
}

TEST(ChatTemplate, ToolsAndMoreVariablesReachTheTemplate) {
  EXPECT_TRUE(chat("hermes_tools").traits().prints_tools);
  EXPECT_FALSE(chat("zephyr").traits().prints_tools);
  const Json hi = messages(R"([{"role": "user", "content": "x"}])");
  ChatOptions options;
  options.kwargs = {{"enable_thinking", false}};
  EXPECT_TRUE(chat("qwen_tools").render(hi, options)->ends_with("<think>\n\n</think>\n\n"));
  EXPECT_FALSE(chat("qwen_tools").render(hi)->contains("<think>"));
  for (const char* name : {"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"}) {
    options.kwargs = {{name, "<BOS>"}};
    const auto refused = chat("gemma").render(hi, options);
    ASSERT_FALSE(refused.has_value()) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(refused.error().message.starts_with(std::string("chat_template_kwargs.") + name));
  }
  options.kwargs = Json::object();
  for (int i = 0; i < 300; ++i) options.kwargs["v" + std::to_string(i)] = i;
  EXPECT_EQ(chat("gemma").render(hi, options).error().code, ErrorCode::invalid_argument);
}

TEST(ChatTemplate, AModelWithoutOneGetsAPlainPrompt) {
  for (const std::optional<std::string_view> source :
       {std::optional<std::string_view>(), std::optional<std::string_view>("")}) {
    const auto plain = ChatTemplate::make(source, {}).value();
    EXPECT_TRUE(plain.is_plain());
    EXPECT_EQ(
        plain.render(messages(R"([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}])"))
            .value(),
        "Be kind.\n\nUser: Hi\nAssistant:");
  }
  EXPECT_FALSE(chat("chatml").is_plain());
}

TEST(ChatTemplate, BadRequestsNameTheField) {
  const ChatTemplate chatml = chat("chatml");
  for (const auto& [field, text] :
       {std::pair{"messages:", R"({})"}, std::pair{"messages[1]:", R"([{"role": "user"}, 5])"},
        std::pair{"messages[0].role:", R"([{"content": "x"}])"},
        std::pair{"messages[0].tool_calls:", R"([{"role": "a", "tool_calls": 5}])"},
        std::pair{"messages[0].tool_calls:", R"([{"role": "a", "tool_calls": [5]}])"}}) {
    const auto result = chatml.render(messages(text));
    ASSERT_FALSE(result.has_value()) << text;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(result.error().message.starts_with(field)) << result.error().message;
  }
  ChatOptions options;
  options.tools = 5;
  EXPECT_TRUE(chatml.render(Json::array(), options).error().message.starts_with("tools:"));
}

TEST(ChatTemplate, AnExceptionOfTheTemplateIsTheError) {
  const auto result = chat("gemma").render(messages(R"([{"role": "assistant", "content": "x"}])"));
  EXPECT_EQ(result.error().code, ErrorCode::invalid_data);
  EXPECT_TRUE(result.error().message.contains("Turns must alternate"));
}

}  // namespace
}  // namespace plait::models
