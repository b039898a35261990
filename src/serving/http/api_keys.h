// SPDX-License-Identifier: Apache-2.0
//
// API keys. Only salted digests are kept; a key itself stands in no file and no log.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "serving/http/message.h"

namespace plait::serving {

struct HttpKey {
  std::string name;  ///< What logs and quotas call its owner.
  std::string salt;
  std::string digest;  ///< hash_key(key, salt)
  HttpClientLimits limits = {};
};

/// SHA-256 of salt, a zero byte and key: 64 lower-case hexadecimal digits. Fast on purpose: keys are random strings of
/// 128 bits and more, not passwords, so that there is nothing to guess.
[[nodiscard]] std::string hash_key(std::string_view key, std::string_view salt);

/// The key that a request shows: `authorization: Bearer …`, else `x-api-key`. The view is into `headers`.
[[nodiscard]] std::optional<std::string_view> presented_key(const HttpHeaders& headers);

/// A list of keys that does not change. Any thread.
class HttpKeys {
 public:
  HttpKeys() = default;
  /// Errors: invalid_argument if a name is empty or comes twice, a digest is not one, or a number is out of range.
  [[nodiscard]] static base::Result<HttpKeys> make(std::vector<HttpKey> keys);

  /// The entry of this key; null if there is none. Takes about a microsecond for each key of the list, the same time
  /// whether and where the key is in it.
  [[nodiscard]] const HttpKey* find(std::string_view key) const;
  [[nodiscard]] bool empty() const { return keys_.empty(); }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  std::vector<HttpKey> keys_;
};

}  // namespace plait::serving
