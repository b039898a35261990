// SPDX-License-Identifier: Apache-2.0
#include "cli/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "cli/exit_code.h"
#include "cli/progress.h"
#include "testing/temp_dir.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using testing::TempDir;

Config::Sources sources_with(const std::map<std::string, std::string>& environment) {
  return {.command_line = {},
          .environment = [environment](const std::string& name) -> std::optional<std::string> {
            const auto found = environment.find(name);
            return found == environment.end() ? std::nullopt : std::optional(found->second);
          },
          .files = {}};
}

TEST(Config, DefaultsAreValid) {
  // A default that its own rules refuse would break every run.
  for (const Setting& setting : known_settings()) {
    const auto config =
        Config::load({.command_line = {{std::string(setting.key), std::string(setting.default_value)}}});
    ASSERT_TRUE(config) << setting.key;
    EXPECT_EQ(config->text(setting.key), Config().text(setting.key));
    EXPECT_FALSE(setting.about.empty());
  }
}

TEST(Config, TheFirstSourceThatSaysSomethingWins) {
  const TempDir dir;
  std::ofstream(dir / "first.toml") << "threads = 4\ncontext = 44\n";
  std::ofstream(dir / "second.toml") << "threads = 5\ncontext = 55\nmodel = \"five\"\n";
  auto sources = sources_with({{"PLAIT_THREADS", "3"}});
  sources.files = {dir / "first.toml", dir / "absent.toml", dir / "second.toml"};
  auto config = Config::load(sources);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->number("threads"), 3);
  EXPECT_EQ(config->number("context"), 44);
  EXPECT_EQ(config->text("model"), "five");
  EXPECT_EQ(config->origin("model"), (dir / "second.toml").string() + ":3");
  sources.command_line = {{"threads", "1"}, {"threads", "2"}};
  config = Config::load(sources);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->number("threads"), 2);
}

TEST(Config, FilesThatMustBeThere) {
  const TempDir dir;
  std::ofstream(dir / "there.toml") << "threads = 4\n";
  Config::Sources sources{.files = {dir / "there.toml"}, .files_must_exist = true};
  EXPECT_TRUE(Config::load(sources));
  sources.files = {dir / "absent.toml"};
  const auto config = Config::load(sources);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(config.error().message.find("absent.toml"), std::string::npos);
}

TEST(Config, TakesOverOneSetting) {
  Config mine = parse_config("threads = 1\ncontext = 1", "mine").value();
  mine.take("threads", parse_config("threads = 2\ncontext = 2", "other").value());
  EXPECT_EQ(mine.number("threads"), 2);
  EXPECT_EQ(mine.origin("threads"), "other:1");
  EXPECT_EQ(mine.number("context"), 1);
}

TEST(Config, DottedKeysAndTablesAreTheSame) {
  for (const char* toml : {"kernels.isa = \"avx2\"", "[kernels]\nisa = \"avx2\"", "kernels = {isa = \"avx2\"}"}) {
    const auto config = parse_config(toml, "x.toml");
    ASSERT_TRUE(config) << toml;
    EXPECT_EQ(config->text("kernels.isa"), "avx2");
  }
}

TEST(Config, ErrorsNameFileAndLine) {
  const std::map<std::string, std::string> bad{{"\n\nthreadz = 1", ":3"},
                                               {"threads = \"2\"", ":1"},
                                               {"\nthreads = 2.5", ":2"},
                                               {"threads = -1", ":1"},
                                               {"threads = 99999999999", ":1"},
                                               {"model = 3", ":1"},
                                               {"[kernels]\nisa = \"sse9\"", ":2"},
                                               {"hub = 3", ":1"},
                                               {"[threads]\nx = 1", ":1"},
                                               {"[hub]\noffline = [true]", ":2"},
                                               {"a = ", ":1"},
                                               {"x = 1\nx = 2", ":2"},
                                               {"\"\" = 1", ":1"}};
  for (const auto& [toml, line] : bad) {
    const auto config = parse_config(toml, "my.toml");
    ASSERT_FALSE(config) << toml;
    EXPECT_EQ(config.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(config.error().message.find("my.toml" + line), std::string::npos) << config.error().message;
  }
  EXPECT_FALSE(parse_config("x = " + std::string(100'000, '['), "deep.toml"));
}

TEST(Config, AWordWithAColonGoesOnFreely) {
  const auto config = parse_config("[kv]\nswap = \"file:/a b|c\"", "x.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->text("kv.swap"), "file:/a b|c");
  for (const char* value : {"file:", "file", "file:FOLDER", "none:x", "recompute|pinned"}) {
    EXPECT_EQ(parse_config(std::string("kv.swap = \"") + value + '"', "x.toml").has_value(),
              std::string_view(value) == "file:FOLDER")
        << value;
  }
}

TEST(Config, FilesThatCannotBeRead) {
  const TempDir dir;
  EXPECT_FALSE(Config::load({.files = {dir.path()}}));
  std::ofstream(dir / "long.toml") << std::string(2 << 20, '#');
  EXPECT_FALSE(Config::load({.files = {dir / "long.toml"}}));
}

TEST(Config, EnvironmentNames) {
  EXPECT_EQ(environment_name("kernels.isa"), "PLAIT_KERNELS_ISA");
  const auto config = Config::load(sources_with({{"PLAIT_KERNELS_ISA", "mmx"}}));
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().message.find("PLAIT_KERNELS_ISA"), std::string::npos);
}

TEST(ExitCode, EveryCodeHasOne) {
  EXPECT_EQ(exit_code(ErrorCode::invalid_argument), ExitCode::wrong_usage);
  EXPECT_EQ(exit_code(ErrorCode::invalid_data), ExitCode::invalid_file);
  EXPECT_EQ(exit_code(ErrorCode::unsupported), ExitCode::invalid_file);
  EXPECT_EQ(exit_code(ErrorCode::not_found), ExitCode::invalid_file);
  EXPECT_EQ(exit_code(ErrorCode::out_of_resources), ExitCode::out_of_resources);
  EXPECT_EQ(exit_code(ErrorCode::interrupted), ExitCode::interrupted);
  for (const ErrorCode code : {ErrorCode::io, ErrorCode::network, ErrorCode::busy, ErrorCode::internal}) {
    EXPECT_EQ(exit_code(code), ExitCode::failed);
  }
}

TEST(ExitCode, DescriptionsAreOneHarmlessLine) {
  const base::Error error{ErrorCode::io, "bad\nfile \x1b[2J", {"reading x", "loading y"}};
  const std::string line = describe(error, false);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::ranges::count(describe(error, true), '\n'), 3);
}

TEST(Progress, LinesFitIntoTheTerminal) {
  for (const int width : {1, 10, 40, 80, 200}) {
    for (const base::Bytes done : {0ULL, 5ULL, 98'000'000ULL, 98'362'432ULL, 99'000'000'000ULL}) {
      const std::string line = progress_line("fetching", done, 98'362'432, 1e6, width);
      EXPECT_LE(line.size(), static_cast<std::size_t>(width));
    }
  }
  EXPECT_NE(progress_line("x", 50, 100, 10, 100).find("50 %"), std::string::npos);
  EXPECT_NE(progress_line("x", 50, 100, 10, 100).find("0:05"), std::string::npos);
  EXPECT_EQ(progress_line("x", 999, 1000, 0, 100).find("100 %"), std::string::npos);  // not before it is done
  EXPECT_NE(progress_line("x", 0, 0, 0, 100).find("100 %"), std::string::npos);
}

}  // namespace
}  // namespace plait::cli
