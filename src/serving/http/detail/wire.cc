// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/wire.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

namespace plait::serving::detail {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr char kHandshakeRecord = 22;  // RFC 8446, 5.1: the type of the record that every TLS client begins with

bool try_again() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

void Wire::FreeSsl::operator()(ssl_st* ssl) const { SSL_free(ssl); }

Wire::Wire(Socket socket) : socket_(std::move(socket)) {}
Wire::~Wire() = default;

void Wire::drive(Socket::wait_type ready, Attempt attempt, Moved done) {
  socket_.async_wait(ready,
                     [this, attempt = std::move(attempt), done = std::move(done)](const error_code& error) mutable {
                       const Step step = error || !socket_.is_open() ? Step{} : attempt();
                       if (step.wait) return drive(*step.wait, std::move(attempt), std::move(done));
                       done(step.bytes);
                     });
}

void Wire::handshake(const TlsIdentity& identity, Handshaken done) {
  auto outcome = std::make_shared<Handshake>(Handshake::failed);
  drive(
      Socket::wait_read, [this, identity, outcome] { return greet(identity, *outcome); },
      [outcome, done = std::move(done)](std::size_t) mutable { done(*outcome); });
}

Wire::Step Wire::greet(const TlsIdentity& identity, Handshake& outcome) {
  if (!ssl_) {
    char first = 0;
    const ssize_t bytes = recv(descriptor(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (bytes < 0 && try_again()) return {.wait = Socket::wait_read};
    if (bytes <= 0) return {};
    if (first != kHandshakeRecord) {
      outcome = Handshake::plain;
      return {};
    }
    ssl_.reset(SSL_new(identity.context()));
    if (!ssl_ || SSL_set_fd(ssl_.get(), descriptor()) != 1) return {};
  }
  ERR_clear_error();
  const int result = SSL_accept(ssl_.get());
  if (result != 1) return after(result);
  outcome = Handshake::done;
  return {};
}

// What OpenSSL waits for; nothing after an end or an error.
Wire::Step Wire::after(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {.wait = Socket::wait_read};
    case SSL_ERROR_WANT_WRITE:
      return {.wait = Socket::wait_write};
    default:
      return {};
  }
}

void Wire::receive(std::span<char> buffer, Moved done) {
  drive(Socket::wait_read, [this, buffer] { return take(buffer); }, std::move(done));
}

Wire::Step Wire::take(std::span<char> buffer) {
  if (ssl_) {
    ERR_clear_error();
    std::size_t bytes = 0;
    const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &bytes);
    return result == 1 ? Step{.bytes = bytes} : after(result);
  }
  const ssize_t bytes = recv(descriptor(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (bytes < 0 && try_again()) return {.wait = Socket::wait_read};
  return {.bytes = bytes > 0 ? static_cast<std::size_t>(bytes) : 0};
}

void Wire::send(std::string_view bytes, Moved done) {
  const Step step = give(bytes);
  if (step.wait) return drive(*step.wait, [this, bytes] { return give(bytes); }, std::move(done));
  asio::post(socket_.get_executor(), [done = std::move(done), moved = step.bytes]() mutable { done(moved); });
}

Wire::Step Wire::give(std::string_view bytes) {
  if (ssl_) {
    ERR_clear_error();
    std::size_t given = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &given);
    return result == 1 ? Step{.bytes = given} : after(result);
  }
  const ssize_t given = ::send(descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (given < 0 && try_again()) return {.wait = Socket::wait_write};
  return {.bytes = given > 0 ? static_cast<std::size_t>(given) : 0};
}

void Wire::end_sending() {
  if (ssl_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // one attempt: a client that takes nothing need not be told
  }
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Wire::close() {
  if (!socket_.is_open()) return;
  if (ssl_) end_sending();
  ssl_.reset();  // its descriptor may soon be another client's
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace plait::serving::detail
