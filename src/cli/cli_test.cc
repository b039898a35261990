// SPDX-License-Identifier: Apache-2.0
//
// Whole command lines, run inside the test with folders of its own.
#include "cli/cli.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/config.h"
#include "testing/http_server.h"
#include "testing/scoped_variable.h"
#include "testing/temp_dir.h"

namespace plait::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ScopedVariable;
using testing::TempDir;

struct Outcome {
  int code = 0;
  std::string output;
  std::string errors;
};

Outcome plait(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "plait");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = run(static_cast<int>(pointers.size()), pointers.data());
  std::fflush(stdout);
  outcome.output = ::testing::internal::GetCapturedStdout();
  outcome.errors = ::testing::internal::GetCapturedStderr();
  return outcome;
}

class CommandLine : public ::testing::Test {
 protected:
  TempDir dir_;
  ScopedVariable cache_{"XDG_CACHE_HOME", (dir_ / "cache").string()};
  ScopedVariable config_{"XDG_CONFIG_HOME", (dir_ / "config").string()};
  ScopedVariable no_proxy_{"no_proxy", "127.0.0.1"};

  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  [[nodiscard]] fs::path model_path() const { return dir_ / "cache" / "plait" / "models" / "tiny.gguf"; }

  // A model that only this user's manifest knows.
  void know_tiny(const std::string& url, std::size_t bytes, const std::string& sha256) const {
    const json model{
        {"name", "tiny"}, {"about", "a tiny one"}, {"licence", "MIT"},           {"origin", "https://example.org"},
        {"bytes", bytes}, {"sha256", sha256},      {"sources", {{{"url", url}}}}};
    write(dir_ / "config" / "plait" / "models.json", json{{"models", {model}}}.dump());
  }
};

constexpr const char* kHelloHash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";  // of "hello"

TEST_F(CommandLine, HelpAndVersionAreResults) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{}, {"--help"}, {"model", "--help"}, {"model", "pull", "--help"}, {"--version"}}) {
    const Outcome outcome = plait(line);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.output, "");
    EXPECT_EQ(outcome.errors, "");
  }
}

TEST_F(CommandLine, WrongUsageIsTwoAndOneLine) {
  for (const std::vector<std::string>& line : {std::vector<std::string>{"no-such-verb"},
                                               {"--no-such-option"},
                                               {"model"},
                                               {"model", "remove"},
                                               {"model", "list", "extra"},
                                               {"--set", "nonsense", "config", "show"},
                                               {"--set", "threads=many", "config", "show"},
                                               {"--set", "kv.type=int4", "config", "show"},
                                               {"ask", "Why?", "--kv-type", "f8"},
                                               {"ask", "Why?", "--kv-type", "int8", "--attention", "bf16"},
                                               {"completion", "cobol"},
                                               {"cache"},
                                               {"cache", "replay"},
                                               {"cache", "replay", "x", "--policies", "fifo"},
                                               {"cache", "replay", "x", "--errors", "1.5"},
                                               {"cache", "replay", "x", "--pages", "0"}}) {
    const Outcome outcome = plait(line);
    EXPECT_EQ(outcome.code, 2) << line.back();
    EXPECT_EQ(outcome.output, "");
    EXPECT_EQ(std::ranges::count(outcome.errors, '\n'), 1) << outcome.errors;
  }
}

TEST_F(CommandLine, ConfigShowSaysWhereValuesComeFrom) {
  write(dir_ / "config" / "plait" / "plait.toml", "threads = 3\n[hub]\nidle_timeout = 9\n");
  const ScopedVariable variable("PLAIT_HUB_OFFLINE", "on");
  const Outcome outcome = plait({"config", "show", "--json", "--set", "model=other"});
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  std::map<std::string, json> entries;
  for (const json& entry : json::parse(outcome.output)) entries[entry["key"]] = entry;
  EXPECT_EQ(entries.size(), known_settings().size());
  EXPECT_EQ(entries["threads"]["value"], 3);
  EXPECT_EQ(entries["threads"]["origin"], (dir_ / "config" / "plait" / "plait.toml").string() + ":1");
  EXPECT_EQ(entries["hub.idle_timeout"]["origin"], (dir_ / "config" / "plait" / "plait.toml").string() + ":3");
  EXPECT_EQ(entries["hub.offline"]["value"], true);
  EXPECT_EQ(entries["hub.offline"]["origin"], "PLAIT_HUB_OFFLINE");
  EXPECT_EQ(entries["model"]["origin"], "command line");
  EXPECT_EQ(entries["context"]["origin"], "default");
}

