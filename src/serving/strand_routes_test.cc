// SPDX-License-Identifier: Apache-2.0
#include "serving/strand_routes.h"

#include <future>

#include "serving/api_test_fixture.h"

namespace plait::serving {
namespace {

using text::Json;

/// Time that the test sets, from any thread.
class SetClock final : public base::Clock {
 public:
  [[nodiscard]] double now() const override { return now_; }
  void advance(double seconds) { now_ = now_ + seconds; }

 private:
  std::atomic<double> now_ = 100;
};

class StrandRoutesTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    routes_ = std::make_unique<StrandRoutes>(models_, limits_, clock_);
    routes_->add_routes(router_);
  }
  void TearDown() override {
    ApiTest::TearDown();
    routes_.reset();
    EXPECT_EQ(model_->engine().counters().sequences, 0U);
    model_->engine().check_invariants();
  }

  HttpReply send_as(const std::string& key, HttpMethod method, std::string path, const Json& body = {},
                    HttpHeaders headers = {}) {
    return start_as(key, method, std::move(path), body, std::move(headers))->wait();
  }
  std::shared_ptr<RecordedExchange> start_as(const std::string& key, HttpMethod method, std::string path,
                                             const Json& body = {}, HttpHeaders headers = {}) {
    auto exchange = std::make_shared<RecordedExchange>();
    HttpRequest request{.method = method, .headers = std::move(headers)};
    const std::size_t query = path.find('?');
    request.path = path.substr(0, query);
    if (query != std::string::npos) {
      const std::size_t equals = path.find('=', query);
      request.query.emplace_back(path.substr(query + 1, equals - query - 1), path.substr(equals + 1));
    }
    if (!body.is_null()) request.body = text::dump_json(body);
    request.client = {.address = "127.0.0.1", .key_name = key};
    router_.route(std::move(request), Responder(exchange));
    return exchange;
  }
  Json ask(HttpMethod method, const std::string& path, const Json& body = {}, int status = 200) {
    const HttpReply reply = send_as("", method, path, body);
    EXPECT_EQ(reply.status, status) << path << ": " << reply.body;
    return json_of(reply);
  }
  Json post(const std::string& path, const Json& body = {}, int status = 200) {
    return ask(HttpMethod::post, path, body, status);
  }
  /// A new strand's address.
  std::string create(const Json& body) { return "/v1/strands/" + post("/v1/strands", body)["id"].get<std::string>(); }
  void tick() {
    std::promise<void> done;
    lease_->loop->post([&](engine::Engine&) {
      routes_->tick();
      done.set_value();
    });
    done.get_future().wait();
  }
  static std::string error_code(const Json& body) { return body["error"]["code"].get<std::string>(); }

  SetClock clock_;
  StrandLimits limits_ = {.strands_max = 20, .per_client_max = 10, .fork_max = 8, .operations_max = 12, .seed = 5};
  std::unique_ptr<StrandRoutes> routes_;
};

Json gen(int tokens) { return {{"name", "x"}, {"max_tokens", tokens}, {"ignore_eos", true}}; }

TEST_F(StrandRoutesTest, AGenIsWhatTheCompletionSays) {
  const std::string strand = create({{"text", "hello there"}, {"heal", false}});
  Json body = gen(12);
  body["seed"] = 3;
  body["logprobs"] = 2;
  const Json capture = post(strand + "/gen", body);
  body["prompt"] = "hello there";
  const Json whole = json_of(ApiTest::post("/v1/completions", body))["choices"][0];
  EXPECT_EQ(capture["text"], whole["text"]);
  EXPECT_EQ(capture["logprobs"], whole["logprobs"]);
  EXPECT_EQ(capture["finish_reason"], "length");
  EXPECT_EQ(capture["usage"]["completion_tokens"], 12);
  EXPECT_EQ(capture["object"], "strand.capture");
  const Json state = ask(HttpMethod::get, strand + "?text=true");
  EXPECT_EQ(state["text"], "hello there" + capture["text"].get<std::string>());
  EXPECT_EQ(state["captures"][0]["name"], "x");
  EXPECT_EQ(state["ledger"]["critical_path_tokens"], 12);
}

