// SPDX-License-Identifier: Apache-2.0
#include "serving/http/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"

namespace plait::serving {
namespace {

constexpr std::size_t kDigestDigits = 64;

bool is_digest(std::string_view text) {
  return text.size() == kDigestDigits &&
         std::ranges::all_of(text, [](char c) { return ('0' <= c && c <= '9') || ('a' <= c && c <= 'f'); });
}

}  // namespace

std::string hash_key(std::string_view key, std::string_view salt) {
  std::string salted(salt);
  salted += '\0';
  salted += key;
  std::array<unsigned char, kDigestDigits / 2> digest{};
  unsigned length = 0;
  const int done = EVP_Digest(salted.data(), salted.size(), digest.data(), &length, EVP_sha256(), nullptr);
  OPENSSL_cleanse(salted.data(), salted.size());
  PLAIT_CHECK(done == 1 && length == digest.size(), length);
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

std::optional<std::string_view> presented_key(const HttpHeaders& headers) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view authorization = headers.find("authorization").value_or("");
  if (base::same_word(authorization.substr(0, kScheme.size()), kScheme)) {
    const std::size_t begin = authorization.find_first_not_of(' ', kScheme.size());
    if (begin != std::string_view::npos) return authorization.substr(begin);
  }
  return headers.find("x-api-key");
}

base::Result<HttpKeys> HttpKeys::make(std::vector<HttpKey> keys) {
  const auto refuse = [](const HttpKey& key, std::string_view what) {
    return base::fail(base::ErrorCode::invalid_argument, fmt::format("API key '{}': {}", key.name, what));
  };
  std::set<std::string_view> names;
  for (const HttpKey& key : keys) {
    if (key.name.empty()) return refuse(key, "it needs a name");
    if (!names.insert(key.name).second) return refuse(key, "the name comes twice");
    if (!is_digest(key.digest)) return refuse(key, "the digest must be 64 lower-case hexadecimal digits");
    if (!std::isfinite(key.limits.weight) || key.limits.weight <= 0) return refuse(key, "the weight must be above 0");
  }
  HttpKeys list;
  list.keys_ = std::move(keys);
  return list;
}

const HttpKey* HttpKeys::find(std::string_view key) const {
  const HttpKey* found = nullptr;
  for (const HttpKey& candidate : keys_) {
    const std::string digest = hash_key(key, candidate.salt);
    const bool same = CRYPTO_memcmp(digest.data(), candidate.digest.data(), kDigestDigits) == 0;
    found = same ? &candidate : found;
  }
  return found;
}

}  // namespace plait::serving
