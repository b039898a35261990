// SPDX-License-Identifier: Apache-2.0
#include "operations/trace_context.h"

#include <algorithm>
#include <random>
#include <span>

#include "base/random.h"

namespace plait::operations {
namespace {

constexpr std::size_t kTracestateBytesMax = 512;
constexpr std::string_view kDigits = "0123456789abcdef";

std::string hex_of(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

// Two lower-case digits for each byte.
bool read_hex(std::string_view text, std::span<std::uint8_t> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t high = kDigits.find(text[2 * i]);
    const std::size_t low = kDigits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

bool all_zero(std::span<const std::uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

void put(std::uint64_t word, std::span<std::uint8_t> bytes) {
  for (std::uint8_t& byte : bytes) {
    byte = static_cast<std::uint8_t>(word);
    word >>= 8U;
  }
}

}  // namespace

std::string hex(const TraceId& id) { return hex_of(id); }
std::string hex(const SpanId& id) { return hex_of(id); }

std::optional<TraceContext> parse_traceparent(std::string_view field) {
  constexpr std::size_t kLength = 55;  // 2 + 1 + 32 + 1 + 16 + 1 + 2
  if (field.size() < kLength || field[2] != '-' || field[35] != '-' || field[52] != '-') return std::nullopt;
  std::array<std::uint8_t, 1> version = {};
  std::array<std::uint8_t, 1> flags = {};
  TraceContext context;
  if (!read_hex(field, version) || !read_hex(field.substr(3), context.trace) ||
      !read_hex(field.substr(36), context.span) || !read_hex(field.substr(53), flags)) {
    return std::nullopt;
  }
  const bool longer = field.size() > kLength;
  if (version[0] == 0xFF || (longer && (version[0] == 0 || field[kLength] != '-'))) return std::nullopt;
  if (all_zero(context.trace) || all_zero(context.span)) return std::nullopt;
  context.sampled = (flags[0] & 1U) != 0;
  return context;
}

std::string traceparent(const TraceContext& context) {
  return "00-" + hex(context.trace) + '-' + hex(context.span) + (context.sampled ? "-01" : "-00");
}

std::string kept_tracestate(std::string_view field) {
  const bool printable = std::ranges::all_of(field, [](char c) { return ' ' <= c && c <= '~'; });
  return printable && field.size() <= kTracestateBytesMax ? std::string(field) : std::string();
}

TraceIds::TraceIds() {
  std::random_device device;
  seed_ = (std::uint64_t{device()} << 32U) ^ device();
}

TraceId TraceIds::trace(std::uint64_t number) const {
  TraceId id = {};
  put(base::random_u64(seed_, number), std::span(id).first(8));
  put(base::random_u64(~seed_, number), std::span(id).last(8));
  if (all_zero(id)) id[0] = 1;
  return id;
}

SpanId TraceIds::span(std::uint64_t number, std::uint64_t part) const {
  SpanId id = {};
  put(base::random_u64(base::child_seed(seed_, number), part), id);
  if (all_zero(id)) id[0] = 1;
  return id;
}

}  // namespace plait::operations
