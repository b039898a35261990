// SPDX-License-Identifier: Apache-2.0
#include "operations/otlp_exporter.h"

#include <gtest/gtest.h>

#include <atomic>

#include "operations/record_for_test.h"
#include "testing/http_server.h"
#include "text/json.h"

namespace plait::operations {
namespace {

using std::chrono::milliseconds;
using testing::HttpReply;
using testing::HttpRequest;
using testing::HttpServer;

const std::vector<RecordPointer> kTwo(2, std::make_shared<const RequestRecord>(answered_request()));

OtlpOptions quick(const std::string& url) {
  return {.url = url,
          .headers = {{"x-key", "s3cret"}},
          .timeout = std::chrono::seconds(5),
          .attempts_max = 3,
          .pause_first = milliseconds(1),
          .pause_longest = milliseconds(5)};
}

TEST(OtlpExporter, SendsABatch) {
  HttpServer server([](const HttpRequest& request) {
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.headers.at("content-type"), "application/json");
    EXPECT_EQ(request.headers.at("x-key"), "s3cret");
    return HttpReply{.body = "{}"};
  });
  OtlpExporter exporter(quick(server.url("/v1/traces")));
  EXPECT_EQ(exporter.write(kTwo, {}), 0U);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].path, "/v1/traces");
  const auto json = text::parse_json(requests[0].body);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["resourceSpans"][0]["scopeSpans"][0]["spans"].size(), 12U);
}

TEST(OtlpExporter, TriesAgainWhereThatMayHelp) {
  for (const int status : {429, 502, 503, 504}) {
    std::atomic<int> asked = 0;
    HttpServer server([&](const HttpRequest&) {
      return ++asked < 3 ? HttpReply{.status = status, .headers = {{"Retry-After", "0"}}} : HttpReply{};
    });
    std::vector<std::string> said;
    OtlpOptions options = quick(server.url("/"));
    options.say = [&](std::string_view line) { said.emplace_back(line); };
    EXPECT_EQ(OtlpExporter(options).write(kTwo, {}), 0U) << status;
    EXPECT_EQ(asked, 3);
    ASSERT_EQ(said.size(), 2U);  // it fails, it works
    EXPECT_NE(said[0].find(std::to_string(status)), std::string::npos);
  }
}

TEST(OtlpExporter, GivesUpAfterAWhile) {
  HttpServer server([](const HttpRequest&) { return HttpReply{.status = 503}; });
  OtlpExporter exporter(quick(server.url("/")));
  EXPECT_EQ(exporter.write(kTwo, {}), 2U);
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST(OtlpExporter, OtherRefusalsAreFinal) {
  for (const int status : {301, 400, 401, 404, 500}) {
    HttpServer server([&](const HttpRequest&) { return HttpReply{.status = status, .headers = {{"Location", "/x"}}}; });
    OtlpExporter exporter(quick(server.url("/")));
    EXPECT_EQ(exporter.write(kTwo, {}), 2U) << status;
    EXPECT_EQ(server.requests().size(), 1U) << status;
  }
}

TEST(OtlpExporter, NobodyThereIsTriedAgain) {
  std::string url;
  {
    HttpServer server([](const HttpRequest&) { return HttpReply{}; });
    url = server.url("/");
  }
  std::vector<std::string> said;
  OtlpOptions options = quick(std::string("http://me:password@") + url.substr(7));
  options.say = [&](std::string_view line) { said.emplace_back(line); };
  EXPECT_EQ(OtlpExporter(options).write(kTwo, {}), 2U);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].find("password"), std::string::npos);
}

TEST(OtlpExporter, AHangingCollectorIsLeftWhenAskedTo) {
  HttpServer server([](const HttpRequest&) { return HttpReply{.body = "x", .pause = std::chrono::hours(1)}; });
  OtlpOptions options = quick(server.url("/"));
  options.timeout = std::chrono::seconds(3600);
  std::stop_source give_up;
  std::jthread soon([&] {
    while (server.requests().empty()) std::this_thread::yield();
    give_up.request_stop();
  });
  EXPECT_EQ(OtlpExporter(options).write(kTwo, give_up.get_token()), 2U);
}

TEST(OtlpExporter, AddressesAreShownWithoutSecrets) {
  EXPECT_EQ(shown_url("http://a:4318/v1/traces"), "http://a:4318/v1/traces");
  EXPECT_EQ(shown_url("https://me:word@a.example/x?key=1#f"), "https://a.example/x");
  EXPECT_EQ(shown_url("https://a.example/x@y"), "https://a.example/x@y");
  EXPECT_EQ(shown_url("me:word@a"), "a");
}

}  // namespace
}  // namespace plait::operations
