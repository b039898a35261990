// SPDX-License-Identifier: Apache-2.0
//
// The verbs that talk to a running server, on one with the tiny model in a process of its own.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "cli/cli.h"
#include "testing/scoped_variable.h"
#include "testing/temp_dir.h"
#include "testing/tiny_model.h"
#include "text/json.h"

namespace plait::cli {
namespace {

using testing::ScopedVariable;
using text::Json;

struct Outcome {
  int code = 0;
  std::string output;
  std::string errors;

  [[nodiscard]] Json json() const {
    const auto parsed = text::parse_json(output);
    EXPECT_TRUE(parsed) << output << errors;
    return parsed.value_or(Json::object());
  }
};

std::vector<char*> pointers(std::vector<std::string>& arguments) {
  arguments.insert(arguments.begin(), "plait");
  std::vector<char*> all;
  for (std::string& argument : arguments) all.push_back(argument.data());
  return all;
}

Outcome plait(std::vector<std::string> arguments) {
  std::vector<char*> argv = pointers(arguments);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = run(static_cast<int>(argv.size()), argv.data());
  std::fflush(stdout);
  outcome.output = ::testing::internal::GetCapturedStdout();
  outcome.errors = ::testing::internal::GetCapturedStderr();
  return outcome;
}

class ServerVerbs : public ::testing::Test {
 protected:
  void start(std::vector<std::string> more = {}) {
    const auto bytes = testing::make_tiny_model({});
    std::ofstream(dir_ / "tiny.gguf", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::vector<std::string> arguments = {"serve", "--port", "0", "-m", (dir_ / "tiny.gguf").string(), "-t", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<char*> argv = pointers(arguments);
    server_ = fork();
    if (server_ == 0) {
      if (std::freopen((dir_ / "said").c_str(), "w", stderr) == nullptr) _exit(99);
      std::setvbuf(stderr, nullptr, _IONBF, 0);
      _exit(run(static_cast<int>(argv.size()), argv.data()));
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::smatch found;
    std::string said;
    while (!std::regex_search(said, found, std::regex("at (http://[0-9.]+:[0-9]+)\n")) &&
           std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      std::ifstream file(dir_ / "said");
      said.assign(std::istreambuf_iterator<char>(file), {});
    }
    ASSERT_FALSE(found.empty()) << said;
    url_ = found[1];
  }
  void TearDown() override {
    if (server_ <= 0) return;
    kill(server_, SIGTERM);
    int status = 0;
    waitpid(server_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  Outcome bench(std::vector<std::string> more) {
    std::vector<std::string> line = {"bench", "serve"};
    line.insert(line.end(), more.begin(), more.end());
    for (const char* option : {"--prompt", "9", "--output", "6", "--ids-below", "64", "--url"})
      line.emplace_back(option);
    line.push_back(url_);
    return plait(line);
  }

  testing::TempDir dir_;
  ScopedVariable cache_{"XDG_CACHE_HOME", (dir_ / "cache").string()};
  ScopedVariable config_{"XDG_CONFIG_HOME", (dir_ / "config").string()};
  ScopedVariable no_proxy_{"no_proxy", "127.0.0.1"};
  pid_t server_ = -1;
  std::string url_;
};

TEST_F(ServerVerbs, EveryKindOfLoadIsAnsweredWhole) {
  start();
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"single", "--requests", "3"},
        {"strangers", "--users", "8"},
        {"strangers", "--rate", "200", "--requests", "12"},
        {"shared", "--users", "4", "--shared", "40"},
        {"samples", "--requests", "2", "--samples", "3"},
        {"sessions", "--users", "3", "--turns", "2", "--turn-prompt", "4", "--pause", "0.01"},
        {"fairness", "--requests", "2", "--heavy", "3", "--heavy-prompt", "10", "--heavy-output", "8", "--pause",
         "0.01"}}) {
    std::vector<std::string> json = line;
    json.emplace_back("--json");
    const Outcome outcome = bench(json);
    EXPECT_EQ(outcome.code, 0) << line[0] << outcome.errors;
    const Json report = outcome.json();
    EXPECT_EQ(report["failed"], 0);
    EXPECT_EQ(report["load"]["kind"], line[0]);
    std::size_t first_tokens = 0;
    for (const Json& group : report["groups"]) {
      first_tokens += group["first_token_seconds"]["count"].get<std::size_t>() + group["silent"].get<std::size_t>();
    }
    EXPECT_EQ(report["done"], first_tokens);
    EXPECT_GT(report["generated_tokens"], 0);
  }
}

TEST_F(ServerVerbs, TokensAreThoseThatWereAskedFor) {
  start();
  const Json strangers = bench({"strangers", "--users", "5", "--json"}).json();
  EXPECT_EQ(strangers["prompt_tokens"], 45);
  EXPECT_EQ(strangers["generated_tokens"], 30);
  EXPECT_EQ(strangers["cached_tokens"], 0);
  const Json shared = bench({"shared", "--users", "1", "--requests", "3", "--shared", "32", "--json"}).json();
  EXPECT_EQ(shared["prompt_tokens"], 3 * 41);
  EXPECT_EQ(shared["cached_tokens"], 2 * 32);
  const Outcome text = bench({"strangers", "--users", "5", "--seed", "2"});
  EXPECT_EQ(text.code, 0);
  EXPECT_NE(text.output.find("answered  5 of 5"), std::string::npos) << text.output;
  EXPECT_NE(text.output.find("45 in"), std::string::npos) << text.output;
}

TEST_F(ServerVerbs, FailuresAreAFailureThatSaysWhy) {
  start();
  const Outcome beyond = bench({"single", "--requests", "2", "--shared", "100000", "--json"});
  EXPECT_EQ(beyond.code, 1);
  EXPECT_EQ(beyond.json()["failed"], 2);
  EXPECT_NE(beyond.errors.find("HTTP 400"), std::string::npos) << beyond.errors;
  EXPECT_EQ(bench({"strangers", "--prompt", "0"}).code, 2);
  EXPECT_EQ(plait({"bench", "serve", "nothing"}).code, 2);
}

TEST_F(ServerVerbs, PsAndTopShowWhoAsks) {
  start();
  EXPECT_EQ(bench({"fairness", "--requests", "2", "--heavy", "3", "--heavy-prompt", "10", "--heavy-output", "8",
                   "--pause", "0.01", "--json"})
                .code,
            0);
  const Json requests = plait({"ps", "--json", "--url", url_}).json();
  EXPECT_GE(requests["recent"].size(), 5U);
  EXPECT_EQ(requests["recent"][0]["endpoint"], "/v1/completions");
  const Outcome ps = plait({"ps", "--all", "--url", url_ + "/v1/"});
  EXPECT_EQ(ps.code, 0);
  EXPECT_NE(ps.output.find("light"), std::string::npos) << ps.output;
  const Outcome top = plait({"top", "--once", "--interval", "0.1", "--url", url_});
  EXPECT_EQ(top.code, 0);
  for (const char* word : {"pages [", "heavy", "light", "latency of the last", "tiny"}) {
    EXPECT_NE(top.output.find(word), std::string::npos) << word << top.output;
  }
  const Json status = plait({"top", "--once", "--interval", "0.1", "--json", "--url", url_}).json();
  const Json& pages = status["models"][0]["pages"];
  EXPECT_EQ(pages["all"], pages["free"].get<int>() + pages["cached"].get<int>() + pages["own"].get<int>() +
                              pages["shared"].get<int>());
  EXPECT_EQ(status["models"][0]["clients"].size(), 2U);
  EXPECT_EQ(plait({"top", "--url", url_}).code, 2);  // no terminal
}

TEST_F(ServerVerbs, AKeyIsAskedForAndTakenFromTheEnvironment) {
  const Outcome added = plait({"key", "add", "alice", "--file", (dir_ / "keys.json").string(), "--json"});
  ASSERT_EQ(added.code, 0);
  start({"--keys", (dir_ / "keys.json").string()});
  EXPECT_EQ(plait({"ps", "--url", url_}).code, 2);
  EXPECT_EQ(bench({"single", "--requests", "1"}).code, 1);
  const ScopedVariable key{"PLAIT_API_KEY", added.json()["key"].get<std::string>()};
  EXPECT_EQ(bench({"single", "--requests", "1", "--json"}).json()["done"], 1);
  const Json requests = plait({"ps", "--json", "--url", url_}).json();
  EXPECT_EQ(requests["recent"][0]["client"], "alice");
}

TEST_F(ServerVerbs, NobodyThereIsSaidAtOnce) {
  const Outcome ps = plait({"ps", "--url", "http://127.0.0.1:1"});
  EXPECT_EQ(ps.code, 1);
  EXPECT_NE(ps.errors.find("plait serve"), std::string::npos) << ps.errors;
  EXPECT_EQ(plait({"top", "--once", "--url", "http://127.0.0.1:1"}).code, 1);
  url_ = "http://127.0.0.1:1";
  EXPECT_EQ(bench({"single", "--requests", "2", "--json"}).json()["failed"], 2);
}

}  // namespace
}  // namespace plait::cli
