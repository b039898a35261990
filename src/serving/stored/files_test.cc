// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/files.h"

#include <fmt/format.h>

#include <fstream>
#include <set>

#include "serving/stored/stored_test_fixture.h"

namespace plait::serving {
namespace {

using text::Json;

class FilesTest : public StoredTest {
 protected:
  std::set<std::string> blobs() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "blobs")) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
  std::string content(const std::string& id, const std::string& key = "alice") {
    return ask(HttpMethod::get, "/v1/files/" + id + "/content", {}, key).body;
  }
};

TEST_F(FilesTest, AreKeptAndFoundAgain) {
  const HttpReply reply = upload("one\ntwo\r\n");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json card = json_of(reply);
  EXPECT_EQ(card["object"], "file");
  EXPECT_EQ(card["bytes"], 9);
  EXPECT_EQ(card["purpose"], "batch");
  EXPECT_EQ(card["filename"], "../in.jsonl");  // a name for people: the content lies under the id
  EXPECT_EQ(card["status"], "processed");
  const std::string id = card["id"].get<std::string>();
  EXPECT_EQ(blobs(), std::set<std::string>{id});
  for (const bool again : {false, true}) {
    if (again) reopen();
    EXPECT_EQ(get("/v1/files/" + id), card);
    EXPECT_EQ(content(id), "one\ntwo\r\n");
    EXPECT_EQ(get("/v1/files")["data"], Json::array({card}));
  }
  const HttpReply deleted = ask(HttpMethod::remove, "/v1/files/" + id);
  EXPECT_EQ(json_of(deleted), (Json{{"id", id}, {"object", "file"}, {"deleted", true}}));
  EXPECT_EQ(ask(HttpMethod::remove, "/v1/files/" + id).status, 404);
  EXPECT_EQ(ask(HttpMethod::get, "/v1/files/" + id + "/content").status, 404);
  EXPECT_TRUE(blobs().empty());
}

TEST_F(FilesTest, AreTheirOwnersOnly) {
  const std::string id = file("secret");
  const std::string nobody = file("of nobody", "");
  EXPECT_NE(id, nobody);
  for (const std::string key : {"bob", ""}) {
    for (const std::string& path : {"/v1/files/" + id, "/v1/files/" + id + "/content"}) {
      const HttpReply reply = ask(HttpMethod::get, path, {}, key);
      EXPECT_EQ(reply.status, 404);
      EXPECT_EQ(reply.body, ask(HttpMethod::get, path, {}, "carol").body);
    }
    EXPECT_EQ(ask(HttpMethod::remove, "/v1/files/" + id, {}, key).status, 404);
    const Json list = get("/v1/files", key);
    for (const Json& card : list["data"]) EXPECT_NE(card["id"], id);
    EXPECT_EQ(begin_batch(id, Json::object(), key).status, 404);
  }
  EXPECT_EQ(content(id), "secret");
  EXPECT_EQ(ask(HttpMethod::get, "/v1/files/" + nobody).status, 404);
}

TEST_F(FilesTest, IdsAreNoPaths) {
  std::ofstream(folder_ / "outside") << "not yours";
  for (const std::string id : {"../outside", "..", ".", "../objects.db", "%2e%2e", "file-0", "a\\b", "lock"}) {
    for (const std::string& path : {"/v1/files/" + id, "/v1/files/" + id + "/content"}) {
      EXPECT_EQ(ask(HttpMethod::get, path).status, 404) << path;
      EXPECT_GE(ask(HttpMethod::remove, path).status, 404) << path;
    }
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "outside"));
}

