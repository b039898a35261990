// SPDX-License-Identifier: Apache-2.0
//
// What the server has done so far, and the reasons for which it refuses by itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "serving/fields.h"

namespace plait::serving {

/// Why the server answered, or closed, before any handler saw the request. In the order of the gates.
enum class HttpRefusal : std::uint8_t {
  connections,              ///< 503: too many in all.
  connections_per_address,  ///< 429
  header_slow,              ///< 408
  header_large,             ///< 431
  target_long,              ///< 414
  malformed,                ///< 400: not HTTP, or in a shape that two readers may read in two ways.
  version,                  ///< 505: neither HTTP/1.1 nor HTTP/1.0.
  method,                   ///< 501
  transfer_coding,          ///< 501: other than chunked.
  expectation,              ///< 417: other than 100-continue.
  host,                     ///< 403
  origin,                   ///< 403
  key,                      ///< 401
  wrong_keys,               ///< 429: too many of one address.
  body_large,               ///< 413
  body_slow,                ///< 408
  memory,                   ///< 503: the bodies under way are too large together.
  draining,                 ///< 503
  in_flight,                ///< 503: too many requests in all.
  client_in_flight,         ///< 429
  rate,                     ///< 429
  slow_reader,              ///< No answer: the client does not read what it asked for.
};
inline constexpr std::size_t kHttpRefusals = static_cast<std::size_t>(HttpRefusal::slow_reader) + 1;

/// As in the code of the refusal's body: "header_too_large".
[[nodiscard]] std::string_view name(HttpRefusal reason);
/// What the client is told.
[[nodiscard]] Refusal refusal_of(HttpRefusal reason);

/// A snapshot. Counts are since the server was made.
struct HttpCounters {
  std::uint64_t connections = 0;                           ///< Accepted.
  std::uint64_t connections_open = 0;                      ///< Now.
  std::uint64_t requests_in_flight = 0;                    ///< Now: with a handler, or being sent.
  std::array<std::uint64_t, 6> answers = {};               ///< [status / 100]; 0: the client was gone before.
  std::array<std::uint64_t, kHttpRefusals> refusals = {};  ///< [HttpRefusal]
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t clients_gone = 0;     ///< Requests whose client went away before the answer's end.
  std::uint64_t accept_failures = 0;  ///< Mostly: no file descriptor left.

  [[nodiscard]] std::uint64_t refused(HttpRefusal reason) const { return refusals[static_cast<std::size_t>(reason)]; }
};

}  // namespace plait::serving
