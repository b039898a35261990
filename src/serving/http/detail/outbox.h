// SPDX-License-Identifier: Apache-2.0
//
// One answer on its way from the threads that make it to the connection that sends it.
//
// Invariants, all under the mutex:
//   1. wake_ is called once between two take(); it is empty from detach() on, so it never reaches a dead server.
//   2. queued_ = bytes in pending_ and in the head's body + bytes taken whose sent() has not come.
//   3. Functions and shares that come from outside are called and destroyed without the mutex.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "serving/http/message.h"
#include "serving/http/responder.h"

namespace plait::serving::detail {

/// Any thread.
class Outbox {
 public:
  /// What the connection finds.
  struct Taken {
    std::optional<HttpReply> head = {};  ///< The first time. Of a stream, its body is empty.
    bool stream = false;
    std::string bytes = {};  ///< Of a stream.
    bool ended = false;
    bool cut = false;       ///< Nobody is left to end the stream.
    bool overflow = false;  ///< The reader is too slow.
  };

  /// `wake` is called under a lock: it may only leave a message. `work` is kept until the answer has ended.
  Outbox(std::size_t queue_bytes_max, std::function<void()> wake, std::shared_ptr<void> work);

  void reply(HttpReply reply);
  void begin_stream(int status, std::string content_type, HttpHeaders headers);
  void write(std::string bytes);
  void end();
  void on_gone(std::function<void()> call);
  [[nodiscard]] bool gone() const;
  [[nodiscard]] std::size_t queued_bytes() const;
  /// No responder is left.
  void abandon();

  /// Everything since the last time.
  [[nodiscard]] Taken take();
  /// So many of the bytes taken are with the operating system.
  void sent(std::size_t bytes);
  /// The answer is complete and sent, or the client is gone: nothing more is taken.
  void detach();

 private:
  void begin(HttpReply head, bool stream);
  void wake();

  mutable std::mutex mutex_;
  const std::size_t queue_bytes_max_;
  std::function<void()> wake_;
  bool woken_ = false;
  std::shared_ptr<void> work_;
  std::function<void()> on_gone_;
  std::optional<HttpReply> head_;
  std::string pending_;
  std::size_t queued_ = 0;
  bool begun_ = false;
  bool stream_ = false;
  bool ended_ = false;
  bool cut_ = false;
  bool overflow_ = false;
  bool gone_ = false;
};

/// What responders of the server hold.
class WireExchange final : public HttpExchange {
 public:
  explicit WireExchange(std::shared_ptr<Outbox> outbox) : outbox_(std::move(outbox)) {}
  ~WireExchange() override { outbox_->abandon(); }
  WireExchange(const WireExchange&) = delete;
  WireExchange& operator=(const WireExchange&) = delete;

  void reply(HttpReply reply) override { outbox_->reply(std::move(reply)); }
  void begin_stream(int status, std::string content_type, HttpHeaders headers) override {
    outbox_->begin_stream(status, std::move(content_type), std::move(headers));
  }
  void write(std::string bytes) override { outbox_->write(std::move(bytes)); }
  void end() override { outbox_->end(); }
  void on_gone(std::function<void()> call) override { outbox_->on_gone(std::move(call)); }
  [[nodiscard]] bool gone() const override { return outbox_->gone(); }
  [[nodiscard]] std::size_t queued_bytes() const override { return outbox_->queued_bytes(); }

 private:
  std::shared_ptr<Outbox> outbox_;
};

}  // namespace plait::serving::detail
