// SPDX-License-Identifier: Apache-2.0
//
// The server over real loopback sockets: requests, connections, begin and end.
#include "serving/http/server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "serving/http/loopback_test_client.h"
#include "serving/http/router.h"
#include "testing/temp_dir.h"
#include "text/json.h"

namespace plait::serving {
namespace {

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

TEST(HttpServer, AnIdleConnectionIsClosed) {
  HttpPolicy policy;
  policy.timeouts.idle = 0.1;
  const auto server = serve(echo, policy);
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/")).status, 200);
  EXPECT_TRUE(client.sees_end());
  EXPECT_TRUE(eventually([&] { return server->counters().connections_open == 0; }));
}

TEST(HttpServer, DrainFinishesWhatIsInFlight) {
  HeldResponders held;
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
