// SPDX-License-Identifier: Apache-2.0
#include "operations/otlp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "operations/record_for_test.h"
#include "text/json.h"

namespace plait::operations {
namespace {

using text::Json;

Json spans_of(const RequestRecord& record) {
  const Trace trace = trace_of(record, TraceIds(1));
  const auto json = text::parse_json(otlp_json({}, {&trace, 1}));
  EXPECT_TRUE(json);
  return (*json)["resourceSpans"][0]["scopeSpans"][0]["spans"];
}

std::vector<std::string> names_of(const Json& spans) {
  std::vector<std::string> names;
  for (const Json& span : spans) names.push_back(span["name"]);
  return names;
}

Json attribute(const Json& span, std::string_view key) {
  for (const Json& one : span["attributes"]) {
    if (one["key"] == key) return one["value"];
  }
  return {};
}

// The whole of a small trace, as a collector gets it.
TEST(Otlp, ASpanIsWhatTheProtocolAsksFor) {
  Trace trace{.state = "a=1", .sampled = true};
  trace.id.fill(0xAB);
  Span span{.name = "chat tiny", .kind = Span::Kind::server, .start = 1'000'000'000, .end = 2'500'000'000};
  span.id.fill(0xCD);
  span.parent = SpanId{1, 2, 3, 4, 5, 6, 7, 8};
  span.attributes = {{"text", "a \"b\""},
                     {"whole", std::int64_t{-5}},
                     {"real", 0.5},
                     {"flag", true},
                     {"list", std::vector<std::string>{"stop", "length"}}};
  span.events = {{.name = "preempted", .time = 1'200'000'000}};
  span.failed = true;
  trace.spans.push_back(span);
  const auto golden = text::parse_json(R"({"resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "plait"}},
                                {"key": "zone", "value": {"stringValue": "b"}}]},
    "scopeSpans": [{"scope": {"name": "plait"}, "spans": [{
      "traceId": "abababababababababababababababab", "spanId": "cdcdcdcdcdcdcdcd", "traceState": "a=1",
      "parentSpanId": "0102030405060708", "flags": 769, "name": "chat tiny", "kind": 2,
      "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2500000000",
      "attributes": [{"key": "text", "value": {"stringValue": "a \"b\""}},
                     {"key": "whole", "value": {"intValue": "-5"}},
                     {"key": "real", "value": {"doubleValue": 0.5}},
                     {"key": "flag", "value": {"boolValue": true}},
                     {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "stop"},
                                                                         {"stringValue": "length"}]}}}],
      "events": [{"timeUnixNano": "1200000000", "name": "preempted"}], "status": {"code": 2}}]}]}]})");
  ASSERT_TRUE(golden);
  EXPECT_EQ(otlp_json({.attributes = {{"zone", "b"}}}, {&trace, 1}), text::dump_json(*golden));
}

TEST(Trace, ARequestHasASpanForEachStretch) {
  const RequestRecord record = answered_request();
  const Json spans = spans_of(record);
  EXPECT_EQ(names_of(spans), (std::vector<std::string>{"chat tiny", "read", "queue", "prompt", "decode", "reply"}));
  EXPECT_FALSE(spans[0].contains("parentSpanId"));
  std::set<std::string> ids;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    EXPECT_TRUE(ids.insert(spans[i]["spanId"]).second);
    EXPECT_EQ(spans[i]["traceId"], hex(record.context.trace));
    if (i == 0) continue;
    EXPECT_EQ(spans[i]["parentSpanId"], spans[0]["spanId"]);
    const std::size_t before = std::max<std::size_t>(i - 1, 1);
    EXPECT_EQ(spans[i]["startTimeUnixNano"], spans[before][i == 1 ? "startTimeUnixNano" : "endTimeUnixNano"]);
  }
  EXPECT_EQ(spans[0]["startTimeUnixNano"], "1000000000000");
  EXPECT_EQ(spans[0]["endTimeUnixNano"], "1002000000000");
  EXPECT_EQ(spans[4]["startTimeUnixNano"], "1001000000000");
  EXPECT_EQ(spans[4]["endTimeUnixNano"], "1001750000000");
  EXPECT_EQ(spans[4]["events"], Json::parse(R"([{"timeUnixNano": "1001250000000", "name": "preempted"}])"));
  EXPECT_EQ(spans[0]["events"][0]["name"], "first_text");
}

