// SPDX-License-Identifier: Apache-2.0
//
// The file that API keys are kept in, as digests: {"keys": [{"name", "salt", "digest", "weight",
// "requests_per_minute", "in_flight_max"}]}; the last three may be missing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "serving/http/api_keys.h"

namespace plait::serving {

/// A file that is longer is refused.
inline constexpr std::size_t kKeyFileBytesMax = std::size_t{4} << 20U;

/// Errors: invalid_data (no JSON, or another shape, naming the member); those of HttpKeys::make for what they hold come
/// from there.
[[nodiscard]] base::Result<std::vector<HttpKey>> read_keys(std::string_view json);
[[nodiscard]] std::string write_keys(const std::vector<HttpKey>& keys);

/// A new key: "plait-" and 64 hexadecimal digits of 256 random bits.
[[nodiscard]] std::string make_key();
/// 32 hexadecimal digits.
[[nodiscard]] std::string make_salt();

}  // namespace plait::serving
