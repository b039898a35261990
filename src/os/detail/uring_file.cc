// SPDX-License-Identifier: Apache-2.0
//
// Each slot of the ring holds one Transfer, whose index is the ring's user data. A transfer that finds no slot waits
// in a queue and is handed over by the next poll() or wait(): a step loop that polls keeps the ring full without a
// thread.
#include "os/detail/uring_file.h"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

#include "base/check.h"

namespace plait::os::detail {
namespace {

// The kernel moves at most 2 GiB less a page in one call, and counts it in 32 bits.
constexpr base::Bytes kTransferBytesMax = base::Bytes{1} << 30;

class UringFile final : public AsyncFile {
 public:
  UringFile(OpenFile file, const io_uring& ring, unsigned depth) : file_(std::move(file)), ring_(ring), slots_(depth) {
    for (unsigned slot = depth; slot > 0; --slot) idle_.push_back(slot - 1);
  }

  ~UringFile() override {
    // The kernel may still write into buffers of the caller.
    std::vector<Completion> ignored;
    while (in_flight() > 0) wait(ignored, std::chrono::seconds(1));
    io_uring_queue_exit(&ring_);
  }

  void submit_read(std::span<std::byte> buffer, base::Bytes offset, std::uint64_t token) override {
    submit(Transfer::reading(buffer, offset, token));
  }
  void submit_write(std::span<const std::byte> buffer, base::Bytes offset, std::uint64_t token) override {
    submit(Transfer::writing(buffer, offset, token));
  }

  void poll(std::vector<Completion>& completions) override {
    reap(completions);
    hand_over();
  }

  void wait(std::vector<Completion>& completions, std::chrono::nanoseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + std::min<std::chrono::nanoseconds>(timeout, kLongest);
    const std::size_t before = completions.size();
    poll(completions);
    while (completions.size() == before && in_flight() > 0) {
      const std::chrono::nanoseconds left = deadline - std::chrono::steady_clock::now();
      if (left <= std::chrono::nanoseconds::zero()) return;
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      __kernel_timespec limit{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
      io_uring_cqe* done = nullptr;
      static_cast<void>(io_uring_wait_cqe_timeout(&ring_, &done, &limit));  // the deadline decides, whatever it says
      poll(completions);
    }
  }

  [[nodiscard]] std::size_t in_flight() const override { return slots_.size() - idle_.size() + queue_.size(); }
  [[nodiscard]] AsyncFileMode mode() const override {
    return {.engine = AsyncFileMode::Engine::io_uring, .direct = file_.direct()};
  }

 private:
  static constexpr std::chrono::hours kLongest{24};  // keeps sums of times within range

  void submit(const Transfer& transfer) {
    queue_.push_back(transfer);
    hand_over();
  }

  // As many queued transfers as there are slots; then tells the kernel about all that it has not taken.
  void hand_over() {
    while (!queue_.empty() && !idle_.empty()) {
      const unsigned slot = idle_.back();
      slots_[slot] = queue_.front();
      if (!prepare(slot)) break;
      idle_.pop_back();
      queue_.pop_front();
    }
    // A refusal (EAGAIN, EBUSY) leaves them in the ring: the next call tries again.
    if (io_uring_sq_ready(&ring_) > 0) static_cast<void>(io_uring_submit(&ring_));
  }

  bool prepare(unsigned slot) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) return false;
    const Transfer& transfer = slots_[slot];
    const auto size = static_cast<unsigned>(std::min(transfer.size - transfer.done, kTransferBytesMax));
    std::byte* data = transfer.data + transfer.done;
    if (transfer.write) {
      io_uring_prep_write(entry, file_.descriptor(), data, size, transfer.offset + transfer.done);
    } else {
      io_uring_prep_read(entry, file_.descriptor(), data, size, transfer.offset + transfer.done);
    }
    io_uring_sqe_set_data64(entry, slot);
    return true;
  }

  void reap(std::vector<Completion>& completions) {
    io_uring_cqe* done = nullptr;
    while (io_uring_peek_cqe(&ring_, &done) == 0) {
      const std::uint64_t slot = io_uring_cqe_get_data64(done);
      const std::int64_t outcome = done->res;
      io_uring_cqe_seen(&ring_, done);
      if (slot >= slots_.size()) continue;  // a time limit of liburing's own on old kernels
      auto completion = slots_[slot].advance(outcome, file_);
      idle_.push_back(static_cast<unsigned>(slot));
      if (completion) {
        completions.push_back(*std::move(completion));
      } else {
        queue_.push_front(slots_[slot]);
      }
    }
  }

  const OpenFile file_;
  io_uring ring_;
  std::vector<Transfer> slots_;
  std::vector<unsigned> idle_;  // indices into slots_
  std::deque<Transfer> queue_;  // submitted, and not in a slot
};

}  // namespace

std::unique_ptr<AsyncFile> make_uring_file(OpenFile& file, unsigned depth) {
  PLAIT_CHECK(depth >= 1 && depth <= 4096, depth);
  io_uring ring{};
  if (io_uring_queue_init(depth, &ring, 0) != 0) return nullptr;
  // Plain reads and writes came with Linux 5.6, the ring itself with 5.1.
  io_uring_probe* probe = io_uring_get_probe_ring(&ring);
  const bool usable = probe != nullptr && io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                      io_uring_opcode_supported(probe, IORING_OP_WRITE) != 0;
  if (probe != nullptr) io_uring_free_probe(probe);
  if (!usable) {
    io_uring_queue_exit(&ring);
    return nullptr;
  }
  return std::make_unique<UringFile>(std::move(file), ring, depth);
}

}  // namespace plait::os::detail
