// SPDX-License-Identifier: Apache-2.0
#include "os/detail/thread_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace plait::os::detail {
namespace {

class ThreadFile final : public AsyncFile {
 public:
  explicit ThreadFile(OpenFile file)
      : file_(std::move(file)), worker_([this](const std::stop_token& stop) { work(stop); }) {}

  ~ThreadFile() override {
    // What was submitted is done before the thread sees the stop: it stops only with an empty queue.
    worker_.request_stop();
    worker_.join();
  }

  void submit_read(std::span<std::byte> buffer, base::Bytes offset, std::uint64_t token) override {
    submit(Transfer::reading(buffer, offset, token));
  }
  void submit_write(std::span<const std::byte> buffer, base::Bytes offset, std::uint64_t token) override {
    submit(Transfer::writing(buffer, offset, token));
  }

  void poll(std::vector<Completion>& completions) override {
    const std::lock_guard lock(mutex_);
    take_done(completions);
  }

  void wait(std::vector<Completion>& completions, std::chrono::nanoseconds timeout) override {
    std::unique_lock lock(mutex_);
    const auto limit = std::min<std::chrono::nanoseconds>(timeout, std::chrono::hours(24));  // sums stay within range
    if (in_flight_ > 0) completed_.wait_for(lock, limit, [this] { return !done_.empty(); });
    take_done(completions);
  }

  [[nodiscard]] std::size_t in_flight() const override { return in_flight_; }
  [[nodiscard]] AsyncFileMode mode() const override {
    return {.engine = AsyncFileMode::Engine::thread, .direct = file_.direct()};
  }

 private:
  void submit(const Transfer& transfer) {
    ++in_flight_;
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(transfer);
    }
    submitted_.notify_one();
  }

  void take_done(std::vector<Completion>& completions) {
    in_flight_ -= done_.size();
    std::move(done_.begin(), done_.end(), std::back_inserter(completions));
    done_.clear();
  }

  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (submitted_.wait(lock, stop, [this] { return !queue_.empty(); })) {
      Transfer transfer = queue_.front();
      queue_.pop_front();
      lock.unlock();
      Completion completion = carry_out(transfer);
      lock.lock();
      done_.push_back(std::move(completion));
      completed_.notify_one();
    }
  }

  Completion carry_out(Transfer& transfer) const {
    for (;;) {
      std::byte* data = transfer.data + transfer.done;
      const std::size_t size = transfer.size - transfer.done;
      const auto offset = static_cast<off_t>(transfer.offset + transfer.done);
      const ssize_t moved = transfer.write ? ::pwrite(file_.descriptor(), data, size, offset)
                                           : ::pread(file_.descriptor(), data, size, offset);
      auto completion = transfer.advance(moved < 0 ? -errno : moved, file_);
      if (completion) return *std::move(completion);
    }
  }

  const OpenFile file_;
  std::size_t in_flight_ = 0;  // caller's thread only
  std::mutex mutex_;           // guards queue_ and done_
  std::condition_variable_any submitted_;
  std::condition_variable_any completed_;
  std::deque<Transfer> queue_;
  std::vector<Completion> done_;
  std::jthread worker_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<AsyncFile> make_thread_file(OpenFile file) { return std::make_unique<ThreadFile>(std::move(file)); }

}  // namespace plait::os::detail
