// SPDX-License-Identifier: Apache-2.0
//
// The answering side of one HTTP exchange, for any thread.
//
//   1. Once: either reply(), or begin_stream(), write() any number of times, end(). A second answer is ignored.
//   2. on_gone's function is called at most once: when the client went away, or was dropped, before the answer's end.
//   3. Nothing blocks, and nothing fails: what is written for a client that is gone is dropped.
//   4. When the last copy goes away without an answer, the client gets 500; without an end, its stream is cut off.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "serving/http/message.h"

namespace plait::serving {

/// What carries the answer: the server's connection, or a recorder in a test. Its destructor means that nobody is left
/// to answer. Any thread.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual void reply(HttpReply reply) = 0;
  virtual void begin_stream(int status, std::string content_type, HttpHeaders headers) = 0;
  virtual void write(std::string bytes) = 0;
  virtual void end() = 0;
  virtual void on_gone(std::function<void()> call) = 0;
  [[nodiscard]] virtual bool gone() const = 0;
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
};

/// A shared handle; copies speak of the same exchange. Any thread, also several at once; it may outlive the server.
class Responder {
 public:
  /// Requires: an exchange.
  explicit Responder(std::shared_ptr<HttpExchange> exchange) : exchange_(std::move(exchange)) {}

  void reply(HttpReply reply) const { exchange_->reply(std::move(reply)); }
  /// reply() with what refusal_body() says.
  void refuse(const Refusal& refusal) const { exchange_->reply(reply_of(refusal)); }
  /// Sends the head at once. The body is chunked in HTTP/1.1, and ends with the connection in HTTP/1.0.
  void begin_stream(int status, std::string content_type, HttpHeaders headers = {}) const {
    exchange_->begin_stream(status, std::move(content_type), std::move(headers));
  }
  /// Ignored unless a stream is open. A client that has left HttpLimits::queue_bytes or more unread is dropped.
  void write(std::string bytes) const { exchange_->write(std::move(bytes)); }
  void end() const { exchange_->end(); }
  /// Called on the server's thread; at once, by the caller, if the client is gone already. It must not block, and
  /// not hold a responder of the same exchange. A later one replaces it. The answer's end forgets it, uncalled.
  void on_gone(std::function<void()> call) const { exchange_->on_gone(std::move(call)); }
  [[nodiscard]] bool gone() const { return exchange_->gone(); }
  /// Bytes of the answer that the operating system has not taken yet: how far behind the reader is.
  [[nodiscard]] std::size_t queued_bytes() const { return exchange_->queued_bytes(); }

 private:
  std::shared_ptr<HttpExchange> exchange_;
};

/// Answers a request, now or later. Called on the server's thread: it must not block.
using HttpHandler = std::function<void(HttpRequest, Responder)>;

}  // namespace plait::serving
