// SPDX-License-Identifier: Apache-2.0
//
// The program itself, killed at random points: whatever happens, each request ends up with one result, and its text is
// that of a run that nothing disturbed.
#include "cli/batch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "cli/cli.h"
#include "cli/line_file.h"
#include "testing/environment.h"
#include "testing/scoped_variable.h"
#include "testing/temp_dir.h"
#include "testing/tiny_model.h"
#include "text/json.h"

namespace plait::cli {
namespace {

namespace fs = std::filesystem;
using testing::ScopedVariable;
using text::Json;

constexpr int kRequests = 30;

class BatchVerb : public ::testing::Test {
 protected:
  BatchVerb() {
    const auto bytes = testing::make_tiny_model({});
    std::ofstream(dir_ / "tiny.gguf", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::ofstream requests(dir_ / "in.jsonl");
    for (int i = 0; i < kRequests; ++i) requests << request(i) << '\n';
  }

  static std::string request(int i) {
    const Json message{{"role", "user"}, {"content", "question " + std::to_string(i)}};
    const Json body{{"messages", Json::array({message})},
                    {"max_tokens", 1 + base::random_u64(3, static_cast<std::uint64_t>(i)) % 60},
                    {"ignore_eos", true}};
    return Json{
        {"custom_id", "q" + std::to_string(i)}, {"method", "POST"}, {"url", "/v1/chat/completions"}, {"body", body}}
        .dump();
  }

  // The program in a process of its own; its messages go to a file.
  pid_t start(const std::string& output, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"plait",
                                       "batch",
                                       (dir_ / "in.jsonl").string(),
                                       "-o",
                                       (dir_ / output).string(),
                                       "-m",
                                       (dir_ / "tiny.gguf").string(),
                                       "-t",
                                       "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const pid_t child = fork();
    if (child != 0) return child;
    if (std::freopen((dir_ / "messages").c_str(), "w", stderr) == nullptr) _exit(99);
    std::setvbuf(stderr, nullptr, _IONBF, 0);  // _exit() writes nothing
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    _exit(run(static_cast<int>(pointers.size()), pointers.data()));
  }
  static int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int finish(const std::string& output, std::vector<std::string> more = {}) const {
    return wait_for(start(output, std::move(more)));
  }

  /// custom_id to text; each must occur once.
  [[nodiscard]] std::map<std::string, std::string> texts(const std::string& output) const {
    std::map<std::string, std::string> found;
    std::ifstream file(dir_ / output);
    for (std::string line; std::getline(file, line);) {
      const auto json = text::parse_json(line);
      EXPECT_TRUE(json) << line;
      if (!json) continue;
      const Json& choice = (*json)["response"]["body"]["choices"][0];
      EXPECT_TRUE(found.emplace((*json)["custom_id"].get<std::string>(), choice["message"]["content"].dump()).second);
    }
    return found;
  }
  [[nodiscard]] std::uintmax_t size(const std::string& output) const {
    std::error_code absent;
    const auto bytes = fs::file_size(dir_ / output, absent);
    return absent ? 0 : bytes;
  }
  [[nodiscard]] std::string messages() const {
    std::ifstream file(dir_ / "messages");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Kills the program once the file has grown to `bytes` and `delay` more has passed. False if it ended before.
  bool kill_at(pid_t child, const std::string& output, std::uintmax_t bytes, std::chrono::microseconds delay) const {
    for (int status = 0; size(output) < bytes; std::this_thread::sleep_for(std::chrono::microseconds(200))) {
      if (waitpid(child, &status, WNOHANG) == child) {
        EXPECT_EQ(WEXITSTATUS(status), 0) << messages();
        return false;
      }
    }
    std::this_thread::sleep_for(delay);
    kill(child, SIGKILL);
    return wait_for(child) == 128 + SIGKILL;
  }

  testing::TempDir dir_;
  ScopedVariable cache_{"XDG_CACHE_HOME", (dir_ / "cache").string()};
  ScopedVariable config_{"XDG_CONFIG_HOME", (dir_ / "config").string()};
};

TEST_F(BatchVerb, AnswersAndGoesOn) {
  ASSERT_EQ(finish("out"), 0) << messages();
  const auto first = texts("out");
  EXPECT_EQ(first.size(), kRequests);
  const auto bytes = size("out");
  ASSERT_EQ(finish("out"), 0);
  EXPECT_EQ(size("out"), bytes);
  ASSERT_EQ(finish("ordered", {"--ordered", "--rows", "3"}), 0) << messages();
  EXPECT_EQ(texts("ordered"), first);
}

TEST_F(BatchVerb, WhatIsSwappedOutIsNotComputedAgainAndTheTextsAreTheSame) {
  ASSERT_EQ(finish("plenty"), 0) << messages();
  EXPECT_EQ(messages().find("preempted"), std::string::npos) << messages();
  const std::vector<std::string> little{"--kv-memory", "400000", "--rows", "16"};
  ASSERT_EQ(finish("again", little), 0) << messages();
  EXPECT_NE(messages().find("computed again"), std::string::npos) << messages();
  std::vector<std::string> swapping = little;
  swapping.insert(swapping.end(), {"--kv-swap", "file:" + dir_.path().string(), "--kv-swap-bytes", "4000000",
                                   "--kv-group-pages", "2", "--priority", "arrival"});
  ASSERT_EQ(finish("swapped", swapping), 0) << messages();
  EXPECT_NE(messages().find("times to the swap file"), std::string::npos) << messages();
  EXPECT_EQ(texts("again"), texts("plenty"));
  EXPECT_EQ(texts("swapped"), texts("plenty"));
}

TEST_F(BatchVerb, WrongSwapSettings) {
  const std::string here = "file:" + dir_.path().string();
  const auto swap = [&](const std::string& where, const std::string& bytes) {
    return finish("out", {"--kv-swap", where, "--kv-swap-bytes", bytes});
  };
  EXPECT_EQ(swap("disk", "1000000"), 2);
  EXPECT_NE(messages().find("file:FOLDER"), std::string::npos) << messages();
  EXPECT_EQ(swap("pinned", "1000000"), 2);
  EXPECT_NE(messages().find("GPU"), std::string::npos) << messages();
  EXPECT_EQ(swap(here, "0"), 2);
  EXPECT_EQ(swap(here, "100"), 2);
  EXPECT_EQ(swap(here, "many"), 2);
  EXPECT_EQ(swap(here + "/missing", "1000000"), 3);
  EXPECT_NE(messages().find("missing"), std::string::npos) << messages();
  EXPECT_EQ(swap(here, "1000000000000000"), 4);
  const std::string last = messages();
  EXPECT_EQ(std::ranges::count(last, '\n'), 1) << last;
  EXPECT_EQ(finish("out", {"--priority", "markov"}), 2);
}

TEST_F(BatchVerb, ExitCodes) {
  EXPECT_EQ(finish("in.jsonl"), 2);   // the input itself
  EXPECT_EQ(finish("tiny.gguf"), 3);  // a file that holds something else
  EXPECT_EQ(finish("out", {"--rows", "0"}), 2);
  EXPECT_EQ(finish("out", {"--kv-memory", "1"}), 4);
  std::ofstream(dir_ / "in.jsonl") << "nonsense\n";
  EXPECT_EQ(finish("out"), 1);  // nothing was answered
  std::ofstream(dir_ / "in.jsonl") << "nonsense\n" << request(1) << '\n';
  EXPECT_EQ(finish("out"), 0) << messages();  // something was
  std::ofstream(dir_ / "in.jsonl") << "";
  EXPECT_EQ(finish("out2"), 0) << messages();
  fs::remove(dir_ / "in.jsonl");
  EXPECT_EQ(finish("out3"), 3);
  EXPECT_FALSE(fs::exists(dir_ / "out3"));
}

TEST_F(BatchVerb, KilledAtRandomPointsItLosesAndRepeatsNothing) {
  ASSERT_EQ(finish("whole"), 0) << messages();
  const auto expected = texts("whole");
  const auto bytes = size("whole");
  const int kills_wanted = testing::long_run() ? 50 : 4;
  int kills = 0;
  for (std::uint64_t turn = 0; kills < kills_wanted; ++turn) {
    const std::uintmax_t target = size("out") + base::random_u64(1, 2 * turn) % (bytes / 2);
    const std::chrono::microseconds delay(base::random_u64(1, 2 * turn + 1) % 20'000);
    const std::vector<std::string> more{"--commit-seconds", "0.001", "--rows", std::to_string(1 + turn % 8)};
    if (kill_at(start("out", more), "out", target, delay)) ++kills;
    if (size("out") < bytes * 9 / 10) continue;
    ASSERT_EQ(finish("out"), 0) << messages();
    ASSERT_EQ(texts("out"), expected) << turn;
    fs::remove(dir_ / "out");
  }
  ASSERT_EQ(finish("out"), 0) << messages();
  EXPECT_EQ(texts("out"), expected);
}

TEST_F(BatchVerb, InterruptedItSavesWhatIsDoneAndGoesOn) {
  const pid_t child = start("out", {"--rows", "1", "--commit-seconds", "0.001"});
  while (size("out") == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  kill(child, SIGINT);
  const int code = wait_for(child);
  EXPECT_TRUE(code == 130 || code == 0) << code << messages();  // 0: it was done first
  if (code == 130) {
    EXPECT_LT(texts("out").size(), kRequests);
  }
  ASSERT_EQ(finish("out"), 0) << messages();
  EXPECT_EQ(texts("out").size(), kRequests);
}

TEST(LineFile, GivesLinesAndCutsLongOnes) {
  const testing::TempDir dir;
  const std::string longest(200'000, 'x');
  std::ofstream(dir / "lines", std::ios::binary) << "a\n\n" << longest << "\nlast";
  auto file = LineFile::open((dir / "lines").string());
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->is_regular());
  EXPECT_EQ(**file->next(100), "a");
  EXPECT_EQ(**file->next(100), "");
  EXPECT_EQ(**file->next(100), std::string(101, 'x'));
  EXPECT_EQ(**file->next(100), "last");
  EXPECT_FALSE(*file->next(100));
  EXPECT_EQ(LineFile::open((dir / "none").string()).error().code, base::ErrorCode::not_found);
  EXPECT_EQ(LineFile::open(dir.path().string()).error().code, base::ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace plait::cli
