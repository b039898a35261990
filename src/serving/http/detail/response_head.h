// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "serving/http/message.h"

namespace plait::serving::detail {

/// What the connection knows about an answer, besides what the handler says.
struct HeadFacts {
  bool http_1_1 = true;
  bool close = false;
  std::optional<std::uint64_t> length = {};  ///< Nothing: a stream.
  std::string id = {};
  std::string cors_origin = {};  ///< Empty: no CORS fields.
};

/// True for a status whose answer never has a body.
[[nodiscard]] bool bodiless(int status);

/// Status line, fields and the empty line. Whatever stands in the handler's fields, the result is one head.
[[nodiscard]] std::string response_head(const HttpReply& reply, const HeadFacts& facts);

}  // namespace plait::serving::detail
