// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/gguf.h"
#include "models/gguf_exercise.h"
#include "testing/damaged_gguf.h"
#include "testing/temp_dir.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using testing::DamagedGguf;
using testing::GgufWriter;

// A copy of exactly the file's size on the heap, so that address checks see one byte too many.
class HeapBytes {
 public:
  explicit HeapBytes(const std::string& bytes)
      : size_(bytes.size()), data_(std::make_unique<std::byte[]>(bytes.size())) {
    std::memcpy(data_.get(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::span<const std::byte> get() const { return {data_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> data_;
};

bool is_one_clear_line(const std::string& message) {
  return !message.empty() && message.size() < 500 &&
         std::ranges::none_of(message, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

TEST(GgufDamage, EveryDamagedFileIsRefusedWithOneLineThatNamesTheField) {
  const std::vector<DamagedGguf> files = testing::damaged_gguf_files();
  EXPECT_GE(files.size(), 1900U);
  std::set<std::string> different;
  for (const DamagedGguf& file : files) {
    different.insert(file.bytes);
    const HeapBytes bytes(file.bytes);
    const auto result = GgufFile::parse(bytes.get());
    ASSERT_FALSE(result) << file.damage;
    const base::Error& error = result.error();
    EXPECT_TRUE(error.code == ErrorCode::invalid_data || error.code == ErrorCode::unsupported) << file.damage;
    EXPECT_TRUE(is_one_clear_line(error.message)) << file.damage << ": " << error.message;
    EXPECT_NE(error.message.find(file.field), std::string::npos) << file.damage << ": " << error.message;
  }
  EXPECT_GE(different.size(), 1900U);
  RecordProperty("files", static_cast<int>(different.size()));
}

TEST(GgufDamage, FilesOnDiskGiveTheSameErrors) {
  const testing::TempDir folder;
  const std::vector<DamagedGguf> files = testing::damaged_gguf_files();
  for (std::size_t i = 0; i < files.size(); i += 7) {  // a sample: the parser is the same
    const DamagedGguf& file = files[i];
    testing::write_bytes(folder / "m.gguf", file.bytes);
    const HeapBytes bytes(file.bytes);
    const auto opened = GgufFile::open(folder / "m.gguf");
    ASSERT_FALSE(opened) << file.damage;
    EXPECT_EQ(opened.error().code, GgufFile::parse(bytes.get()).error().code) << file.damage;
    EXPECT_TRUE(opened.error().message.ends_with(GgufFile::parse(bytes.get()).error().message)) << file.damage;
  }
}

TEST(GgufDamage, EveryShorterFileIsRefused) {
  const std::string whole = testing::small_gguf(3).bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const HeapBytes bytes(whole.substr(0, length));
    ASSERT_FALSE(GgufFile::parse(bytes.get())) << length;
  }
  EXPECT_TRUE(GgufFile::parse(HeapBytes(whole).get()));
}

TEST(GgufDamage, UnsupportedThingsAreNamed) {
  const auto error_of = [](std::string bytes, std::size_t at, std::uint32_t value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return GgufFile::parse(HeapBytes(bytes).get()).error();
  };
  const GgufWriter writer = testing::small_gguf(3);
  const auto fields = writer.fields();
  const auto type = std::ranges::find(fields, "t.q4_0 type", &testing::GgufField::name);
  ASSERT_NE(type, fields.end());
  const base::Error iq2 = error_of(writer.bytes(), type->offset, 16);
  EXPECT_EQ(iq2.code, ErrorCode::unsupported);
  EXPECT_NE(iq2.message.find("IQ2_XXS"), std::string::npos);
  EXPECT_NE(error_of(writer.bytes(), type->offset, 40).message.find("NVFP4"), std::string::npos);
  EXPECT_EQ(error_of(writer.bytes(), type->offset, 1000).code, ErrorCode::invalid_data);
  const base::Error big_endian = error_of(writer.bytes(), 4, 0x03000000);
  EXPECT_EQ(big_endian.code, ErrorCode::unsupported);
  EXPECT_NE(big_endian.message.find("big-endian"), std::string::npos);
  const base::Error version = error_of(writer.bytes(), 4, 1);
  EXPECT_EQ(version.code, ErrorCode::unsupported);
  EXPECT_NE(version.message.find("version 1"), std::string::npos);
}

TEST(GgufDamage, ChangedBytesNeverCrash) {
  const std::string whole = testing::small_gguf(3).bytes();
  std::size_t accepted = 0;
  for (std::uint64_t trial = 0; trial < 20'000; ++trial) {
    std::string bytes = whole;
    const std::uint64_t changes = 1 + base::random_u64(trial, 0) % 4;
    for (std::uint64_t i = 1; i <= changes; ++i) {
      const std::uint64_t at = base::random_u64(trial, 2 * i) % bytes.size();
      const std::uint64_t random = base::random_u64(trial, 2 * i + 1);
      // Bits, small numbers and extremes find different holes.
      const std::uint64_t value = random % 3 == 0 ? random >> 8 : random % 3 == 1 ? (random >> 8) % 4 : 0xFF;
      bytes[at] = static_cast<char>(value);
    }
    const HeapBytes copy(bytes);
    const auto file = GgufFile::parse(copy.get());
    if (file) {
      accepted += exercise(*file) > 0 ? 1 : 0;
    } else {
      ASSERT_TRUE(is_one_clear_line(file.error().message)) << file.error().message;
    }
  }
  EXPECT_GT(accepted, 0U);
}

TEST(GgufDamage, AnErrorShowsHostileNamesHarmlessly) {
  GgufWriter writer;
  writer.tensor("evil\n\x1b[31m\xFF name", tensor::Type::f32, {0}, "");
  const std::string message = GgufFile::parse(HeapBytes(writer.bytes()).get()).error().message;
  EXPECT_TRUE(is_one_clear_line(message)) << message;
  EXPECT_NE(message.find("evil\\n\\x1b[31m\\xff name"), std::string::npos) << message;
}

// Not a test: tools/make_gguf_corpus.sh takes the fuzzer's seeds from here.
TEST(GgufDamage, WritesSeedsWhenAsked) {
  const char* const folder = std::getenv("PLAIT_GGUF_SEEDS");
  if (folder == nullptr) return;
  std::vector<std::string> seeds{testing::small_gguf(2).bytes(), testing::small_gguf(3).bytes()};
  for (const DamagedGguf& file : testing::damaged_gguf_files()) seeds.push_back(file.bytes);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    testing::write_bytes(std::filesystem::path(folder) / std::to_string(i), seeds[i]);
  }
}

}  // namespace
}  // namespace plait::models
