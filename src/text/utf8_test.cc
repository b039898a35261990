// SPDX-License-Identifier: Apache-2.0
#include "text/utf8.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace plait::text {
namespace {

const std::string kFffd(kReplacementUtf8);

TEST(Utf8, EveryCodePointSurvives) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string bytes;
    append(bytes, c);
    const Decoded one = decode(bytes);
    ASSERT_TRUE(one.valid) << static_cast<std::uint32_t>(c);
    ASSERT_EQ(one.code_point, c);
    ASSERT_EQ(one.length, bytes.size());
    std::size_t at = 0;
    ASSERT_EQ(next_valid(bytes, at), c);
    ASSERT_EQ(at, bytes.size());
  }
}

TEST(Utf8, WhatIsNoCharacterBecomesAReplacement) {
  std::string out;
  append(out, 0xD800);
  append(out, 0x110000);
  EXPECT_EQ(out, kFffd + kFffd);
}

TEST(Utf8, MaximalSubpartsAsInTheStandard) {
  // The examples of Unicode 3.9, tables 3-8 to 3-11.
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", kFffd + kFffd + kFffd + kFffd + kFffd + kFffd + kFffd + kFffd + "A"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", kFffd + kFffd + kFffd + kFffd + kFffd + kFffd + kFffd + kFffd + "A"},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", kFffd + kFffd + kFffd + kFffd + kFffd + "A" + kFffd + kFffd + "B"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", kFffd + kFffd + kFffd + kFffd + "A"},
  };
  for (const auto& [bytes, wanted] : cases) EXPECT_EQ(sanitize(bytes), wanted);
}

TEST(Utf8, SanitizedTextIsValidAndValidTextIsUntouched) {
  EXPECT_TRUE(rc::check("sanitize", [](const std::string& bytes) {
    const std::string clean = sanitize(bytes);
    RC_ASSERT(is_valid(clean));
    RC_ASSERT(sanitize(clean) == clean);
    if (is_valid(bytes)) RC_ASSERT(clean == bytes);
  }));
}

TEST(Utf8, AStreamCutAnywhereGivesTheSameText) {
  EXPECT_TRUE(rc::check("take_complete", [] {
    std::string whole;
    const auto parts = *rc::gen::container<std::vector<std::pair<bool, std::uint32_t>>>(
        rc::gen::pair(rc::gen::arbitrary<bool>(), rc::gen::inRange<std::uint32_t>(0, 0x110000)));
    for (const auto& [raw, value] : parts) {
      if (raw) {
        whole.push_back(static_cast<char>(static_cast<unsigned char>(value)));
      } else {
        append(whole, value);
      }
    }
    const auto step = *rc::gen::inRange<std::size_t>(1, 6);
    std::string pending;
    std::string out;
    for (std::size_t at = 0; at < whole.size(); at += step) {
      pending += whole.substr(at, step);
      const std::string ready = take_complete(pending);
      RC_ASSERT(is_valid(ready));
      RC_ASSERT(pending.size() <= 3);
      out += ready;
    }
    RC_ASSERT(out + sanitize(pending) == sanitize(whole));
  }));
}

TEST(Utf8, KeepsOnlyWhatMoreBytesCanComplete) {
  std::string pending = "a\xE2\x82";
  EXPECT_EQ(take_complete(pending), "a");
  EXPECT_EQ(pending, "\xE2\x82");
  pending += "\xAC";
  EXPECT_EQ(take_complete(pending), "\u20AC");
  pending = "\x80\xFF";
  EXPECT_EQ(take_complete(pending), kFffd + kFffd);
  EXPECT_TRUE(pending.empty());
}

}  // namespace
}  // namespace plait::text
