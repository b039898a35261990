// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one client's connection, with TLS around them or without.
//
//   1. Nothing blocks: what cannot be done yet is waited for, then tried again. At most one receive(), or handshake(),
//      and one send() are under way at a time.
//   2. A silent connection holds no buffer: bytes are read when they are there, into one that all connections share.
//   3. Functions given to it are never called from within the call that takes them, and each exactly once. They keep
//      the wire alive.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "serving/http/tls.h"

struct ssl_st;

namespace plait::serving::detail {

using Socket = boost::asio::generic::stream_protocol::socket;

/// Belongs to the server's thread, which must block SIGPIPE: OpenSSL writes without asking for silence.
class Wire {
 public:
  enum class Handshake : std::uint8_t {
    done,   ///< From now on, what is sent and received goes through TLS.
    plain,  ///< The client's first byte does not begin a handshake. Nothing was read.
    failed,
  };
  using Handshaken = std::move_only_function<void(Handshake)>;
  /// Bytes moved; 0: the connection is at its end, broken or closed.
  using Moved = std::move_only_function<void(std::size_t bytes)>;
  static constexpr std::size_t kRecordBytes = std::size_t{1} << 14U;  ///< Plain text of one TLS record at most.

  explicit Wire(Socket socket);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// Requires: before anything else.
  void handshake(const TlsIdentity& identity, Handshaken done);
  /// Some bytes, at least one, into `buffer`, which the function must empty. Requires: it has room for kRecordBytes;
  /// OpenSSL would keep what is left of a record, and nobody would wait for it.
  void receive(std::span<char> buffer, Moved done);
  /// The first of these bytes, at least one. Requires: they are there until `done` is called, and some.
  void send(std::string_view bytes, Moved done);
  /// Tells the client that nothing more comes. Requires: no send() is under way.
  void end_sending();
  /// What is under way ends. Again: nothing.
  void close();

  /// Whether a handshake has begun.
  [[nodiscard]] bool secure() const { return ssl_ != nullptr; }
  [[nodiscard]] int descriptor() { return socket_.native_handle(); }

 private:
  // What an attempt came to.
  struct Step {
    std::optional<Socket::wait_type> wait = {};  // for this, then again
    std::size_t bytes = 0;
  };
  using Attempt = std::move_only_function<Step()>;

  struct FreeSsl {
    void operator()(ssl_st* ssl) const;
  };

  void drive(Socket::wait_type ready, Attempt attempt, Moved done);
  [[nodiscard]] Step greet(const TlsIdentity& identity, Handshake& outcome);
  [[nodiscard]] Step take(std::span<char> buffer);
  [[nodiscard]] Step give(std::string_view bytes);
  [[nodiscard]] Step after(int result);

  Socket socket_;
  std::unique_ptr<ssl_st, FreeSsl> ssl_;
};

}  // namespace plait::serving::detail
