// SPDX-License-Identifier: Apache-2.0
#include "text/utf8.h"

#include <cstdint>
#include <cstring>

namespace plait::text {
namespace {

/// What the first byte of a character asks of the following ones (Unicode 3.9, table 3-7).
struct Lead {
  std::size_t length;                    // 0: no character begins with this byte
  unsigned char second_min, second_max;  // the second byte's range; the others are 80..BF
};

constexpr Lead lead(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Decoded decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Lead first = lead(byte(0));
  if (first.length == 1) return {byte(0), 1, true, false};
  if (first.length == 0) return {};
  for (std::size_t i = 1; i < first.length; ++i) {
    if (i == text.size()) return {kReplacement, i, false, true};
    const unsigned char min = i == 1 ? first.second_min : 0x80;
    const unsigned char max = i == 1 ? first.second_max : 0xBF;
    if (byte(i) < min || byte(i) > max) return {kReplacement, i, false, false};
  }
  std::size_t at = 0;
  const char32_t value = next_valid(text, at);
  return {value, at, true, false};
}

std::size_t valid_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    while (text.size() - at >= sizeof eight) {  // most text is ASCII: eight bytes at a time
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080ULL) != 0) break;
      at += sizeof eight;
    }
    if (at == text.size()) break;
    const Decoded one = decode(text.substr(at));
    if (!one.valid) break;
    at += one.length;
  }
  return at;
}

std::string sanitize(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t good = valid_prefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) break;
    out.append(kReplacementUtf8);
    text.remove_prefix(decode(text).length);
  }
  return out;
}

std::string take_complete(std::string& pending) {
  std::size_t end = pending.size();
  const std::size_t tail_begin = end < 3 ? 0 : end - 3;
  for (std::size_t at = tail_begin; at < end; ++at) {  // an unfinished character is among the last three bytes
    const Decoded one = decode(std::string_view(pending).substr(at));
    if (one.cut_short && at + one.length == pending.size()) end = at;
  }
  std::string out = sanitize(std::string_view(pending).substr(0, end));
  pending.erase(0, end);
  return out;
}

void append(std::string& out, char32_t code_point) {
  const bool wrong = code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF);
  const char32_t c = wrong ? kReplacement : code_point;
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

}  // namespace plait::text
