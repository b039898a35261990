// SPDX-License-Identifier: Apache-2.0
//
// What is told of requests that really run, on the tiny model.
#include "serving/telemetry.h"

#include <fstream>

#include "operations/record_for_test.h"
#include "serving/api_test_fixture.h"
#include "serving/content.h"
#include "testing/temp_dir.h"

namespace plait::serving {
namespace {

using text::Json;

constexpr auto kChat = "/v1/chat/completions";

Json chat(int tokens) {
  return {{"messages", Json::array({{{"role", "user"}, {"content", "hello"}}})},
          {"max_tokens", tokens},
          {"ignore_eos", true}};
}

class TelemetryTest : public ApiTest {
 protected:
  /// An API that tells its requests in a file.
  void open(bool content) {
    TelemetryOptions options{.content = content};
    options.file.emplace();
    options.file->path = dir_ / "traces.jsonl";
    telemetry_ = *Telemetry::make(std::move(options));
    traced_api_ = std::make_unique<Api>(models_, ApiOptions{.telemetry = telemetry_.get()});
    router_ = {};
    traced_api_->add_routes(router_);
  }
  /// The first request's spans, once all is told.
  Json spans() {
    EXPECT_TRUE(telemetry_->close(60));
    std::ifstream file(dir_ / "traces.jsonl");
    std::string line;
    std::getline(file, line);
    const auto json = text::parse_json(line);
    EXPECT_TRUE(json);
    return (*json)["resourceSpans"][0]["scopeSpans"][0]["spans"];
  }
  static std::string attribute(const Json& span, std::string_view key) {
    for (const Json& one : span["attributes"]) {
      if (one["key"] == key) return one["value"].begin()->get<std::string>();
    }
    return "";
  }

