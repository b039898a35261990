// SPDX-License-Identifier: Apache-2.0
#include "net/exchanges.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>

#include "base/clock.h"
#include "testing/http_server.h"

namespace plait::net {
namespace {

using base::ErrorCode;
using testing::HttpReply;
using testing::HttpRequest;
using testing::HttpServer;

struct Heard final : ExchangeListener {
  std::string body;
  std::size_t pieces = 0;
  std::optional<base::Result<int>> end = {};
  std::function<void()> then = {};

  void on_body(int /*status*/, std::span<const std::byte> piece) override {
    EXPECT_FALSE(end);
    body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    ++pieces;
  }
  void on_end(const base::Result<int>& status) override {
    EXPECT_FALSE(end);
    end = status;
    if (then) then();
  }
};

std::unique_ptr<Exchanges> make() {
  auto exchanges = Exchanges::make();
  EXPECT_TRUE(exchanges);
  return *std::move(exchanges);
}

void finish(Exchanges& exchanges) {
  const double until = base::steady_clock().now() + 30;
  while (exchanges.open() > 0 && base::steady_clock().now() < until) exchanges.wait(0.1);
  EXPECT_EQ(exchanges.open(), 0U);
}

ErrorCode code_of(const Heard& heard) {
  EXPECT_TRUE(heard.end && !*heard.end);
  return heard.end && !*heard.end ? heard.end->error().code : ErrorCode::internal;
}

TEST(Exchanges, ManyGoAtOnceAndEachGetsItsOwnAnswer) {
  HttpServer server([](const HttpRequest& request) {
    return HttpReply{.body = request.method + request.path + request.headers.at("x-number") + request.body,
                     .chunk_bytes = 7,
                     .pause = std::chrono::milliseconds(5)};
  });
  const auto exchanges = make();
  std::deque<Heard> all(40);
  const std::string large(100'000, 'b');
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string number = std::to_string(i);
    ASSERT_TRUE(exchanges->start({.url = server.url("/" + number),
                                  .headers = {{"X-Number", number}},
                                  .body = i % 2 == 0 ? "" : "body " + number},
                                 all[i]));
  }
  EXPECT_EQ(exchanges->open(), 40U);
  finish(*exchanges);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string number = std::to_string(i);
    ASSERT_TRUE(all[i].end && *all[i].end) << number;
    EXPECT_EQ(**all[i].end, 200);
    EXPECT_EQ(all[i].body, i % 2 == 0 ? "GET/" + number + number : "POST/" + number + number + "body " + number);
  }
}

TEST(Exchanges, LargeBodiesAreSentWhole) {
  HttpServer server([](const HttpRequest& request) {
    return HttpReply{.body = std::to_string(request.body.size()) + (request.headers.contains("expect") ? "!" : "")};
  });
  const auto exchanges = make();
  Heard heard;
  ASSERT_TRUE(exchanges->start({.url = server.url("/"), .body = std::string(3'000'000, 'x')}, heard));
  finish(*exchanges);
  EXPECT_EQ(heard.body, "3000000");
}

TEST(Exchanges, OtherStatusesHaveTheirBodies) {
  HttpServer server([](const HttpRequest&) { return HttpReply{.status = 503, .body = "too many"}; });
  const auto exchanges = make();
  Heard heard;
  ASSERT_TRUE(exchanges->start({.url = server.url("/"), .body = "{}"}, heard));
  finish(*exchanges);
  ASSERT_TRUE(heard.end && *heard.end);
  EXPECT_EQ(**heard.end, 503);
  EXPECT_EQ(heard.body, "too many");
}

TEST(Exchanges, WhatFailsFailsAlone) {
  HttpServer server([](const HttpRequest& request) {
    if (request.path == "/cut") return HttpReply{.body = std::string(1000, 'y'), .cut_after = 400};
    if (request.path == "/long") return HttpReply{.body = std::string(100'000, 'l')};
    if (request.path == "/silent") return HttpReply{.body = "late", .pause = std::chrono::milliseconds(8000)};
    return HttpReply{.body = "well"};
  });
  const auto exchanges = make();
  Heard refused;
  Heard cut;
  Heard too_long;
  Heard silent;
  Heard well;
  ASSERT_TRUE(exchanges->start({.url = "http://127.0.0.1:1/"}, refused));
  ASSERT_TRUE(exchanges->start({.url = server.url("/cut")}, cut));
  ASSERT_TRUE(exchanges->start({.url = server.url("/long"), .answer_bytes_max = 50'000}, too_long));
  ASSERT_TRUE(exchanges->start({.url = server.url("/silent"), .idle_timeout = std::chrono::seconds(1)}, silent));
  ASSERT_TRUE(exchanges->start({.url = server.url("/well")}, well));
  finish(*exchanges);
  EXPECT_EQ(code_of(refused), ErrorCode::network);
  EXPECT_EQ(code_of(cut), ErrorCode::network);
  EXPECT_EQ(cut.body.size(), 400U);
  EXPECT_EQ(code_of(too_long), ErrorCode::out_of_resources);
  EXPECT_LE(too_long.body.size(), 50'000U);
  EXPECT_EQ(code_of(silent), ErrorCode::network);
  EXPECT_EQ(well.body, "well");
}

TEST(Exchanges, BadRequestsDoNotStart) {
  const auto exchanges = make();
  Heard heard;
  for (const auto& request : {ExchangeRequest{.url = "file:///etc/hostname"}, ExchangeRequest{.url = "127.0.0.1:80"},
                              ExchangeRequest{.url = "http://127.0.0.1/", .headers = {{"X", "a\r\nY: b"}}}}) {
    const auto started = exchanges->start(request, heard);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_EQ(exchanges->open(), 0U);
}

TEST(Exchanges, AnEndMayStartTheNextAndOneThatIsCancelledIsQuiet) {
  HttpServer server([](const HttpRequest& request) {
    return HttpReply{.body = "abc", .pause = std::chrono::milliseconds(request.path == "/slow" ? 30'000 : 0)};
  });
  const auto exchanges = make();
  Heard slow;
  Heard first;
  Heard second;
  first.then = [&] { ASSERT_TRUE(exchanges->start({.url = server.url("/second")}, second)); };
  const auto id = exchanges->start({.url = server.url("/slow")}, slow);
  ASSERT_TRUE(id);
  ASSERT_TRUE(exchanges->start({.url = server.url("/first")}, first));
  while (!second.end) exchanges->wait(0.1);
  EXPECT_EQ(second.body, "abc");
  EXPECT_EQ(exchanges->open(), 1U);
  exchanges->cancel(*id);
  exchanges->cancel(*id);
  EXPECT_EQ(exchanges->open(), 0U);
  exchanges->wait(0.01);
  EXPECT_FALSE(slow.end);
}

TEST(Exchanges, PiecesComeAsTheyAreSent) {
  HttpServer server([](const HttpRequest&) {
    return HttpReply{.body = "abcdef", .chunk_bytes = 1, .pause = std::chrono::milliseconds(100)};
  });
  const auto exchanges = make();
  Heard heard;
  ASSERT_TRUE(exchanges->start({.url = server.url("/")}, heard));
  finish(*exchanges);
  EXPECT_EQ(heard.body, "abcdef");
  EXPECT_GE(heard.pieces, 2U);
}

}  // namespace
}  // namespace plait::net
