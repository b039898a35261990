// SPDX-License-Identifier: Apache-2.0
//
// Batches on a real engine with the tiny model, from upload to results.
#include "serving/stored/batches.h"

#include <fmt/format.h>

#include <fstream>

#include "serving/stored/stored_test_fixture.h"

namespace plait::serving {
namespace {

using text::Json;

std::string line(const std::string& id, Json more = Json::object(), const std::string& url = "/v1/completions") {
  Json body{{"prompt", "text of " + id}, {"max_tokens", 6}, {"ignore_eos", true}};
  body.update(more);
  return text::dump_json({{"custom_id", id}, {"method", "POST"}, {"url", url}, {"body", body}}) + "\n";
}

std::string some_lines(int count, int tokens = 6) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += line(fmt::format("r{}", i), {{"max_tokens", tokens}});
  return lines;
}

class BatchesTest : public StoredTest {
 protected:
  std::string id_of(const HttpReply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    return json_of(reply)["id"].get<std::string>();
  }
};

TEST_F(BatchesTest, AnswerAFile) {
  const std::string input =
      file(some_lines(20) + line("wrong", {{"temperature", 7}}) + line("other", {{"model", "big"}}));
  const HttpReply reply = begin_batch(input, {{"metadata", {{"for", "test"}}}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(json_of(reply)["status"], "validating");
  const Json batch = wait_for(id_of(reply), "completed");
  EXPECT_EQ(batch["status"], "completed") << batch;
  EXPECT_EQ(batch["request_counts"], (Json{{"total", 22}, {"completed", 20}, {"failed", 2}}));
  EXPECT_EQ(batch["metadata"]["for"], "test");
  for (const char* time : {"created_at", "in_progress_at", "finalizing_at", "completed_at", "expires_at"}) {
    EXPECT_TRUE(batch[time].is_number()) << time;
  }
  EXPECT_TRUE(batch["cancelled_at"].is_null() && batch["failed_at"].is_null());
  const auto answers = results(batch["output_file_id"]);
  EXPECT_EQ(answers.size(), 20U);
  for (const auto& [id, result] : answers) {
    EXPECT_EQ(result["response"]["status_code"], 200);
    EXPECT_EQ(result["response"]["body"]["usage"]["completion_tokens"], 6);
  }
  const auto errors = results(batch["error_file_id"]);
  EXPECT_EQ(errors.size(), 2U);
  EXPECT_EQ(errors.at("wrong")["response"]["body"]["error"]["param"], "temperature");
  EXPECT_EQ(errors.at("other")["response"]["status_code"], 404);
  const HttpReply live = post("/v1/completions", {{"prompt", "x"}, {"model", "big"}});
  EXPECT_EQ(errors.at("other")["response"]["body"], json_of(live));  // as everywhere
  const Json card = get("/v1/files/" + batch["output_file_id"].get<std::string>());
  EXPECT_EQ(card["purpose"], "batch_output");
  EXPECT_EQ(get("/v1/batches")["data"], Json::array({batch}));
}

TEST_F(BatchesTest, GiveEmbeddings) {
  const char* const url = "/v1/embeddings";
  const Json more{{"input", Json::array({"one", "two"})}, {"model", "small"}};
  const std::string input = file(line("a", more, url) + line("b", {{"input", 1}}, url));
  const Json batch = wait_for(id_of(begin_batch(input, {{"endpoint", url}})), "completed");
  EXPECT_EQ(batch["request_counts"], (Json{{"total", 2}, {"completed", 1}, {"failed", 1}})) << batch;
  const auto answers = results(batch["output_file_id"]);
  const Json live = json_of(post(url, {{"input", Json::array({"one", "two"})}}));
  EXPECT_EQ(answers.at("a")["response"]["body"]["data"], live["data"]);
  EXPECT_EQ(live["data"].size(), 2U);
  EXPECT_EQ(results(batch["error_file_id"]).at("b")["response"]["body"]["error"]["param"], "input");
  const HttpReply refused = begin_batch(input, {{"endpoint", "/v1/messages"}});
  EXPECT_EQ(json_of(refused)["error"]["param"], "endpoint");
  EXPECT_EQ(wait_for(id_of(begin_batch(input)), "failed")["errors"]["data"][0]["code"], "invalid_url");
}

TEST_F(BatchesTest, AreTheirOwnersOnly) {
  const std::string id = id_of(begin_batch(file(some_lines(2))));
  const Json batch = wait_for(id, "completed");
  EXPECT_EQ(ask(HttpMethod::get, "/v1/batches/" + id, {}, "bob").status, 404);
  EXPECT_EQ(ask(HttpMethod::post, "/v1/batches/" + id + "/cancel", {}, "bob").status, 404);
  EXPECT_TRUE(get("/v1/batches", "bob")["data"].empty());
  const std::string output = "/v1/files/" + batch["output_file_id"].get<std::string>();
  EXPECT_EQ(ask(HttpMethod::get, output + "/content", {}, "bob").status, 404);
}

TEST_F(BatchesTest, WrongInputsFailBeforeAnythingIsAnswered) {
  const std::vector<std::pair<std::string, std::string>> inputs{
      {"", "empty_file"},
      {"\n \n", "empty_file"},
      {line("a") + "no json\n", "invalid_line"},
      {line("a") + line("b") + line("a"), "duplicate_custom_id"},
      {line("a", Json::object(), "/v1/chat/completions"), "invalid_url"},
      {line("a", Json::object(), "/v1/nothing"), "invalid_line"}};
  for (const auto& [input, code] : inputs) {
    const Json batch = wait_for(id_of(begin_batch(file(input))), "failed");
    ASSERT_EQ(batch["status"], "failed") << batch;
    EXPECT_EQ(batch["errors"]["data"][0]["code"], code);
    EXPECT_TRUE(batch["output_file_id"].is_null() && batch["error_file_id"].is_null());
    EXPECT_TRUE(batch["failed_at"].is_number());
  }
}

TEST_F(BatchesTest, WrongRequestsAreRefusedByName) {
  const std::string input = file(some_lines(1));
  const std::vector<std::pair<Json, std::string>> bodies{{{{"endpoint", "/v1/other"}}, "endpoint"},
                                                         {{{"endpoint", 1}}, "endpoint"},
                                                         {{{"completion_window", "soon"}}, "completion_window"},
                                                         {{{"completion_window", "0h"}}, "completion_window"},
                                                         {{{"completion_window", "24h "}}, "completion_window"},
                                                         {{{"input_file_id", nullptr}}, "input_file_id"},
                                                         {{{"metadata", {{"a", 1}}}}, "metadata"}};
  for (const auto& [more, param] : bodies) {
    const HttpReply reply = begin_batch(input, more);
    EXPECT_EQ(reply.status, 400) << more;
    EXPECT_EQ(json_of(reply)["error"]["param"], param);
  }
  EXPECT_EQ(begin_batch("file-none").status, 404);
  const std::string data = json_of(upload("x", "alice", "user_data"))["id"].get<std::string>();
  EXPECT_EQ(begin_batch(data).status, 400);
  EXPECT_EQ(ask(HttpMethod::post, "/v1/batches", "[1]").status, 400);
  EXPECT_EQ(ask(HttpMethod::post, "/v1/batches", "no json").status, 400);
}

TEST_F(BatchesTest, CanBeCancelled) {
  const std::string id = id_of(begin_batch(file(some_lines(200, 200))));
  wait_for(id, "in_progress");
  const HttpReply reply = ask(HttpMethod::post, "/v1/batches/" + id + "/cancel");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json batch = wait_for(id, "cancelled");
  EXPECT_EQ(batch["status"], "cancelled");
  EXPECT_TRUE(batch["cancelling_at"].is_number() && batch["cancelled_at"].is_number());
  EXPECT_LT(batch["request_counts"]["completed"], 200);
  EXPECT_EQ(ask(HttpMethod::post, "/v1/batches/" + id + "/cancel").status, 409);
  EXPECT_EQ(ask(HttpMethod::post, "/v1/batches/batch_none/cancel").status, 404);
  for (int i = 0; i < 500 && running() > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(running(), 0U);
}

// Ended at any moment, and begun again: every request has one result, the one it would have had.
TEST_F(BatchesTest, GoOnAfterARestart) {
  const std::string input = file(some_lines(60, 12));
  const auto whole = results(wait_for(id_of(begin_batch(input)), "completed")["output_file_id"]);
  const std::string id = id_of(begin_batch(input));
  int restarts = 0;
  do {  // the first at once, then after longer and longer: fast and slow machines are ended in the middle
    std::this_thread::sleep_for(std::chrono::milliseconds(2 * restarts));
    reopen();
    ++restarts;
    ASSERT_LT(restarts, 300);
  } while (get("/v1/batches/" + id)["status"] != "completed");
  const Json batch = get("/v1/batches/" + id);
  EXPECT_EQ(batch["request_counts"], (Json{{"total", 60}, {"completed", 60}, {"failed", 0}}));
  const auto again = results(batch["output_file_id"]);
  ASSERT_EQ(again.size(), whole.size());
  for (const auto& [name, result] : whole) {
    EXPECT_EQ(again.at(name)["response"]["body"]["choices"], result["response"]["body"]["choices"]);
  }
}

// What does not come to its turn in time says so, once.
TEST_F(BatchesTest, Expire) {
  close();
  std::atomic<std::int64_t> now = 1000;
  options_.now = [&] { return now.load(); };
  open();
  const std::string id = id_of(begin_batch(file(some_lines(100, 200)), {{"completion_window", "1h"}}));
  EXPECT_EQ(wait_for(id, "in_progress")["expires_at"], 1000 + 3600);
  now = 1000 + 3600;
  const Json batch = wait_for(id, "expired");
  EXPECT_EQ(batch["status"], "expired");
  EXPECT_EQ(batch["request_counts"]["total"], 100);
  const auto errors = results(batch["error_file_id"]);
  const auto answers =
      batch["output_file_id"].is_null() ? std::map<std::string, Json>() : results(batch["output_file_id"]);
  EXPECT_EQ(errors.size() + answers.size(), 100U);
  for (const auto& [name, error] : errors) {
    EXPECT_EQ(error["error"]["code"], "batch_expired");
    EXPECT_FALSE(answers.contains(name));
  }
  close();  // before `now` goes
  options_.now = now_seconds;
  open();
}

TEST_F(BatchesTest, AnInputThatGoesEndsThem) {
  close();
  open(false);
  const std::string input = file(some_lines(5));
  const std::string id = id_of(begin_batch(input));
  EXPECT_EQ(ask(HttpMethod::remove, "/v1/files/" + input).status, 200);
  reopen();
  const Json batch = wait_for(id, "failed");
  EXPECT_EQ(batch["errors"]["data"][0]["code"], "input_missing");
}

// Live requests of the same client find room and are not behind the batch.
TEST_F(BatchesTest, LiveRequestsGoFirst) {
  const std::string id = id_of(begin_batch(file(some_lines(300, 100))));
  wait_for(id, "in_progress");
  const HttpReply live = post("/v1/completions", {{"prompt", "Hi"}, {"max_tokens", 4}, {"ignore_eos", true}});
  EXPECT_EQ(live.status, 200);
  EXPECT_LT(get("/v1/batches/" + id)["request_counts"]["completed"], 300);
  EXPECT_EQ(ask(HttpMethod::post, "/v1/batches/" + id + "/cancel").status, 200);
  wait_for(id, "cancelled");
}

}  // namespace
}  // namespace plait::serving