  testing::TempDir dir_;
  std::unique_ptr<Telemetry> telemetry_;
  std::unique_ptr<Api> traced_api_;
};

TEST_F(TelemetryTest, ARequestIsTold) {
  open(false);
  const Json answer = json_of(post(kChat, chat(6)));
  const Json told = spans();
  EXPECT_EQ(told[0]["name"], "chat tiny");
  EXPECT_EQ(attribute(told[0], "gen_ai.response.id"), answer["id"].get<std::string>());
  EXPECT_EQ(attribute(told[0], "gen_ai.usage.output_tokens"), "6");
  EXPECT_EQ(attribute(told[0], "gen_ai.input.messages"), "");
  EXPECT_EQ(told[4]["name"], "decode");
}

TEST_F(TelemetryTest, TextsOnlyWhereTheyAreWanted) {
  open(true);
  const Json answer = json_of(post(kChat, chat(6)));
  const Json told = spans();
  EXPECT_EQ(attribute(told[0], "gen_ai.input.messages"),
            R"([{"role":"user","parts":[{"type":"text","content":"hello"}]}])");
  const auto output = text::parse_json(attribute(told[0], "gen_ai.output.messages"));
  ASSERT_TRUE(output);
  EXPECT_EQ((*output)[0]["parts"][0]["content"], answer["choices"][0]["message"]["content"]);
}

TEST_F(TelemetryTest, ATraceGoesOnWhereAClientBeganIt) {
  HttpRequest request{.method = HttpMethod::post, .path = kChat};
  request.headers.add("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  request.headers.add("tracestate", "vendor=1");
  request.headers.add("host", "[::1]:7524");
  request.body = text::dump_json(chat(2));
  for (const bool traced : {false, true}) {  // and comes back even where nobody traces
    if (traced) open(false);
    auto exchange = std::make_shared<RecordedExchange>();
    router_.route(request, Responder(exchange));
    const std::string field(exchange->wait().headers.find("traceparent").value_or(""));
    EXPECT_TRUE(field.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")) << field;
  }
  const Json told = spans();
  EXPECT_EQ(told[0]["parentSpanId"], "00f067aa0ba902b7");
  EXPECT_EQ(told[0]["traceState"], "vendor=1");
  EXPECT_EQ(attribute(told[0], "server.address"), "::1");
  EXPECT_EQ(attribute(told[0], "server.port"), "7524");
}

TEST_F(TelemetryTest, WhoLeavesIsTold) {
  open(false);
  Json body = chat(200);
  body["stream"] = true;
  post_and_leave(kChat, body);
  const auto left = [&] {
    return send(HttpMethod::get, "/metrics")->wait().body.find("status=\"499\"} 1") != std::string::npos;
  };
  while (!left()) std::this_thread::yield();
  const Json told = spans();
  EXPECT_EQ(attribute(told[0], "error.type"), "client_gone");
  EXPECT_EQ(attribute(told[4], "plait.finish_reason"), "cancelled");
  EXPECT_NE(attribute(told[0], "gen_ai.usage.output_tokens"), "0");
  while (running() > 0) std::this_thread::yield();
}

TEST_F(TelemetryTest, RecentRequestsAreListed) {
  post(kChat, chat(3));
  send_text(HttpMethod::post, kChat, "{")->wait();
  const Json list = json_of(send(HttpMethod::get, "/v1/plait/requests")->wait())["data"];
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0]["status"], 400);
  EXPECT_EQ(list[1]["generated_tokens"], 3);
  EXPECT_EQ(list[1]["answers"][0]["reason"], "length");
}

TEST_F(TelemetryTest, MetricsAreOfAModel) {
  Json body = chat(5);
  body["n"] = 2;
  post(kChat, body);
  const std::string text = send(HttpMethod::get, "/metrics")->wait().body;
  for (const char* line :
       {"plait_answers_total{model=\"tiny\",reason=\"length\"} 2", "plait_generated_tokens_total{model=\"tiny\"} 10",
        "plait_queue_seconds_count{model=\"tiny\"} 2", "plait_request_seconds_count{model=\"tiny\"} 1",
        "vllm:generation_tokens_total{model_name=\"tiny\"} 10",
        "vllm:request_success_total{model_name=\"tiny\",finished_reason=\"length\"} 2",
        "plait_sequences_running{model=\"tiny\"} 0"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST_F(TelemetryTest, WhoHasReadTheEndOfAStreamFindsItCounted) {
  const Json strategy{{"strategy", "best-of"}, {"strategy_options", {{"n", 2}, {"call_tokens", 4}}}};
  std::size_t count = 0;
  for (const Json& plait : {Json(), strategy}) {
    Json body = chat(4);
    if (!plait.is_null()) body = {{"messages", body["messages"]}, {"plait", plait}};
    body["stream"] = true;
    ++count;
    std::string counted;
    Json listed;
    auto exchange = std::make_shared<RecordedExchange>();
    exchange->before_end = [&] {
      counted = send(HttpMethod::get, "/metrics")->wait().body;
      listed = json_of(send(HttpMethod::get, "/v1/plait/requests")->wait())["data"];
    };
    route(HttpMethod::post, kChat, text::dump_json(body), exchange);
    EXPECT_FALSE(events_of(exchange->wait()).empty());
    EXPECT_NE(counted.find("plait_request_seconds_count{model=\"tiny\"} " + std::to_string(count)), std::string::npos)
        << counted;
    EXPECT_EQ(listed.size(), count);
  }
}

TEST_F(TelemetryTest, AStrategysCallsAreCounted) {
  open(false);
  Json body{{"messages", chat(1)["messages"]},
            {"plait", {{"strategy", "best-of"}, {"strategy_options", {{"n", 3}, {"call_tokens", 6}}}}}};
  const Json reply = json_of(post(kChat, body));
  ASSERT_TRUE(reply.contains("usage")) << text::dump_json(reply);
  const Json& usage = reply["usage"];
  const Json listed = json_of(send(HttpMethod::get, "/v1/plait/requests")->wait())["data"][0];
  EXPECT_EQ(listed["generated_tokens"], usage["completion_tokens"]);
  EXPECT_EQ(listed["prompt_tokens"], usage["prompt_tokens"]);
  EXPECT_TRUE(listed.contains("first_token_seconds"));
  EXPECT_EQ(listed["answers"].size(), reply["plait"]["calls"].size());
  const std::string text = send(HttpMethod::get, "/metrics")->wait().body;
  const auto number = [](const Json& json) { return std::to_string(json.get<std::size_t>()); };
  for (const std::string& line :
       {"plait_generated_tokens_total{model=\"tiny\"} " + number(usage["completion_tokens"]),
        "plait_prompt_tokens_total{model=\"tiny\"} " + number(usage["prompt_tokens"]),
        "plait_request_generated_tokens_count{model=\"tiny\"} " + std::to_string(1),
        "plait_decode_seconds_count{model=\"tiny\"} " + std::to_string(reply["plait"]["calls"].size())}) {
    EXPECT_NE(text.find(line + "\n"), std::string::npos) << line << "\n" << text;
  }
  const Json told = spans();
  EXPECT_EQ(attribute(told[0], "gen_ai.usage.output_tokens"), number(usage["completion_tokens"]));
  EXPECT_EQ(attribute(told[0], "plait.rows"), std::to_string(reply["plait"]["calls"].size()));
}

TEST(Metrics, ReasonsThatAreOneElsewhereAreAddedUp) {
  Metrics metrics;
  operations::RequestRecord record = operations::answered_request();
  for (const char* reason : {"stop", "failed", "deadline", "cancelled"}) {
    record.generations[0].reason = reason;
    metrics.observe(record);
  }
  const std::string text = metrics.text({.models = {{.name = "tiny"}}});
  EXPECT_NE(text.find("finished_reason=\"error\"} 2"), std::string::npos) << text;
  EXPECT_NE(text.find("finished_reason=\"abort\"} 1"), std::string::npos);
  EXPECT_NE(text.find("plait_answers_total{model=\"tiny\",reason=\"deadline\"} 1"), std::string::npos);
}

TEST(Metrics, PagesOfTheCacheAreAsGoodAsFree) {
  const std::string text = Metrics().text(
      {.models = {{.name = "a", .engine = {.pages = 100, .pages_free = 20}, .pages_reclaimable = 30}, {.name = "b"}}});
  EXPECT_NE(text.find("plait_kv_usage_ratio{model=\"a\"} 0.5"), std::string::npos) << text;
  EXPECT_NE(text.find("plait_kv_usage_ratio{model=\"b\"} 0"), std::string::npos);
  EXPECT_NE(text.find("vllm:kv_cache_usage_perc{model_name=\"a\"} 0.5"), std::string::npos);
}

TEST(Content, IsReadInEveryApi) {
  const auto input = [](const char* body) { return input_messages(*text::parse_json(body)).value_or("too long"); };
  EXPECT_EQ(input(R"({"system": "be brief", "messages": [{"role": "user", "content": [{"type": "text", "text": "a"},
                                                                                      {"type": "image_url"}, 5]}]})"),
            R"([{"role":"system","parts":[{"type":"text","content":"be brief"}]},)"
            R"({"role":"user","parts":[{"type":"text","content":"a"},{"type":"image_url"}]}])");
  EXPECT_EQ(input(R"({"prompt": ["a", "b"]})"), R"([{"role":"user","parts":[{"type":"text","content":"a"}]},)"
                                                R"({"role":"user","parts":[{"type":"text","content":"b"}]}])");
  EXPECT_EQ(input(R"({"instructions": "be brief", "input": [{"role": "user", "content": "a"},
                      {"type": "function_call", "name": "f"}, {"type": "function_call_output", "output": "9"}]})"),
            R"([{"role":"system","parts":[{"type":"text","content":"be brief"}]},)"
            R"({"role":"user","parts":[{"type":"text","content":"a"}]},)"
            R"({"role":"tool","parts":[{"type":"text","content":"9"}]}])");
  EXPECT_EQ(input(R"({"input": "a"})"), input(R"({"prompt": "a"})"));
  EXPECT_EQ(input(R"({"prompt": [1, 2]})"), "[]");
  EXPECT_EQ(input(R"({"messages": [5, {"content": null}], "prompt": {}})"), R"([{"role":"user","parts":[]}])");
  EXPECT_FALSE(input_messages({{"prompt", std::string(kContentBytesMax, 'x')}}));
}

}  // namespace
}  // namespace plait::serving
