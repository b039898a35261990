// SPDX-License-Identifier: Apache-2.0
//
// What the server allows. Every bound has a default that is right for a server which strangers can reach.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "serving/http/api_keys.h"
#include "serving/http/message.h"

namespace plait::serving {

struct HttpLimits {
  std::size_t header_bytes = std::size_t{16} << 10U;  ///< Request line and header fields.
  std::size_t target_bytes = std::size_t{8} << 10U;
  std::size_t body_bytes = std::size_t{64} << 20U;
  std::size_t bodies_bytes = std::size_t{512} << 20U;  ///< Of all bodies that are still coming in, together.
  std::size_t connections = 1024;
  std::size_t connections_per_address = 256;  ///< An IPv6 client is its /64; Unix sockets are exempt.
  std::size_t in_flight = 1024;
  /// Wrong API keys of one address (an IPv6 client is its /64): a minute's worth at once, then as many as the time
  /// gives. Beyond, only keys that this address has shown before are right. 0: no bound.
  std::uint32_t wrong_keys_per_minute = 120;
  /// What is read behind the request in flight. Then the server stops reading, and the client has to wait. The end of
  /// one that has sent far more is noticed only when something is written.
  std::size_t pipelined_bytes = std::size_t{64} << 10U;
  /// A stream's client that has so many bytes unread when more are written is dropped.
  std::size_t queue_bytes = std::size_t{4} << 20U;
};

/// In seconds. They are looked at a few times a second at most, and several times within the shortest.
struct HttpTimeouts {
  double header = 10;       ///< From a request's first byte, or the connection's begin, to the end of its header.
  double body = 60;         ///< For the whole body.
  double body_grace = 5;    ///< After this, body_rate applies.
  double body_rate = 256;   ///< Bytes per second on average.
  double idle = 75;         ///< Between two requests.
  double write_stall = 60;  ///< The client takes not one byte of what waits for it.
  double linger = 2;        ///< How long a refused client may go on sending before the connection is reset.
};

struct HttpAccess {
  /// Names in `Host` that are right besides localhost and the address that the client has reached. Without port. "*"
  /// allows all: only where no browser can get at the server.
  std::vector<std::string> hosts = {};
  /// Origins ("https://chat.example.org") whose pages may use the server. Empty: no CORS. "*": all.
  std::vector<std::string> origins = {};
};

struct HttpPolicy {
  HttpLimits limits = {};
  HttpTimeouts timeouts = {};
  HttpAccess access = {};
  HttpKeys keys = {};            ///< None: no key is asked for.
  HttpClientLimits anyone = {};  ///< For clients without a key, each address on its own.
  /// Paths that GET and HEAD may read without a key, as a page must be before anybody can type one in.
  std::vector<std::string> open_paths = {};
};

}  // namespace plait::serving
