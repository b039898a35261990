// SPDX-License-Identifier: Apache-2.0
#include "operations/otlp.h"

#include <charconv>
#include <type_traits>

#include "text/json.h"

namespace plait::operations {
namespace {

using text::Json;

constexpr int kStatusError = 2;
// Of a span's flags.
constexpr std::uint32_t kSampled = 1;
constexpr std::uint32_t kRemoteKnown = 0x100;
constexpr std::uint32_t kRemoteParent = 0x200;

Json string_json(const std::string& text) { return {{"stringValue", text}}; }

Json value_json(const AttributeValue& value) {
  return std::visit(
      [](const auto& one) -> Json {
        using T = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return string_json(one);
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          return {{"intValue", std::to_string(one)}};
        } else if constexpr (std::is_same_v<T, double>) {
          return {{"doubleValue", one}};
        } else if constexpr (std::is_same_v<T, bool>) {
          return {{"boolValue", one}};
        } else {
          Json list = Json::array();
          for (const std::string& text : one) list.push_back(string_json(text));
          return {{"arrayValue", {{"values", std::move(list)}}}};
        }
      },
      value);
}

Json attribute_json(std::string_view key, Json value) { return {{"key", key}, {"value", std::move(value)}}; }

Json span_json(const Trace& trace, const Span& span) {
  Json json{{"traceId", hex(trace.id)}, {"spanId", hex(span.id)}};
  if (!trace.state.empty()) json["traceState"] = trace.state;
  if (span.parent) json["parentSpanId"] = hex(*span.parent);
  const bool remote_parent = span.parent && span.kind == Span::Kind::server;
  json["flags"] = kRemoteKnown | (trace.sampled ? kSampled : 0) | (remote_parent ? kRemoteParent : 0);
  json["name"] = span.name;
  json["kind"] = static_cast<int>(span.kind);
  json["startTimeUnixNano"] = std::to_string(span.start);
  json["endTimeUnixNano"] = std::to_string(span.end);
  if (!span.attributes.empty()) {
    Json& attributes = json["attributes"] = Json::array();
    for (const auto& [key, value] : span.attributes) attributes.push_back(attribute_json(key, value_json(value)));
  }
  if (!span.events.empty()) {
    Json& events = json["events"] = Json::array();
    for (const SpanEvent& event : span.events) {
      events.push_back({{"timeUnixNano", std::to_string(event.time)}, {"name", event.name}});
    }
  }
  json["status"] = Json::object();
  if (span.failed) json["status"]["code"] = kStatusError;
  return json;
}

}  // namespace

std::string otlp_json(const TraceResource& resource, std::span<const Trace> traces) {
  Json spans = Json::array();
  for (const Trace& trace : traces) {
    for (const Span& span : trace.spans) spans.push_back(span_json(trace, span));
  }
  Json attributes = Json::array({attribute_json("service.name", string_json(resource.service))});
  for (const auto& [key, value] : resource.attributes) attributes.push_back(attribute_json(key, string_json(value)));
  const Json scoped{{"scope", {{"name", "plait"}}}, {"spans", std::move(spans)}};
  Json whole{{"resource", {{"attributes", std::move(attributes)}}}, {"scopeSpans", Json::array({scoped})}};
  return text::dump_json({{"resourceSpans", Json::array({std::move(whole)})}});
}

std::size_t rejected_spans(std::string_view answer) {
  const auto json = text::parse_json(answer, {.bytes_max = 1 << 16, .depth_max = 16, .values_max = 1000});
  if (!json || !json->is_object() || !json->contains("partialSuccess")) return 0;
  const Json& partial = (*json)["partialSuccess"];
  if (!partial.is_object() || !partial.contains("rejectedSpans")) return 0;
  const Json& rejected = partial["rejectedSpans"];
  std::size_t number = 0;
  if (rejected.is_number_integer() && rejected > 0) number = rejected.get<std::size_t>();
  if (const auto* digits = rejected.get_ptr<const std::string*>()) {
    std::from_chars(digits->data(), digits->data() + digits->size(), number);
  }
  return number;
}

}  // namespace plait::operations
