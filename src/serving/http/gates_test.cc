// SPDX-License-Identifier: Apache-2.0
//
// The gates over real loopback sockets: what does not get to a handler.
#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serving/http/loopback_test_client.h"
#include "serving/http/server.h"
#include "text/json.h"

namespace plait::serving {
namespace {

std::string code_of(const TestAnswer& answer) {
  const auto body = text::parse_json(answer.body);
  if (!body || !body->contains("error")) return answer.body;
  return (*body)["error"]["code"].get<std::string>();
}

// Requests that two readers could understand in two ways, and what is no HTTP.
TEST(HttpGate, RefusesWhatIsMalformed) {
  const auto server = serve(echo);
  const std::string start = "POST / HTTP/1.1\r\nHost: localhost\r\n";
  const std::vector<std::pair<std::string, int>> cases{
      {start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
      {start + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {start + "Content-Length: 3, 3\r\n\r\nabc", 400},
      {start + "Content-Length: -1\r\n\r\n", 400},
      {start + "Content-Length: +3\r\n\r\nabc", 400},
      {start + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
      {start + "Content-Length : 3\r\n\r\nabc", 400},
      {start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
      {start + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc", 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {start + "Host: localhost\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: localhost\r\n Content-Length: 3\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n\tb\r\n\r\n", 400},
      {"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"GET /a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"GET nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 501},
      {"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: localhost\n\n\r\n\r\n", 505},
      {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15), 400},
      {"\r\n\r\n\x01\x02\x03\x04 garbage\r\n\r\n", 400},
  };
  for (const auto& [bytes, status] : cases) {
    TestClient client(server->addresses()[0]);
    const TestAnswer answer = client.ask(bytes);
    EXPECT_EQ(answer.status, status) << bytes;
    EXPECT_FALSE(answer.header("x-request-id").empty());
    if (bytes.find("BREW") == std::string::npos) {
      EXPECT_EQ(answer.header("connection"), "close") << bytes;
      EXPECT_TRUE(client.sees_end()) << bytes;
    }
  }
  EXPECT_EQ(TestClient(server->addresses()[0]).ask(get("/")).status, 200);
}

TEST(HttpGate, HeaderLimits) {
  HttpPolicy policy;
  policy.limits.header_bytes = 2000;
  policy.limits.target_bytes = 500;
  const auto server = serve(echo, policy);
  const std::string& address = server->addresses()[0];
  EXPECT_EQ(TestClient(address).ask(get("/", "X-Long: " + std::string(3000, 'x') + "\r\n")).status, 431);
  EXPECT_EQ(TestClient(address).ask(std::string(5000, 'x')).status, 431);
  EXPECT_EQ(TestClient(address).ask(get("/" + std::string(600, 'x'))).status, 414);
  EXPECT_EQ(TestClient(address).ask(get("/" + std::string(400, 'x'))).status, 200);
  EXPECT_EQ(server->counters().refused(HttpRefusal::header_large), 2U);
}

TEST(HttpGate, HostIsChecked) {
  HttpPolicy policy;
  policy.access.hosts = {"plait.example"};
  const auto server = serve(echo, policy);
  const auto status = [&](const std::string& host) {
    return TestClient(server->addresses()[0]).ask("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status;
  };
  for (const char* host : {"localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:9999", "[::1]:80", "Plait.Example:1"}) {
    EXPECT_EQ(status(host), 200) << host;
  }
  for (const char* host :
       {"evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.evil.example:80", "[::1].evil.example",
        "localhost:80:evil.example", "localhost:evil", "localhost.", "user@localhost", "[::1"}) {
    EXPECT_EQ(status(host), 403) << host;
  }
  // The target's authority counts, as HTTP has it.
  TestClient absolute(server->addresses()[0]);
  EXPECT_EQ(absolute.ask("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 403);
  EXPECT_EQ(absolute.ask("GET http://localhost/x HTTP/1.1\r\nHost: localhost\r\n\r\n").body, "GET /x ");
}

TEST(HttpGate, ForeignPagesMayNotPost) {
  HttpPolicy policy;
  policy.access.origins = {"https://chat.example"};
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(post("/", "", "Origin: https://evil.example\r\n")).status, 403);
  EXPECT_EQ(client.ask(post("/", "", "Origin: null\r\n")).status, 403);
  EXPECT_EQ(client.ask(post("/", "", "Origin: http://localhost\r\n")).status, 200);
  const TestAnswer read = client.ask(get("/", "Origin: https://evil.example\r\n"));
  EXPECT_EQ(read.status, 200);
  EXPECT_EQ(read.header("access-control-allow-origin"), "");
  const TestAnswer allowed = client.ask(post("/", "", "Origin: https://chat.example\r\n"));
  EXPECT_EQ(allowed.status, 200);
  EXPECT_EQ(allowed.header("access-control-allow-origin"), "https://chat.example");
  EXPECT_EQ(client.ask(post("/", "x", "Origin: https://evil.example\r\n")).status, 403);
  EXPECT_TRUE(client.sees_end()) << "a body that was not read";
}

TEST(HttpGate, OpenPathsAreReadWithoutKey) {
  HttpPolicy policy;
  policy.keys = HttpKeys::make({{.name = "ann", .salt = "1", .digest = hash_key("sk-ann", "1")}}).value();
  policy.open_paths = {"/"};
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/")).status, 200);
  EXPECT_EQ(client.ask(get("/?query")).status, 200);
  for (const char* path : {"/metrics", "//", "/.", "/page", "/%2F"}) {
    EXPECT_EQ(client.ask(get(path)).status, 401) << path;
  }
  EXPECT_EQ(client.ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 403) << "the other gates stay";
  EXPECT_EQ(client.ask(post("/", "x")).status, 401) << "only to be read";
}

TEST(HttpGate, PreflightNeedsNoKey) {
  HttpPolicy policy;
  policy.access.origins = {"https://chat.example"};
  policy.keys = HttpKeys::make({{.name = "a", .salt = "s", .digest = hash_key("key", "s")}}).value();
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  const std::string ask = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-api-key\r\n\r\n";
  const std::string start = "OPTIONS /v1/models HTTP/1.1\r\nHost: localhost\r\nOrigin: ";
  const TestAnswer answer = client.ask(start + "https://chat.example\r\n" + ask);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.header("access-control-allow-headers"), "x-api-key");
  EXPECT_EQ(answer.header("access-control-allow-origin"), "https://chat.example");
  EXPECT_EQ(client.ask(start + "https://evil.example\r\n" + ask).status, 403);
  const TestAnswer keyless = client.ask(get("/", "Origin: https://chat.example\r\n"));
  EXPECT_EQ(keyless.status, 401);
  EXPECT_EQ(keyless.header("access-control-allow-origin"), "https://chat.example") << "so that the page sees why";
}

TEST(HttpGate, KeysNameTheClient) {
  HttpPolicy policy;
  policy.keys =
      HttpKeys::make({{.name = "ann", .salt = "1", .digest = hash_key("sk-ann", "1"), .limits = {.weight = 2}},
                      {.name = "bob", .salt = "2", .digest = hash_key("sk-bob", "2")}})
          .value();
  const auto server = serve(
      [](const HttpRequest& request, const Responder& responder) {
        responder.reply({.body = request.client.name() + " " + std::to_string(request.client.limits.weight)});
      },
      policy);
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/", "Authorization: Bearer sk-ann\r\n")).body, "ann 2.000000");
  EXPECT_EQ(client.ask(get("/", "authorization: bearer sk-bob\r\n")).body, "bob 1.000000");
  EXPECT_EQ(client.ask(get("/", "X-Api-Key: sk-bob\r\n")).body, "bob 1.000000");
  for (const char* line : {"", "Authorization: Bearer \r\n", "Authorization: Basic sk-ann\r\n", "X-Api-Key: sk-an\r\n",
                           "Authorization: Bearer sk-ann2\r\n"}) {
    const TestAnswer refused = client.ask(get("/", line));
    EXPECT_EQ(refused.status, 401) << line;
    EXPECT_EQ(refused.header("www-authenticate"), "Bearer");
  }
  EXPECT_EQ(client.ask(post("/", std::string(1000, 'x'))).status, 401) << "before the body is read";
}

TEST(HttpGate, KeysCannotBeGuessedForLong) {
  HttpPolicy policy;
  policy.keys = HttpKeys::make({{.name = "ann", .salt = "1", .digest = hash_key("sk-ann", "1")},
                                {.name = "bob", .salt = "2", .digest = hash_key("sk-bob", "2")}})
                    .value();
  policy.limits.wrong_keys_per_minute = 2;
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/", "X-Api-Key: sk-ann\r\n")).status, 200);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.ask(get("/", "X-Api-Key: x\r\n")).status, 401) << i;
  for (const char* key : {"y", "sk-bob"}) {
    const TestAnswer refused = client.ask(get("/", std::string("X-Api-Key: ") + key + "\r\n"));
    EXPECT_EQ(refused.status, 429) << key;
    EXPECT_EQ(code_of(refused), "too_many_wrong_keys");
    const int wait = std::stoi(refused.header("retry-after"));
    EXPECT_TRUE(1 <= wait && wait <= 30) << wait;
  }
  EXPECT_EQ(client.ask(get("/")).status, 401) << "no key is no guess";
  EXPECT_EQ(client.ask(get("/", "X-Api-Key: sk-ann\r\n")).status, 200) << "nobody is locked out";
  EXPECT_EQ(server->counters().refused(HttpRefusal::wrong_keys), 2U);
}

TEST(HttpGate, BodyLimits) {
  HttpPolicy policy;
  policy.limits.body_bytes = 1000;
  const auto server = serve(echo, policy);
  const std::string& address = server->addresses()[0];
  EXPECT_EQ(TestClient(address).ask(post("/", std::string(1000, 'x'))).status, 200);
  EXPECT_EQ(TestClient(address).ask(post("/", std::string(1001, 'x'))).status, 413);
  const std::string head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(TestClient(address).ask(head + "3e9\r\n").status, 413);
  const std::string half = "1f4\r\n" + std::string(500, 'x') + "\r\n";
  EXPECT_EQ(TestClient(address).ask(head + half + half + "0\r\n\r\n").status, 200);
  EXPECT_EQ(TestClient(address).ask(head + half + half + "1\r\n").status, 413);
  // All of it is sent before the answer is looked at: no reset may destroy it.
  TestClient eager(address);
  ASSERT_TRUE(eager.send(post("/", std::string(400'000, 'x'))));
  EXPECT_EQ(eager.answer().status, 413);
  // No line of a chunk or trailer without end.
  EXPECT_EQ(TestClient(address).ask(head + "1;" + std::string(100'000, 'x')).status, 400);
  EXPECT_EQ(TestClient(address).ask(head + "0\r\nX: " + std::string(100'000, 'x')).status, 400);
}

TEST(HttpGate, BodiesTogetherAreBounded) {
  HttpPolicy policy;
  policy.limits.bodies_bytes = 100'000;
  const auto server = serve(echo, policy);
  const std::string head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n";
  TestClient first(server->addresses()[0]);
  ASSERT_TRUE(first.send(head + std::string(80'000, 'x')));
  ASSERT_TRUE(eventually([&] { return server->counters().bytes_in > 80'000; }));
  const TestAnswer refused = TestClient(server->addresses()[0]).ask(head + std::string(30'000, 'x'));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("retry-after"), "1");
  EXPECT_EQ(first.ask(std::string(10'000, 'x')).status, 200);
  EXPECT_EQ(TestClient(server->addresses()[0]).ask(head + std::string(90'000, 'x')).status, 200);
}

TEST(HttpGate, SlowHeaderAndBody) {
  HttpPolicy policy;
  policy.timeouts.header = 0.2;
  policy.timeouts.body = 0.2;
  const auto server = serve(echo, policy);
  TestClient header(server->addresses()[0]);
  EXPECT_EQ(header.ask("GET / HTTP/1.1\r\nHost: loc").status, 408);
  EXPECT_TRUE(header.sees_end());
  TestClient silent(server->addresses()[0]);
  EXPECT_TRUE(silent.sees_end()) << "without an answer";
  TestClient body(server->addresses()[0]);
  EXPECT_EQ(body.ask("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab").status, 408);
  EXPECT_TRUE(body.sees_end());
  EXPECT_EQ(server->counters().refused(HttpRefusal::header_slow), 1U);
  EXPECT_EQ(server->counters().refused(HttpRefusal::body_slow), 1U);
}

TEST(HttpGate, ABodyThatTricklesIsTooSlow) {
  HttpPolicy policy;
  policy.timeouts.body_grace = 0.1;
  policy.timeouts.body_rate = 1e6;
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n"));
  EXPECT_TRUE(eventually([&] {
    client.send("x");
    return server->counters().refused(HttpRefusal::body_slow) == 1;
  }));
  EXPECT_EQ(client.answer().status, 408);
}

TEST(HttpGate, ConnectionsAreBounded) {
  HttpPolicy policy;
  policy.limits.connections = 3;
  policy.limits.connections_per_address = 2;
  const auto server = serve(echo, policy);
  TestClient a(server->addresses()[0]);
  TestClient b(server->addresses()[0]);
  EXPECT_EQ(a.ask(get("/")).status, 200);
  EXPECT_EQ(b.ask(get("/")).status, 200);
  const TestAnswer refused = TestClient(server->addresses()[0]).answer();
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(code_of(refused), "too_many_connections_of_address");
  policy.limits.connections = 2;
  server->set_policy(policy);
  EXPECT_EQ(TestClient(server->addresses()[0]).answer().status, 503);
  b.close();
  EXPECT_TRUE(eventually([&] { return server->counters().connections_open == 1; }));
  EXPECT_EQ(TestClient(server->addresses()[0]).ask(get("/")).status, 200);
}

TEST(HttpGate, InFlightIsBoundedInAllAndForAClient) {
  HttpPolicy policy;
  policy.limits.in_flight = 3;
  policy.keys =
      HttpKeys::make({{.name = "a", .salt = "s", .digest = hash_key("a", "s"), .limits = {.in_flight_max = 2}},
                      {.name = "b", .salt = "s", .digest = hash_key("b", "s")}})
          .value();
  HeldResponders held;
  const auto server = serve(held.handler(), policy);
  const std::string a = get("/", "X-Api-Key: a\r\n");
  const std::string b = get("/", "X-Api-Key: b\r\n");
  std::deque<TestClient> clients;
  for (const std::string& request : {a, a, a, b, b}) clients.emplace_back(server->addresses()[0]).send(request);
  // Which of them came first is open; that a has two places at most and all have three is not.
  ASSERT_TRUE(eventually([&] {
    const HttpCounters now = server->counters();
    return now.refused(HttpRefusal::client_in_flight) + now.refused(HttpRefusal::in_flight) == 2;
  }));
  EXPECT_EQ(held.size(), 3U);
  EXPECT_EQ(server->counters().requests_in_flight, 3U);
  while (held.size() != 0) held.take().reply({.body = "done"});
  std::multiset<int> statuses;
  for (TestClient& client : clients) statuses.insert(client.answer().status);
  EXPECT_EQ(statuses.count(200), 3U);
  EXPECT_TRUE(eventually([&] { return server->counters().requests_in_flight == 0; }));
}

TEST(HttpGate, APlaceIsFreeOnlyWhenTheHandlerIsDone) {
  HttpPolicy policy;
  policy.limits.in_flight = 1;
  HeldResponders held;
  const auto server = serve(held.handler(), policy);
  TestClient gone(server->addresses()[0]);
  ASSERT_TRUE(gone.send(get("/")));
  ASSERT_TRUE(eventually([&] { return held.size() == 1; }));
  gone.close();
  ASSERT_TRUE(eventually([&] { return server->counters().clients_gone == 1; }));
  EXPECT_EQ(TestClient(server->addresses()[0]).ask(get("/")).status, 503) << "the handler still works for who is gone";
  held.take().reply({});
  TestClient next(server->addresses()[0]);
  ASSERT_TRUE(next.send(get("/")));
  ASSERT_TRUE(eventually([&] { return held.size() == 1; }));
  held.take().reply({.body = "now"});
  EXPECT_EQ(next.answer().body, "now");
}

TEST(HttpGate, RequestsAMinute) {
  HttpPolicy policy;
  policy.anyone.requests_per_minute = 1;
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/")).status, 200);
  const TestAnswer refused = client.ask(get("/"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(code_of(refused), "rate_limit_exceeded");
  const int retry_after = std::stoi(refused.header("retry-after"));
  EXPECT_GE(retry_after, 1);
  EXPECT_LE(retry_after, 60);
  policy.anyone.requests_per_minute = 0;
  server->set_policy(policy);
  EXPECT_EQ(client.ask(get("/")).status, 200);
}

}  // namespace
}  // namespace plait::serving
