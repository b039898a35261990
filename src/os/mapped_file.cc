// SPDX-License-Identifier: Apache-2.0
//
// The SIGBUS handler is process-wide state by nature. It knows the address ranges of all open maps from a fixed table
// of atomics, because a handler may neither lock nor allocate. A fault inside a map replaces the rest of that map by
// zero pages (one system call, so that a lost gigabyte is not a quarter of a million faults) and marks it; any other
// fault goes to whoever handled SIGBUS before.
#include "os/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "os/file.h"

namespace plait::os {
namespace {

using base::ErrorCode;

struct Slot {
  std::atomic<bool> taken{false};
  std::atomic<bool> damaged{false};
  std::atomic<std::uintptr_t> begin{0};  ///< 0: no map. Stored last, cleared first.
  std::atomic<std::uintptr_t> end{0};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

constinit std::array<Slot, 1024> slots;
constinit std::uintptr_t page_bytes = 4096;
struct sigaction previous_action;

// Called in a signal handler: only async-signal-safe work.
bool replace_lost_pages(std::uintptr_t address) {
  for (Slot& slot : slots) {
    const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);  // with it comes `end`
    const std::uintptr_t end = slot.end.load(std::memory_order_relaxed);
    if (begin == 0 || address < begin || address >= end) continue;
    slot.damaged.store(true, std::memory_order_release);
    const std::uintptr_t page = address & ~(page_bytes - 1);
    // The bare system call: a data-race checker takes mmap() for a write to pages that other threads read meanwhile,
    // and they are meant to.
    const auto place = ::syscall(SYS_mmap, page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return place == static_cast<long>(page);
  }
  return false;
}

void on_sigbus(int signal, siginfo_t* details, void* /*context*/) {
  const int saved_errno = errno;
  const bool is_fault = details->si_code > 0;  // not sent by kill()
  const bool handled = is_fault && replace_lost_pages(reinterpret_cast<std::uintptr_t>(details->si_addr));
  if (!handled) {  // the fault happens again on return, under the previous action
    ::sigaction(SIGBUS, &previous_action, nullptr);
    if (!is_fault) static_cast<void>(::raise(signal));
  }
  errno = saved_errno;
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction action{};
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    PLAIT_CHECK(::sigaction(SIGBUS, &action, &previous_action) == 0);
  });
}

int take_slot(const void* address, std::size_t length) {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = slots[i];
    if (slot.taken.exchange(true, std::memory_order_acq_rel)) continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    slot.damaged.store(false, std::memory_order_relaxed);
    slot.end.store(begin + length, std::memory_order_relaxed);
    slot.begin.store(begin, std::memory_order_release);  // publishes `end`
    return static_cast<int>(i);
  }
  return -1;
}

std::unexpected<base::Error> failed(const std::filesystem::path& path, int error_number) {
  return std::unexpected(file_error("cannot open", path, error_number));
}

}  // namespace

base::Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  install_handler();
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed(path, errno);
  MappedFile file(path, descriptor, {}, -1);  // closes the descriptor on every way out
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return failed(path, errno);
  if (S_ISDIR(status.st_mode)) return failed(path, EISDIR);
  if (!S_ISREG(status.st_mode)) {
    return base::fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a regular file", path.string()));
  }
  const auto length = static_cast<std::size_t>(status.st_size);
  if (length == 0) return file;
  void* const address = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED) return failed(path, errno);
  file.bytes_ = {static_cast<const std::byte*>(address), length};
  file.slot_ = take_slot(address, length);
  if (file.slot_ < 0) {
    return base::fail(ErrorCode::out_of_resources,
                      fmt::format("cannot open '{}': {} files are mapped already", path.string(), slots.size()));
  }
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(std::exchange(other.bytes_, {})),
      slot_(std::exchange(other.slot_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    close();
    path_ = std::move(other.path_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    bytes_ = std::exchange(other.bytes_, {});
    slot_ = std::exchange(other.slot_, -1);
  }
  return *this;
}

MappedFile::~MappedFile() { close(); }

void MappedFile::close() {
  if (slot_ >= 0) {
    Slot& slot = slots[static_cast<std::size_t>(slot_)];
    slot.begin.store(0, std::memory_order_release);
    slot.taken.store(false, std::memory_order_release);
  }
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  if (descriptor_ >= 0) ::close(descriptor_);
  slot_ = -1;
  bytes_ = {};
  descriptor_ = -1;
}

base::Result<void> MappedFile::check() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) return std::unexpected(file_error("cannot read", path_, errno));
  if (static_cast<std::size_t>(status.st_size) != bytes_.size()) {
    return base::fail(ErrorCode::io, fmt::format("'{}' changed while it was read: it had {} bytes and now has {}",
                                                 path_.string(), bytes_.size(), status.st_size));
  }
  if (slot_ >= 0 && slots[static_cast<std::size_t>(slot_)].damaged.load(std::memory_order_acquire)) {
    return base::fail(ErrorCode::io,
                      fmt::format("'{}' could not be read: the disk failed or the file changed", path_.string()));
  }
  return {};
}

void MappedFile::drop_pages(std::size_t offset, std::size_t length) const {
  PLAIT_ASSERT(offset <= bytes_.size() && length <= bytes_.size() - offset, offset, length, bytes_.size());
  const auto start = reinterpret_cast<std::uintptr_t>(bytes_.data()) + offset;
  const std::uintptr_t first = (start + page_bytes - 1) & ~(page_bytes - 1);
  std::uintptr_t last = (start + length) & ~(page_bytes - 1);
  if (offset + length == bytes_.size()) last = (start + length + page_bytes - 1) & ~(page_bytes - 1);
  // Advice only: a failure costs memory, not correctness.
  if (last > first) static_cast<void>(::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED));
}

}  // namespace plait::os
