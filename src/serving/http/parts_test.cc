// SPDX-License-Identifier: Apache-2.0
//
// The parts of the HTTP layer that need no socket.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "serving/http/access_log.h"
#include "serving/http/api_keys.h"
#include "serving/http/counters.h"
#include "serving/http/detail/admission.h"
#include "serving/http/detail/gates.h"
#include "serving/http/detail/key_guesses.h"
#include "serving/http/message.h"
#include "serving/http/router.h"
#include "serving/http/sse.h"

namespace plait::serving {
namespace {

// Remembers what it is told.
class Recorder final : public HttpExchange {
 public:
  explicit Recorder(HttpReply& reply) : reply_(reply) {}
  void reply(HttpReply reply) override { reply_ = std::move(reply); }
  void begin_stream(int status, std::string content_type, HttpHeaders headers) override {
    reply_ = {.status = status, .content_type = std::move(content_type), .headers = std::move(headers)};
  }
  void write(std::string bytes) override { reply_.body += bytes; }
  void end() override { reply_.body += "<end>"; }
  void on_gone(std::function<void()>) override {}
  bool gone() const override { return false; }
  std::size_t queued_bytes() const override { return 0; }

 private:
  HttpReply& reply_;
};

HttpReply routed(const HttpRouter& router, HttpMethod method, const std::string& path) {
  HttpReply reply;
  router.route({.method = method, .path = path}, Responder(std::make_shared<Recorder>(reply)));
  return reply;
}

TEST(HttpMessage, HeadersAreFoundInAnyCase) {
  const HttpHeaders headers{{"Content-Type", "a"}, {"X-A", "1"}, {"x-a", "2"}};
  EXPECT_EQ(headers.find("content-type"), "a");
  EXPECT_EQ(headers.find("X-a"), "1");
  EXPECT_EQ(headers.count("x-A"), 2U);
  EXPECT_EQ(headers.find("content"), std::nullopt);
}

TEST(HttpMessage, Percent) {
  EXPECT_EQ(percent_decoded("a%20b%2F+%e2%82%ac"), "a b/+\xe2\x82\xac");
  EXPECT_EQ(percent_decoded("a+b", true), "a b");
  for (const char* bad : {"%", "%2", "%2g", "%00", "a%"}) EXPECT_EQ(percent_decoded(bad), std::nullopt) << bad;
}

TEST(HttpRouter, Patterns) {
  HttpRouter router;
  const auto say = [](std::string text) {
    return [text](const HttpRequest& request, const Responder& responder) {
      responder.reply({.body = text + ":" + std::string(request.param("id")) + std::string(request.param("rest"))});
    };
  };
  router.add(HttpMethod::get, "/", say("root"));
  router.add(HttpMethod::get, "/v1/models", say("list"));
  router.add(HttpMethod::get, "/v1/models/{rest...}", say("model"));
  router.add(HttpMethod::get, "/v1/files/{id}", say("file"));
  router.add(HttpMethod::remove, "/v1/files/{id}", say("gone"));
  router.add(HttpMethod::get, "/v1/files/{id}/content", say("content"));
  EXPECT_EQ(routed(router, HttpMethod::get, "/").body, "root:");
  EXPECT_EQ(routed(router, HttpMethod::get, "/v1/models").body, "list:");
  EXPECT_EQ(routed(router, HttpMethod::get, "/v1/models/org/name").body, "model:org/name");
  EXPECT_EQ(routed(router, HttpMethod::get, "/v1/files/a%").body, "file:a%");
  EXPECT_EQ(routed(router, HttpMethod::remove, "/v1/files/a").body, "gone:a");
  EXPECT_EQ(routed(router, HttpMethod::head, "/v1/files/a/content").body, "content:a");
  for (const char* path :
       {"/v1", "/v1/models/", "/v1/files/", "/v1/files/a/", "/v1/files//content", "//", "*", "", "/V1/models"}) {
    EXPECT_EQ(routed(router, HttpMethod::get, path).status, 404) << path;
  }
  const HttpReply refused = routed(router, HttpMethod::post, "/v1/files/a");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.headers.find("allow"), "GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(routed(router, HttpMethod::options, "/v1/files/a").status, 204);
}

TEST(HttpKeys, FindsEachAndNoOther) {
  // Of an independent implementation: printf 'salt\0sk-1' | sha256sum
  EXPECT_EQ(hash_key("sk-1", "salt"), "4bc9fe3a578916ab30fc4c96fbd2413afcd0009fcc9b685ad325d3f33eb72283");
  std::vector<HttpKey> list;
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(i);
    list.push_back({.name = "n" + number, .salt = "s" + number, .digest = hash_key("sk-" + number, "s" + number)});
  }
  const HttpKeys keys = HttpKeys::make(list).value();
  for (int i = 0; i < 20; ++i) {
    const HttpKey* found = keys.find("sk-" + std::to_string(i));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->name, "n" + std::to_string(i));
  }
  for (const char* wrong : {"", "sk-", "sk-20", "sk-1 ", "SK-1"}) EXPECT_EQ(keys.find(wrong), nullptr) << wrong;
  EXPECT_NE(hash_key("bc", "a"), hash_key("c", "ab"));

