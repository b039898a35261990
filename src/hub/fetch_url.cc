// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "hub/fetch.h"
#include "net/http.h"

namespace plait::hub {
namespace {

using base::Bytes;
using base::ErrorCode;
using base::fail;
using base::Result;

constexpr int kAttemptsMax = 6;

// Only a strong validator promises the same bytes.
std::string strong_tag(const net::Response& response) {
  const auto tag = response.header("etag");
  return tag && tag->starts_with('"') ? std::string(*tag) : std::string();
}

Result<void> accept_whole(const ModelEntry& entry, const net::Response& response, PartFile& part) {
  if (const auto length = response.header("content-length")) {
    Bytes bytes = 0;
    const auto parsed = std::from_chars(length->data(), length->data() + length->size(), bytes);
    if (parsed.ec != std::errc() || bytes != entry.bytes) {
      return fail(ErrorCode::invalid_data,
                  fmt::format("{}: the server's file has {} bytes, not {}", response.url, *length, entry.bytes));
    }
  }
  return part.truncate(0);
}

Result<void> accept_rest(const ModelEntry& entry, const net::Response& response, const PartFile& part) {
  const auto range = net::parse_content_range(response.header("content-range").value_or(""));
  if (range && range->first == part.size() && range->total.value_or(entry.bytes) == entry.bytes) return {};
  return fail(ErrorCode::invalid_data, fmt::format("{}: the server sent another range than asked for", response.url));
}

Result<void> status_error(const std::string& url, int status) {
  const bool absent = status == 404 || status == 410;
  return fail(absent ? ErrorCode::not_found : ErrorCode::network, fmt::format("{}: HTTP status {}", url, status));
}

// One request. Whatever arrived stays in the part file.
Result<void> attempt(const ModelEntry& entry, const std::string& url, const FetchOptions& options, PartFile& part) {
  const PartState state = part.state();
  net::Request request{.url = url};
  request.body_bytes_max = std::numeric_limits<Bytes>::max();  // on_body knows better
  request.connect_timeout = options.connect_timeout;
  request.idle_timeout = options.idle_timeout;
  if (part.size() > 0) {
    request.headers.emplace_back("Range", fmt::format("bytes={}-", part.size()));
    if (state.source == url && !state.validator.empty()) request.headers.emplace_back("If-Range", state.validator);
  }
  net::Callbacks callbacks;
  callbacks.keep_going = options.keep_going;
  callbacks.on_head = [&](const net::Response& response) -> Result<void> {
    PLAIT_TRY_VOID(response.status == 206 ? accept_rest(entry, response, part) : accept_whole(entry, response, part));
    return part.set_state({.source = url, .validator = strong_tag(response)});
  };
  callbacks.on_body = [&](std::span<const std::byte> bytes) -> Result<void> {
    if (bytes.size() > entry.bytes - part.size()) {
      return fail(ErrorCode::invalid_data, fmt::format("{}: the server sends more than {} bytes", url, entry.bytes));
    }
    PLAIT_TRY_VOID(part.append(bytes));
    if (options.on_progress) options.on_progress({Progress::Stage::downloading, part.size(), entry.bytes});
    return {};
  };
  PLAIT_TRY(const net::Response response, net::get(request, callbacks));
  if (response.status == 416)
    return fail(ErrorCode::invalid_data, url + ": the server refuses to go on with the download");
  if (response.status != 200 && response.status != 206) return status_error(url, response.status);
  if (part.size() < entry.bytes) return fail(ErrorCode::network, url + ": the download ended early");
  return {};
}

}  // namespace

Result<void> fetch_url(const ModelEntry& entry, const std::string& url, const FetchOptions& options, PartFile& part) {
  const PartState state = part.state();
  const bool from_web = state.source.starts_with("http://") || state.source.starts_with("https://");
  if (!from_web || part.size() >= entry.bytes) PLAIT_TRY_VOID(part.truncate(0));
  for (int tries = 1;; ++tries) {
    const Bytes before = part.size();
    const auto done = attempt(entry, url, options, part);
    if (done) return {};
    const ErrorCode code = done.error().code;
    const bool bad_resume = code == ErrorCode::invalid_data && before > 0;
    if (bad_resume) PLAIT_TRY_VOID(part.truncate(0));
    const bool broken = code == ErrorCode::network && part.size() > before;
    if (tries == kAttemptsMax || !(broken || bad_resume)) return done;
  }
}

}  // namespace plait::hub
