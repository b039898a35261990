// SPDX-License-Identifier: Apache-2.0
#include "models/stop.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <utility>

namespace plait::models {
namespace {

using Stops = std::vector<std::string>;

StopStream stream(Stops strings, bool include = false) {
  return *StopStream::make({.ids = {}, .strings = std::move(strings), .include_text = include});
}

// The meaning, written down naively: the shortest prefix that ends with a stop string; the longest such string.
std::pair<std::string, bool> reference(const std::string& text, const Stops& stops, bool include) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    }
    if (longest > 0) return {text.substr(0, include ? end : end - longest), true};
  }
  return {text, false};
}

// Whether what was shown of the text reaches into a beginning of a stop string that could still be completed.
bool shows_part(std::size_t shown, const std::string& text, const Stops& stops) {
  for (const std::string& stop : stops) {
    for (std::size_t n = 1; n < stop.size(); ++n) {
      if (text.ends_with(stop.substr(0, n)) && shown > text.size() - n) return true;
    }
  }
  return false;
}

std::pair<std::string, bool> through(StopStream stop, const std::vector<std::string>& pieces,
                                     const Stops* check_parts) {
  std::string shown;
  std::string text;
  for (const std::string& piece : pieces) {
    const StopStream::Piece out = stop.push(piece);
    shown += out.text;
    text += piece;
    if (out.stopped) return {shown, true};
    if (check_parts != nullptr) RC_ASSERT(!shows_part(shown.size(), text, *check_parts));
  }
  return {shown + stop.flush(), false};
}

TEST(Stop, EverySplitInTwoAndByteByByteEqualsTheReference) {
  const Stops stops = {"abab", "bc", "cacc", "\xc3\xa9\xc3\xa9"};
  for (const std::string text : {"xababab", "xabacacbcx", "cacacc", "\xc3\xa9 \xc3\xa9\xc3\xa9 x", "ababc", "aba"}) {
    for (const bool include : {false, true}) {
      const auto expected = reference(text, stops, include);
      for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        EXPECT_EQ(through(stream(stops, include), {text.substr(0, cut), text.substr(cut)}, nullptr), expected) << text;
      }
      std::vector<std::string> bytes;
      for (const char c : text) bytes.emplace_back(1, c);
      EXPECT_EQ(through(stream(stops, include), bytes, nullptr), expected) << text;
    }
  }
}

TEST(Stop, AnySplitEqualsTheReferenceAndShowsNoPart) {
  EXPECT_TRUE(rc::check([] {
    const auto letters = rc::gen::element('a', 'b', 'c');
    const auto word = rc::gen::mapcat(rc::gen::inRange<std::size_t>(1, 6), [letters](std::size_t length) {
      return rc::gen::container<std::string>(length, letters);
    });
    const auto stops = *rc::gen::container<Stops>(3, word);
    const auto text = *rc::gen::scale(3, rc::gen::container<std::string>(letters));
    const bool include = *rc::gen::arbitrary<bool>();
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size();) {
      const auto length = *rc::gen::inRange<std::size_t>(1, 6);
      pieces.push_back(text.substr(at, length));
      at += length;
    }
    RC_ASSERT(through(stream(stops, include), pieces, &stops) == reference(text, stops, include));
  }));
}

TEST(Stop, HoldsBackOnlyWhatCouldBecomeAStopString) {
  StopStream stop = stream({"\nUser:"});
  EXPECT_EQ(stop.push("hello\n").text, "hello");
  EXPECT_EQ(stop.push("Use").text, "");
  EXPECT_EQ(stop.push("ful").text, "\nUseful");
  EXPECT_EQ(stop.push("!\nUs").text, "!");
  EXPECT_EQ(stop.flush(), "\nUs");
}

TEST(Stop, SaysWhichStringAndIgnoresTheRest) {
  StopStream stop = stream({"b", "ab"});
  const StopStream::Piece piece = stop.push("xab yz");
  EXPECT_TRUE(piece.stopped);
  EXPECT_EQ(piece.text, "x");
  EXPECT_EQ(piece.string_index, 1U);
  EXPECT_EQ(stop.push("more").text, "");
  EXPECT_EQ(stop.flush(), "");
}

TEST(Stop, Ids) {
  const auto stop = StopStream::make({.ids = {base::TokenId{7}, base::TokenId{2}}, .strings = {}});
  EXPECT_TRUE(stop->is_stop(base::TokenId{2}));
  EXPECT_TRUE(stop->is_stop(base::TokenId{7}));
  EXPECT_FALSE(stop->is_stop(base::TokenId{3}));
}

TEST(Stop, RefusesBadOptions) {
  for (const Stops& stops : {Stops{""}, Stops{"\xc3"}, Stops{"\xa9x"}, Stops{std::string(2000, 'x')}, Stops(65, "x")}) {
    const auto stop = StopStream::make({.ids = {}, .strings = stops});
    ASSERT_FALSE(stop.has_value());
    EXPECT_EQ(stop.error().code, base::ErrorCode::invalid_argument);
    EXPECT_TRUE(stop.error().message.starts_with("stop"));
  }
}

}  // namespace
}  // namespace plait::models
