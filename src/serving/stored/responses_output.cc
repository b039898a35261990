// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/responses_output.h"

#include <utility>

#include "serving/stored/desk.h"

namespace plait::serving {

using text::Json;

void ResponseOutput::send(const char* type, Json more) const {
  if (send_) send_(type, std::move(more));
}

Json ResponseOutput::in_item(Json more) const {
  Json event{{"item_id", items_.back()["id"]}, {"output_index", items_.size() - 1}};
  event.update(std::move(more));
  return event;
}

Json ResponseOutput::in_content(Json more) const {
  Json event = in_item({{"content_index", 0}});
  event.update(std::move(more));
  return event;
}

void ResponseOutput::begin(Kind kind, Json item) {
  end("completed");
  open_ = kind;
  items_.push_back(std::move(item));
  send("response.output_item.added", {{"output_index", items_.size() - 1}, {"item", items_.back()}});
}

// A message or a thought: an item with one part.
void ResponseOutput::begin_text(Kind kind) {
  Json item{{"id", new_id(kind == Kind::text ? "msg_" : "rs_")}, {"type", "message"}, {"status", "in_progress"}};
  Json part{{"type", "output_text"}, {"text", ""}};
  if (kind == Kind::text) {
    item["role"] = "assistant";
    part["annotations"] = Json::array();
    part["logprobs"] = Json::array();
  } else {
    item["type"] = "reasoning";
    item["summary"] = Json::array();
    part["type"] = "reasoning_text";
  }
  item["content"] = Json::array();
  begin(kind, std::move(item));
  items_.back()["content"].push_back(part);
  send("response.content_part.added", in_content({{"part", std::move(part)}}));
}

void ResponseOutput::add_text(Kind kind, const std::string& text) {
  if (text.empty()) return;
  if (open_ != kind) begin_text(kind);
  items_.back()["content"][0]["text"].get_ref<std::string&>() += text;
  if (kind == Kind::thought) return send("response.reasoning_text.delta", in_content({{"delta", text}}));
  send("response.output_text.delta", in_content({{"delta", text}, {"logprobs", Json::array()}}));
}

void ResponseOutput::add_arguments(const std::string& text) {
  items_.back()["arguments"].get_ref<std::string&>() += text;
  send("response.function_call_arguments.delta", in_item({{"delta", text}}));
}

void ResponseOutput::end_text() {
  const Json part = items_.back()["content"][0];
  if (open_ == Kind::thought) {
    send("response.reasoning_text.done", in_content({{"text", part["text"]}}));
  } else {
    send("response.output_text.done", in_content({{"text", part["text"]}, {"logprobs", Json::array()}}));
  }
  send("response.content_part.done", in_content({{"part", part}}));
}

// A call that no `call_end` has ended is cut off, whatever the status of other items would be.
void ResponseOutput::end(const char* status) {
  if (!open_) return;
  if (open_ == Kind::call) {
    send("response.function_call_arguments.done",
         in_item({{"name", items_.back()["name"]}, {"arguments", items_.back()["arguments"]}}));
  } else {
    end_text();
  }
  items_.back()["status"] = status;
  send("response.output_item.done", {{"output_index", items_.size() - 1}, {"item", items_.back()}});
  open_.reset();
}

void ResponseOutput::add(const models::AnswerEvent& event) {
  if (open_ == Kind::call && event.kind != Kind::arguments && event.kind != Kind::call_end) end("incomplete");
  switch (event.kind) {
    case Kind::text:
    case Kind::thought:
      return add_text(event.kind, event.text);
    case Kind::call:
      return begin(Kind::call, {{"id", new_id("fc_")},
                                {"type", "function_call"},
                                {"status", "in_progress"},
                                {"call_id", event.id},
                                {"name", event.text},
                                {"arguments", ""}});
    case Kind::arguments:
      return add_arguments(event.text);
    case Kind::call_end:
      return end("completed");
  }
}

void ResponseOutput::finish(bool full) {
  if (items_.empty()) begin_text(Kind::text);
  end(full || open_ == Kind::call ? "incomplete" : "completed");
}

}  // namespace plait::serving
