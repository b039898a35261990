// SPDX-License-Identifier: Apache-2.0
//
// What a running server says of itself (GET /v1/plait/status), read with care: it may be any server.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/server_address.h"
#include "text/json.h"

namespace plait::cli {

struct ClientStatus {
  std::string name = {};
  double weight = 1;
  double service = 0;  ///< Tokens computed for it since the server knows it.
  std::size_t running = 0;
  std::size_t waiting = 0;
  std::size_t sequences = 0;
  std::size_t pages = 0;
};

struct ModelStatus {
  std::string name = {};
  std::size_t running = 0;
  std::size_t waiting = 0;
  double steps = 0;  ///< Counters since its begin, like the next three.
  double prompt_rows = 0;
  double decode_rows = 0;
  double cached_tokens = 0;
  std::size_t pages = 0;
  std::size_t pages_free = 0;
  std::size_t pages_cached = 0;
  std::size_t pages_own = 0;
  std::size_t pages_shared = 0;
  std::size_t pages_away = 0;
  std::vector<ClientStatus> clients = {};
};

struct RequestStatus {
  std::string id = {};
  std::string endpoint = {};
  std::string client = {};
  std::string model = {};
  std::string phase = {};
  double age_seconds = 0;
  std::size_t choices = 0;
  std::size_t generated_tokens = 0;
  // Once it has ended:
  int status = 0;
  double seconds = 0;
  std::optional<double> first_token_seconds = {};
};

struct ServerStatus {
  double seconds = 0;  ///< Since the server began.
  std::vector<ModelStatus> models = {};
  std::size_t open = 0;
  std::vector<RequestStatus> listed = {};  ///< The oldest first.
  std::vector<RequestStatus> recent = {};  ///< The last to end first.
};

/// What is missing or of another type is 0 or empty. Errors: invalid_data (no object with `models`).
[[nodiscard]] base::Result<ServerStatus> read_status(const text::Json& json);

/// Asks the server. Errors: network (with what to do); invalid_argument (the key is refused); invalid_data;
/// interrupted (keep_going said no).
[[nodiscard]] base::Result<text::Json> fetch_status(const ServerAddress& server,
                                                    const std::function<bool()>& keep_going);

/// Text of others for a terminal: no control character and nothing that changes the order of what is written; at most
/// `width` characters, filled up with spaces to that many if `fill` is set.
[[nodiscard]] std::string cell(std::string_view text, std::size_t width, bool fill = true);

}  // namespace plait::cli
