// SPDX-License-Identifier: Apache-2.0
#include "models/gguf.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "testing/bytes.h"
#include "testing/gguf_writer.h"
#include "testing/temp_dir.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using testing::bytes_of;
using testing::GgufWriter;

GgufWriter every_kind(std::uint32_t version = 3) {
  GgufWriter writer(version);
  writer.string("general.architecture", "llama").string("empty", "");
  writer.number<std::uint8_t>("u8", 255).number<std::int8_t>("i8", -128);
  writer.number<std::uint16_t>("u16", 65535).number<std::int16_t>("i16", -32768);
  writer.number<std::uint32_t>("u32", 4294967295U).number<std::int32_t>("i32", -2147483647);
  writer.number<std::uint64_t>("u64", ~0ULL).number<std::int64_t>("i64", -9'000'000'000LL);
  writer.number("f32", 0.5F).number("f64", std::numbers::pi).number("yes", true).number("no", false);
  writer.strings("tokens", {"a", "", "ĉ"}).numbers<float>("scores", {1, -2.5F}).numbers<std::int32_t>("types", {1, -3});
  writer.numbers<bool>("flags", {true, false});
  writer.array("none", 5, 0, "");
  return writer;
}

class GgufVersions : public ::testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Versions, GgufVersions, ::testing::Values(2U, 3U));

