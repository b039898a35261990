// SPDX-License-Identifier: Apache-2.0
#include "engine/page_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "base/check.h"
#include "base/random.h"

namespace plait::engine {
namespace {

constexpr std::size_t kRequestsMax = std::size_t{1} << 26U;  // keeps what a replay allocates below 2 GiB

/// Numbers pages in the order in which they appear.
class Numbering {
 public:
  explicit Numbering(PageTrace& trace) : trace_(trace) {}
  void add(std::uint64_t name) {
    const auto [at, is_new] = numbers_.try_emplace(name, trace_.distinct());
    if (is_new) trace_.names.push_back(name);
    trace_.pages.push_back(at->second);
  }

 private:
  PageTrace& trace_;
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
};

/// Takes the next word off the front of a line; empty at its end.
std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kSpace = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kSpace));
  line.remove_prefix(word.size());
  return word;
}

std::optional<std::uint64_t> whole_number(std::string_view word) {
  const int number_base = word.starts_with("0x") ? 16 : 10;
  if (number_base == 16) word.remove_prefix(2);
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), value, number_base);
  if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size()) return std::nullopt;
  return value;
}

/// A word of the input as an error may show it: short.
std::string shown(std::string_view word) {
  return word.size() > 24 ? fmt::format("`{}…`", word.substr(0, 24)) : fmt::format("`{}`", word);
}

std::unexpected<base::Error> bad_line(std::size_t number, const std::string& what) {
  return base::fail(base::ErrorCode::invalid_data, fmt::format("line {}: {}", number, what));
}

base::Result<void> parse_line(std::string_view line, std::size_t number, PageTrace& trace, Numbering& numbering) {
  line = line.substr(0, line.find('#'));
  const std::string_view page = next_word(line);
  if (page.empty()) return {};
  const auto name = whole_number(page);
  if (!name) return bad_line(number, shown(page) + " is no page; a page is a whole number below 2^64");
  if (trace.pages.size() == kRequestsMax) {
    return base::fail(base::ErrorCode::out_of_resources,
                      fmt::format("line {}: more than {} requests", number, kRequestsMax));
  }
  const std::string_view bit = next_word(line);
  if (!bit.empty() && bit != "0" && bit != "1") return bad_line(number, shown(bit) + " is no bit; a bit is 0 or 1");
  if (!trace.pages.empty() && bit.empty() != trace.bits.empty()) {
    return bad_line(
        number, bit.empty() ? "no bit, while the lines before have one" : "a bit, while the lines before have none");
  }
  if (!next_word(line).empty()) return bad_line(number, "more than a page and a bit");
  if (!bit.empty()) trace.bits.push_back(bit == "1" ? 1 : 0);
  numbering.add(*name);
  return {};
}

}  // namespace

base::Result<PageTrace> parse_page_trace(std::string_view text) {
  PageTrace trace;
  Numbering numbering(trace);
  std::size_t number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    PLAIT_TRY_VOID(parse_line(line, ++number, trace, numbering));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  if (trace.pages.empty()) return bad_line(std::max<std::size_t>(number, 1), "the trace ends without a request");
  return trace;
}

std::string page_trace_text(const PageTrace& trace) {
  std::string text;
  for (std::size_t i = 0; i < trace.pages.size(); ++i) {
    text += fmt::format("{}", trace.names[trace.pages[i]]);
    if (!trace.bits.empty()) text += fmt::format(" {}", trace.bits[i]);
    text += '\n';
  }
  return text;
}

PageTrace page_trace(const std::vector<std::uint64_t>& names) {
  PageTrace trace;
  Numbering numbering(trace);
  for (const std::uint64_t name : names) numbering.add(name);
  return trace;
}

PageTrace session_trace(const SessionTraceOptions& options) {
  PLAIT_CHECK(options.sessions >= 1 && options.turn_pages >= 1, options.sessions, options.turn_pages);
  std::uint64_t draws = 0;
  const auto unit = [&] { return base::random_unit(options.seed, draws++); };
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(unit() * n); };
  std::vector<std::uint64_t> requests;
  std::vector<std::vector<std::uint64_t>> sessions(options.sessions);
  std::uint64_t next_page = options.shared_pages;
  std::uint32_t current = 0;
  while (requests.size() < options.requests) {
    if (unit() >= options.stay_probability) current = below(options.sessions);
    std::vector<std::uint64_t>& own = sessions[current];
    for (std::uint64_t page = 0; page < options.shared_pages; ++page) requests.push_back(page);
    for (std::uint32_t pages = 1 + below(options.turn_pages); pages > 0; --pages) own.push_back(next_page++);
    requests.insert(requests.end(), own.begin(), own.end());
    if (unit() < options.end_probability) own.clear();
  }
  requests.resize(options.requests);
  return page_trace(requests);
}

PageTrace zipf_trace(std::size_t requests, std::uint32_t pages, double exponent, std::uint64_t seed) {
  PLAIT_CHECK(pages >= 1);
  std::vector<double> below_or_at(pages);  // sums of the weights
  double sum = 0;
  for (std::uint32_t page = 0; page < pages; ++page) below_or_at[page] = sum += std::pow(page + 1.0, -exponent);
  std::vector<std::uint64_t> names(requests);
  for (std::size_t i = 0; i < requests; ++i) {
    const auto at = std::ranges::upper_bound(below_or_at, base::random_unit(seed, i) * sum);
    names[i] = std::min<std::uint64_t>(static_cast<std::uint64_t>(at - below_or_at.begin()), pages - 1);
  }
  return page_trace(names);
}

PageTrace loop_trace(std::size_t requests, std::uint32_t pages) {
  PLAIT_CHECK(pages >= 1);
  std::vector<std::uint64_t> names(requests);
  for (std::size_t i = 0; i < requests; ++i) names[i] = i % pages;
  return page_trace(names);
}

}  // namespace plait::engine
