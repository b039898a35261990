// SPDX-License-Identifier: Apache-2.0
//
// tests/clients/service_test.py and tls_test.py have the running server.
#include "cli/server_settings.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "testing/temp_dir.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using testing::TempDir;

Session session_with(std::vector<std::pair<std::string, std::string>> settings) {
  Session session;
  session.quiet = true;
  session.config = Config::load({.command_line = std::move(settings)}).value();
  return session;
}

std::string read(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(ServerSettings, LiveOnesAreKnown) {
  std::size_t live = 0;
  for (const Setting& setting : known_settings()) live += changes_live(setting.key) ? 1U : 0U;
  EXPECT_EQ(live, 9U);
  EXPECT_FALSE(changes_live("server.port"));
}

TEST(ServerSettings, ThePolicyIsWhatTheSettingsSay) {
  const Session session = session_with({{"server.hosts", "one.example , two.example,"},
                                        {"server.origins", "*"},
                                        {"server.connections", "5000"},
                                        {"server.connections_per_address", "7"},
                                        {"server.ping", "0"},
                                        {"server.port", "0"},
                                        {"server.socket", "/x/y"}});
  const auto settings = ServerSettings::load(session, {});
  ASSERT_TRUE(settings);
  const serving::HttpPolicy& policy = (*settings)->policy();
  EXPECT_EQ(policy.access.hosts, (std::vector<std::string>{"one.example", "two.example"}));
  EXPECT_EQ(policy.access.origins, std::vector<std::string>{"*"});
  EXPECT_EQ(policy.limits.connections, 5000U);
  EXPECT_EQ(policy.limits.connections_per_address, 7U);
  EXPECT_EQ(policy.timeouts.ping, 0);
  EXPECT_FALSE(policy.tls.has_value());
  EXPECT_EQ((*settings)->addresses(), (std::vector<std::string>{"127.0.0.1:0", "unix:/x/y"}));
  EXPECT_EQ((*settings)->scheme("127.0.0.1:0"), "http://");
  EXPECT_EQ((*settings)->scheme("unix:/x/y"), "");
  const auto few = ServerSettings::load(session, {.open_files_max = 1024});
  ASSERT_TRUE(few);
  EXPECT_LT((*few)->policy().limits.connections, 1024U) << "no more than there are descriptors for";
}

TEST(ServerSettings, WhatIsRefused) {
  const TempDir dir;
  std::ofstream(dir / "empty.json") << R"({"keys": []})";
  std::ofstream(dir / "file.pem") << "no certificate";
  const std::string pem = (dir / "file.pem").string();
  struct Case {
    std::vector<std::pair<std::string, std::string>> settings;
    ErrorCode code;
  };
  const std::vector<Case> cases{
      {{{"server.host", "0.0.0.0"}}, ErrorCode::invalid_argument},
      {{{"server.host", "::"}}, ErrorCode::invalid_argument},
      {{{"server.keys", (dir / "absent").string()}}, ErrorCode::not_found},
      {{{"server.keys", (dir / "empty.json").string()}}, ErrorCode::invalid_data},
      {{{"server.tls_cert", pem}}, ErrorCode::invalid_argument},
      {{{"server.tls_key", pem}}, ErrorCode::invalid_argument},
      {{{"server.tls_cert", pem}, {"server.tls_key", (dir / "absent").string()}}, ErrorCode::not_found},
      {{{"server.tls_cert", pem}, {"server.tls_key", pem}}, ErrorCode::invalid_data},
      {{{"server.access_log", (dir / "no folder" / "log").string()}}, ErrorCode::io},
  };
  for (const Case& wrong : cases) {
    const Session session = session_with(wrong.settings);
    const auto settings = ServerSettings::load(session, {});
    ASSERT_FALSE(settings) << wrong.settings.back().first;
    EXPECT_EQ(settings.error().code, wrong.code) << wrong.settings.back().first << settings.error().message;
  }
  EXPECT_TRUE(ServerSettings::load(session_with({{"server.host", "0.0.0.0"}}), {.insecure = true}));
}

TEST(AccessLog, OpensTheSamePathAgain) {
  const TempDir dir;
  const std::string path = (dir / "log").string();
  AccessLog log;
  log.write("nowhere");
  ASSERT_TRUE(log.open(path));
  log.write("one");
  std::filesystem::rename(path, dir / "log.1");
  log.write("two");
  EXPECT_FALSE(log.open((dir / "no folder" / "log").string()));
  log.write("three");
  ASSERT_TRUE(log.open(path));
  log.write("four");
  EXPECT_EQ(read(dir / "log.1"), "one\ntwo\nthree\n");
  EXPECT_EQ(read(path), "four\n");
}

TEST(WatchedFiles, SeesEachChangeOnce) {
  const TempDir dir;
  std::ofstream(dir / "a") << "a";
  WatchedFiles files({"", dir / "a", dir / "absent"});
  EXPECT_FALSE(files.changed());
  std::filesystem::last_write_time(dir / "a", std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_FALSE(files.changed()) << "it looks once a second";
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(files.changed());
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_FALSE(files.changed());
  EXPECT_FALSE(WatchedFiles().changed());
}

}  // namespace
}  // namespace plait::cli
