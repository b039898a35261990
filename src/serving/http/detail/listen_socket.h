// SPDX-License-Identifier: Apache-2.0
//
// Sockets that wait for clients, and the addresses of both ends of a connection.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace plait::serving::detail {

/// Owns the descriptor, and the file of a Unix socket, which it removes if it is still its own.
class ListenSocket {
 public:
  /// As HttpServerOptions::listen. Non-blocking, close-on-exec. Errors: invalid_argument, busy, io.
  [[nodiscard]] static base::Result<ListenSocket> open(const std::string& address);
  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&&) = delete;
  ListenSocket(const ListenSocket&) = delete;
  ListenSocket& operator=(const ListenSocket&) = delete;
  ~ListenSocket();

  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// Gives the descriptor away; the file stays this object's.
  [[nodiscard]] int release();
  [[nodiscard]] int family() const { return family_; }
  /// With the real port.
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  ListenSocket(int descriptor, int family) : descriptor_(descriptor), family_(family) {}
  [[nodiscard]] static base::Result<ListenSocket> open_tcp(const std::string& address);
  [[nodiscard]] static base::Result<ListenSocket> open_unix(const std::string& path);

  int descriptor_ = -1;
  int family_ = 0;
  std::string address_;
  std::string path_;  // of a Unix socket
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

/// The address of the other end, without port; "unix"; empty if there is none.
[[nodiscard]] std::string peer_address(int descriptor);
/// That of our end.
[[nodiscard]] std::string own_address(int descriptor);

}  // namespace plait::serving::detail
