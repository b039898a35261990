// SPDX-License-Identifier: Apache-2.0
#include "testing/damaged_gguf.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>
#include <utility>

namespace plait::testing {
namespace {

using tensor::Type;

constexpr std::uint64_t kHuge = ~0ULL;

template <class T>
T value_at(const std::string& bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Impossible values for a structural field, given its true one. Names are those of GgufField.
std::vector<std::uint64_t> impossible_values(std::string_view field, std::uint64_t value) {
  const auto is = [&](std::string_view suffix) { return field.ends_with(suffix); };
  if (is("tensor count") || is("metadata count"))
    return {value + 1, 1ULL << 20, 1ULL << 32, 1ULL << 61, 1ULL << 63, kHuge};
  if (is("key length") || is("name length")) return {0, 65536, 1ULL << 32, 1ULL << 63, kHuge, kHuge - 7};
  if (is("value length")) return {1ULL << 20, 1ULL << 32, 1ULL << 63, kHuge, kHuge - 7};
  // 2^61 elements of 8 bytes and 2^62 of 4 wrap to nothing.
  if (is("element count")) return {1ULL << 20, 1ULL << 60, 1ULL << 61, 1ULL << 62, 1ULL << 63, kHuge};
  if (is("element type")) return {13, 255, 0x80000000};
  if (is("dimension count")) return {0, 5, 64, 0x80000000, 0xFFFFFFFF};
  if (is("dimension 0") || is("dimension 1")) return {0, 1ULL << 20, 1ULL << 32, 1ULL << 62, 1ULL << 63, kHuge};
  if (is("offset")) return {value + 1, value + (1U << 20), 1ULL << 63, kHuge - 31, kHuge};
  if (field == "version") return {0, 1, 4, 0x01000000, 0x02000000, 0x03000000, 0xFFFFFFFF};
  if (field == "magic") return {0, value ^ 1U, 0x66756767, 0x47475546, 0x67676D6C};
  return {};
}

// What a message about this field should name.
std::string named_by(std::string_view field) {
  for (const std::string_view suffix : {" dimension count", " dimension 0", " dimension 1", " offset", " element type",
                                        " element count", " value length"}) {
    if (field.ends_with(suffix)) return std::string(field.substr(0, field.size() - suffix.size()));
  }
  return {};
}

std::string with_field(std::string bytes, const GgufField& field, std::uint64_t value) {
  std::memcpy(bytes.data() + field.offset, &value, field.length);
  return bytes;
}

void add_cuts(const GgufWriter& writer, std::string_view label, std::vector<DamagedGguf>& out) {
  const std::string bytes = writer.bytes();
  std::size_t before = bytes.size();  // each length once
  for (const GgufField& field : writer.fields()) {
    for (const std::size_t length : {field.offset, field.offset + field.length / 2}) {
      if (length == before) continue;
      before = length;
      out.push_back({fmt::format("{}: cut at {} of {}, at '{}'", label, length, bytes.size(), field.name), "",
                     bytes.substr(0, length)});
    }
  }
}

void add_bad_fields(const GgufWriter& writer, std::string_view label, std::vector<DamagedGguf>& out) {
  const std::string bytes = writer.bytes();
  for (const GgufField& field : writer.fields()) {
    if (field.length != 4 && field.length != 8) continue;
    const std::uint64_t value =
        field.length == 4 ? value_at<std::uint32_t>(bytes, field.offset) : value_at<std::uint64_t>(bytes, field.offset);
    const bool is_type = field.name.ends_with(" type") && !field.name.ends_with(" element type");
    std::vector<std::uint64_t> values = impossible_values(field.name, value);
    if (is_type) values = {13 + 200, 0x80000000, 0xFFFFFFFF};
    for (const std::uint64_t bad : values) {
      out.push_back({fmt::format("{}: '{}' = {} instead of {}", label, field.name, bad, value), named_by(field.name),
                     with_field(bytes, field, bad)});
    }
  }
}

void add_bad_types(const GgufWriter& writer, std::string_view label, std::vector<DamagedGguf>& out) {
  const std::string bytes = writer.bytes();
  for (const GgufField& field : writer.fields()) {
    if (!field.name.starts_with("t.") || !field.name.ends_with(" type")) continue;
    for (const unsigned number : {4U, 5U, 9U, 15U, 16U, 19U, 22U, 24U, 28U, 34U, 38U, 40U}) {
      out.push_back({fmt::format("{}: '{}' = {}", label, field.name, number),
                     field.name.substr(0, field.name.size() - 5), with_field(bytes, field, number)});
    }
  }
}

void add_bad_content(std::uint32_t version, std::string_view label, std::vector<DamagedGguf>& out) {
  const auto add = [&](std::string_view damage, std::string field, const GgufWriter& writer) {
    out.push_back({fmt::format("{}: {}", label, damage), std::move(field), writer.bytes()});
  };
  const auto base = [&] { return small_gguf(version); };
  add("a key twice", "general.architecture", base().string("general.architecture", "qwen2"));
  add("a tensor name twice", "t.f32", base().zeros("t.f32", Type::f32, {1}));
  add("a boolean of 2", "odd", base().raw("odd", 7, "\2"));
  add("a boolean of 255 in an array", "odd", base().array("odd", 7, 2, std::string("\1\xFF", 2)));
  for (const std::uint32_t alignment : {0U, 3U, 24U, 33U, 1U << 21U, 1U << 31U, ~0U}) {
    add(fmt::format("alignment {}", alignment), "general.alignment",
        GgufWriter(version).number("general.alignment", alignment).zeros("t", Type::f32, {1}));
  }
  add("alignment as text", "general.alignment", GgufWriter(version).string("general.alignment", "32"));
  add("alignment of 64 bits", "general.alignment", GgufWriter(version).number<std::uint64_t>("general.alignment", 32));
  std::string payload = std::string("\4\0\0\0", 4) + std::string(8, '\0');
  for (int depth = 1; depth <= 64; ++depth) {
    payload = GgufWriter::bytes_of<std::uint32_t>(9) + GgufWriter::bytes_of<std::uint64_t>(1) + payload;
    if (depth >= 3) add(fmt::format("arrays nested {} deep", depth + 2), "deep", base().array("deep", 9, 1, payload));
  }
  add("columns that are no whole blocks", "t.bad", base().tensor("t.bad", Type::q4_0, {33}, std::string(36, '\0')));
  add("columns that are no whole big blocks", "t.bad",
      base().tensor("t.bad", Type::q6_k, {32, 8}, std::string(210, '\0')));
  add("five dimensions", "t.bad", base().tensor("t.bad", Type::f32, {1, 1, 1, 1, 1}, std::string(4, '\0')));
  add("dimensions that multiply to 0 in 64 bits", "t.bad",
      base().tensor("t.bad", Type::f32, {1ULL << 32, 1ULL << 32}, std::string(4, '\0')));
  add("dimensions that multiply to 1 in 64 bits", "t.bad",
      base().tensor("t.bad", Type::f32, {0xFFFFFFFFULL, 0x100000001ULL, 0xFFFFFFFFFFFFFFFFULL}, std::string(4, '\0')));
  add("a name of 5000 bytes", "", base().zeros(std::string(5000, 'x'), Type::f32, {1}));
  add("less data than the tensor needs", "t.bad", base().tensor("t.bad", Type::f32, {100}, std::string(396, '\0')));
}

void add_overlaps(std::uint32_t version, std::string_view label, std::vector<DamagedGguf>& out) {
  const GgufWriter writer = small_gguf(version);
  const std::string bytes = writer.bytes();
  std::vector<GgufField> offsets;
  for (const GgufField& field : writer.fields()) {
    if (field.name.ends_with(" offset")) offsets.push_back(field);
  }
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      out.push_back({fmt::format("{}: '{}' = '{}'", label, offsets[i].name, offsets[j].name), "",
                     with_field(bytes, offsets[i], value_at<std::uint64_t>(bytes, offsets[j].offset))});
    }
  }
}

}  // namespace

