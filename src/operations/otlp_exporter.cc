// SPDX-License-Identifier: Apache-2.0
#include "operations/otlp_exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>

#include "base/random.h"
#include "operations/span.h"

namespace plait::operations {
namespace {

using std::chrono::milliseconds;

bool is_temporary(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

// In whole seconds. The other form, a date, counts as none.
milliseconds retry_after(const net::Response& response) {
  const std::string_view field = response.header("retry-after").value_or("");
  std::uint32_t seconds = 0;
  const auto parsed = std::from_chars(field.data(), field.data() + field.size(), seconds);
  if (parsed.ec != std::errc() || parsed.ptr != field.data() + field.size()) return milliseconds(0);
  return std::chrono::seconds(seconds);
}

void rest(milliseconds pause, const std::stop_token& give_up) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, give_up, pause, [] { return false; });
}

}  // namespace

std::string shown_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const std::size_t at = url.substr(0, end).rfind('@');
  std::string shown(url.substr(0, std::min(url.find_first_of("?#"), url.size())));
  if (at != std::string_view::npos && at >= begin) shown.erase(begin, at + 1 - begin);
  return shown;
}

OtlpExporter::Attempt OtlpExporter::send(const net::Request& request, std::string_view body,
                                         const std::stop_token& give_up) const {
  std::string answer;
  net::Callbacks callbacks;
  callbacks.on_body = [&](std::span<const std::byte> bytes) -> base::Result<void> {
    answer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  };
  callbacks.keep_going = [&] { return !give_up.stop_requested(); };
  const auto response = net::post(request, body, callbacks);
  if (!response) {  // its message would show the address as it is
    return {.again = response.error().code == base::ErrorCode::network, .why = "does not answer"};
  }
  if (response->status / 100 == 2) {
    const std::size_t rejected = rejected_spans(answer);
    return {.taken = true, .why = rejected > 0 ? fmt::format("rejected {} spans", rejected) : ""};
  }
  return {.again = is_temporary(response->status),
          .retry_after = retry_after(*response),
          .why = fmt::format("answers with status {}", response->status)};
}

milliseconds OtlpExporter::pause_before(int attempt, milliseconds retry_after) {
  const milliseconds doubled = options_.pause_first * (std::int64_t{1} << std::min(attempt - 1, 20));
  const double share = 1 - 0.2 * base::random_unit(reinterpret_cast<std::uintptr_t>(this), ++pauses_);
  const milliseconds own(static_cast<std::int64_t>(static_cast<double>(doubled.count()) * share));
  return std::min(std::max(own, retry_after), options_.pause_longest);
}

void OtlpExporter::say_change(bool works, std::string_view why) {
  if (works == works_) return;
  works_ = works;
  if (!options_.say) return;
  const std::string url = shown_url(options_.url);
  options_.say(works ? fmt::format("traces: {} takes them again", url)
                     : fmt::format("traces: {} {}; what it does not take is dropped", url, why));
}

std::size_t OtlpExporter::write(std::span<const RecordPointer> records, const std::stop_token& give_up) {
  std::vector<Trace> traces;
  traces.reserve(records.size());
  for (const RecordPointer& record : records) traces.push_back(trace_of(*record, options_.ids));
  const std::string body = otlp_json(options_.resource, traces);
  net::Request request{.url = options_.url, .headers = options_.headers};
  request.headers.emplace_back("content-type", "application/json");
  request.body_bytes_max = base::Bytes{1} << 16U;
  request.connect_timeout = std::min(options_.timeout, request.connect_timeout);
  request.idle_timeout = options_.timeout;
  request.total_timeout = options_.timeout;
  for (int attempt = 1;; ++attempt) {
    const Attempt result = send(request, body, give_up);
    say_change(result.taken && result.why.empty(), result.why);
    if (result.taken) return 0;
    if (!result.again || attempt >= options_.attempts_max || give_up.stop_requested()) return records.size();
    rest(pause_before(attempt, result.retry_after), give_up);
    if (give_up.stop_requested()) return records.size();
  }
}

}  // namespace plait::operations
