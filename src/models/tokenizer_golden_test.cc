// SPDX-License-Identifier: Apache-2.0
//
// Token ids against llama.cpp's on 1.3 MB of mixed text: prose in 32 scripts, code, emoji sequences, digits, white
// space, control characters, characters at random from 70 blocks, special tokens and broken ones.
// tools/tokenizer_goldens.py records the goldens; both make the same text from the files in tests/data/tokenizer.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "models/tokenizer.h"
#include "testing/real_model.h"
#include "text/utf8.h"

namespace plait::models {
namespace {

namespace fs = std::filesystem;

fs::path data_folder() { return fs::path(PLAIT_SOURCE_DIR) / "tests/data/tokenizer"; }

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::u32string points(std::string_view utf8) {
  std::u32string out;
  for (std::size_t at = 0; at < utf8.size();) out += text::next_valid(utf8, at);
  return out;
}

std::vector<std::u32string> split(std::u32string_view whole, std::u32string_view separator) {
  std::vector<std::u32string> out;
  for (std::size_t at = 0;;) {
    const std::size_t end = whole.find(separator, at);
    out.emplace_back(whole.substr(at, end == std::u32string_view::npos ? end : end - at));
    if (end == std::u32string_view::npos) return out;
    at = end + separator.size();
  }
}

std::vector<std::u32string> file_parts(const char* name, std::u32string_view separator) {
  std::u32string whole = points(read(data_folder() / name));
  if (whole.ends_with(U'\n')) whole.pop_back();
  return split(whole, separator);
}

/// The text of one chunk. Keep in step with Composer in tools/tokenizer_goldens.py.
class MixedText {
 public:
  explicit MixedText(std::uint64_t chunk) : state_(base::mix64(chunk + 0x9e3779b97f4a7c15ULL)) {
    std::istringstream lines(read(data_folder() / "ranges.txt"));
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    while (lines >> std::hex >> low >> high) ranges_.emplace_back(low, high);
  }

  std::string text() {
    static const std::vector<std::u32string> kBetween = {U"", U" ", U"\n", U"\n\n", U"\t", U" ", U". ", U"\n    "};
    std::string out;
    while (out.size() < 65536) {
      std::u32string part = item();
      part += pick(kBetween);
      for (const char32_t c : part) text::append(out, c);
    }
    return out;
  }

 private:
  std::uint64_t below(std::uint64_t n) { return base::mix64(state_ + counter_++ * 0x9e3779b97f4a7c15ULL) % n; }

  template <class Items>
  typename Items::value_type pick(const Items& items) {
    return items[below(items.size())];
  }

  template <class Make>
  std::u32string repeat(std::uint64_t most, const Make& make) {
    std::u32string out;
    for (std::uint64_t left = 1 + below(most); left > 0; --left) out += make();
    return out;
  }

  std::u32string word() {
    const auto words = split(pick(prose_), U" ");
    const std::u32string front = pick(words);
    const std::u32string back = pick(words);
    const std::u32string begin = front.substr(0, below(front.size() + 1));
    return begin + back.substr(below(back.size() + 1));
  }

  char32_t from(std::pair<std::uint32_t, std::uint32_t> range) {
    return range.first + static_cast<char32_t>(below(range.second - range.first + 1));
  }

  std::u32string white_space() {
    static const std::vector<std::u32string> kSpaces = {U" ",      U"\t", U"\n", U"\r\n",   U"\u00a0", U"\u3000",
                                                        U"\u2003", U"\v", U"\f", U"\u0085", U"\u2028", U"\r"};
    const std::u32string one = pick(kSpaces);
    const std::u32string other = pick(kSpaces);
    return repeat(40, [&] { return one; }) + other;
  }

  std::u32string invisible() {
    static const std::u32string kMarks = [] {
      std::u32string out;
      for (char32_t c = 0; c < 32; ++c) out += c;
      return out +
             std::u32string{0x7F, 0x80, 0x9F, 0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x2060, 0xFEFF, 0xFFFD, 0xFFFC};
    }();
    return repeat(4, [&] { return pick(kMarks); });
  }

  std::u32string digits() {
    static const std::u32string kZeros = {0x30, 0x30, 0x30, 0x660, 0x966, 0xFF10, 0x1D7D8};
    const char32_t zero = pick(kZeros);
    return repeat(14, [&] { return zero + static_cast<char32_t>(below(10)); });
  }

