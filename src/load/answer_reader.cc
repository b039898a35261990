// SPDX-License-Identifier: Apache-2.0
#include "load/answer_reader.h"

#include <algorithm>

#include "text/json.h"
#include "text/json_member.h"

namespace plait::load {
namespace {

using text::count_of;
using text::Json;
using text::member;
using text::text_of;

constexpr std::size_t kMessageBytesMax = 200;

std::string shortened(std::string_view text) {
  std::string line(text.substr(0, kMessageBytesMax));
  std::ranges::replace_if(line, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return line;
}

std::string message_of(const Json& error) {
  if (error.is_string()) return shortened(error.get_ref<const std::string&>());
  const std::string_view message = text_of(error, "message");
  return message.empty() ? shortened(text::dump_json(error)) : shortened(message);
}

AnswerUsage usage_of(const Json& usage) {
  AnswerUsage counts{.prompt_tokens = count_of(usage, "prompt_tokens"),
                     .generated_tokens = count_of(usage, "completion_tokens")};
  counts.cached_tokens = count_of(member(usage, "prompt_tokens_details"), "cached_tokens");
  return counts;
}

}  // namespace

void AnswerReader::event(std::string_view data, const OnText& on_text) {
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  const auto parsed = text::parse_json(data);
  if (!parsed || !parsed->is_object()) {
    if (!error_) error_ = "an event that is no JSON object";
    return;
  }
  if (const Json& error = member(*parsed, "error"); !error.is_null() && !error_) error_ = message_of(error);
  if (const Json& usage = member(*parsed, "usage"); usage.is_object()) usage_ = usage_of(usage);
  const Json& choices = member(*parsed, "choices");
  if (!choices.is_array()) return;
  for (const Json& choice : choices) {
    const Json& delta = member(choice, "delta");
    std::string_view text = text_of(choice, "text");
    if (text.empty()) text = text_of(delta, "content");
    if (text.empty()) text = text_of(delta, "reasoning_content");
    if (!text.empty()) on_text(count_of(choice, "index"), text);
  }
}

std::string error_message(std::string_view body) {
  const auto parsed = text::parse_json(body);
  if (!parsed) return shortened(body);
  const Json& error = member(*parsed, "error");
  return message_of(error.is_null() ? *parsed : error);
}

}  // namespace plait::load
