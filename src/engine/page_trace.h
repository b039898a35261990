// SPDX-License-Identifier: Apache-2.0
//
// Sequences of page requests: read from text, or made up. For replays; see engine/paging_replay.h.
//
// The text has one request a line, `page` or `page bit`. A page is a whole number below 2^64, decimal or with 0x in
// front; it names content (a server writes hashes), so the same page later is the same content. A bit is 0 or 1: what
// the owner knew, see EvictionPolicy's `done`. Either all requests have bits or none has. Blank lines, and what follows
// a `#`, are comments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace plait::engine {

struct PageTrace {
  std::vector<std::uint32_t> pages;  ///< One for each request: 0, 1, … in the order in which pages first appear.
  std::vector<std::uint8_t> bits;    ///< One for each request, or empty: none are known.
  std::vector<std::uint64_t> names;  ///< [page]: what the text calls it.

  /// How many pages there are.
  [[nodiscard]] std::uint32_t distinct() const { return static_cast<std::uint32_t>(names.size()); }
  friend bool operator==(const PageTrace&, const PageTrace&) = default;
};

/// Reads the text form. Errors, with the number of the line: invalid_data (no number, no such bit, too many words, bits
/// on some lines only, no request at all); out_of_resources (more than 2^26 requests).
[[nodiscard]] base::Result<PageTrace> parse_page_trace(std::string_view text);

/// The text form, one request a line.
[[nodiscard]] std::string page_trace_text(const PageTrace& trace);

/// The trace of these names, without bits.
[[nodiscard]] PageTrace page_trace(const std::vector<std::uint64_t>& names);

/// Conversations that share a server. Each keeps a prefix of pages: some that all share (the system prompt), then its
/// own. A turn reads the whole prefix again and appends pages; then the conversation waits, for some turns of others,
/// until it is its turn again or it ends and a new one takes its place.
struct SessionTraceOptions {
  std::size_t requests = 4000;
  std::uint64_t seed = 0;
  std::uint32_t sessions = 8;      ///< Conversations at a time.
  std::uint32_t shared_pages = 2;  ///< Of the system prompt.
  std::uint32_t turn_pages = 3;    ///< A turn appends one page to so many.
  double end_probability = 0.1;    ///< That a turn was the last one.
  double stay_probability = 0.3;   ///< That the next turn belongs to the same conversation.
};
[[nodiscard]] PageTrace session_trace(const SessionTraceOptions& options);

/// Independent draws of `pages` pages, the i-th with a probability proportional to 1 / i^exponent.
[[nodiscard]] PageTrace zipf_trace(std::size_t requests, std::uint32_t pages, double exponent, std::uint64_t seed);

/// 0, 1, …, pages - 1 over and over: what LRU is worst at.
[[nodiscard]] PageTrace loop_trace(std::size_t requests, std::uint32_t pages);

}  // namespace plait::engine
