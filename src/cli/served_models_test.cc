// SPDX-License-Identifier: Apache-2.0
//
// Which models a server offers. tests/clients has those that run.
#include "cli/served_models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "testing/temp_dir.h"

namespace plait::cli {
namespace {

using base::ErrorCode;

/// A hub with the models `tiny` and `other`, both here, and a file of that name elsewhere.
class ServedModelsTest : public ::testing::Test {
 protected:
  ServedModelsTest() {
    std::filesystem::create_directories(dir_ / "cache/models");
    std::filesystem::create_directories(dir_ / "elsewhere");
    std::string models;
    for (const char* name : {"tiny", "other"}) {
      write(dir_ / "cache/models" / (std::string(name) + ".gguf"), 5);
      models += std::string(models.empty() ? "" : ",") + R"({"name": ")" + name +
                R"(", "about": "a", "licence": "MIT", "origin": "https://example.org", "bytes": 5, "sha256": ")" +
                std::string(64, '0') + R"(", "sources": [{"url": "https://example.org/x.gguf"}]})";
    }
    std::ofstream(dir_ / "models.json") << R"({"models": [)" << models << "]}";
    write(dir_ / "elsewhere/tiny.gguf", 9);
  }
  static void write(const std::filesystem::path& path, std::size_t bytes) {
    std::ofstream(path) << std::string(bytes, 'x');
  }
  base::Result<std::vector<serving::ModelOffer>> offers(std::vector<std::pair<std::string, std::string>> settings) {
    settings.emplace_back("cache_dir", (dir_ / "cache").string());
    settings.emplace_back("hub.manifest", (dir_ / "models.json").string());
    return model_offers(Config::load({.command_line = std::move(settings)}).value());
  }
  std::string elsewhere() { return (dir_ / "elsewhere/tiny.gguf").string(); }

  testing::TempDir dir_;
};

TEST_F(ServedModelsTest, AllThatAreHereTheFirstInFront) {
  const auto all = offers({{"model", "other"}, {"server.aliases", "gpt=tiny"}});
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_GE(all->size(), 2U);
  EXPECT_EQ((*all)[0].name, "other");
  const auto tiny = std::ranges::find(*all, "tiny", &serving::ModelOffer::name);
  ASSERT_NE(tiny, all->end());
  EXPECT_EQ(tiny->bytes, 5U);
  EXPECT_EQ(tiny->aliases, std::vector<std::string>{"gpt"});
}

TEST_F(ServedModelsTest, APathStandsForTheModelOfTheSameName) {
  const auto all = offers({{"model", elsewhere()}});
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ((*all)[0].name, "tiny");
  EXPECT_EQ((*all)[0].source, elsewhere());
  EXPECT_EQ((*all)[0].bytes, 9U);
  EXPECT_EQ(std::ranges::count(*all, "tiny", &serving::ModelOffer::name), 1);
  EXPECT_EQ(std::ranges::count(*all, "other", &serving::ModelOffer::name), 1);
}

TEST_F(ServedModelsTest, TwoOfOneNameByHandAreRefused) {
  const auto both = offers({{"model", elsewhere()}, {"server.models", "tiny"}});
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code, ErrorCode::invalid_argument);
  const auto alias = offers({{"model", "tiny"}, {"server.aliases", "gpt=none"}});
  ASSERT_FALSE(alias);
  EXPECT_EQ(alias.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace plait::cli