  const std::string digest = hash_key("k", "");
  EXPECT_FALSE(HttpKeys::make({{.name = "", .salt = "", .digest = digest}}));
  EXPECT_FALSE(HttpKeys::make({{.name = "a", .salt = "", .digest = "12"}}));
  EXPECT_FALSE(HttpKeys::make({{.name = "a", .salt = "", .digest = digest, .limits = {.weight = 0}}}));
  EXPECT_FALSE(
      HttpKeys::make({{.name = "a", .salt = "", .digest = digest}, {.name = "a", .salt = "", .digest = digest}}));
}

TEST(HttpSse, Framing) {
  const auto framed = [](std::string_view name, std::string_view data) {
    HttpReply reply;
    SseStream(Responder(std::make_shared<Recorder>(reply))).event(name, data);
    return reply.body;
  };
  EXPECT_EQ(framed("", ""), "data: \n\n");
  EXPECT_EQ(framed("", "a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
  EXPECT_EQ(framed("x\ny", "1"), "event: x y\ndata: 1\n\n");
  HttpReply reply;
  const SseStream stream(Responder(std::make_shared<Recorder>(reply)), {{"x-a", "1"}});
  stream.comment("a\nb");
  stream.done();
  EXPECT_EQ(reply.body, ": a b\n\ndata: [DONE]\n\n<end>");
  EXPECT_EQ(reply.headers.find("cache-control"), "no-cache");
}

TEST(HttpKeyGuesses, WrongKeysOfAnAddressAreBounded) {
  detail::KeyGuesses guesses;
  EXPECT_TRUE(guesses.hears("a", "ann", 3, 0)) << "right";
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(guesses.hears("a", "", 3, 0)) << i;
  EXPECT_FALSE(guesses.hears("a", "", 3, 0));
  EXPECT_EQ(guesses.wait_seconds("a", 0), 20);
  EXPECT_TRUE(guesses.hears("a", "ann", 3, 0)) << "she was here before";
  EXPECT_FALSE(guesses.hears("a", "bob", 3, 0)) << "right, but nobody is to find out";
  EXPECT_TRUE(guesses.hears("b", "bob", 3, 0)) << "another address";
  EXPECT_FALSE(guesses.hears("a", "", 3, 19));
  EXPECT_TRUE(guesses.hears("a", "bob", 3, 20));
  EXPECT_TRUE(guesses.hears("a", "", 3, 20));
  EXPECT_FALSE(guesses.hears("a", "", 3, 20));
  EXPECT_TRUE(guesses.hears("a", "", 0, 20)) << "no bound";
}

TEST(HttpKeyGuesses, AddressesAreForgotten) {
  detail::KeyGuesses guesses;
  for (std::size_t i = 0; i < 3 * detail::KeyGuesses::kAddressesMax; ++i) {
    EXPECT_TRUE(guesses.hears(std::to_string(i), "", 2, static_cast<double>(i) / 1000));
  }
  EXPECT_LE(guesses.addresses(), detail::KeyGuesses::kAddressesMax);
}

TEST(HttpRouter, SaysWhatItHas) {
  HttpRouter router;
  const auto nothing = [](const HttpRequest&, const Responder&) {};
  router.add(HttpMethod::get, "/", nothing);
  router.add(HttpMethod::post, "/a/{b}/c/{d...}", nothing);
  const std::vector<HttpRoute> routes = router.routes();
  ASSERT_EQ(routes.size(), 2U);
  EXPECT_EQ(routes[0].pattern, "/");
  EXPECT_EQ(routes[1].pattern, "/a/{b}/c/{d...}");
  EXPECT_EQ(routes[1].method, HttpMethod::post);
}

TEST(HttpCounters, EveryRefusalHasAName) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kHttpRefusals; ++i) {
    names.emplace_back(name(static_cast<HttpRefusal>(i)));
    EXPECT_FALSE(names.back().empty());
  }
  EXPECT_EQ(refusal_of(HttpRefusal::key).status, 401);
  EXPECT_EQ(refusal_of(HttpRefusal::body_large).code, "body_too_large");
}

