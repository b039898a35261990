// SPDX-License-Identifier: Apache-2.0
#include "serving/key_file.h"

#include <gtest/gtest.h>

namespace plait::serving {
namespace {

TEST(KeyFile, KeysComeBackAsTheyWereWritten) {
  const std::string key = make_key();
  const std::string salt = make_salt();
  const std::vector<HttpKey> keys{{.name = "alice",
                                   .salt = salt,
                                   .digest = hash_key(key, salt),
                                   .limits = {.weight = 2.5, .requests_per_minute = 7, .in_flight_max = 3}}};
  const std::string text = write_keys(keys);
  EXPECT_EQ(text.find(key), text.npos);
  const auto read = read_keys(text);
  ASSERT_TRUE(read) << read.error().message;
  const HttpKeys found = *HttpKeys::make(*read);
  ASSERT_NE(found.find(key), nullptr);
  EXPECT_EQ(found.find(key)->name, "alice");
  EXPECT_EQ(found.find(key)->limits.requests_per_minute, 7U);
  EXPECT_EQ(found.find(make_key()), nullptr);
}

TEST(KeyFile, WhatIsNoFileOfKeysIsRefused) {
  for (const char* text : {"", "[]", "{}", R"({"keys": 1})", R"({"keys": [1]})", R"({"keys": [{"name": "a"}]})",
                           R"({"keys": [{"name": "a", "salt": "s", "digest": "d", "weight": 0}]})",
                           R"({"keys": [{"name": "a", "salt": "s", "digest": "d", "requests_per_minute": -1}]})",
                           R"({"keys": [{"name": "a", "salt": "s", "digest": "d", "requests_per_hour": 1}]})"}) {
    EXPECT_FALSE(read_keys(text)) << text;
  }
}

}  // namespace
}  // namespace plait::serving
