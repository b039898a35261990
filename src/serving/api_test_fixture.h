// SPDX-License-Identifier: Apache-2.0
//
// The API on the tiny model, without sockets: requests go to the router, answers into a recorder.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "models/model.h"
#include "serving/api.h"
#include "serving/tiny_test_target.h"

namespace plait::serving {

/// What a client would have got. One that `leaves` goes away as soon as some of a stream has come, before any more is
/// made.
class RecordedExchange final : public HttpExchange {
 public:
  explicit RecordedExchange(bool leaves = false) : leaves_(leaves) {}

  void reply(HttpReply reply) override {
    const std::scoped_lock lock(mutex_);
    reply_ = std::move(reply);
    finish();
  }
  void begin_stream(int status, std::string content_type, HttpHeaders headers) override {
    const std::scoped_lock lock(mutex_);
    reply_ = {.status = status, .content_type = std::move(content_type), .headers = std::move(headers), .body = {}};
  }
  void write(std::string bytes) override {
    std::unique_lock lock(mutex_);
    reply_.body += bytes;
    if (!leaves_ || gone_ || !on_gone_) return;
    gone_ = true;
    const auto call = on_gone_;
    lock.unlock();
    call();
  }
  void end() override {
    if (before_end) before_end();
    const std::scoped_lock lock(mutex_);
    finish();
  }
  void on_gone(std::function<void()> call) override {
    const std::scoped_lock lock(mutex_);
    on_gone_ = std::move(call);
  }
  [[nodiscard]] bool gone() const override {
    const std::scoped_lock lock(mutex_);
    return gone_;
  }
  [[nodiscard]] std::size_t queued_bytes() const override { return 0; }

  std::function<void()> before_end = {};  ///< Called when all of a stream is there, before anybody is told of its end.

  /// The whole answer.
  HttpReply wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    return reply_;
  }

 private:
  void finish() {
    done_ = true;
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  HttpReply reply_ = {};
  std::function<void()> on_gone_;
  const bool leaves_;
  bool gone_ = false;
  bool done_ = false;
};

/// The tiny model with an engine.
class TinyModel final : public ReadyModel {
 public:
  /// `context`: tokens of prompt and answer.
  explicit TinyModel(std::size_t context = 256) {
    tiny_.target.grammars = &grammars_;
    tiny_.target.context = context;
    model_ = *models::Model::load(*models::GgufFile::parse(tiny_.bytes), {.context = context}, team_);
    runner_ = std::make_unique<engine::ModelRunner>(*model_, team_);
    engine_ = *engine::Engine::make(*runner_, {.kv_bytes = 1 << 24});
  }

  [[nodiscard]] const Target& target() const override { return tiny_.target; }
  [[nodiscard]] engine::Engine& engine() override { return *engine_; }
  [[nodiscard]] base::Bytes bytes() const override { return 1 << 24; }
  [[nodiscard]] const models::Model& model() const { return *model_; }
  /// While nothing is asked.
  void use_chat(std::string_view source) { *tiny_.chat = *models::ChatTemplate::make(source, {}); }

 private:
  TinyTarget tiny_;
  Grammars grammars_{*tiny_.tokenizer};
  parallel::Team team_{1};
  std::unique_ptr<models::Model> model_;
  std::unique_ptr<engine::ModelRunner> runner_;
  std::unique_ptr<engine::Engine> engine_;
};

/// Whether it becomes true within ten seconds.
inline bool comes(const std::function<bool()>& what) {
  for (int i = 0; i < 1000; ++i) {
    if (what()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

class ApiTest : public ::testing::Test {
 protected:
  /// `context`: tokens of prompt and answer.
  explicit ApiTest(std::size_t context = 256) : made_(std::make_unique<TinyModel>(context)) {}
  void SetUp() override {
    ASSERT_TRUE(models_.preload());
    models_.acquire({}, {}, [&](Accepted<ModelLease> lease) { lease_ = *std::move(lease); });
    api_.add_routes(router_);
    thread_ = std::jthread([&] { engines_.run(); });
  }
  void TearDown() override {
    engines_.stop();
    thread_.join();
    lease_.reset();
  }

  std::shared_ptr<RecordedExchange> send(HttpMethod method, std::string path, const text::Json& body = {}) {
    return send_text(method, std::move(path), body.is_null() ? "" : text::dump_json(body));
  }
  std::shared_ptr<RecordedExchange> send_text(HttpMethod method, std::string path, std::string body,
                                              bool leaves = false) {
    auto exchange = std::make_shared<RecordedExchange>(leaves);
    route(method, std::move(path), std::move(body), exchange);
    return exchange;
  }
  void route(HttpMethod method, std::string path, std::string body, const std::shared_ptr<RecordedExchange>& exchange) {
    HttpRequest request{.method = method, .path = std::move(path)};
    request.body = std::move(body);
    request.client.address = "127.0.0.1";
    request.id = "req_1";
    router_.route(std::move(request), Responder(exchange));
  }
  HttpReply post(std::string path, const text::Json& body) {
    return send(HttpMethod::post, std::move(path), body)->wait();
  }
  void post_and_leave(std::string path, const text::Json& body) {
    send_text(HttpMethod::post, std::move(path), text::dump_json(body), true);
  }
  static text::Json json_of(const HttpReply& reply) { return *text::parse_json(reply.body); }
  /// The events of a stream. The last one must be [DONE]; it is left out.
  static std::vector<text::Json> events_of(const HttpReply& reply) {
    std::vector<text::Json> events;
    std::string_view rest = reply.body;
    bool done = false;
    while (!rest.empty()) {
      const std::size_t end = rest.find("\n\n");
      EXPECT_TRUE(rest.starts_with("data: ") && end != rest.npos && !done);
      if (end == rest.npos) break;
      const std::string_view data = rest.substr(6, end - 6);
      rest.remove_prefix(end + 2);
      done = data == "[DONE]";
      if (!done) events.push_back(*text::parse_json(data));
    }
    EXPECT_TRUE(done);
    return events;
  }
  std::size_t running() { return models_.counters().sequences; }
  /// Waits until the engines' thread has done what the ends of answers leave to do: then an Api beside `api_`, of which
  /// nothing is in flight, may end though the thread runs.
  void settle() {
    for (const LoopOfModel& one : models_.loops()) {
      std::promise<void> done;
      one.loop->post([&done](engine::Engine&) { done.set_value(); });
      done.get_future().wait();
    }
  }

  std::unique_ptr<TinyModel> made_;  // until it is served
  TinyModel* model_ = made_.get();
  EngineThread engines_;
  ServedModels models_{engines_,
                       {.offers = {{.name = "tiny", .aliases = {"small"}}},
                        .usual = "tiny",
                        .make = [this](const ModelOffer&, base::Bytes) { return std::move(made_); }}};
  ModelLease lease_;
  Api api_{models_, {.seed = 7, .requests_max = 100}};
  HttpRouter router_;
  std::jthread thread_;
};

}  // namespace plait::serving