TEST_F(StrandRoutesTest, AProgramOfForksAndJoins) {
  const std::string root = create({{"text", "names:"}, {"seed", 4}});
  const Json forked = post(root + "/fork", {{"n", 3}});
  ASSERT_EQ(forked["data"].size(), 3U);
  std::string all = "names:";
  for (const Json& child : forked["data"]) {
    const std::string at = "/v1/strands/" + child["id"].get<std::string>();
    EXPECT_EQ(child["root"], json_of(send_as("", HttpMethod::get, root))["id"]);
    const Json asked = post(
        at + "/gen",
        [] {
          Json body = gen(5);
          body["wait"] = false;
          return body;
        }(),
        202);
    EXPECT_EQ(asked["status"], "running");
  }
  const Json joined = post(root + "/join", {{"separator", ","}});
  ASSERT_EQ(joined["children"].size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    if (i > 0) all += ",";
    all += joined["children"][i]["captures"][0]["text"].get<std::string>();
  }
  const Json state = ask(HttpMethod::get, root + "?text=true");
  EXPECT_EQ(state["text"], all);
  EXPECT_EQ(state["tree_ledger"]["generated_tokens"], 15);
  EXPECT_EQ(state["ledger"]["critical_path_tokens"], 5);
  const Json chosen = post(root + "/select", {{"name", "best"}, {"options", {"yes", "no"}}, {"rule", "sum"}});
  EXPECT_EQ(chosen["selection"]["options"].size(), 2U);
  EXPECT_EQ(chosen["selection"]["rule"], "sum");
  EXPECT_EQ(ask(HttpMethod::remove, root)["deleted"], true);
  EXPECT_EQ(error_code(ask(HttpMethod::get, root, {}, 404)), "strand_not_found");
  tick();
  EXPECT_EQ(running(), 0U);
}

TEST_F(StrandRoutesTest, ResultsAreReadLater) {
  const std::string strand = create({{"text", "a"}});
  Json body = gen(8);
  body["wait"] = false;
  const Json asked = post(strand + "/gen", body, 202);
  const std::string address = fmt::format("{}/operations/{}", strand, asked["operation"].get<int>());
  const Json result = ask(HttpMethod::get, address);
  EXPECT_EQ(result["operation"], asked["operation"]);
  EXPECT_EQ(result["usage"]["completion_tokens"], 8);
  EXPECT_EQ(ask(HttpMethod::get, address), result);
  EXPECT_EQ(error_code(ask(HttpMethod::get, strand + "/operations/99", {}, 404)), "operation_not_found");
  EXPECT_EQ(error_code(ask(HttpMethod::get, address + "?timeout=x", {}, 400)), "invalid_value");
}

TEST_F(StrandRoutesTest, AnErrorIsToldOnce) {
  const std::string strand = create({});
  Json body = gen(3);
  body["wait"] = false;
  const Json asked = post(strand + "/gen", body, 202);  // nothing to go on from
  EXPECT_EQ(asked["status"], "failed");
  EXPECT_EQ(ask(HttpMethod::get, strand)["status"], "failed");
  const Json behind{{"text", "x"}, {"wait", false}};
  EXPECT_EQ(post(strand + "/append", behind, 202)["status"], "failed");
  EXPECT_EQ(error_code(ask(HttpMethod::get, strand + "/operations/1", {}, 400)), "invalid_value");
  EXPECT_EQ(post(strand + "/append", {{"text", "x"}})["length"], 1);
}

TEST_F(StrandRoutesTest, StreamsOfOneGenAndOfATree) {
  const std::string root = create({{"text", "once"}});
  Json body = gen(10);
  body["stream"] = true;
  const HttpReply streamed = send_as("", HttpMethod::post, root + "/gen", body);
  EXPECT_EQ(streamed.content_type, "text/event-stream; charset=utf-8");
  EXPECT_TRUE(streamed.body.starts_with("event: text\n")) << streamed.body;
  EXPECT_NE(streamed.body.find("event: capture\n"), std::string::npos);
  const auto events = start_as("", HttpMethod::get, root + "/events");
  const auto later = start_as("", HttpMethod::get, root + "/events", {}, {{"last-event-id", "3"}});
  static_cast<void>(post(root + "/fork"));
  static_cast<void>(ask(HttpMethod::remove, root));
  const std::string all = events->wait().body;
  EXPECT_TRUE(all.starts_with("id: 1\nevent: created\n")) << all;
  EXPECT_NE(all.find("event: captured\n"), std::string::npos);
  EXPECT_TRUE(all.find("event: closed\n") < all.rfind("event: closed\n"));
  const std::string rest = later->wait().body;
  EXPECT_TRUE(rest.starts_with("id: 4\n")) << rest;
  EXPECT_TRUE(all.ends_with(rest));
}

