// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/outbox.h"

#include <algorithm>
#include <utility>

namespace plait::serving::detail {

Outbox::Outbox(std::size_t queue_bytes_max, std::function<void()> wake, std::shared_ptr<void> work)
    : queue_bytes_max_(queue_bytes_max), wake_(std::move(wake)), work_(std::move(work)) {}

// The mutex is held.
void Outbox::wake() {
  if (!wake_ || woken_) return;
  woken_ = true;
  wake_();
}

void Outbox::begin(HttpReply head, bool stream) {
  std::shared_ptr<void> work;
  std::function<void()> on_gone;
  const std::lock_guard lock(mutex_);
  if (begun_) return;
  begun_ = true;
  stream_ = stream;
  if (!stream) {
    ended_ = true;
    work.swap(work_);
    on_gone.swap(on_gone_);
  }
  if (gone_) return;
  queued_ += head.body.size();
  head_ = std::move(head);
  wake();
}

void Outbox::reply(HttpReply reply) { begin(std::move(reply), false); }

void Outbox::begin_stream(int status, std::string content_type, HttpHeaders headers) {
  begin({.status = status, .content_type = std::move(content_type), .headers = std::move(headers)}, true);
}

void Outbox::write(std::string bytes) {
  const std::lock_guard lock(mutex_);
  if (!stream_ || ended_ || gone_ || overflow_ || bytes.empty()) return;
  if (queued_ >= queue_bytes_max_) {
    overflow_ = true;
    return wake();
  }
  queued_ += bytes.size();
  if (pending_.empty()) {
    pending_ = std::move(bytes);
  } else {
    pending_ += bytes;
  }
  wake();
}

void Outbox::end() {
  std::shared_ptr<void> work;
  std::function<void()> on_gone;
  const std::lock_guard lock(mutex_);
  if (!stream_ || ended_) return;
  ended_ = true;
  work.swap(work_);
  on_gone.swap(on_gone_);
  wake();
}

void Outbox::on_gone(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    if (!gone_) {
      on_gone_.swap(call);
      return;
    }
  }
  if (call) call();
}

bool Outbox::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

std::size_t Outbox::queued_bytes() const {
  const std::lock_guard lock(mutex_);
  return queued_;
}

void Outbox::abandon() {
  reply(reply_of({.status = 500, .message = "the request was not answered", .code = "internal_error"}));
  std::shared_ptr<void> work;
  std::function<void()> on_gone;
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  ended_ = cut_ = true;
  work.swap(work_);
  on_gone.swap(on_gone_);
  wake();
}

Outbox::Taken Outbox::take() {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  return {.head = std::exchange(head_, std::nullopt),
          .stream = stream_,
          .bytes = std::exchange(pending_, {}),
          .ended = ended_,
          .cut = cut_,
          .overflow = overflow_};
}

void Outbox::sent(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  queued_ -= std::min(bytes, queued_);
}

void Outbox::detach() {
  std::function<void()> call;
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    wake.swap(wake_);
    if (ended_) return;
    gone_ = true;
    head_.reset();
    pending_ = {};
    queued_ = 0;
    call.swap(on_gone_);
  }
  if (call) call();
}

}  // namespace plait::serving::detail
