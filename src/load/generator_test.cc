// SPDX-License-Identifier: Apache-2.0
//
// The generator in front of a server that follows a script. Times are only compared with pauses that the script makes.
#include "load/generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>

#include "load/report.h"
#include "testing/http_server.h"

namespace plait::load {
namespace {

using testing::HttpReply;
using testing::HttpRequest;
using testing::HttpServer;
using text::Json;

/// An answer of so many pieces of text for each choice, as a stream.
std::string stream_of(const Json& body, bool with_usage = true) {
  const bool chat = body.contains("messages");
  std::string out;
  const int pieces = body["max_tokens"].get<int>();
  const int choices = body.value("n", 1);
  for (int i = 0; i < pieces; ++i) {
    for (int choice = 0; choice < choices; ++choice) {
      Json part{{"index", choice}};
      const std::string text = std::string(1, static_cast<char>('a' + i));
      if (chat) {
        part["delta"] = {{"content", text}};
      } else {
        part["text"] = text;
      }
      out += "data: " + Json{{"choices", Json::array({part})}}.dump() + "\n\n";
    }
  }
  if (with_usage) {
    const Json usage{{"prompt_tokens", 10},
                     {"completion_tokens", pieces * choices},
                     {"prompt_tokens_details", {{"cached_tokens", 4}}}};
    out += "data: " + Json{{"choices", Json::array()}, {"usage", usage}}.dump() + "\n\n";
  }
  return out + "data: [DONE]\n\n";
}

HttpReply answer(const HttpRequest& request) {
  return {.headers = {{"Content-Type", "text/event-stream"}},
          .body = stream_of(*text::parse_json(request.body)),
          .chunk_bytes = 50};
}

LoadOptions small(LoadKind kind) {
  LoadOptions options = usual_options(kind);
  options.users = 4;
  options.requests = 12;
  options.prompt = 6;
  options.output = 5;
  options.shared = std::min<std::size_t>(options.shared, 4);
  options.heavy = 3;
  options.heavy_prompt = 7;
  options.heavy_output = 6;
  options.turn_prompt = std::min<std::size_t>(options.turn_prompt, 3);
  options.pause /= 100;
  return options;
}

LoadReport report_of(const LoadOptions& options, const LoadTarget& target, const LoadWatch& watch = {}) {
  EXPECT_TRUE(check(options));
  const auto report = run_load(options, target, watch);
  EXPECT_TRUE(report);
  return report ? *report : LoadReport{};
}

TEST(Generator, EachRequestIsSentOnceAndCounted) {
  std::mutex mutex;
  std::multiset<std::string> prompts;
  HttpServer server([&](const HttpRequest& request) {
    EXPECT_EQ(request.method + request.path, "POST/v1/completions");
    EXPECT_EQ(request.headers.at("authorization"), "Bearer secret");
    const std::lock_guard lock(mutex);
    prompts.insert((*text::parse_json(request.body))["prompt"].dump());
    return answer(request);
  });
  const LoadReport report = report_of(small(LoadKind::strangers), {.url = server.url("/v1/"), .key = "secret"});
  ASSERT_EQ(report.groups.size(), 1U);
  const GroupReport& all = report.groups[0];
  EXPECT_EQ(all.sent, 12U);
  EXPECT_EQ(all.done, 12U);
  EXPECT_EQ(all.failed + all.dropped + all.silent, 0U);
  EXPECT_EQ(all.prompt_tokens, 120U);
  EXPECT_EQ(all.cached_tokens, 48U);
  EXPECT_EQ(all.generated_tokens, 60U);
  EXPECT_EQ(all.first_token.size(), 12U);
  EXPECT_EQ(all.gap.size(), 48U);
  EXPECT_EQ(all.whole.size(), 12U);
  EXPECT_LE(report.open_most, 4U);
  EXPECT_TRUE(report.errors.empty());
  EXPECT_GT(report.seconds, 0);
  EXPECT_GT(report.processor_seconds, 0);
  EXPECT_EQ(std::set(prompts.begin(), prompts.end()).size(), 12U);
}

TEST(Generator, EveryKindOfLoadEnds) {
  for (std::size_t i = 0; i < kLoadKinds; ++i) {
    const auto kind = static_cast<LoadKind>(i);
    HttpServer server(answer);
    const LoadOptions options = small(kind);
    const LoadReport report = report_of(options, {.url = server.url("")});
    std::size_t done = 0;
    for (const GroupReport& group : report.groups) {
      done += group.done;
      EXPECT_EQ(group.failed, 0U) << name(kind);
    }
    EXPECT_GE(done, options.requests * options.turns) << name(kind);
    const Json json = report_json(report, options, {.url = server.url("")});
    EXPECT_EQ(json["done"], done);
    EXPECT_FALSE(report_text(report, options, {.url = server.url("")}).empty());
  }
}

TEST(Generator, ChoicesAndTurnsAreToldApart) {
  HttpServer server(answer);
  LoadOptions samples = small(LoadKind::samples);
  samples.samples = 3;
  const LoadReport drawn = report_of(samples, {.url = server.url("")});
  EXPECT_EQ(drawn.groups[0].gap.size(), 12U * 3 * 4);
  EXPECT_EQ(drawn.groups[0].generated_tokens, 12U * 3 * 5);
  LoadOptions sessions = small(LoadKind::sessions);
  sessions.requests = 3;
  const LoadReport talked = report_of(sessions, {.url = server.url("")});
  ASSERT_EQ(talked.groups.size(), 2U);
  EXPECT_EQ(talked.groups[0].done, 3U);
  EXPECT_EQ(talked.groups[1].done, 12U);
  std::size_t longest = 0;
  for (const HttpRequest& request : server.requests()) {
    const Json body = *text::parse_json(request.body);
    if (!body.contains("messages")) continue;
    longest = std::max(longest, body["messages"].size());
    if (body["messages"].size() > 1) {
      EXPECT_EQ(body["messages"][1]["content"], "abcde");
    }
  }
  EXPECT_EQ(longest, 9U);
}

TEST(Generator, TheHeavyClientGoesOnUntilTheLightOneIsDone) {
  HttpServer server([](const HttpRequest& request) {
    HttpReply reply = answer(request);
    if ((*text::parse_json(request.body))["user"] == "heavy") reply.pause = std::chrono::milliseconds(100);
    return reply;
  });
  const LoadReport report = report_of(small(LoadKind::fairness), {.url = server.url(""), .key = "a", .light_key = "b"});
  ASSERT_EQ(report.groups.size(), 2U);
  EXPECT_EQ(report.groups[0].name, "heavy");
  EXPECT_EQ(report.groups[0].dropped, 3U);
  EXPECT_EQ(report.groups[1].done, 12U);
  for (const HttpRequest& request : server.requests()) {
    const bool heavy = (*text::parse_json(request.body))["user"] == "heavy";
    EXPECT_EQ(request.headers.at("authorization"), heavy ? "Bearer a" : "Bearer b");
  }
}

TEST(Generator, AnOpenLoopDoesNotWaitForAnswersAndCountsFromTheArrival) {
  HttpServer server([](const HttpRequest& request) {
    HttpReply reply = answer(request);
    reply.chunk_bytes = reply.body.size();
    reply.pause = std::chrono::milliseconds(400);
    return reply;
  });
  LoadOptions options = small(LoadKind::strangers);
  options.users = 1;
  options.rate = 1000;
  const LoadReport report = report_of(options, {.url = server.url("")});
  EXPECT_EQ(report.groups[0].done, 12U);
  EXPECT_GT(report.open_most, 1U);
  EXPECT_GE(report.groups[0].first_token.distribution().p50, 0.4);
}

TEST(Generator, WhatCannotBeSentInTimeCountsFromWhenItWasDue) {
  HttpServer server([](const HttpRequest& request) {
    HttpReply reply = answer(request);
    reply.chunk_bytes = reply.body.size();
    reply.pause = std::chrono::milliseconds(100);
    return reply;
  });
  LoadOptions options = small(LoadKind::strangers);
  options.rate = 1e6;
  options.open_max = 2;
  const LoadReport report = report_of(options, {.url = server.url("")});
  EXPECT_EQ(report.groups[0].done, 12U);
  EXPECT_EQ(report.open_most, 2U);
  EXPECT_GE(report.late_seconds_max, 0.45);  // the last two wait for five pairs before them
  EXPECT_GE(report.groups[0].first_token.distribution().max, 0.55);
}

TEST(Generator, FailuresAreCountedAndSaid) {
  std::atomic<int> number = 0;
  HttpServer server([&](const HttpRequest& request) {
    HttpReply reply = answer(request);
    switch (number++ % 6) {
      case 0:
        return HttpReply{.status = 429, .body = R"({"error":{"message":"slow down"}})"};
      case 1:
        reply.cut_after = 60;
        return reply;
      case 2:
        reply.body = "data: {\"error\":{\"message\":\"no room\"}}\n\n";
        return reply;
      case 3:
        reply.body = reply.body.substr(0, reply.body.find("data: [DONE]"));
        return reply;
      case 4:
        reply.body = "data: <html>\n\n";
        return reply;
      default:
        return reply;
    }
  });
  LoadOptions options = small(LoadKind::strangers);
  options.users = 1;
  const LoadReport report = report_of(options, {.url = server.url("")});
  EXPECT_EQ(report.groups[0].done, 2U);
  EXPECT_EQ(report.groups[0].failed, 10U);
  EXPECT_EQ(report.errors.at("HTTP 429: slow down"), 2U);
  EXPECT_EQ(report.errors.at("in the stream: no room"), 2U);
  EXPECT_EQ(report.errors.at("the answer broke off"), 2U);
  EXPECT_EQ(report.errors.size(), 5U);
  EXPECT_FALSE(report.gave_up);
}

TEST(Generator, AServerThatIsNotThereIsGivenUp) {
  LoadOptions options = small(LoadKind::strangers);
  options.users = 20;
  options.requests = 100'000;
  const LoadReport report = report_of(options, {.url = "http://127.0.0.1:1"});
  EXPECT_TRUE(report.gave_up);
  EXPECT_EQ(report.groups[0].done, 0U);
  EXPECT_EQ(report.errors.size(), 1U);
  const auto bad = run_load(options, {.url = "ftp://127.0.0.1"}, {});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, base::ErrorCode::invalid_argument);
}

TEST(Generator, AnInterruptedLoadReportsWhatCame) {
  HttpServer server([](const HttpRequest& request) {
    HttpReply reply = answer(request);
    if (request.body.find("\"prompt\"") != std::string::npos) reply.pause = std::chrono::milliseconds(20);
    return reply;
  });
  LoadOptions options = small(LoadKind::strangers);
  options.requests = 100'000;
  std::size_t seen = 0;
  const LoadWatch watch{.progress =
                            [&](std::size_t done, std::size_t total) {
                              seen = done;
                              EXPECT_EQ(total, 100'000U);
                            },
                        .keep_going = [&] { return seen < 3; }};
  const LoadReport report = report_of(options, {.url = server.url("")}, watch);
  EXPECT_TRUE(report.interrupted);
  EXPECT_GE(report.groups[0].done, 3U);
  EXPECT_LE(report.groups[0].dropped, 4U);
  EXPECT_LT(report.groups[0].done, 1000U);
}

TEST(Generator, WithoutUsagePiecesAreCounted) {
  HttpServer server(
      [](const HttpRequest& request) { return HttpReply{.body = stream_of(*text::parse_json(request.body), false)}; });
  const LoadReport report = report_of(small(LoadKind::strangers), {.url = server.url("")});
  EXPECT_EQ(report.groups[0].generated_tokens, 60U);
  EXPECT_EQ(report.groups[0].prompt_tokens, 0U);
}

}  // namespace
}  // namespace plait::load