TEST(HttpAccessLog, Line) {
  using namespace std::chrono;
  const AccessRecord record{.time = system_clock::time_point(milliseconds(1'769'860'800'123)),
                            .id = "req_1",
                            .client = "a\"\n",
                            .method = "GET",
                            .path = "/\xff",
                            .status = 200,
                            .bytes = 12,
                            .seconds = 0.25,
                            .gone = true};
  EXPECT_EQ(access_log_line(record),
            "{\"time\":\"2026-01-31T12:00:00.123Z\",\"id\":\"req_1\",\"client\":\"a\\\"\\n\",\"method\":\"GET\","
            "\"path\":\"/\xef\xbf\xbd\",\"status\":200,\"bytes\":12,\"seconds\":0.25,\"gone\":true}");
}

TEST(HttpAdmission, QuotasFillEvenly) {
  const auto admission = std::make_shared<detail::Admission>();
  const HttpClientLimits limits{.requests_per_minute = 60};
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(admission->enter("a", limits, 10, 100));
  const auto denied = admission->enter("a", limits, 10, 100);
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().reason, HttpRefusal::rate);
  EXPECT_EQ(denied.error().retry_after_s, 1);
  EXPECT_TRUE(admission->enter("b", limits, 10, 100)) << "another client";
  EXPECT_FALSE(admission->enter("a", limits, 10, 100.9));
  EXPECT_TRUE(admission->enter("a", limits, 10, 101.1));
  EXPECT_FALSE(admission->enter("a", limits, 10, 101.2));
  EXPECT_EQ(admission->in_flight(), 0U);
  EXPECT_TRUE(admission->wait_idle(0));
  const auto place = admission->enter("b", {}, 1, 102);
  ASSERT_TRUE(place);
  EXPECT_FALSE(admission->wait_idle(0));
  EXPECT_EQ(admission->enter("c", {}, 1, 102).error().reason, HttpRefusal::in_flight);
}

TEST(HttpGates, AddressesAndHosts) {
  using namespace detail;
  EXPECT_EQ(address_group("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(address_group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(address_group("unix"), "unix");
  EXPECT_EQ(without_port("[::1]:80"), "::1");
  EXPECT_EQ(without_port("[::1"), "[::1");
  EXPECT_EQ(without_port("a:1"), "a");
  EXPECT_TRUE(host_allowed({}, "10.0.0.7:80", "10.0.0.7"));
  EXPECT_FALSE(host_allowed({}, "10.0.0.8:80", "10.0.0.7"));
  EXPECT_TRUE(host_allowed({.hosts = {"*"}}, "any", "10.0.0.7"));
  EXPECT_EQ(origin_of({.origins = {"*"}}, {{"Origin", "null"}}, "a"), Origin::allowed);
  EXPECT_EQ(origin_of({}, {{"Origin", "https://A:1"}}, "a:1"), Origin::own);
  EXPECT_EQ(origin_of({}, {{"Origin", "https://a:2"}}, "a:1"), Origin::foreign);
  EXPECT_EQ(origin_of({}, {}, "a:1"), Origin::none);
}

}  // namespace
}  // namespace plait::serving
