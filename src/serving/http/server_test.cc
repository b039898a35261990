// SPDX-License-Identifier: Apache-2.0
//
// The server over real loopback sockets: what passes its gates, and what does not.
#include "serving/http/server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "serving/http/loopback_test_client.h"
#include "serving/http/router.h"
#include "testing/temp_dir.h"
#include "text/json.h"

namespace plait::serving {
namespace {

std::string code_of(const TestAnswer& answer) {
  const auto body = text::parse_json(answer.body);
  if (!body || !body->contains("error")) return answer.body;
  return (*body)["error"]["code"].get<std::string>();
}

// Keeps responders until the test answers them.
class Held {
 public:
  HttpHandler handler() {
    return [this](const HttpRequest&, const Responder& responder) {
      const std::lock_guard lock(mutex_);
      held_.push_back(responder);
    };
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  Responder take() {
    const std::lock_guard lock(mutex_);
    Responder first = held_.front();
    held_.pop_front();
    return first;
  }

 private:
  std::mutex mutex_;
  std::deque<Responder> held_;
};

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  const auto server = serve(echo);
  TestClient client(server->addresses()[0]);
  const TestAnswer first = client.ask(get("/a%20b?q=1"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, "GET /a b ");
  EXPECT_TRUE(first.header("x-request-id").starts_with("req_"));
  EXPECT_FALSE(first.header("date").empty());
  const TestAnswer second = client.ask(post("/b", "text"));
  EXPECT_EQ(second.body, "POST /b text");
  EXPECT_NE(second.header("x-request-id"), first.header("x-request-id"));
  EXPECT_EQ(client.ask(get("/c", "Connection: close\r\n")).header("connection"), "close");
  EXPECT_TRUE(client.sees_end());
  EXPECT_EQ(server->counters().connections, 1U);
  EXPECT_EQ(server->counters().answers[2], 3U);
}

TEST(HttpServer, Http10) {
  const auto server = serve(echo);
  TestClient once(server->addresses()[0]);
  EXPECT_EQ(once.ask("GET / HTTP/1.0\r\n\r\n").body, "GET / ");
  EXPECT_TRUE(once.sees_end());
  TestClient kept(server->addresses()[0]);
  EXPECT_EQ(kept.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").header("connection"), "keep-alive");
  EXPECT_EQ(kept.ask("GET /2 HTTP/1.0\r\n\r\n").body, "GET /2 ");
}

TEST(HttpServer, PipelinedRequestsAreAnsweredInOrder) {
  const auto server = serve(echo);
  TestClient client(server->addresses()[0]);
  std::string all;
  for (int i = 0; i < 50; ++i) all += post("/" + std::to_string(i), std::string(static_cast<std::size_t>(i), 'x'));
  ASSERT_TRUE(client.send(all));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(client.answer().body, "POST /" + std::to_string(i) + " " + std::string(static_cast<std::size_t>(i), 'x'));
  }
}

TEST(HttpServer, MoreThanMayBePipelinedWaits) {
  HttpPolicy policy;
  policy.limits.pipelined_bytes = 1000;
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  const std::string body(100'000, 'b');
  std::thread sender([&] {
    for (int i = 0; i < 40; ++i) client.send(post("/", body));
  });
  for (int i = 0; i < 40; ++i) EXPECT_EQ(client.answer().body.size(), body.size() + 7);
  sender.join();
}

TEST(HttpServer, ChunkedBody) {
  const auto server = serve(echo);
  TestClient client(server->addresses()[0]);
  const std::string head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(client.ask(head + "5;note=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n").body,
            "POST / hello world");
  EXPECT_EQ(client.ask(head + "0\r\n\r\n").body, "POST / ");
  EXPECT_EQ(client.ask(get("/next")).body, "GET /next ");
}

TEST(HttpServer, EverySplitOfARequestIsTheSame) {
  const auto server = serve(echo);
  const std::string request =
      "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  TestClient client(server->addresses()[0]);
  for (std::size_t split = 1; split < request.size(); ++split) {
    ASSERT_TRUE(client.send(request.substr(0, split)));
    std::this_thread::yield();
    ASSERT_EQ(client.ask(request.substr(split)).body, "POST /x abcde") << split;
  }
  for (const char c : request) client.send({&c, 1});
  EXPECT_EQ(client.answer().body, "POST /x abcde");
}

TEST(HttpServer, ExpectContinue) {
  const auto server = serve(echo);
  TestClient client(server->addresses()[0]);
  const std::string head = "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
  EXPECT_EQ(client.ask(head).status, 100);
  EXPECT_EQ(client.ask("body").body, "POST /c body");
  EXPECT_EQ(client.ask(head + "now!").body, "POST /c now!");
  const TestAnswer refused = client.ask(get("/", "Expect: tea\r\n"));
  EXPECT_EQ(refused.status, 417);
}

TEST(HttpServer, HeadHasTheLengthOfGet) {
  const auto server = serve(echo);
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send("HEAD /file HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  EXPECT_EQ(client.answer(true).header("content-length"), "11");
  EXPECT_EQ(client.ask(get("/next")).body, "GET /next ");
}

// Requests that two readers could understand in two ways, and what is no HTTP.
TEST(HttpServer, RefusesWhatIsMalformed) {
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
      {"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"GET /a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"GET nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 501},
      {"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: localhost\n\n\r\n\r\n", 400},
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

TEST(HttpServer, HeaderLimits) {
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

TEST(HttpServer, HostIsChecked) {
  HttpPolicy policy;
  policy.access.hosts = {"plait.example"};
  const auto server = serve(echo, policy);
  const auto status = [&](const std::string& host) {
    return TestClient(server->addresses()[0]).ask("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status;
  };
  for (const char* host : {"localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:9999", "[::1]:80", "Plait.Example:1"}) {
    EXPECT_EQ(status(host), 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.evil.example:80"}) {
    EXPECT_EQ(status(host), 403) << host;
  }
  // The target's authority counts, as HTTP has it.
  TestClient absolute(server->addresses()[0]);
  EXPECT_EQ(absolute.ask("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 403);
  EXPECT_EQ(absolute.ask("GET http://localhost/x HTTP/1.1\r\nHost: localhost\r\n\r\n").body, "GET /x ");
}

TEST(HttpServer, ForeignPagesMayNotPost) {
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

TEST(HttpServer, PreflightNeedsNoKey) {
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

TEST(HttpServer, KeysNameTheClient) {
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

TEST(HttpServer, BodyLimits) {
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

TEST(HttpServer, BodiesTogetherAreBounded) {
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

TEST(HttpServer, SlowHeaderAndBody) {
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

TEST(HttpServer, ABodyThatTricklesIsTooSlow) {
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

TEST(HttpServer, AnIdleConnectionIsClosed) {
  HttpPolicy policy;
  policy.timeouts.idle = 0.1;
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/")).status, 200);
  EXPECT_TRUE(client.sees_end());
  EXPECT_TRUE(eventually([&] { return server->counters().connections_open == 0; }));
}

TEST(HttpServer, ConnectionsAreBounded) {
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

TEST(HttpServer, InFlightIsBoundedInAllAndForAClient) {
  HttpPolicy policy;
  policy.limits.in_flight = 3;
  policy.keys =
      HttpKeys::make({{.name = "a", .salt = "s", .digest = hash_key("a", "s"), .limits = {.in_flight_max = 2}},
                      {.name = "b", .salt = "s", .digest = hash_key("b", "s")}})
          .value();
  Held held;
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

TEST(HttpServer, APlaceIsFreeOnlyWhenTheHandlerIsDone) {
  HttpPolicy policy;
  policy.limits.in_flight = 1;
  Held held;
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

TEST(HttpServer, RequestsAMinute) {
  HttpPolicy policy;
  policy.anyone.requests_per_minute = 3;
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.ask(get("/")).status, 200);
  const TestAnswer refused = client.ask(get("/"));
  if (refused.status == 200) GTEST_SKIP() << "three requests took 20 s";
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(code_of(refused), "rate_limit_exceeded");
  const int retry_after = std::stoi(refused.header("retry-after"));
  EXPECT_GE(retry_after, 1);
  EXPECT_LE(retry_after, 20);
  policy.anyone.requests_per_minute = 0;
  server->set_policy(policy);
  EXPECT_EQ(client.ask(get("/")).status, 200);
}

TEST(HttpServer, DrainFinishesWhatIsInFlight) {
  Held held;
  const auto server = serve(held.handler());
  TestClient busy(server->addresses()[0]);
  TestClient idle(server->addresses()[0]);
  ASSERT_TRUE(idle.send(get("/")));
  ASSERT_TRUE(eventually([&] { return held.size() == 1; }));
  held.take().reply({.body = "early"});
  EXPECT_EQ(idle.answer().body, "early");
  ASSERT_TRUE(busy.send(get("/")));
  ASSERT_TRUE(eventually([&] { return held.size() == 1; }));
  EXPECT_FALSE(server->drain(0.05));
  const TestAnswer refused = idle.ask(get("/"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("connection"), "close");
  EXPECT_FALSE(TestClient(server->addresses()[0]).connected());
  std::thread drain([&] { EXPECT_TRUE(server->drain(kPatienceMs / 1000)); });
  held.take().reply({.body = "late"});
  const TestAnswer late = busy.answer();
  EXPECT_EQ(late.body, "late");
  EXPECT_EQ(late.header("connection"), "close");
  drain.join();
  server->stop();
  EXPECT_TRUE(server->drain(1));
}

TEST(HttpServer, UnixSocket) {
  const testing::TempDir dir;
  const std::string path = (dir / "plait.sock").string();
  const HttpServerOptions options{.listen = {"unix:" + path, "127.0.0.1:0"}};
  {
    auto server = HttpServer::make(options, echo);
    ASSERT_TRUE(server);
    struct stat info{};
    ASSERT_EQ(lstat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    EXPECT_EQ(TestClient("unix:" + path).ask(get("/u")).body, "GET /u ");
    EXPECT_EQ(TestClient((*server)->addresses()[1]).ask(get("/t")).body, "GET /t ");
    const auto second = HttpServer::make(options, echo);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, base::ErrorCode::busy);
    EXPECT_EQ(TestClient("unix:" + path).ask(get("/u")).body, "GET /u ") << "still there";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  // What a killed server leaves.
  const int left = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  close(left);
  {
    const auto server = HttpServer::make(options, echo);
    ASSERT_TRUE(server);
    EXPECT_EQ(TestClient("unix:" + path).ask(get("/u")).body, "GET /u ");
  }
  std::ofstream(path) << "a file";
  EXPECT_FALSE(HttpServer::make(options, echo));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(HttpServer, Addresses) {
  for (const char* address :
       {"", "8080", "example.org:80", "127.0.0.1:", "127.0.0.1:99999", "1.2.3:1", "::1:80", "unix:"}) {
    const auto server = HttpServer::make({.listen = {address}}, echo);
    ASSERT_FALSE(server) << address;
    EXPECT_EQ(server.error().code, base::ErrorCode::invalid_argument) << address;
  }
  const auto first = HttpServer::make({.listen = {"localhost:0"}}, echo);
  ASSERT_TRUE(first);
  const auto second = HttpServer::make({.listen = {(*first)->addresses()[0]}}, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, base::ErrorCode::busy);
  const auto v6 = HttpServer::make({.listen = {"[::1]:0"}}, echo);
  if (!v6) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(TestClient((*v6)->addresses()[0]).ask("GET / HTTP/1.1\r\nHost: [::1]:1\r\n\r\n").body, "GET / ");
}

TEST(HttpServer, AThrowingHandlerFailsItsRequestAlone) {
  const auto server = serve([](const HttpRequest& request, const Responder& responder) {
    if (request.path == "/throw") throw std::runtime_error("bad");
    echo(request, responder);
  });
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/throw")).status, 500);
  EXPECT_EQ(client.ask(get("/")).status, 200);
}

TEST(HttpServer, AHundredConnections) {
  const auto server = serve(echo);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 10; ++t) {
    threads.emplace_back([&, t] {
      std::deque<TestClient> clients;
      for (int i = 0; i < 10; ++i) clients.emplace_back(server->addresses()[0]);
      for (int round = 0; round < 5; ++round) {
        const std::string path = "/" + std::to_string(t) + "/" + std::to_string(round);
        for (TestClient& client : clients) client.send(get(path));
        for (TestClient& client : clients) good += client.answer().body == "GET " + path + " " ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 500);
  EXPECT_EQ(server->counters().connections, 100U);
}

TEST(HttpServer, WithoutDescriptorsItWaits) {
  const auto server = serve(echo);
  TestClient kept(server->addresses()[0]);
  EXPECT_EQ(kept.ask(get("/")).status, 200);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int probe = dup(0);
  ASSERT_GE(probe, 0);
  // A client's own descriptor is the last one.
  ASSERT_EQ(close(probe), 0);
  const rlimit tight{.rlim_cur = static_cast<rlim_t>(probe) + 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  TestClient waiting(server->addresses()[0]);
  EXPECT_TRUE(eventually([&] { return server->counters().accept_failures >= 2; }));
  EXPECT_EQ(kept.ask(get("/")).status, 200);
  EXPECT_LE(server->counters().accept_failures, 100U) << "it does not spin";
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(waiting.ask(get("/")).status, 200);
}

TEST(HttpServer, AccessLog) {
  std::mutex mutex;
  std::vector<std::string> lines;
  HttpPolicy policy;
  policy.keys = HttpKeys::make({{.name = "ann", .salt = "1", .digest = hash_key("sk-secret", "1")}}).value();
  auto server = serve(echo, policy, [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(line);
  });
  TestClient client(server->addresses()[0]);
  const TestAnswer answer = client.ask(post("/v1/x?q=hidden", "words", "X-Api-Key: sk-secret\r\n"));
  client.ask(get("/", "X-Api-Key: sk-wrong\r\n"));
  client.ask("garbage\r\n\r\n");
  server->stop();
  ASSERT_EQ(lines.size(), 3U);
  const text::Json line = text::parse_json(lines[0]).value();
  EXPECT_EQ(line["id"], answer.header("x-request-id"));
  EXPECT_EQ(line["client"], "ann");
  EXPECT_EQ(line["method"], "POST");
  EXPECT_EQ(line["path"], "/v1/x");
  EXPECT_EQ(line["status"], 200);
  EXPECT_GT(line["bytes"], answer.body.size());
  for (const std::string& text : lines) {
    EXPECT_EQ(text.find("sk-"), std::string::npos);
    EXPECT_EQ(text.find("hidden"), std::string::npos);
    EXPECT_EQ(text.find("words"), std::string::npos);
  }
  EXPECT_EQ(text::parse_json(lines[1]).value()["status"], 401);
  EXPECT_EQ(text::parse_json(lines[2]).value()["status"], 400);
}

TEST(HttpServer, RoutesByMethodAndPath) {
  HttpRouter router;
  router.add(HttpMethod::get, "/v1/files/{id}/content", [](const HttpRequest& request, const Responder& responder) {
    responder.reply({.body = std::string(request.param("id"))});
  });
  const auto server = serve(router.handler());
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/v1/files/f-1/content")).body, "f-1");
  EXPECT_EQ(client.ask(get("/v1/files/f-1")).status, 404);
  const TestAnswer refused = client.ask(post("/v1/files/f-1/content", ""));
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.header("allow"), "GET, HEAD, OPTIONS");
}

}  // namespace
}  // namespace plait::serving
