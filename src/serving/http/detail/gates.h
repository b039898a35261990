// SPDX-License-Identifier: Apache-2.0
//
// Decisions of the gates that need no socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "serving/http/policy.h"

namespace plait::serving::detail {

/// "localhost" of "localhost:8080", "::1" of "[::1]:8080". All of it if what is behind the name is no port.
[[nodiscard]] std::string_view without_port(std::string_view host);

/// Whether a request for this `Host` can come from somebody who knows where he is. A page of evil.example whose name
/// was made to point here still sends its own name. `reached` is the address of our end of the connection.
[[nodiscard]] bool host_allowed(const HttpAccess& access, std::string_view host, std::string_view reached);

enum class Origin : std::uint8_t {
  none,     ///< Not a browser, or a request that browsers do not mark.
  own,      ///< A page of this server.
  allowed,  ///< CORS.
  foreign,
};
[[nodiscard]] Origin origin_of(const HttpAccess& access, const HttpHeaders& headers, std::string_view host);

/// The answer to a preflight of an allowed origin.
[[nodiscard]] HttpReply preflight_reply(const HttpHeaders& headers);

/// What connections are counted by: an IPv6 address' first 64 bits, else the address.
[[nodiscard]] std::string address_group(const std::string& address);

}  // namespace plait::serving::detail