TEST_F(CommandLine, BadSettingsNameFileAndLine) {
  write(dir_ / "config" / "plait" / "plait.toml", "threads = 3\n\n[hub]\nofline = true\n");
  const Outcome outcome = plait({"model", "list"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.errors.find("plait.toml:4"), std::string::npos) << outcome.errors;
}

TEST_F(CommandLine, ModelsThatAreNotThere) {
  EXPECT_EQ(plait({"model", "show", "no-such-model"}).code, 3);
  EXPECT_EQ(plait({"model", "show", "./no-such.gguf"}).code, 3);
  EXPECT_EQ(plait({"model", "pull", "no-such-model"}).code, 3);
  EXPECT_EQ(plait({"model", "remove", "smollm2-135m"}).code, 3);
  const Outcome outcome = plait({"model", "show"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.errors.find("plait model pull smollm2-135m"), std::string::npos);
}

TEST_F(CommandLine, AFileThatIsNoModel) {
  write(dir_ / "bad.gguf", "not a model");
  const Outcome outcome = plait({"-v", "model", "show", (dir_ / "bad.gguf").string()});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.errors.find("(invalid_data)"), std::string::npos) << outcome.errors;
}

TEST_F(CommandLine, PullListVerifyRemove) {
  testing::HttpServer server([](const testing::HttpRequest&) { return testing::HttpReply{.body = "hello"}; });
  know_tiny(server.url("/tiny"), 5, kHelloHash);
  const Outcome pulled = plait({"model", "pull", "tiny"});
  ASSERT_EQ(pulled.code, 0) << pulled.errors;
  EXPECT_EQ(pulled.output, model_path().string() + "\n");
  EXPECT_NE(pulled.errors.find("MIT"), std::string::npos);  // the licence, before anything is fetched
  EXPECT_NE(pulled.errors.find("https://example.org"), std::string::npos);
  EXPECT_EQ(pulled.errors.find('\x1b'), std::string::npos);  // no bar: standard error is no terminal

  const Outcome listed = plait({"model", "list", "--json"});
  bool found = false;
  for (const json& entry : json::parse(listed.output)) {
    found |= entry["name"] == "tiny" && entry["state"] == "present" && entry["bytes"] == 5;
  }
  EXPECT_TRUE(found) << listed.output;
  EXPECT_EQ(plait({"model", "verify"}).code, 0);
  write(model_path(), "HELLO");
  const Outcome verified = plait({"model", "verify", "tiny", "--json"});
  EXPECT_EQ(verified.code, 3);
  EXPECT_EQ(json::parse(verified.output)[0]["ok"], false);
  EXPECT_EQ(plait({"model", "remove", "tiny"}).code, 0);
  EXPECT_FALSE(fs::exists(model_path()));
}

TEST_F(CommandLine, PullsThatFailLeaveNothingUnderTheFinalName) {
  testing::HttpServer server([](const testing::HttpRequest&) { return testing::HttpReply{.body = "HELLO"}; });
  know_tiny(server.url("/tiny"), 5, kHelloHash);
  EXPECT_EQ(plait({"model", "pull", "tiny"}).code, 3);  // the wrong file
  EXPECT_EQ(plait({"model", "pull", "tiny", "--set", "hub.offline=true"}).code, 1);
  know_tiny(server.url("/tiny"), 1ULL << 43, kHelloHash);
  EXPECT_EQ(plait({"model", "pull", "tiny"}).code, 4);  // no disk is that large
  know_tiny("http://127.0.0.1:1/", 5, kHelloHash);
  const Outcome refused = plait({"model", "pull", "tiny", "-q"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(std::ranges::count(refused.errors, '\n'), 1) << refused.errors;
  EXPECT_FALSE(fs::exists(model_path()));
}

TEST_F(CommandLine, AManifestThatIsWrong) {
  write(dir_ / "config" / "plait" / "models.json", R"({"models": [{"name": "../evil"}]})");
  EXPECT_EQ(plait({"model", "list"}).code, 3);
  EXPECT_EQ(plait({"model", "list", "--set", "hub.manifest=/no/such/file"}).code, 3);
}

constexpr const char* kShape = "layers=30,width=576,kv_heads=3,head_dim=64,parameters=134.5e6,weights=98e6";

TEST_F(CommandLine, CostShowsRoundsTrajectoriesAndTheTotal) {
  const std::string trace = (dir_ / "trace.jsonl").string();
  write(trace,
        "{\"trajectory\": \"a\", \"round\": 1, \"context\": 1000, \"cached\": 0, \"prefilled\": 1000, "
        "\"decoded\": 200, \"batch\": 1}\n"
        "{\"trajectory\": \"\\u001b[2J\", \"round\": 1, \"context\": 1000, \"cached\": 900, \"prefilled\": 100, "
        "\"decoded\": 200, \"batch\": 4}\n");
  const Outcome outcome = plait({"cost", trace, "--model-shape", kShape, "--profile", "cpu-fp32", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  const json report = json::parse(outcome.output);
  EXPECT_EQ(report["profile"]["intensity"], 15);
  EXPECT_NEAR(report["rounds"][0]["cost"]["pte"].get<double>(), 1848, 0.6);
  EXPECT_NEAR(report["rounds"][0]["cost"]["pte_w"].get<double>(), 2376, 1);
  EXPECT_NEAR(report["rounds"][1]["cost"]["pte_cache"].get<double>(), 383, 0.6);
  EXPECT_EQ(report["trajectories"].size(), 2U);
  EXPECT_NEAR(report["total"]["cost"]["pte"].get<double>(), 2 * 1848, 1.2);
  EXPECT_EQ(report["total"]["computed"], 1500);
  const Outcome people = plait({"cost", trace, "--model-shape", kShape, "--profile", "15e9/1e9", "--length", "end"});
  ASSERT_EQ(people.code, 0) << people.errors;
  EXPECT_NE(people.output.find("PTE-cache"), std::string::npos);
  EXPECT_NE(people.output.find("1925.0"), std::string::npos) << people.output;  // 1000 + 0.003854 * 1200 * 200
  EXPECT_EQ(people.output.find('\x1b'), std::string::npos);
}

TEST_F(CommandLine, CostRefusesWhatItCannotRead) {
  const std::string trace = (dir_ / "trace.jsonl").string();
  write(trace, "{\"round\": 1, \"context\": 5, \"decoded\": 1}\n{\"round\": 2}\n");
  const Outcome bad = plait({"cost", trace, "--model-shape", kShape, "--profile", "h100"});
  EXPECT_EQ(bad.code, 3);
  EXPECT_EQ(bad.output, "");
  EXPECT_NE(bad.errors.find("trace.jsonl:2:"), std::string::npos) << bad.errors;
  EXPECT_EQ(std::ranges::count(bad.errors, '\n'), 1) << bad.errors;
  write(trace, "{\"round\": 1, \"context\": 5, \"decoded\": 1}\n");
  EXPECT_EQ(plait({"cost", trace, "--model-shape", "layers=1", "--profile", "h100"}).code, 2);
  EXPECT_EQ(plait({"cost", trace, "--model-shape", kShape, "--profile", "abacus"}).code, 2);
  EXPECT_EQ(plait({"cost", trace, "--model-shape", kShape, "--model", "tiny"}).code, 2);
  EXPECT_EQ(plait({"cost", trace, "--length", "middle"}).code, 2);
  EXPECT_EQ(plait({"cost", trace, "--profile", "h100"}).code, 3);  // no model is there
  EXPECT_EQ(plait({"cost", (dir_ / "none").string(), "--model-shape", kShape}).code, 3);
}

TEST_F(CommandLine, DoctorNamesTheCommandThatFixesIt) {
  const Outcome outcome = plait({"doctor", "--json"});
  EXPECT_EQ(outcome.code, 1);
  bool found = false;
  for (const json& finding : json::parse(outcome.output)) {
    found |= finding["state"] == "missing" && finding["fix"] == "plait model pull smollm2-135m";
  }
  EXPECT_TRUE(found) << outcome.output;
  write(dir_ / "mine.gguf", "GGUF");
  const std::string mine = "model=" + (dir_ / "mine.gguf").string();
  const Outcome people = plait({"doctor", "--set", mine, "--set", "kv.type=int8"});
  EXPECT_EQ(people.code, 0) << people.output << people.errors;
  EXPECT_NE(people.output.find("kernels"), std::string::npos);
  EXPECT_NE(people.output.find("int8"), std::string::npos);
  const Outcome refused = plait({"doctor", "--set", mine, "--set", "kv.type=int8", "--set", "kernels.attention=bf16"});
  EXPECT_EQ(refused.code, 1) << refused.output;
}

TEST_F(CommandLine, CacheReplayCountsFaults) {
  std::string trace;
  for (int i = 0; i < 60; ++i) trace += std::to_string(100 + i % 6) + "\n";
  write(dir_ / "loop.txt", "# a loop of six pages\n" + trace);
  const std::string path = (dir_ / "loop.txt").string();
  const Outcome outcome = plait({"cache", "replay", path, "--pages", "4", "--policies", "lru,mark0", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  const json report = json::parse(outcome.output);
  EXPECT_EQ(report["requests"], 60);
  EXPECT_EQ(report["distinct"], 6);
  EXPECT_EQ(report["bits"], "computed");
  ASSERT_EQ(report["policies"].size(), 2U);
  EXPECT_EQ(report["policies"][0]["policy"], "lru");
  EXPECT_EQ(report["policies"][0]["mean"], 60);  // every request: the page it needs is the one that just left
  EXPECT_EQ(report["policies"][1]["mean"], report["optimum"]);
  EXPECT_LT(report["optimum"], 60);
  EXPECT_NE(plait({"cache", "replay", path, "--errors", "0.5"}).output.find("guarded"), std::string::npos);
}

TEST_F(CommandLine, CacheReplayNamesTheBadLine) {
  write(dir_ / "bad.txt", "1 0\n2 1\n3 7\n");
  const Outcome outcome = plait({"cache", "replay", (dir_ / "bad.txt").string()});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.errors.find("bad.txt: line 3: "), std::string::npos) << outcome.errors;
  EXPECT_EQ(std::ranges::count(outcome.errors, '\n'), 1) << outcome.errors;
  EXPECT_EQ(plait({"cache", "replay", (dir_ / "absent.txt").string()}).code, 3);
}

}  // namespace
}  // namespace plait::cli
