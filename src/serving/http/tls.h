// SPDX-License-Identifier: Apache-2.0
//
// Who the server is to clients that come over TLS.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"

struct ssl_ctx_st;

namespace plait::serving {

/// A file that is longer is refused.
inline constexpr std::size_t kPemBytesMax = std::size_t{1} << 20U;

/// A certificate with its chain and its key, and how TLS is spoken: version 1.2 or 1.3; with 1.2 only ciphers with
/// forward secrecy and authentication; no renegotiation, no compression; HTTP/1.1 where the client asks. Copies share
/// it. Any thread.
class TlsIdentity {
 public:
  /// From PEM: the server's certificate followed by those that vouch for it, and the key, without a passphrase. Errors:
  /// invalid_data (which of the two, and why; also a key that is not the certificate's), out_of_resources.
  [[nodiscard]] static base::Result<TlsIdentity> make(std::string_view certificates, std::string_view key);

  /// OpenSSL's. Lives as long as a copy of the identity.
  [[nodiscard]] ssl_ctx_st* context() const { return context_.get(); }

 private:
  explicit TlsIdentity(std::shared_ptr<ssl_ctx_st> context) : context_(std::move(context)) {}

  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace plait::serving
