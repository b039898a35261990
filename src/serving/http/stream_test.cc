// SPDX-License-Identifier: Apache-2.0
//
// Answers from other threads, streams, and clients that go away or do not read.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "serving/http/loopback_test_client.h"
#include "serving/http/server.h"
#include "serving/http/sse.h"

namespace plait::serving {
namespace {

TEST(HttpStream, EventsComeAsTheyAreWritten) {
  HeldResponders held;
  const auto server = serve(held.handler());
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send(get("/")));
  {
    const SseStream stream(held.take());
    stream.event("one");
    EXPECT_TRUE(client.receive_text("data: one\n\n"));
    stream.event("note", "two\r\nlines\rthree");
    EXPECT_TRUE(client.receive_text("event: note\ndata: two\ndata: lines\ndata: three\n\n"));
    stream.comment();
    EXPECT_TRUE(client.receive_text(": keep-alive\n\n"));
    stream.done();
    stream.event("too late");
  }
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.header("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(answer.header("transfer-encoding"), "chunked");
  EXPECT_TRUE(answer.body.ends_with(": keep-alive\n\ndata: [DONE]\n\n"));
  ASSERT_TRUE(client.send(get("/")));
  held.take().reply({.body = "kept"});
  EXPECT_EQ(client.answer().body, "kept");
}

TEST(HttpStream, ASilentStreamOfEventsIsKeptAwake) {
  HeldResponders held;
  HttpPolicy policy;
  policy.timeouts.ping = 0.05;
  const auto server = serve(held.handler(), policy);
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send(get("/")));
  {
    const SseStream stream(held.take());
    EXPECT_TRUE(client.receive_text(": ping\n\n\r\n8\r\n: ping\n\n\r\n")) << "each a chunk of its own";
    stream.event("one");
    EXPECT_TRUE(client.receive_text("data: one\n\n\r\n8\r\n: ping\n\n\r\n"));
    stream.done();
  }
  EXPECT_TRUE(client.answer().body.ends_with("data: [DONE]\n\n"));
  ASSERT_TRUE(client.send(get("/")));
  const Responder text = held.take();
  text.begin_stream(200, "text/plain");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  text.write("only this");
  text.end();
  EXPECT_EQ(client.answer().body, "only this");
}

TEST(HttpStream, Http10EndsWithTheConnection) {
  HeldResponders held;
  const auto server = serve(held.handler());
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  const Responder responder = held.take();
  responder.begin_stream(200, "text/plain");
  responder.write("a");
  responder.write("b");
  responder.end();
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_EQ(answer.body, "ab");
}

TEST(HttpStream, HeadHasNoBody) {
  HeldResponders held;
  const auto server = serve(held.handler());
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const Responder responder = held.take();
  responder.begin_stream(200, "text/plain");
  responder.write("a");
  responder.end();
  EXPECT_EQ(client.answer(true).status, 200);
  ASSERT_TRUE(client.send(get("/")));
  held.take().reply({.status = 204});
  EXPECT_EQ(client.answer().status, 204);
}

TEST(HttpStream, WritesOfManyThreadsAllArrive) {
  HeldResponders held;
  const auto server = serve(held.handler());
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send(get("/")));
  const Responder responder = held.take();
  responder.begin_stream(200, "text/plain");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&responder, t] {
      for (int i = 0; i < 1000; ++i)
        responder.write(std::string(1 + static_cast<std::size_t>(i) % 7, static_cast<char>('a' + t)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  responder.end();
  const std::string body = client.answer().body;
  for (const char c : {'a', 'b', 'c', 'd'}) EXPECT_EQ(std::count(body.begin(), body.end(), c), 3997) << c;
  EXPECT_TRUE(eventually([&] { return responder.queued_bytes() == 0; }));
}

TEST(HttpStream, RepliesFromOtherThreads) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  const auto server = serve([&](HttpRequest request, Responder responder) {
    const std::lock_guard lock(mutex);
    threads.emplace_back(
        [request = std::move(request), responder = std::move(responder)] { echo(request, responder); });
  });
  TestClient client(server->addresses()[0]);
  for (int i = 0; i < 20; ++i) {
    const std::string path = "/" + std::to_string(i);
    EXPECT_EQ(client.ask(get(path)).body, "GET " + path + " ");
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(HttpStream, OnlyTheFirstAnswerCounts) {
  const auto server = serve([](const HttpRequest&, const Responder& responder) {
    responder.reply({.body = "first"});
    responder.reply({.body = "second"});
    responder.begin_stream(200, "text/plain");
    responder.write("third");
    responder.end();
  });
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/")).body, "first");
  EXPECT_EQ(client.ask(get("/")).body, "first");
}

TEST(HttpStream, NobodyLeftToAnswerIs500) {
  const auto server = serve([](const HttpRequest&, const Responder&) {});
  TestClient client(server->addresses()[0]);
  EXPECT_EQ(client.ask(get("/")).status, 500);
  EXPECT_EQ(client.ask(get("/")).status, 500);
}

TEST(HttpStream, NobodyLeftToEndAStreamCutsIt) {
  const auto server = serve([](const HttpRequest&, const Responder& responder) {
    responder.begin_stream(200, "text/plain");
    responder.write("half");
  });
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send(get("/")));
  EXPECT_TRUE(client.receive_text("half"));
  EXPECT_EQ(client.answer().status, 0) << "no last chunk: the client must not take it for whole";
}

TEST(HttpStream, HandlersCannotBreakTheHead) {
  const auto server = serve([](const HttpRequest&, const Responder& responder) {
    responder.reply({.content_type = "text/plain\r\nX-A: 1",
                     .headers = {{"x-b", "1\r\nX-C: 2"}, {"x d", "3"}, {"Content-Length", "9"}, {"X-Good", "yes"}},
                     .body = "body"});
  });
  TestClient client(server->addresses()[0]);
  const TestAnswer answer = client.ask(get("/"));
  EXPECT_EQ(answer.body, "body");
  EXPECT_EQ(answer.header("x-good"), "yes");
  EXPECT_EQ(answer.headers.count("content-length"), 1U);
  for (const char* name : {"x-a", "x-c", "x d"}) EXPECT_EQ(answer.headers.count(name), 0U) << name;
}

// How a client may leave while its answer is made.
TEST(HttpGone, IsNoticedWithoutAWrite) {
  const std::vector<std::function<void(TestClient&)>> ways{
      [](TestClient& client) { client.close(); },
      [](TestClient& client) { client.shutdown_send(); },
      [](TestClient& client) {
        client.send(std::string(100'000, 'x'));  // more than is read ahead
        client.close();
      },
  };
  for (std::size_t way = 0; way < ways.size(); ++way) {
    for (const bool stream : {false, true}) {
      HeldResponders held;
      HttpPolicy policy;
      policy.timeouts.linger = 0.1;
      const auto server = serve(held.handler(), policy);
      TestClient client(server->addresses()[0]);
      ASSERT_TRUE(client.send(get("/")));
      const Responder responder = held.take();
      std::atomic<int> calls = 0;
      responder.on_gone([&] { ++calls; });
      if (stream) responder.begin_stream(200, "text/plain");
      EXPECT_FALSE(responder.gone());
      ways[way](client);
      EXPECT_TRUE(eventually([&] { return calls == 1; })) << way << stream;
      EXPECT_TRUE(responder.gone());
      responder.write("for nobody");
      responder.reply({});
      EXPECT_EQ(responder.queued_bytes(), 0U);
      std::atomic<int> late = 0;
      if (stream) {
        responder.on_gone([&] { ++late; });
        EXPECT_EQ(late, 1) << "called at once";
      }
      responder.end();
      EXPECT_EQ(calls, 1);
      EXPECT_EQ(server->counters().clients_gone, 1U);
    }
  }
}

TEST(HttpGone, IsNotCalledAfterTheEnd) {
  HeldResponders held;
  const auto server = serve(held.handler());
  std::atomic<int> calls = 0;
  {
    TestClient client(server->addresses()[0]);
    ASSERT_TRUE(client.send(get("/")));
    const Responder responder = held.take();
    responder.on_gone([&] { ++calls; });
    responder.reply({.body = "all"});
    EXPECT_EQ(client.answer().body, "all");
  }
  EXPECT_TRUE(eventually([&] { return server->counters().connections_open == 0; }));
  EXPECT_EQ(calls, 0);
}

TEST(HttpGone, AWholeAnswerStillReachesAClientThatSendsNoMore) {
  const auto server = serve(
      [](const HttpRequest&, const Responder& responder) { responder.reply({.body = std::string(2'000'000, 'x')}); });
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send(get("/")));
  ASSERT_TRUE(client.receive_text("\r\n\r\n"));
  client.shutdown_send();
  EXPECT_EQ(client.answer().body.size(), 2'000'000U);
}

TEST(HttpGone, AReaderThatFallsBehindIsDropped) {
  HeldResponders held;
  HttpPolicy policy;
  policy.limits.queue_bytes = 100'000;
  const auto server = serve(held.handler(), policy);
  TestClient client(server->addresses()[0], 4096);
  ASSERT_TRUE(client.send(get("/")));
  const Responder responder = held.take();
  std::atomic<bool> gone = false;
  responder.on_gone([&] { gone = true; });
  responder.begin_stream(200, "text/plain");
  std::size_t queued_max = 0;
  EXPECT_TRUE(eventually([&] {
    responder.write(std::string(10'000, 'x'));
    queued_max = std::max(queued_max, responder.queued_bytes());
    return gone.load();
  }));
  EXPECT_LE(queued_max, 110'000U);
  EXPECT_EQ(server->counters().refused(HttpRefusal::slow_reader), 1U);
}

TEST(HttpGone, AReaderThatStopsIsDropped) {
  HeldResponders held;
  HttpPolicy policy;
  policy.timeouts.write_stall = 0.2;
  const auto server = serve(held.handler(), policy);
  TestClient client(server->addresses()[0], 4096);
  ASSERT_TRUE(client.send(get("/")));
  held.take().reply({.body = std::string(20'000'000, 'x')});
  EXPECT_TRUE(eventually([&] { return server->counters().refused(HttpRefusal::slow_reader) == 1; }));
  EXPECT_TRUE(eventually([&] { return server->counters().connections_open == 0; }));
}

TEST(HttpGone, StopDropsAndRespondersOutliveTheServer) {
  HeldResponders held;
  auto server = serve(held.handler());
  TestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.send(get("/")));
  std::optional<Responder> responder = held.take();
  std::atomic<int> calls = 0;
  responder->on_gone([&] { ++calls; });
  responder->begin_stream(200, "text/plain");
  server->stop();
  EXPECT_EQ(calls, 1);
  server.reset();
  responder->write("nowhere");
  responder->end();
  responder.reset();
  EXPECT_TRUE(client.sees_end());
}

TEST(HttpGone, AThrowingFunctionHurtsNobodyElse) {
  HeldResponders held;
  const auto server = serve(held.handler());
  TestClient other(server->addresses()[0]);
  {
    TestClient client(server->addresses()[0]);
    ASSERT_TRUE(client.send(get("/")));
    const Responder responder = held.take();
    responder.on_gone([] { throw std::runtime_error("bad"); });
    client.close();
    EXPECT_TRUE(eventually([&] { return server->counters().clients_gone == 1; }));
  }
  ASSERT_TRUE(other.send(get("/")));
  held.take().reply({.body = "fine"});
  EXPECT_EQ(other.answer().body, "fine");
}

}  // namespace
}  // namespace plait::serving