  std::u32string item() {
    static const std::u32string kPunctuation = U"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    const std::uint64_t kind = below(16);
    if (kind < 4) return pick(prose_);
    if (kind < 6) return pick(code_);
    if (kind < 9) return repeat(30, [&] { return word() + U" "; });
    if (kind < 10) {
      const auto range = pick(ranges_);
      return repeat(24, [&] { return from(range); });
    }
    if (kind < 11) return repeat(8, [&] { return from(pick(ranges_)); });
    if (kind < 12) return digits();
    if (kind < 13) return white_space();
    if (kind < 14) return repeat(12, [&] { return pick(kPunctuation); });
    if (kind < 15) return invisible();
    return repeat(3, [&] { return pick(specials_); });
  }

  std::uint64_t state_;
  std::uint64_t counter_ = 0;
  std::vector<std::u32string> prose_ = file_parts("prose.txt", U"\n%%\n");
  std::vector<std::u32string> code_ = file_parts("code.txt", U"\n%%\n");
  std::vector<std::u32string> specials_ = file_parts("specials.txt", U"\n");
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_;
};

std::uint64_t fnv(std::string_view bytes) {
  std::uint64_t value = 0xcbf29ce484222325ULL;
  for (const char byte : bytes) value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  return value;
}

std::uint64_t fnv(const std::vector<base::TokenId>& ids) {
  std::string bytes;
  for (const base::TokenId id : ids) {
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>((id.value() >> shift) & 0xFF);
  }
  return fnv(bytes);
}

struct GoldenCase {
  std::string model;
  std::string pre;  // empty: the model's own
};

class TokenizerGolden : public ::testing::TestWithParam<GoldenCase> {};

/// Compares one chunk; false (with the reason) if anything differs.
void expect_chunk(const Tokenizer& tokenizer, std::istringstream& line) {
  std::uint64_t number = 0;
  std::size_t bytes = 0;
  std::uint64_t hash = 0;
  line >> std::dec >> number >> bytes >> std::hex >> hash;
  const std::string text = MixedText(number).text();
  ASSERT_EQ(text.size(), bytes) << "chunk " << number << ": the test's text is not the script's";
  ASSERT_EQ(fnv(text), hash) << "chunk " << number << ": the test's text is not the script's";
  for (const bool parse_special : {true, false}) {
    std::size_t count = 0;
    std::uint64_t ids_hash = 0;
    line >> std::dec >> count >> std::hex >> ids_hash;
    const auto ids = tokenizer.encode(text, {.add_special = true, .parse_special = parse_special});
    EXPECT_EQ(ids.size(), count) << "chunk " << number << ", parse_special " << parse_special;
    EXPECT_EQ(fnv(ids), ids_hash) << "chunk " << number << ", parse_special " << parse_special;
  }
}

TEST_P(TokenizerGolden, EqualsLlamaCpp) {
  const auto [model, pre] = GetParam();
  const fs::path path = testing::real_model(model);
  if (path.empty()) GTEST_SKIP() << model << " is not here; plait model pull " << model;
  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file.has_value()) << file.error().text();
  auto source = TokenizerSource::read(*file);
  ASSERT_TRUE(source.has_value()) << source.error().text();
  if (!pre.empty()) source->pre = pre;
  const auto tokenizer = Tokenizer::make(*source);
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().text();

  std::ifstream golden(data_folder() / (model + (pre.empty() ? "" : "_" + pre) + ".golden"));
  int chunks = 0;
  for (std::string text; std::getline(golden, text);) {
    std::istringstream line(text);
    std::string what;
    line >> what;
    if (what == "chunk") {
      expect_chunk(**tokenizer, line);
      ++chunks;
    } else if (what == "start") {  // the ids themselves, for people
      std::vector<base::TokenId> wanted;
      for (std::int32_t id = 0; line >> id;) wanted.emplace_back(id);
      std::string start;
      for (const char32_t c : points(MixedText(0).text()).substr(0, 1200)) text::append(start, c);
      EXPECT_EQ((*tokenizer)->encode(start), wanted);
    }
  }
  EXPECT_EQ(chunks, 20);
}

INSTANTIATE_TEST_SUITE_P(Models, TokenizerGolden,
                         ::testing::Values(GoldenCase{"smollm2-135m", ""}, GoldenCase{"gemma3-270m", ""},
                                           GoldenCase{"qwen2.5-coder-0.5b", ""}, GoldenCase{"qwen2.5-coder-1.5b", ""},
                                           GoldenCase{"smollm2-135m", "default"},
                                           GoldenCase{"smollm2-135m", "llama-bpe"},
                                           GoldenCase{"smollm2-135m", "gpt-2"}),
                         [](const auto& instance) {
                           std::string name = instance.param.model + "_" + instance.param.pre;
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace plait::models