GgufWriter small_gguf(std::uint32_t version) {
  GgufWriter writer(version);
  writer.string("general.architecture", "llama").string("general.name", "tiny");
  if (version == 2) writer.alignment(64);
  writer.number<std::uint8_t>("n.u8", 1).number<std::int8_t>("n.i8", -1);
  writer.number<std::uint16_t>("n.u16", 1).number<std::int16_t>("n.i16", -1);
  writer.number<std::uint32_t>("llama.block_count", 1).number<std::int32_t>("n.i32", -1);
  writer.number<std::uint64_t>("n.u64", 1).number<std::int64_t>("n.i64", -1);
  writer.number("n.f32", 1e-5F).number("n.f64", 0.5).number("n.yes", true);
  writer.strings("a.strings", {"<s>", "", "hello"})
      .numbers<float>("a.f32", {0, -1})
      .numbers<std::int32_t>("a.i32", {1, 2});
  writer.numbers<std::uint8_t>("a.u8", {1, 2, 3}).numbers<double>("a.f64", {1}).numbers<bool>("a.bool", {true, false});
  writer.array("a.nested", 9, 1, std::string("\0\0\0\0\2\0\0\0\0\0\0\0ab", 14));
  writer.zeros("t.f32", Type::f32, {4, 2}).zeros("t.f16", Type::f16, {8, 2}).zeros("t.q4_0", Type::q4_0, {32, 2});
  writer.zeros("t.q8_0", Type::q8_0, {64, 2})
      .zeros("t.q4_k", Type::q4_k, {256, 1})
      .zeros("t.q6_k", Type::q6_k, {256, 1});
  writer.zeros("t.bf16", Type::bf16, {3, 2, 2, 1});
  return writer;
}

std::vector<DamagedGguf> damaged_gguf_files() {
  std::vector<DamagedGguf> out;
  for (const std::uint32_t version : {2U, 3U}) {
    const GgufWriter writer = small_gguf(version);
    const std::string label = fmt::format("version {}", version);
    add_cuts(writer, label, out);
    add_bad_fields(writer, label, out);
    add_bad_types(writer, label, out);
    add_bad_content(version, label, out);
    add_overlaps(version, label, out);
  }
  return out;
}

}  // namespace plait::testing
