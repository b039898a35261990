// SPDX-License-Identifier: Apache-2.0
//
// JSON from outside, parsed within limits. Objects keep the order of their members, as chat templates and schemas need;
// of equal keys the last value stays, at the place of the first. Nothing here throws.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace plait::text {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t bytes_max = std::size_t{64} << 20U;
  std::size_t depth_max = 128;         ///< Arrays and objects within each other.
  std::size_t values_max = 2'000'000;  ///< Values in all, keys included.
};

/// Parses one JSON document (RFC 8259, UTF-8). Time and memory are linear in its size. Whole numbers beyond 64 bits
/// become floats. Errors: invalid_data with the byte position; out_of_resources if a limit is passed.
base::Result<Json> parse_json(std::string_view text, JsonLimits limits = {});

/// Compact JSON in UTF-8; bytes that are not UTF-8 become U+FFFD. Requires: depth as parse_json gives it.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace plait::text
