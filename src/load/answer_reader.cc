// SPDX-License-Identifier: Apache-2.0
#include "load/answer_reader.h"

#include <algorithm>

#include "text/json.h"

namespace plait::load {
namespace {

using text::Json;

constexpr std::size_t kMessageBytesMax = 200;

// The member of an object, or null.
const Json* member(const Json& value, const char* name) {
  if (!value.is_object()) return nullptr;
  const auto at = value.find(name);
  return at == value.end() ? nullptr : &*at;
}

std::size_t count_of(const Json& value, const char* name) {
  const Json* count = member(value, name);
  return count != nullptr && count->is_number_integer() && *count >= 0 ? count->get<std::size_t>() : 0;
}

std::string_view text_of(const Json& value, const char* name) {
  const Json* text = member(value, name);
  return text != nullptr && text->is_string() ? std::string_view(text->get_ref<const std::string&>())
                                              : std::string_view();
}

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
  if (const Json* details = member(usage, "prompt_tokens_details")) {
    counts.cached_tokens = count_of(*details, "cached_tokens");
  }
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
  if (const Json* error = member(*parsed, "error"); error != nullptr && !error->is_null() && !error_) {
    error_ = message_of(*error);
  }
  if (const Json* usage = member(*parsed, "usage"); usage != nullptr && usage->is_object()) usage_ = usage_of(*usage);
  const Json* choices = member(*parsed, "choices");
  if (choices == nullptr || !choices->is_array()) return;
  for (const Json& choice : *choices) {
    std::string_view text = text_of(choice, "text");
    if (const Json* delta = member(choice, "delta"); delta != nullptr && text.empty()) {
      text = text_of(*delta, "content");
      if (text.empty()) text = text_of(*delta, "reasoning_content");
    }
    if (!text.empty()) on_text(count_of(choice, "index"), text);
  }
}

std::string error_message(std::string_view body) {
  const auto parsed = text::parse_json(body);
  if (!parsed) return shortened(body);
  const Json* error = member(*parsed, "error");
  return message_of(error != nullptr ? *error : *parsed);
}

}  // namespace plait::load
