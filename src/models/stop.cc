// SPDX-License-Identifier: Apache-2.0
//
// One Knuth-Morris-Pratt automaton per stop string, all advanced byte by byte. The longest current prefix of any of
// them is exactly what must be held back.
#include "models/stop.h"

#include <fmt/format.h>

#include <algorithm>

namespace plait::models {
namespace {

constexpr std::size_t kStringsMax = 64;
constexpr std::size_t kStringBytesMax = 1024;
constexpr std::size_t kIdsMax = 4096;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

// Enough to know that a string neither starts nor ends inside a character; the text area judges encodings in full.
bool is_whole_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 ? 3 : 2;
    if ((lead >= 0x80 && lead < 0xc2) || lead >= 0xf5 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if (!is_continuation(text[i + k])) return false;
    }
    i += length;
  }
  return true;
}

std::vector<std::size_t> borders(std::string_view text) {
  std::vector<std::size_t> border(text.size() + 1, 0);
  std::size_t k = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    while (k > 0 && text[i] != text[k]) k = border[k];
    if (text[i] == text[k]) ++k;
    border[i + 1] = k;
  }
  return border;
}

}  // namespace

base::Result<StopStream> StopStream::make(StopOptions options) {
  using base::ErrorCode;
  if (options.strings.size() > kStringsMax) {
    return base::fail(ErrorCode::invalid_argument,
                      fmt::format("stop: {} strings, at most {} are allowed", options.strings.size(), kStringsMax));
  }
  if (options.ids.size() > kIdsMax) {
    return base::fail(ErrorCode::invalid_argument,
                      fmt::format("stop ids: {} given, at most {} are allowed", options.ids.size(), kIdsMax));
  }
  StopStream stream;
  for (std::string& text : options.strings) {
    if (text.empty()) return base::fail(ErrorCode::invalid_argument, "stop: a stop string must not be empty");
    if (text.size() > kStringBytesMax) {
      return base::fail(ErrorCode::invalid_argument, fmt::format("stop: a string of {} bytes, at most {} are allowed",
                                                                 text.size(), kStringBytesMax));
    }
    if (!is_whole_utf8(text)) return base::fail(ErrorCode::invalid_argument, "stop: a stop string is not UTF-8");
    std::vector<std::size_t> border = borders(text);
    stream.patterns_.push_back({std::move(text), std::move(border), 0});
  }
  stream.ids_ = std::move(options.ids);
  std::ranges::sort(stream.ids_);
  stream.include_text_ = options.include_text;
  return stream;
}

bool StopStream::is_stop(base::TokenId id) const { return std::ranges::binary_search(ids_, id); }

void StopStream::advance(Pattern& pattern, char byte) {
  std::size_t k = pattern.matched;
  while (k > 0 && pattern.text[k] != byte) k = pattern.border[k];
  pattern.matched = pattern.text[k] == byte ? k + 1 : 0;
}

StopStream::Piece StopStream::push(std::string_view bytes) {
  Piece piece;
  if (stopped_) return piece;
  if (patterns_.empty()) {
    piece.text = bytes;
    return piece;
  }
  for (const char byte : bytes) {
    held_.push_back(byte);
    std::size_t best = 0;
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
      advance(patterns_[i], byte);
      if (patterns_[i].matched == patterns_[i].text.size() && patterns_[i].matched > best) {
        best = patterns_[i].matched;
        piece.string_index = i;
      }
    }
    if (best > 0) {
      held_.resize(held_.size() - (include_text_ ? 0 : best));
      piece.text = std::move(held_);
      held_.clear();
      piece.stopped = stopped_ = true;
      return piece;
    }
  }
  std::size_t keep = 0;
  for (const Pattern& pattern : patterns_) keep = std::max(keep, pattern.matched);
  piece.text = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return piece;
}

std::string StopStream::flush() {
  std::string rest = std::move(held_);
  held_.clear();
  for (Pattern& pattern : patterns_) pattern.matched = 0;
  return rest;
}

}  // namespace plait::models
