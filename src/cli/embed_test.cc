// SPDX-License-Identifier: Apache-2.0
#include "cli/embed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "testing/temp_dir.h"
#include "testing/tiny_model.h"
#include "text/json.h"

namespace plait::cli {
namespace {

using text::Json;

class EmbedVerb : public ::testing::Test {
 protected:
  EmbedVerb() {
    const auto bytes = testing::make_tiny_model({});
    std::ofstream(dir_ / "tiny.gguf", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  /// The lines of its output; `code` is its exit code.
  std::vector<Json> embed(std::vector<std::string> more, int code = 0) {
    std::vector<std::string> arguments{"plait", "embed", "-m", (dir_ / "tiny.gguf").string(), "-t", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(run(static_cast<int>(pointers.size()), pointers.data()), code);
    std::fflush(stdout);
    std::vector<Json> lines;
    std::string rest = ::testing::internal::GetCapturedStdout();
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      lines.push_back(*text::parse_json(rest.substr(0, end)));
      rest.erase(0, end + 1);
    }
    return lines;
  }

  testing::TempDir dir_;
};

TEST_F(EmbedVerb, AVectorOfLengthOneForEachText) {
  const auto lines = embed({"one", "two", "one"});
  ASSERT_EQ(lines.size(), 3U);
  double squares = 0;
  for (const Json& number : lines[1]["embedding"]) squares += std::pow(number.get<double>(), 2);
  EXPECT_NEAR(squares, 1, 1e-4);
  EXPECT_EQ(lines[2]["index"], 2);
  EXPECT_EQ(lines[0]["embedding"], lines[2]["embedding"]);
  EXPECT_NE(lines[0]["embedding"], lines[1]["embedding"]);
  EXPECT_NE(embed({"one", "--pooling", "last"})[0]["embedding"], lines[0]["embedding"]);
  EXPECT_EQ(embed({"one", "--dimensions", "3"})[0]["embedding"].size(), 3U);
}

TEST_F(EmbedVerb, LinesOfAFile) {
  std::ofstream file(dir_ / "texts");
  for (int i = 0; i < 100; ++i) file << "text " << i % 7 << (i % 2 == 0 ? "\n\n" : "\r\n");
  file.close();
  const auto lines = embed({"-f", (dir_ / "texts").string()});
  ASSERT_EQ(lines.size(), 100U);
  EXPECT_EQ(lines[99]["index"], 99);
  EXPECT_EQ(lines[99]["embedding"], lines[1]["embedding"]);
}

TEST_F(EmbedVerb, WhatIsRefused) {
  EXPECT_TRUE(embed({"one", "--pooling", "cls"}, 2).empty());
  EXPECT_TRUE(embed({"one", "--dimensions", "100000"}, 2).empty());
  EXPECT_TRUE(embed({"one", "-f", "x"}, 2).empty());
  EXPECT_TRUE(embed({"-f", (dir_ / "none").string()}, 3).empty());
  EXPECT_TRUE(embed({std::string(100'000, 'x')}, 2).empty());
}

}  // namespace
}  // namespace plait::cli