TEST_F(FilesTest, AreListedInPages) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(file(fmt::format("file {}", i)));
  const auto other = json_of(upload("x", "alice", "user_data"))["id"];
  Json page = get("/v1/files?limit=2");
  EXPECT_EQ(page["data"].size(), 2U);
  EXPECT_EQ(page["first_id"], other);
  EXPECT_EQ(page["last_id"], ids[4]);
  EXPECT_EQ(page["has_more"], true);
  page = get("/v1/files?order=asc&purpose=batch&limit=3&after=" + ids[1]);
  EXPECT_EQ(page["first_id"], ids[2]);
  EXPECT_EQ(page["last_id"], ids[4]);
  EXPECT_EQ(page["has_more"], false);
  EXPECT_EQ(get("/v1/files?purpose=vision"), (Json{{"object", "list"},
                                                   {"data", Json::array()},
                                                   {"first_id", nullptr},
                                                   {"last_id", nullptr},
                                                   {"has_more", false}}));
  for (const std::string query : {"limit=0", "limit=x", "limit=10001", "order=up", "after=nobody"}) {
    const HttpReply reply = ask(HttpMethod::get, "/v1/files?" + query);
    EXPECT_EQ(reply.status, 400) << query;
    EXPECT_EQ(json_of(reply)["error"]["param"], query.substr(0, query.find('=')));
  }
}

TEST_F(FilesTest, WrongUploadsAreRefused) {
  EXPECT_EQ(upload("x", "alice", "batch_output").status, 400);
  EXPECT_EQ(upload("x", "alice", "").status, 400);
  EXPECT_EQ(ask(HttpMethod::post, "/v1/files", "{}", "alice", {{"content-type", "application/json"}}).status, 415);
  EXPECT_EQ(
      ask(HttpMethod::post, "/v1/files", "--XX--", "alice", {{"content-type", "multipart/form-data; boundary=XX"}})
          .status,
      400);
  EXPECT_TRUE(blobs().empty());
}

TEST_F(FilesTest, HaveABoundForEachOwner) {
  close();
  options_.files_bytes_max = 10'000;
  open();
  EXPECT_EQ(upload(std::string(10'001, 'x')).status, 507);
  const std::string id = file(std::string(5000, 'x'));
  EXPECT_EQ(upload("an empty file takes a block").status, 200);
  const HttpReply full = upload("x");
  EXPECT_EQ(full.status, 507);
  EXPECT_EQ(json_of(full)["error"]["code"], "storage_full");
  EXPECT_EQ(blobs().size(), 2U);
  EXPECT_EQ(upload("x", "bob").status, 200);
  EXPECT_EQ(ask(HttpMethod::remove, "/v1/files/" + id).status, 200);
  EXPECT_EQ(upload("x").status, 200);
}

TEST_F(FilesTest, LargeContentsComeWhole) {
  std::string large(3'000'000, 'x');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i * i % 23);
  EXPECT_EQ(content(file(large)), large);
  const std::string piece(std::size_t{256} << 10U, 'y');  // as long as a piece that is read at a time
  EXPECT_EQ(content(file(piece)), piece);
  EXPECT_EQ(content(file("")), "");
}

TEST_F(FilesTest, WhatACrashLeftIsSweptAway) {
  const std::string id = file("kept");
  close();
  std::ofstream(folder_ / "blobs" / "file-00000000000000000000000000000000") << "without a card";
  std::ofstream(folder_ / "blobs" / "file-1.part") << "half";
  open();
  EXPECT_EQ(blobs(), std::set<std::string>{id});
  EXPECT_EQ(content(id), "kept");
}

TEST_F(FilesTest, TheFolderIsOneServers) {
  EXPECT_EQ(Stored::open(layer_, options_).error().code, base::ErrorCode::busy);
  close();
  EXPECT_TRUE(Stored::open(layer_, options_).has_value());
  open();
}

TEST(Unstored, SaysSo) {
  HttpRouter router;
  add_unstored_routes(router, "server.data is none");
  for (const std::string path :
       {"/v1/files", "/v1/files/x", "/v1/files/x/content", "/v1/batches", "/v1/batches/x/cancel"}) {
    auto exchange = std::make_shared<RecordedExchange>();
    router.route({.method = HttpMethod::post, .path = path}, Responder(exchange));
    const HttpReply reply = exchange->wait();
    EXPECT_EQ(reply.status, 501);
    EXPECT_NE(reply.body.find("server.data"), std::string::npos);
  }
}

}  // namespace
}  // namespace plait::serving