TEST_F(StrandRoutesTest, CancelEndsWhatRunsBelow) {
  std::atomic<bool> slow = true;  // or the model has done everything before it is cancelled
  std::function<void(engine::Engine&)> brake = [&](engine::Engine&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (slow) lease_->loop->post(brake);
  };
  lease_->loop->post(brake);
  const std::string root = create({{"text", "a"}});
  const Json child = post(root + "/fork")["data"][0];
  const std::string below = "/v1/strands/" + child["id"].get<std::string>();
  const auto runs = start_as("", HttpMethod::post, below + "/gen", gen(200));
  while (ask(HttpMethod::get, below)["operations"] != 1)
    std::this_thread::yield();  // two requests at once have no order
  Json later = gen(200);
  later["wait"] = false;
  EXPECT_EQ(post(below + "/gen", later, 202)["operation"].get<int>(), 2);
  EXPECT_EQ(post(root + "/cancel")["cancelled"], 2);
  slow = false;
  tick();  // the brake is off
  tick();
  EXPECT_EQ(json_of(runs->wait())["finish_reason"], "cancelled");
  EXPECT_EQ(error_code(ask(HttpMethod::get, below + "/operations/2", {}, 409)), "operation_cancelled");
}

TEST_F(StrandRoutesTest, StrandsOfOthersAreNotThere) {
  const HttpReply made = send_as("alice", HttpMethod::post, "/v1/strands", {{"text", "secret"}});
  const std::string strand = "/v1/strands/" + json_of(made)["id"].get<std::string>();
  EXPECT_EQ(send_as("alice", HttpMethod::get, strand).status, 200);
  for (const char* who : {"bob", ""}) {
    EXPECT_EQ(send_as(who, HttpMethod::get, strand).status, 404);
    EXPECT_EQ(send_as(who, HttpMethod::post, strand + "/append", {{"text", "x"}}).status, 404);
    EXPECT_EQ(send_as(who, HttpMethod::remove, strand).status, 404);
  }
}

TEST_F(StrandRoutesTest, Limits) {
  const std::string root = create({{"text", "a"}});
  EXPECT_EQ(error_code(post(root + "/fork", {{"n", 9}}, 400)), "invalid_value");
  EXPECT_EQ(post(root + "/fork", {{"n", 8}})["data"].size(), 8U);
  EXPECT_EQ(error_code(post(root + "/fork", {{"n", 2}}, 429)), "too_many_strands");
  EXPECT_EQ(send_as("", HttpMethod::post, root + "/fork", {{"n", 2}}).headers.find("retry-after"), "1");
  for (int i = 2; i < 12; ++i) static_cast<void>(post(root + "/append", {{"text", "b"}}));  // it has two already
  EXPECT_EQ(error_code(post(root + "/append", {{"text", "b"}}, 429)), "too_many_strands");
  clock_.advance(500);
  tick();
  EXPECT_EQ(ask(HttpMethod::get, root)["status"], "idle");
  clock_.advance(700);
  tick();
  static_cast<void>(ask(HttpMethod::get, root, {}, 404));
}

TEST_F(StrandRoutesTest, RequestsThatAreWrongSayWhere) {
  const std::string strand = create({{"text", "a"}});
  const std::vector<std::tuple<std::string, Json, std::string>> wrong{
      {"/append", Json::object(), "text"},
      {"/append", {{"text", 1}}, "text"},
      {"/append", {{"text", "a"}, {"token_ids", {1}}}, "text"},
      {"/append", {{"token_ids", {-1}}}, "token_ids[0]"},
      {"/append", {{"messages", "x"}}, "messages"},
      {"/gen", {{"temperature", -1}}, "temperature"},
      {"/gen", {{"prompt", "a"}}, "prompt"},
      {"/gen", {{"n", 2}}, "n"},
      {"/gen", {{"name", std::string(300, 'a')}}, "name"},
      {"/select", {{"options", Json::array()}}, "options"},
      {"/select", {{"options", {"a", ""}}}, "options[1]"},
      {"/select", {{"options", {"a"}}, {"rule", "best"}}, "rule"},
      {"/fork", {{"n", 0}}, "n"},
      {"/join", {{"how", "glue"}}, "how"},
      {"/join", {{"children", {"strand_1"}}}, "children[0]"}};
  for (const auto& [path, body, param] : wrong) {
    const HttpReply reply = send_as("", HttpMethod::post, strand + path, body);
    EXPECT_GE(reply.status, 400) << path << reply.body;
    EXPECT_EQ(json_of(reply)["error"]["param"], param) << path << reply.body;
  }
  EXPECT_EQ(error_code(post("/v1/strands", {{"model", "other"}}, 404)), "model_not_found");
  EXPECT_EQ(
      send_as("", HttpMethod::post, strand + "/append", {{"text", "b"}, {"odd", 1}}).headers.count("x-plait-warning"),
      1U);
}

}  // namespace
}  // namespace plait::serving