TEST(Trace, AttributesAreThoseOfTheConventions) {
  const Json whole = spans_of(answered_request())[0];
  for (const auto& [key, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"gen_ai.operation.name", R"({"stringValue": "chat"})"},
           {"gen_ai.provider.name", R"({"stringValue": "plait"})"},
           {"gen_ai.request.model", R"({"stringValue": "tiny"})"},
           {"gen_ai.response.model", R"({"stringValue": "tiny"})"},
           {"gen_ai.response.id", R"({"stringValue": "chatcmpl-req_1"})"},
           {"gen_ai.response.finish_reasons", R"({"arrayValue": {"values": [{"stringValue": "length"}]}})"},
           {"gen_ai.request.temperature", R"({"doubleValue": 0.5})"},
           {"gen_ai.request.seed", R"({"intValue": "7"})"},
           {"gen_ai.request.max_tokens", R"({"intValue": "20"})"},
           {"gen_ai.usage.input_tokens", R"({"intValue": "30"})"},
           {"gen_ai.usage.output_tokens", R"({"intValue": "20"})"},
           {"server.address", R"({"stringValue": "localhost"})"},
           {"server.port", R"({"intValue": "7524"})"},
           {"plait.cached_tokens", R"({"intValue": "16"})"},
           {"plait.prefill_tokens", R"({"intValue": "14"})"},
           {"plait.pte", R"({"doubleValue": 30.5})"},
           {"plait.preemptions", R"({"intValue": "1"})"}}) {
    EXPECT_EQ(attribute(whole, key), Json::parse(value)) << key;
  }
  EXPECT_TRUE(attribute(whole, "error.type").is_null());
  EXPECT_TRUE(attribute(whole, "gen_ai.input.messages").is_null());
}

TEST(Trace, ARefusedRequestWasReadOnly) {
  RequestRecord record{.number = 2};
  record.operation = "chat";
  record.endpoint = "/v1/chat/completions";
  record.status = 400;
  record.error = "invalid_value";
  record.seconds = 0.5;
  const Json spans = spans_of(record);
  EXPECT_EQ(names_of(spans), (std::vector<std::string>{"chat", "read"}));
  EXPECT_EQ(attribute(spans[0], "error.type")["stringValue"], "invalid_value");
  EXPECT_EQ(spans[0]["status"], Json::object());  // the client's mistake is not the server's
}

TEST(Trace, AModelThatHadToBeLoadedShows) {
  RequestRecord record = answered_request();
  record.model_asked_seconds = 0.001;
  record.model_came_seconds = 0.009;
  const Json spans = spans_of(record);
  EXPECT_EQ(spans[2]["name"], "load");
  EXPECT_EQ(spans[2]["endTimeUnixNano"], "1000009000000");
}

TEST(Trace, AFailedAnswerFails) {
  RequestRecord record = answered_request();
  record.status = 503;
  record.error = "kv_memory_exceeded";
  record.generations[0].reason = "failed";
  const Json spans = spans_of(record);
  EXPECT_EQ(spans[0]["status"]["code"], 2);
  EXPECT_EQ(spans[4]["status"]["code"], 2);
}

TEST(Trace, ManyAnswersAreBounded) {
  RequestRecord record = answered_request();
  record.generations.resize(100, record.generations[0]);
  const Json spans = spans_of(record);
  EXPECT_EQ(spans.size(), 2 + 3 * kAnswersTraced);
  EXPECT_EQ(attribute(spans[0], "plait.answers_left_out")["intValue"], "68");
  EXPECT_EQ(attribute(spans[5], "plait.choice")["intValue"], "1");
}

TEST(Otlp, RejectedSpansAreCounted) {
  EXPECT_EQ(rejected_spans(R"({"partialSuccess": {"rejectedSpans": "12"}})"), 12U);
  EXPECT_EQ(rejected_spans(R"({"partialSuccess": {"rejectedSpans": 3}})"), 3U);
  for (const char* answer :
       {"", "{", "{}", "[]", R"({"partialSuccess": 5})", R"({"partialSuccess": {}})",
        R"({"partialSuccess": {"rejectedSpans": -1}})", R"({"partialSuccess": {"rejectedSpans": "x"}})"}) {
    EXPECT_EQ(rejected_spans(answer), 0U) << answer;
  }
}

}  // namespace
}  // namespace plait::operations
