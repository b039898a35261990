// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include <gtest/gtest.h>

#include <string>

#include "testing/http_server.h"

namespace plait::net {
namespace {

using base::ErrorCode;
using testing::HttpReply;
using testing::HttpRequest;
using testing::HttpServer;

// Collects a body.
struct Body {
  std::string text;
  int heads = 0;

  Callbacks callbacks() {
    Callbacks all;
    all.on_head = [this](const Response&) -> base::Result<void> {
      ++heads;
      return {};
    };
    all.on_body = [this](std::span<const std::byte> bytes) -> base::Result<void> {
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return {};
    };
    return all;
  }
};

TEST(Http, BodyAndHeadersArrive) {
  const std::string content(300'000, 'x');
  HttpServer server([&](const HttpRequest& request) {
    EXPECT_EQ(request.headers.at("x-asked"), "yes");
    return HttpReply{.headers = {{"ETag", "\"abc\""}}, .body = content};
  });
  Body body;
  Request request{.url = server.url("/file"), .headers = {{"X-Asked", "yes"}}};
  const auto response = get(request, body.callbacks());
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->header("etag"), "\"abc\"");
  EXPECT_EQ(body.text, content);
  EXPECT_EQ(body.heads, 1);
}

TEST(Http, AnEmptyBodyStillHasAHead) {
  HttpServer server([](const HttpRequest&) { return HttpReply{}; });
  Body body;
  ASSERT_TRUE(get({.url = server.url("/")}, body.callbacks()));
  EXPECT_EQ(body.heads, 1);
  EXPECT_EQ(body.text, "");
}

TEST(Http, RedirectsAreFollowedAndTheirBodiesDropped) {
  HttpServer server([](const HttpRequest& request) {
    if (request.path == "/here") return HttpReply{.body = "treasure"};
    return HttpReply{.status = 302, .headers = {{"Location", "/here"}}, .body = "moved"};
  });
  Body body;
  const auto response = get({.url = server.url("/there")}, body.callbacks());
  ASSERT_TRUE(response);
  EXPECT_EQ(response->url, server.url("/here"));
  EXPECT_EQ(body.text, "treasure");
  EXPECT_EQ(body.heads, 1);
}

TEST(Http, APostBringsItsBody) {
  const std::string content(3 << 20, 'y');
  HttpServer server([&](const HttpRequest& request) {
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.headers.at("content-type"), "text/plain");
    EXPECT_FALSE(request.headers.contains("expect"));
    EXPECT_EQ(request.body.size(), request.path == "/empty" ? 0 : content.size());
    return HttpReply{.body = "thanks"};
  });
  Request request{.url = server.url("/all"), .headers = {{"Content-Type", "text/plain"}}};
  Body body;
  const auto response = post(request, content, body.callbacks());
  ASSERT_TRUE(response);
  EXPECT_EQ(body.text, "thanks");
  EXPECT_EQ(server.requests().at(0).body, content);
  request.url = server.url("/empty");
  EXPECT_TRUE(post(request, "", {}));
}

TEST(Http, APostGoesNowhereElse) {
  HttpServer server([](const HttpRequest&) { return HttpReply{.status = 307, .headers = {{"Location", "/here"}}}; });
  const auto response = post({.url = server.url("/there")}, "secret", {});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 307);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(Http, ARedirectLoopEnds) {
  HttpServer server([](const HttpRequest&) { return HttpReply{.status = 301, .headers = {{"Location", "/again"}}}; });
  const auto response = get({.url = server.url("/"), .redirects_max = 3}, {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::network);
  EXPECT_EQ(server.requests().size(), 4U);
}

TEST(Http, ARedirectToAFileIsRefused) {
  HttpServer server(
      [](const HttpRequest&) { return HttpReply{.status = 301, .headers = {{"Location", "file:///etc/hostname"}}}; });
  Body body;
  EXPECT_FALSE(get({.url = server.url("/")}, body.callbacks()));
  EXPECT_EQ(body.text, "");
}

TEST(Http, OtherStatusesAreResponsesWithoutABody) {
  for (const int status : {404, 416, 500, 503}) {
    HttpServer server([status](const HttpRequest&) { return HttpReply{.status = status, .body = "sorry"}; });
    Body body;
    const auto response = get({.url = server.url("/")}, body.callbacks());
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, status);
    EXPECT_EQ(response->error_text, "sorry");
    EXPECT_EQ(body.text, "");
    EXPECT_EQ(body.heads, 0);
  }
}

TEST(Http, ACutConnectionIsAnErrorAfterWhatCame) {
  HttpServer server(
      [](const HttpRequest&) { return HttpReply{.body = std::string(100'000, 'y'), .cut_after = 40'000}; });
  Body body;
  const auto response = get({.url = server.url("/")}, body.callbacks());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::network);
  EXPECT_EQ(body.text.size(), 40'000U);
}

TEST(Http, ASenderThatStandsStillIsGivenUp) {
  HttpServer server([](const HttpRequest&) {
    return HttpReply{.body = std::string(1000, 'z'), .chunk_bytes = 1, .pause = std::chrono::milliseconds(400)};
  });
  const auto response = get({.url = server.url("/"), .idle_timeout = std::chrono::seconds(1)}, {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::network);
}

TEST(Http, TheTotalTimeIsBounded) {
  HttpServer server([](const HttpRequest&) {
    return HttpReply{.body = std::string(1 << 20, 'z'), .chunk_bytes = 4096, .pause = std::chrono::milliseconds(100)};
  });
  const auto response = get({.url = server.url("/"), .total_timeout = std::chrono::seconds(1)}, {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::network);
}

TEST(Http, ABodyOverTheLimitIsCutOff) {
  for (const bool announced : {true, false}) {
    HttpServer server([announced](const HttpRequest&) {
      return HttpReply{.body = std::string(5000, 'b'), .announce_length = announced};
    });
    Body body;
    const auto response = get({.url = server.url("/"), .body_bytes_max = 4999}, body.callbacks());
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, ErrorCode::out_of_resources);
    EXPECT_LE(body.text.size(), 4999U);
  }
}

TEST(Http, CallbackErrorsAreReturned) {
  HttpServer server([](const HttpRequest&) { return HttpReply{.body = "data"}; });
  Callbacks callbacks;
  callbacks.on_body = [](std::span<const std::byte>) { return base::fail(ErrorCode::io, "disk"); };
  EXPECT_EQ(get({.url = server.url("/")}, callbacks).error().code, ErrorCode::io);
  callbacks.on_body = {};
  callbacks.on_head = [](const Response&) { return base::fail(ErrorCode::invalid_data, "head"); };
  EXPECT_EQ(get({.url = server.url("/")}, callbacks).error().code, ErrorCode::invalid_data);
}

TEST(Http, CanBeInterruptedWhileNothingComes) {
  HttpServer server([](const HttpRequest&) { return HttpReply{.body = "x", .pause = std::chrono::seconds(20)}; });
  Callbacks callbacks;
  int asked = 0;
  callbacks.keep_going = [&asked] { return ++asked < 3; };
  EXPECT_EQ(get({.url = server.url("/")}, callbacks).error().code, ErrorCode::interrupted);
}

TEST(Http, NobodyThere) {
  std::string url;
  {
    HttpServer server([](const HttpRequest&) { return HttpReply{}; });
    url = server.url("/");
  }
  EXPECT_EQ(get({.url = url}, {}).error().code, ErrorCode::network);
  EXPECT_EQ(get({.url = "http://no-such-host.invalid/"}, {}).error().code, ErrorCode::network);
}

TEST(Http, OnlyHttpAndNoInjectedHeaders) {
  for (const char* url : {"file:///etc/passwd", "ftp://host/x", "", "gopher://x", "HTTPX://a"}) {
    EXPECT_EQ(get({.url = url}, {}).error().code, ErrorCode::invalid_argument) << url;
  }
  EXPECT_EQ(get({.url = "http://127.0.0.1:1/", .headers = {{"A", "b\r\nC: d"}}}, {}).error().code,
            ErrorCode::invalid_argument);
}

TEST(ContentRange, IsParsedStrictly) {
  const auto range = parse_content_range("bytes 100-199/1000");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 100U);
  EXPECT_EQ(range->last, 199U);
  EXPECT_EQ(range->total, 1000U);
  EXPECT_EQ(parse_content_range("bytes 0-0/*")->total, std::nullopt);
  for (const char* bad : {"", "bytes", "bytes 5-4/10", "bytes 0-10/10", "bytes -1/5", "bytes 0-1/", "bytes 0-1/2x",
                          "bytes */10", "items 0-1/2", "bytes 99999999999999999999-1/2"}) {
    EXPECT_FALSE(parse_content_range(bad)) << bad;
  }
}

}  // namespace
}  // namespace plait::net
