// SPDX-License-Identifier: Apache-2.0
#include "serving/status_board.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "serving/api_test_fixture.h"

namespace plait::serving {
namespace {

using text::Json;

struct HandClock final : base::Clock {
  double time = 0;
  [[nodiscard]] double now() const override { return time; }
};

TEST(StatusBoard, OpenRequestsAreThereUntilTheyEnd) {
  const HandClock clock;
  const auto board = StatusBoard::make(clock);
  const auto first = board->open({.id = "one", .endpoint = "/v1/completions", .client = "10.0.0.1"});
  auto second = board->open({.id = "two"});
  EXPECT_EQ(board->open_rows()[0].phase, RequestPhase::reading);
  first->admit("tiny", "alice", 3);
  EXPECT_EQ(board->open_rows()[0].phase, RequestPhase::prompt);
  first->add_tokens(2);
  first->add_tokens(1);
  const RequestRow open = board->open_rows()[0];
  EXPECT_EQ(open.phase, RequestPhase::answering);
  EXPECT_EQ(open.client, "alice");
  EXPECT_EQ(open.choices, 3U);
  EXPECT_EQ(open.generated_tokens, 3U);
  first->close();
  EXPECT_EQ(board->open_rows()[0].id, "two");
  second.reset();  // or when nobody holds it any more
  EXPECT_EQ(board->open_count(), 0U);
}

TEST(StatusBoard, NothingGrowsWithoutBound) {
  const HandClock clock;
  const auto board = StatusBoard::make(clock);
  std::vector<std::shared_ptr<RequestCard>> cards;
  for (std::size_t i = 0; i < StatusBoard::kOpenShown + 10; ++i) {
    cards.push_back(board->open({.id = std::string(1000, 'i'), .client = std::string(1000, 'c')}));
  }
  EXPECT_EQ(board->open_count(), cards.size());
  EXPECT_EQ(board->open_rows().size(), StatusBoard::kOpenShown);
  EXPECT_EQ(board->open_rows()[0].id.size(), StatusBoard::kTextBytes);
  EXPECT_EQ(board->open_rows()[0].client.size(), StatusBoard::kTextBytes);
  for (const auto& card : cards) card->close();
  EXPECT_EQ(board->open_count(), 0U);
}

TEST(StatusBoard, ACardMayOutliveIt) {
  const HandClock clock;
  auto board = StatusBoard::make(clock);
  const auto card = board->open({.id = "one"});
  board.reset();
  card->add_tokens(1);
  card->close();
}

class StatusTest : public ApiTest {
 protected:
  Json status() { return json_of(send(HttpMethod::get, "/v1/plait/status")->wait()); }
  // Once what it says is new and `right`.
  Json status_when(const std::function<bool(const Json&)>& right) {
    Json now = status();
    for (int i = 0; i < 200 && !right(now); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      now = status();
    }
    return now;
  }
};

TEST_F(StatusTest, SaysWhoHasWhat) {
  const Json empty = status();
  EXPECT_EQ(empty["models"][0]["name"], lease_->target.model);
  EXPECT_EQ(empty["requests"]["open"], 0);
  const Json body = {{"prompt", "a long and secret prompt of some words"},
                     {"max_tokens", 9},
                     {"ignore_eos", true},
                     {"n", 2},
                     {"user", "alice"}};
  EXPECT_EQ(post("/v1/completions", body).status, 200);
  EXPECT_EQ(post("/v1/completions", {{"prompt", 7.5}}).status, 400);
  const Json after = status_when([](const Json& now) { return now["requests"]["recent"].size() == 2; });
  const Json& recent = after["requests"]["recent"];
  ASSERT_EQ(recent.size(), 2U);
  EXPECT_EQ(recent[0]["status"], 400);
  EXPECT_EQ(recent[1]["status"], 200);
  EXPECT_EQ(recent[1]["client"], "alice");
  EXPECT_EQ(recent[1]["choices"], 2);
  EXPECT_EQ(recent[1]["generated_tokens"], 18);
  EXPECT_EQ(recent[1]["model"], lease_->target.model);
  const Json& model = after["models"][0];
  EXPECT_EQ(model["clients"][0]["name"], "alice");
  EXPECT_GT(model["clients"][0]["service"], 0);
  EXPECT_EQ(model["running"], 0);
  const Json& pages = model["pages"];
  EXPECT_GT(pages["all"], 0);
  EXPECT_EQ(pages["all"], pages["free"].get<int>() + pages["cached"].get<int>() + pages["own"].get<int>() +
                              pages["shared"].get<int>());
  EXPECT_EQ(text::dump_json(after).find("secret"), std::string::npos);
  const Json list = json_of(send(HttpMethod::get, "/v1/plait/requests")->wait())["data"];  // the same ones
  ASSERT_EQ(list.size(), recent.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    for (const char* name : {"id", "status", "model", "generated_tokens", "prompt_tokens"}) {
      EXPECT_EQ(list[i][name], recent[i][name]) << name;
    }
  }
  EXPECT_EQ(list[1]["client"], "127.0.0.1");  // who asked, not who pays
}

TEST_F(StatusTest, ManyWhoAskGetOneAnswer) {
  std::vector<std::shared_ptr<RecordedExchange>> asked;
  for (int i = 0; i < 50; ++i) asked.push_back(send(HttpMethod::get, "/v1/plait/status"));
  std::set<std::string> bodies;
  for (const auto& exchange : asked) {
    const HttpReply reply = exchange->wait();
    EXPECT_EQ(reply.status, 200);
    bodies.insert(reply.body);
  }
  EXPECT_LT(bodies.size(), 50U);
}

TEST_F(StatusTest, OpenRequestsAreListed) {
  auto stream = send(HttpMethod::post, "/v1/completions",
                     {{"prompt", "x"}, {"max_tokens", 200}, {"ignore_eos", true}, {"stream", true}, {"user", "bob"}});
  const Json open = status_when([](const Json& now) {
    return now["requests"]["open"] == 1 || now["requests"]["recent"].size() == 1;  // it may be quick
  });
  const Json& requests = open["requests"];
  EXPECT_EQ(requests["listed"].size() + requests["recent"].size(), 1U);
  stream->wait();
  const Json after = status_when(
      [](const Json& now) { return now["requests"]["open"] == 0 && now["requests"]["recent"].size() == 1; });
  EXPECT_EQ(after["requests"]["recent"][0]["generated_tokens"], 200);
}

}  // namespace
}  // namespace plait::serving
