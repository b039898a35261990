// SPDX-License-Identifier: Apache-2.0
//
// Where the pages of preempted sequences lie meanwhile: numbered slots of one page each, outside the page pool.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "engine/run_allocator.h"
#include "os/direct_io.h"

namespace plait::engine {

/// Slots with adjacent numbers are adjacent in the tier, so that a run of them is read or written by one operation.
/// Operations run side by side and in any order: two on the same slot, one of them writing, must not be in flight
/// together. One thread at a time.
class HostTier {
 public:
  using Completion = os::AsyncFile::Completion;

  HostTier(const HostTier&) = delete;
  HostTier& operator=(const HostTier&) = delete;
  /// Waits for what is in flight.
  virtual ~HostTier() = default;

  [[nodiscard]] std::uint32_t slots() const { return space_.pages(); }
  [[nodiscard]] base::Bytes slot_bytes() const { return slot_bytes_; }
  /// Who has which slots. The tier itself does not look at it.
  [[nodiscard]] RunAllocator& space() { return space_; }

  /// Starts copying whole slots' worth of bytes to the slots from `first` on. Returns at once; errors come with the
  /// completion. `bytes` must live and not change until then.
  /// Requires: bytes.size() is a multiple of slot_bytes() and the slots exist.
  virtual void write(std::span<const std::byte> bytes, std::uint32_t first, std::uint64_t token) = 0;
  /// The other way. `bytes` must live and not be touched until the completion.
  virtual void read(std::span<std::byte> bytes, std::uint32_t first, std::uint64_t token) = 0;

  /// Adds what is done to `completions`, in any order. Does not wait.
  virtual void poll(std::vector<Completion>& completions) = 0;
  /// Like poll(), but sleeps until there is at least one, up to `timeout` and not at all when nothing is in flight.
  virtual void wait(std::vector<Completion>& completions, std::chrono::nanoseconds timeout) = 0;
  /// Started, and not yet seen by poll() or wait().
  [[nodiscard]] virtual std::size_t in_flight() const = 0;

 protected:
  HostTier(std::uint32_t slots, base::Bytes slot_bytes) : space_(slots, 1), slot_bytes_(slot_bytes) {}

 private:
  RunAllocator space_;
  base::Bytes slot_bytes_;
};

/// Slots in a file; slot k is at k · slot_bytes.
class FileTier final : public HostTier {
 public:
  /// `slot_bytes` and all buffers are multiples of os::kDirectAlignment: pad pages that are not.
  FileTier(std::unique_ptr<os::AsyncFile> file, std::uint32_t slots, base::Bytes slot_bytes);

  /// A file without a name in `folder`, with the disk space for all slots claimed. Errors: those of
  /// os::open_temporary_file, out_of_resources for want of disk space among them.
  [[nodiscard]] static base::Result<std::unique_ptr<FileTier>> make(const std::filesystem::path& folder,
                                                                    std::uint32_t slots, base::Bytes slot_bytes,
                                                                    os::AsyncFileOptions options = {});

  void write(std::span<const std::byte> bytes, std::uint32_t first, std::uint64_t token) override;
  void read(std::span<std::byte> bytes, std::uint32_t first, std::uint64_t token) override;
  void poll(std::vector<Completion>& completions) override { file_->poll(completions); }
  void wait(std::vector<Completion>& completions, std::chrono::nanoseconds timeout) override {
    file_->wait(completions, timeout);
  }
  [[nodiscard]] std::size_t in_flight() const override { return file_->in_flight(); }
  /// io_uring or a thread, past the page cache or not.
  [[nodiscard]] os::AsyncFileMode mode() const { return file_->mode(); }

 private:
  void check_slots(std::size_t bytes, std::uint32_t first) const;

  std::unique_ptr<os::AsyncFile> file_;
};

}  // namespace plait::engine