TEST_P(GgufVersions, MetadataOfEveryKind) {
  const std::string bytes = every_kind(GetParam()).bytes();
  const GgufFile file = GgufFile::parse(bytes_of(bytes)).value();
  EXPECT_EQ(file.version(), GetParam());
  EXPECT_EQ(file.get<std::string_view>("general.architecture"), "llama");
  EXPECT_EQ(file.get<std::string_view>("empty"), "");
  EXPECT_EQ(file.get<std::int32_t>("u8"), 255);
  EXPECT_EQ(file.get<std::int64_t>("i8"), -128);
  EXPECT_EQ(file.get<std::uint32_t>("u16"), 65535U);
  EXPECT_EQ(file.get<std::int32_t>("i16"), -32768);
  EXPECT_EQ(file.get<std::uint64_t>("u32"), 4294967295U);
  EXPECT_EQ(file.get<std::int64_t>("i32"), -2147483647);
  EXPECT_EQ(file.get<std::uint64_t>("u64"), ~0ULL);
  EXPECT_EQ(file.get<std::int64_t>("i64"), -9'000'000'000LL);
  EXPECT_EQ(file.get<float>("f32"), 0.5F);
  EXPECT_EQ(file.get<double>("f64"), std::numbers::pi);
  EXPECT_EQ(file.get<float>("f64"), static_cast<float>(std::numbers::pi));
  EXPECT_EQ(file.get<float>("i16"), -32768.0F);
  EXPECT_EQ(file.get<bool>("yes"), true);
  EXPECT_EQ(file.get<bool>("no"), false);
  EXPECT_EQ(file.strings("tokens").value(), (std::vector<std::string_view>{"a", "", "ĉ"}));
  EXPECT_EQ(file.numbers<float>("scores").value(), (std::vector<float>{1, -2.5F}));
  EXPECT_EQ(file.numbers<std::int32_t>("types").value(), (std::vector<std::int32_t>{1, -3}));
  EXPECT_EQ(file.numbers<double>("types").value(), (std::vector<double>{1, -3}));
  EXPECT_TRUE(file.numbers<std::int32_t>("none").value().empty());
  EXPECT_EQ(file.metadata().size(), 19U);
  EXPECT_EQ(file.metadata()[2].key, "u8");
}

TEST(Gguf, AValueOfTheWrongKindOrRangeIsNamed) {
  const std::string bytes = every_kind().bytes();
  const GgufFile file = GgufFile::parse(bytes_of(bytes)).value();
  EXPECT_EQ(file.get<std::uint32_t>("absent"), std::nullopt);
  EXPECT_EQ(file.get<std::uint32_t>("i8"), std::nullopt);
  EXPECT_EQ(file.get<std::int64_t>("u64"), std::nullopt);
  EXPECT_EQ(file.get<std::int32_t>("u32"), std::nullopt);
  EXPECT_EQ(file.get<std::uint32_t>("f32"), std::nullopt);
  EXPECT_EQ(file.get<std::uint32_t>("yes"), std::nullopt);
  EXPECT_EQ(file.get<bool>("u8"), std::nullopt);
  EXPECT_EQ(file.get<std::string_view>("tokens"), std::nullopt);
  EXPECT_EQ(file.require<std::uint32_t>("absent").error().code, ErrorCode::not_found);
  EXPECT_EQ(file.require<std::uint32_t>("f32").error().code, ErrorCode::invalid_data);
  EXPECT_EQ(file.require<std::string_view>("u8").error().code, ErrorCode::invalid_data);
  EXPECT_EQ(file.strings("scores").error().code, ErrorCode::invalid_data);
  EXPECT_EQ(file.strings("absent").error().code, ErrorCode::not_found);
  EXPECT_EQ(file.numbers<float>("tokens").error().code, ErrorCode::invalid_data);
  EXPECT_EQ(file.numbers<float>("flags").error().code, ErrorCode::invalid_data);
  EXPECT_EQ(file.numbers<std::uint32_t>("types").error().code, ErrorCode::invalid_data);  // -3
  EXPECT_EQ(file.numbers<std::int32_t>("absent").error().code, ErrorCode::not_found);
  EXPECT_EQ(file.get_or<std::uint32_t>("absent", 7).value(), 7U);
  EXPECT_EQ(file.get_or<std::uint32_t>("u8", 7).value(), 255U);
  EXPECT_EQ(file.get_or<std::uint32_t>("empty", 7).error().code, ErrorCode::invalid_data);
  EXPECT_NE(file.require<std::uint32_t>("i8").error().message.find("'i8' is -128"), std::string::npos);
}

TEST(Gguf, DoublesBeyondFloatAreRefusedButInfinityAndNanPass) {
  GgufWriter writer;
  writer.number("big", 1e300).number("inf", std::numeric_limits<double>::infinity()).number("nan", std::nan(""));
  const std::string bytes = writer.bytes();
  const GgufFile file = GgufFile::parse(bytes_of(bytes)).value();
  EXPECT_EQ(file.get<float>("big"), std::nullopt);
  EXPECT_EQ(file.get<double>("big"), 1e300);
  EXPECT_TRUE(std::isinf(file.get<float>("inf").value()));
  EXPECT_TRUE(std::isnan(file.get<float>("nan").value()));
}

TEST_P(GgufVersions, TensorsOfEveryType) {
  GgufWriter writer(GetParam());
  char fill = 1;
  for (const tensor::TypeInfo& type : tensor::all_types()) {
    std::string data(3 * 2 * type.block_bytes, fill++);
    writer.tensor("t." + std::string(type.name), type.type, {2 * type.block_elements, 3}, std::move(data));
  }
  writer.tensor("vector", {5}, {1, 2, 3, 4, 5}).zeros("four", tensor::Type::f16, {2, 3, 4, 5});
  const std::string bytes = writer.bytes();
  const GgufFile file = GgufFile::parse(bytes_of(bytes)).value();
  ASSERT_EQ(file.tensors().size(), tensor::all_types().size() + 2);
  fill = 1;
  for (const tensor::TypeInfo& type : tensor::all_types()) {
    const TensorInfo* info = file.find("t." + std::string(type.name));
    ASSERT_NE(info, nullptr);
    const tensor::MatrixView matrix = file.matrix(*info);
    EXPECT_EQ(matrix.type, type.type);
    EXPECT_EQ(matrix.rows, 3U);
    EXPECT_EQ(matrix.columns, 2 * type.block_elements);
    ASSERT_EQ(matrix.bytes.size(), 6 * type.block_bytes);
    EXPECT_EQ(matrix.bytes.front(), std::byte(fill));
    EXPECT_EQ(matrix.bytes.back(), std::byte(fill++));
    file.drop_pages(*info);  // nothing to drop in memory, and no harm
  }
  EXPECT_EQ(file.matrix(*file.find("vector")).rows, 1U);
  EXPECT_EQ(file.find("four")->elements(), 120U);
  EXPECT_EQ(file.find("four")->rows(), 60U);
  EXPECT_EQ(file.find("five"), nullptr);
  EXPECT_EQ(file.file_bytes(), bytes.size());
  EXPECT_TRUE(file.check());
}

TEST(Gguf, AlignmentOfTheFileHolds) {
  for (const std::uint32_t alignment : {1U, 8U, 64U, 4096U}) {
    GgufWriter writer;
    writer.alignment(alignment).tensor("a", {3}, {1, 2, 3}).tensor("b", {1}, {9});
    const std::string bytes = writer.bytes();
    const GgufFile file = GgufFile::parse(bytes_of(bytes)).value();
    EXPECT_EQ(file.find("b")->offset % alignment, 0U);
    float value = 0;
    std::memcpy(&value, file.matrix(*file.find("b")).bytes.data(), sizeof value);
    EXPECT_EQ(value, 9);
  }
}

TEST(Gguf, NestedArraysAreReadToADepth) {
  const auto nested = [](int depth) {
    std::string payload = GgufWriter::bytes_of<std::uint32_t>(4) + GgufWriter::bytes_of<std::uint64_t>(1) + "1234";
    for (int i = 2; i < depth; ++i) {
      payload = GgufWriter::bytes_of<std::uint32_t>(9) + GgufWriter::bytes_of<std::uint64_t>(1) + payload;
    }
    GgufWriter writer;
    writer.array("deep", 9, 1, payload).number("after", true);
    return writer.bytes();
  };
  const std::string shallow = nested(4);
  const GgufFile file = GgufFile::parse(bytes_of(shallow)).value();
  EXPECT_EQ(file.get<bool>("after"), true);
  EXPECT_EQ(file.entry("deep")->element, GgufKind::array);
  EXPECT_EQ(file.entry("deep")->text(), "[1 x array]");
  EXPECT_EQ(GgufFile::parse(bytes_of(nested(5))).error().code, ErrorCode::invalid_data);
  EXPECT_EQ(GgufFile::parse(bytes_of(nested(2000))).error().code, ErrorCode::invalid_data);
}

TEST(Gguf, TextForPeopleIsOneShortLine) {
  GgufWriter writer = every_kind();
  writer.string("template", "line 1\nline \"2\" \x01\x7f\xff é \u202e").string("long", std::string(5000, 'x'));
  writer.numbers<std::uint32_t>("many", std::vector<std::uint32_t>(1000, 12345));
  const std::string bytes = writer.bytes();
  const GgufFile file = GgufFile::parse(bytes_of(bytes)).value();
  EXPECT_EQ(file.entry("general.architecture")->text(), "\"llama\"");
  EXPECT_EQ(file.entry("u8")->text(), "255");
  EXPECT_EQ(file.entry("i8")->text(), "-128");
  EXPECT_EQ(file.entry("f32")->text(), "0.5");
  EXPECT_EQ(file.entry("yes")->text(), "true");
  EXPECT_EQ(file.entry("tokens")->text(), "[3 x string: \"a\", \"\", \"ĉ\"]");
  EXPECT_EQ(file.entry("flags")->text(), "[2 x bool: true, false]");
  EXPECT_EQ(file.entry("none")->text(), "[0 x i32]");
  EXPECT_EQ(file.entry("template")->text(), "\"line 1\\nline \\\"2\\\" \\x01\\x7f\\xff é \\u202e\"");
  for (const GgufEntry& entry : file.metadata()) {
    EXPECT_LE(entry.text(80).size(), 100U) << entry.key;
    EXPECT_FALSE(name(entry.kind).empty());
  }
}

TEST(Gguf, OpensAFileAndReportsWhatIsNone) {
  const testing::TempDir folder;
  testing::write_bytes(folder / "a.gguf", every_kind().tensor("t", {2}, {1, 2}).bytes());
  GgufFile file = GgufFile::open(folder / "a.gguf").value();
  const GgufFile moved = std::move(file);
  EXPECT_EQ(moved.get<std::string_view>("general.architecture"), "llama");
  EXPECT_EQ(moved.matrix(*moved.find("t")).columns, 2U);
  moved.drop_pages(*moved.find("t"));
  EXPECT_TRUE(moved.check());

  EXPECT_EQ(GgufFile::open(folder / "absent.gguf").error().code, ErrorCode::not_found);
  EXPECT_EQ(GgufFile::open(folder.path()).error().code, ErrorCode::invalid_argument);
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(GgufFile::open(folder / "pipe").error().code, ErrorCode::invalid_argument);
  for (const char* content : {"", "GGU", "<html>no such model</html>", "version https://git-lfs.github.com/spec/v1\n",
                              "{\"error\": \"denied\"}", "PK\3\4"}) {
    testing::write_bytes(folder / "none.gguf", content);
    const base::Error error = GgufFile::open(folder / "none.gguf").error();
    EXPECT_EQ(error.code, ErrorCode::invalid_data) << content;
    EXPECT_NE(error.message.find("none.gguf"), std::string::npos);
    EXPECT_EQ(error.message.find('\n'), std::string::npos);
  }
}

TEST(Gguf, ASparseFileOfZerosIsNoModel) {
  const testing::TempDir folder;
  testing::write_bytes(folder / "sparse.gguf", "");
  ASSERT_EQ(truncate((folder / "sparse.gguf").c_str(), 1LL << 40), 0);
  EXPECT_EQ(GgufFile::open(folder / "sparse.gguf").error().code, ErrorCode::invalid_data);
}

TEST(Gguf, AFileCutShortAfterOpeningIsReportedAndNoCrash) {
  const testing::TempDir folder;
  const std::filesystem::path path = folder / "a.gguf";
  testing::write_bytes(path, every_kind().zeros("t", tensor::Type::f32, {1000, 1000}).bytes());
  const GgufFile file = GgufFile::open(path).value();
  ASSERT_EQ(truncate(path.c_str(), 4096), 0);
  unsigned sum = 0;
  for (const std::byte byte : file.matrix(*file.find("t")).bytes) sum += std::to_integer<unsigned>(byte);
  EXPECT_EQ(sum, 0U);
  EXPECT_EQ(file.check().error().code, ErrorCode::io);
}

std::vector<GgufWriter> three_parts() {
  std::vector<GgufWriter> parts(3);
  parts[0].string("general.architecture", "llama");
  parts[0].tensor("a", {2}, {1, 2});
  parts[1].tensor("b", {2}, {3, 4}).tensor("c", {2}, {5, 6});
  parts[2].tensor("d", {2}, {7, 8});
  return parts;
}

TEST(GgufParts, AnyPartOpensAll) {
  const testing::TempDir folder;
  const auto paths = testing::write_gguf_parts(folder.path(), "model", three_parts());
  for (const auto& path : paths) {
    const GgufFile file = GgufFile::open(path).value();
    EXPECT_EQ(file.part_count(), 3U);
    EXPECT_EQ(file.get<std::string_view>("general.architecture"), "llama");
    ASSERT_EQ(file.tensors().size(), 4U);
    float value = 1;
    for (const TensorInfo& tensor : file.tensors()) {
      float found = 0;
      std::memcpy(&found, file.matrix(tensor).bytes.data(), sizeof found);
      EXPECT_EQ(found, value);
      value += 2;
      file.drop_pages(tensor);
    }
    EXPECT_EQ(file.find("c")->part, 1U);
    EXPECT_EQ(file.file_bytes(), file_size(paths[0]) + file_size(paths[1]) + file_size(paths[2]));
    EXPECT_TRUE(file.check());
  }
}

TEST(GgufParts, EachMismatchIsAnError) {
  const testing::TempDir folder;
  auto paths = testing::write_gguf_parts(folder.path(), "model", three_parts());
  std::filesystem::remove(paths[1]);
  const base::Error missing = GgufFile::open(paths[0]).error();
  EXPECT_EQ(missing.code, ErrorCode::not_found);
  EXPECT_NE(missing.message.find("model-00002-of-00003.gguf"), std::string::npos);

  std::filesystem::copy_file(paths[0], paths[1]);  // says that it is part 1
  EXPECT_EQ(GgufFile::open(paths[0]).error().code, ErrorCode::invalid_data);

  std::filesystem::copy_file(paths[0], folder / "renamed.gguf");
  EXPECT_EQ(GgufFile::open(folder / "renamed.gguf").error().code, ErrorCode::invalid_data);

  auto parts = three_parts();
  parts[2].tensor("a", {1}, {0});  // the name is taken by part 1
  paths = testing::write_gguf_parts(folder.path(), "twice", parts);
  EXPECT_EQ(GgufFile::open(paths[0]).error().code, ErrorCode::invalid_data);

  paths = testing::write_gguf_parts(folder.path(), "few", three_parts());
  GgufWriter fewer;
  fewer.number<std::uint16_t>("split.no", 1).number<std::uint16_t>("split.count", 3);
  fewer.number<std::int32_t>("split.tensors.count", 4).tensor("b", {2}, {3, 4});
  testing::write_bytes(paths[1], fewer.bytes());
  EXPECT_EQ(GgufFile::open(paths[0]).error().code, ErrorCode::invalid_data);

  GgufWriter other_count;
  other_count.number<std::uint16_t>("split.no", 1).number<std::uint16_t>("split.count", 4);
  testing::write_bytes(paths[1], other_count.bytes());
  EXPECT_EQ(GgufFile::open(paths[0]).error().code, ErrorCode::invalid_data);

  testing::write_bytes(paths[1], "not a part");
  EXPECT_EQ(GgufFile::open(paths[0]).error().code, ErrorCode::invalid_data);
}

TEST(GgufParts, NonsenseInThePartNumbersIsAnError) {
  const testing::TempDir folder;
  const auto open = [&](const GgufWriter& writer) {
    testing::write_bytes(folder / "x-00001-of-00002.gguf", writer.bytes());
    return GgufFile::open(folder / "x-00001-of-00002.gguf");
  };
  EXPECT_EQ(open(GgufWriter().string("split.count", "two")).error().code, ErrorCode::invalid_data);
  EXPECT_EQ(open(GgufWriter().number<std::uint16_t>("split.count", 2)).error().code, ErrorCode::invalid_data);
  for (const auto& [part, count] : std::vector<std::pair<int, int>>{{-1, 2}, {2, 2}, {0, 2'000'000'000}}) {
    GgufWriter writer;
    writer.number("split.no", part).number("split.count", count).number("split.tensors.count", 0);
    EXPECT_EQ(open(writer).error().code, ErrorCode::invalid_data) << part << " of " << count;
  }
  EXPECT_TRUE(open(GgufWriter().number<std::uint16_t>("split.count", 1)));
  const std::string bytes = GgufWriter().number<std::uint16_t>("split.count", 2).bytes();
  EXPECT_EQ(GgufFile::parse(bytes_of(bytes)).error().code, ErrorCode::unsupported);
}

TEST(GgufProperty, WhatIsWrittenIsRead) {
  EXPECT_TRUE(
      rc::check([](const std::vector<std::pair<std::string, std::string>>& texts, const std::vector<float>& values) {
        GgufWriter writer;
        std::vector<std::string> keys;
        for (std::size_t i = 0; i < texts.size(); ++i) {
          keys.push_back(std::to_string(i) + texts[i].first);
          writer.string(keys.back(), texts[i].second);
        }
        writer.numbers<float>("values", values);
        if (!values.empty()) writer.tensor("t", {values.size()}, values);
        const std::string bytes = writer.bytes();
        const GgufFile file = GgufFile::parse(bytes_of(bytes)).value();
        for (std::size_t i = 0; i < texts.size(); ++i)
          RC_ASSERT(file.get<std::string_view>(keys[i]) == texts[i].second);
        RC_ASSERT(file.numbers<float>("values").value() == values);
        if (!values.empty()) RC_ASSERT(file.matrix(*file.find("t")).bytes.size() == values.size() * sizeof(float));
      }));
}

}  // namespace
}  // namespace plait::models
