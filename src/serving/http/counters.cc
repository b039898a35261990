// SPDX-License-Identifier: Apache-2.0
#include "serving/http/counters.h"

#include <string>

namespace plait::serving {
namespace {

struct Known {
  HttpRefusal reason;
  int status;
  std::string_view code;
  std::string_view message;
};

constexpr std::array<Known, kHttpRefusals> kKnown{{
    {HttpRefusal::connections, 503, "too_many_connections", "the server has no connection left; try again later"},
    {HttpRefusal::connections_per_address, 429, "too_many_connections_of_address",
     "your address has too many connections open"},
    {HttpRefusal::header_slow, 408, "header_timeout", "the request's header did not come in time"},
    {HttpRefusal::header_large, 431, "header_too_large", "the request's header is too large"},
    {HttpRefusal::target_long, 414, "target_too_long", "the request's target is too long"},
    {HttpRefusal::malformed, 400, "malformed_request", "this is no well-formed HTTP request"},
    {HttpRefusal::version, 505, "unsupported_version", "only HTTP/1.1 and HTTP/1.0 are spoken here"},
    {HttpRefusal::method, 501, "unknown_method", "the server does not know this method"},
    {HttpRefusal::transfer_coding, 501, "unknown_transfer_coding", "of transfer codings only chunked is known"},
    {HttpRefusal::expectation, 417, "unknown_expectation", "of expectations only 100-continue is known"},
    {HttpRefusal::host, 403, "host_not_allowed", "the server does not answer to the name in the host field"},
    {HttpRefusal::origin, 403, "origin_not_allowed", "pages of this origin may not use the server"},
    {HttpRefusal::key, 401, "invalid_api_key", "an API key is needed: authorization: Bearer KEY"},
    {HttpRefusal::wrong_keys, 429, "too_many_wrong_keys",
     "your address has sent too many wrong API keys; try again later"},
    {HttpRefusal::body_large, 413, "body_too_large", "the request's body is too large"},
    {HttpRefusal::body_slow, 408, "body_timeout", "the request's body did not come in time"},
    {HttpRefusal::memory, 503, "server_overloaded", "the server is receiving too much at once; try again later"},
    {HttpRefusal::draining, 503, "server_draining", "the server is shutting down"},
    {HttpRefusal::in_flight, 503, "server_overloaded", "the server has too many requests in flight; try again later"},
    {HttpRefusal::client_in_flight, 429, "too_many_requests_in_flight", "you have too many requests in flight"},
    {HttpRefusal::rate, 429, "rate_limit_exceeded", "you have sent too many requests in the last minute"},
    {HttpRefusal::slow_reader, 0, "slow_reader", "the answer was not read in time"},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kKnown.size(); ++i) {
    if (static_cast<std::size_t>(kKnown[i].reason) != i) return false;
  }
  return true;
}
static_assert(in_order());

}  // namespace

std::string_view name(HttpRefusal reason) { return kKnown[static_cast<std::size_t>(reason)].code; }

Refusal refusal_of(HttpRefusal reason) {
  const Known& known = kKnown[static_cast<std::size_t>(reason)];
  return {.status = known.status, .message = std::string(known.message), .code = std::string(known.code)};
}

}  // namespace plait::serving
