// SPDX-License-Identifier: Apache-2.0
//
// Strands in one of several models: which one, how long it stays, and what becomes of it.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "serving/api_test_fixture.h"
#include "serving/strand_routes.h"

namespace plait::serving {
namespace {

using text::Json;
using State = ModelStanding::State;

/// Two models of 16 MiB each, of which `room` fit, and nobody waits for memory or keeps a model without need.
class StrandModelsTest : public ::testing::Test {
 protected:
  void open(std::size_t room) {
    models_ = std::make_unique<ServedModels>(
        engines_,
        ServedModelsOptions{
            .offers = {{.name = "a", .bytes = 1 << 24}, {.name = "b", .aliases = {"second"}, .bytes = 1 << 24}},
            .usual = "a",
            .make = [](const ModelOffer&, base::Bytes) { return std::make_unique<TinyModel>(); },
            .bytes_max = room << 24U,
            .keep_alive = 0,
            .wait_max = 0});
    strands_ = std::make_unique<StrandRoutes>(*models_, StrandLimits{.seed = 5});
    strands_->add_routes(router_);
    thread_ = std::jthread([&] { engines_.run([&] { strands_->tick(); }); });
  }
  void TearDown() override {
    engines_.stop();
    thread_.join();
    strands_.reset();
    models_.reset();
  }
  Json ask(HttpMethod method, const std::string& path, const Json& body = {}, int status = 200) {
    auto exchange = std::make_shared<RecordedExchange>();
    HttpRequest request{.method = method, .path = path};
    if (!body.is_null()) request.body = text::dump_json(body);
    request.client.address = "127.0.0.1";
    router_.route(std::move(request), Responder(exchange));
    const HttpReply reply = exchange->wait();
    EXPECT_EQ(reply.status, status) << path << ": " << reply.body;
    return *text::parse_json(reply.body);
  }
  std::string create(const Json& body) {
    return "/v1/strands/" + ask(HttpMethod::post, "/v1/strands", body)["id"].get<std::string>();
  }
  State state(std::size_t model) { return models_->list()[model].state; }

  EngineThread engines_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<StrandRoutes> strands_;
  HttpRouter router_;
  std::jthread thread_;
};

const Json kGen{{"max_tokens", 4}, {"ignore_eos", true}};

TEST_F(StrandModelsTest, AStrandLivesInTheModelThatItNames) {
  open(2);
  const std::string first = create({{"text", "x"}, {"seed", 1}});
  EXPECT_EQ(state(1), State::absent);
  const std::string second = create({{"text", "x"}, {"seed", 1}, {"model", "second"}});
  EXPECT_NE(first, second);
  EXPECT_GE(models_->list()[0].leases, 1U);
  const Json one = ask(HttpMethod::post, first + "/gen", kGen);
  const Json two = ask(HttpMethod::post, second + "/gen", kGen);
  EXPECT_EQ(one["text"], two["text"]);  // the two are alike
  EXPECT_EQ(models_->loops()[0].loop->counters().sequences, 1U);
  EXPECT_EQ(models_->loops()[1].loop->counters().sequences, 1U);
  ask(HttpMethod::post, second + "/join", {{"children", {first.substr(first.rfind('/') + 1)}}}, 404);
  const Json none = ask(HttpMethod::post, "/v1/strands", {{"model", "c"}}, 404);
  EXPECT_EQ(none["error"]["message"], models_->find("c").error().message);
}

// No keep-alive, and no memory for the other one: a tree holds its model all the same, until its last strand goes.
TEST_F(StrandModelsTest, AModelStaysAsLongAsATreeOfIt) {
  open(1);
  const std::string root = create({{"text", "x"}, {"model", "b"}});
  const Json children = ask(HttpMethod::post, root + "/fork", {{"n", 2}})["data"];
  EXPECT_EQ(state(1), State::ready);
  const Json refused = ask(HttpMethod::post, "/v1/strands", {{"text", "x"}}, 503);
  EXPECT_EQ(refused["error"]["code"], "overloaded");
  for (const Json& child : children) {
    const std::string at = "/v1/strands/" + child["id"].get<std::string>();
    ask(HttpMethod::post, at + "/gen", kGen);
    EXPECT_EQ(child["model"], "tiny");
  }
  EXPECT_EQ(state(1), State::ready);
  EXPECT_EQ(ask(HttpMethod::post, root + "/join")["children"].size(), 2U);
  ask(HttpMethod::remove, root);
  EXPECT_TRUE(comes([&] { return state(1) == State::absent; }));
  ask(HttpMethod::get, root, {}, 404);
  ask(HttpMethod::post, root + "/gen", kGen, 404);
  const std::string again = create({{"text", "x"}});
  EXPECT_EQ(state(0), State::ready);
  EXPECT_NE(again, root);
}

TEST_F(StrandModelsTest, AModelThatComesBackKnowsNoOldStrands) {
  open(1);
  const std::string old = create({{"text", "x"}, {"model", "b"}});
  ask(HttpMethod::remove, old);
  EXPECT_TRUE(comes([&] { return state(1) == State::absent; }));
  const std::string fresh = create({{"text", "x"}, {"model", "b"}});
  EXPECT_NE(fresh, old);
  ask(HttpMethod::get, old, {}, 404);
  EXPECT_EQ(ask(HttpMethod::get, fresh)["status"], "idle");
}

}  // namespace
}  // namespace plait::serving
