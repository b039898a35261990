// SPDX-License-Identifier: Apache-2.0
//
// An HTTP(S) client: one GET or POST at a time, the answer's body streamed to a sink, everything bounded.
//
//   net::Request request{.url = "https://example.org/model.gguf"};
//   auto response = net::get(request, {.on_body = [&](auto bytes) { return file.write(bytes); }});
//   if (response && response->status == 200) ...
//
// Certificates are checked; a proxy is taken from the environment (https_proxy, no_proxy, ...); redirects are followed
// only to http and https, never from https to http. Content is never decoded: what comes is what the sink gets.
// Threads: get() and post() may be called from several threads at once; callbacks run on the caller's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::net {

struct Request {
  std::string url;                                                ///< http:// or https://
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< Sent as they are; no line breaks allowed.
  base::Bytes body_bytes_max = 1ULL << 20;  ///< A longer body ends the transfer with out_of_resources.
  std::chrono::seconds connect_timeout{5};  ///< For name look-up, connection and TLS together.
  std::chrono::seconds idle_timeout{30};    ///< Less than idle_bytes_per_second for this long ends the transfer.
  base::Bytes idle_bytes_per_second = 512;  ///< Slower than this counts as standing still.
  std::chrono::seconds total_timeout{0};    ///< For everything; 0: none.
  int redirects_max = 8;                    ///< One more ends with `network`.
};

struct Response {
  int status = 0;
  std::string url = {};                             ///< After redirects.
  std::map<std::string, std::string> headers = {};  ///< Names in lower case; of several with one name the last.
  std::string error_text = {};                      ///< The start of the body if the status is not 2xx, else empty.

  /// The header's value, or nothing. `name` in lower case.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

struct Callbacks {
  /// Called once, before the first byte of a 2xx body (or at its end if it is empty). An error ends the transfer.
  std::function<base::Result<void>(const Response&)> on_head = {};
  /// Called for each piece of a 2xx body. An error ends the transfer and is what get() returns.
  std::function<base::Result<void>(std::span<const std::byte>)> on_body = {};
  /// Asked several times a second, also while nothing comes; false ends the transfer with `interrupted`.
  std::function<bool()> keep_going = {};
};

/// Performs a GET. Any HTTP status is a Response, not an error. A body that is shorter than its announced length is an
/// error. Errors: invalid_argument (URL, header), network (look-up, connection, TLS, cut off, idle, redirect loop),
/// out_of_resources (body too long), interrupted, and what the callbacks return.
[[nodiscard]] base::Result<Response> get(const Request& request, const Callbacks& callbacks);

/// The same with a POST of `body`, whose type is for the caller's headers to say. Redirects are not followed: they are
/// responses like others, and the headers, which may hold secrets, go nowhere else.
[[nodiscard]] base::Result<Response> post(const Request& request, std::string_view body, const Callbacks& callbacks);

/// What bytes a 206 response carries.
struct ContentRange {
  base::Bytes first = 0;
  base::Bytes last = 0;                ///< Inclusive; not less than `first`.
  std::optional<base::Bytes> total{};  ///< Length of the whole thing, if told.
};
/// Parses "bytes 100-199/1000". Nothing for anything else.
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view value);

}  // namespace plait::net
