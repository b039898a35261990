// SPDX-License-Identifier: Apache-2.0
//
// The API of the tiny model with a folder for what clients leave; servers can be ended and begun again in it.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "serving/api_test_fixture.h"
#include "serving/stored/stored.h"
#include "store/file_layer.h"
#include "testing/temp_dir.h"

namespace plait::serving {

class StoredTest : public ApiTest {
 protected:
  /// `context`: tokens of prompt and answer.
  explicit StoredTest(std::size_t context = 256) : ApiTest(context) {}
  void SetUp() override {
    ApiTest::SetUp();
    std::filesystem::create_directory(folder_ / "blobs");
    open();
  }
  void TearDown() override {
    close();
    ApiTest::TearDown();
  }
  void open(bool running = true) {
    options_.folder = folder_.path();
    stored_ = *Stored::open(layer_, options_);
    routes_ = std::make_unique<HttpRouter>();
    asking_ =
        std::make_unique<Api>(models_, ApiOptions{.seed = 7, .dialects = {responses_dialect(&stored_->responses())}});
    asking_->add_routes(*routes_);
    stored_->add_routes(*routes_);
    if (running) {
      ASSERT_TRUE(stored_->start(models_));
    }
  }
  void close() {
    settle();
    asking_.reset();
    stored_.reset();
    routes_.reset();
  }
  void reopen() {
    close();
    open();
  }

  HttpReply ask(HttpMethod method, const std::string& path, std::string body = {}, const std::string& key = "alice",
                HttpHeaders headers = {}) {
    auto exchange = std::make_shared<RecordedExchange>();
    HttpRequest request{.method = method, .headers = std::move(headers)};
    std::string_view rest = path;
    request.path = rest.substr(0, rest.find('?'));
    rest.remove_prefix(std::min(rest.size(), request.path.size() + 1));
    while (!rest.empty()) {
      const std::string_view one = rest.substr(0, rest.find('&'));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      const std::size_t equals = one.find('=');
      request.query.emplace_back(one.substr(0, equals), one.substr(equals + 1));
    }
    request.body = std::move(body);
    request.client = {.address = "127.0.0.1", .key_name = key};
    request.id = "req_1";
    routes_->route(std::move(request), Responder(exchange));
    return exchange->wait();
  }
  HttpReply upload(const std::string& content, const std::string& key = "alice", const std::string& purpose = "batch") {
    const std::string body =
        "--XX\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n" + purpose +
        "\r\n--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"../in.jsonl\"\r\n\r\n" + content +
        "\r\n--XX--\r\n";
    return ask(HttpMethod::post, "/v1/files", body, key, {{"content-type", "multipart/form-data; boundary=XX"}});
  }
  std::string file(const std::string& content, const std::string& key = "alice") {
    return json_of(upload(content, key))["id"].get<std::string>();
  }
  text::Json get(std::string path, const std::string& key = "alice") {
    return json_of(ask(HttpMethod::get, std::move(path), {}, key));
  }
  HttpReply begin_batch(const std::string& input, text::Json more = text::Json::object(),
                        const std::string& key = "alice") {
    text::Json body{{"input_file_id", input}, {"endpoint", "/v1/completions"}, {"completion_window", "24h"}};
    body.update(more);
    return ask(HttpMethod::post, "/v1/batches", text::dump_json(body), key);
  }
  /// The batch, when it has that status; what it is after some seconds if it never has.
  text::Json wait_for(const std::string& batch, const std::string& status, const std::string& key = "alice") {
    text::Json shown;
    for (int i = 0; i < 3000; ++i) {
      shown = get("/v1/batches/" + batch, key);
      if (shown["status"] == status) return shown;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return shown;
  }
  /// The result lines of a file, in the order of their ids.
  std::map<std::string, text::Json> results(const text::Json& id, const std::string& key = "alice") {
    std::map<std::string, text::Json> lines;
    std::string rest = ask(HttpMethod::get, "/v1/files/" + id.get<std::string>() + "/content", {}, key).body;
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      text::Json line = *text::parse_json(rest.substr(0, end));
      rest.erase(0, end + 1);
      const std::string name = line["custom_id"].get<std::string>();
      EXPECT_TRUE(lines.emplace(name, std::move(line)).second) << "twice: " << name;
    }
    return lines;
  }

  /// Of a stream without [DONE]: each with its name.
  static std::vector<text::Json> named_events(std::string_view body) {
    std::vector<text::Json> events;
    while (!body.empty()) {
      const std::size_t end = body.find("\n\n");
      const std::string_view event = body.substr(0, end);
      body.remove_prefix(end + 2);
      const std::size_t line = event.find('\n');
      events.push_back(*text::parse_json(event.substr(line + 7)));
      EXPECT_EQ("event: " + events.back()["type"].get<std::string>(), event.substr(0, line));
      EXPECT_EQ(events.back()["sequence_number"], events.size() - 1);
    }
    return events;
  }

  testing::TempDir folder_;
  store::OsFileLayer layer_;
  StoredOptions options_;
  std::unique_ptr<Stored> stored_;
  std::unique_ptr<Api> asking_;
  std::unique_ptr<HttpRouter> routes_;
};

}  // namespace plait::serving
