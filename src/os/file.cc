// SPDX-License-Identifier: Apache-2.0
#include "os/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace plait::os {
namespace {

using base::ErrorCode;

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }
  /// Closes now and returns what close() said: some file systems report a full disk only here.
  int close() { return ::close(std::exchange(value_, -1)); }

 private:
  int value_;
};

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::not_found;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return ErrorCode::out_of_resources;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
      return ErrorCode::invalid_argument;
    default:
      return ErrorCode::io;
  }
}

std::unexpected<base::Error> failed(std::string_view doing, const std::filesystem::path& path) {
  return std::unexpected(file_error(doing, path, errno));
}

bool write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// A new file in `folder` under a name of its own; `name` receives it. The umask applies.
int create_beside(const std::filesystem::path& folder, std::filesystem::path& name) {
  static std::atomic<unsigned> counter{0};  // relaxed: only uniqueness matters
  for (int attempt = 0; attempt < 1000; ++attempt) {
    name = folder / fmt::format(".plait-{}-{}.part", ::getpid(), counter.fetch_add(1, std::memory_order_relaxed));
    const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor >= 0 || errno != EEXIST) return descriptor;
  }
  return -1;
}

// Makes a rename survive a power cut. Some file systems cannot do this for folders; the rename itself has happened by
// then.
void flush_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0) static_cast<void>(::fsync(descriptor.get()));
}

bool write_and_close(Descriptor& file, const std::filesystem::path& target, std::string_view content) {
  struct stat existing{};
  if (::stat(target.c_str(), &existing) == 0 && ::fchmod(file.get(), existing.st_mode & 07777U) != 0) return false;
  return write_all(file.get(), content) && ::fsync(file.get()) == 0 && file.close() == 0;
}

}  // namespace

base::Error file_error(std::string_view doing, const std::filesystem::path& path, int error_number) {
  return {code_of(error_number),
          fmt::format("{} '{}': {}", doing, path.string(), std::generic_category().message(error_number))};
}

base::Result<std::string> read_file(const std::filesystem::path& path, base::Bytes bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return failed("cannot open", path);
  std::string content;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got == 0) return content;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("cannot read", path);
    if (static_cast<base::Bytes>(got) > bytes_max - content.size()) {
      return base::fail(ErrorCode::out_of_resources,
                        fmt::format("'{}' is longer than the limit of {} bytes", path.string(), bytes_max));
    }
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

base::Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::filesystem::path temporary;
  Descriptor file(create_beside(folder, temporary));
  if (file.get() < 0) return failed("cannot write", path);
  if (!write_and_close(file, path, content) || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(temporary.c_str());
    return std::unexpected(file_error("cannot write", path, error_number));
  }
  flush_folder(folder);
  return {};
}

base::Result<void> rename_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed("cannot rename", from);
  return {};
}

base::Result<std::size_t> read_part(const std::filesystem::path& path, base::Bytes offset, std::span<std::byte> into) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) return failed("cannot open", path);
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = ::pread(file.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("cannot read", path);
    done += static_cast<std::size_t>(got);
  }
  return done;
}

base::Result<void> remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0) return failed("cannot remove", path);
  return {};
}

base::Result<void> sync_directory(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0) return failed("cannot open", folder);
  // EINVAL and EROFS: flushing is not possible here, and then nothing waits to be flushed.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL && errno != EROFS) return failed("cannot flush", folder);
  return {};
}

base::Result<std::vector<std::string>> list_directory(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator entry(folder, error);
  for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) return std::unexpected(file_error("cannot list", folder, error.value()));
  std::ranges::sort(names);
  return names;
}

base::Result<base::Bytes> free_space(const std::filesystem::path& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0) return failed("cannot ask for the free space of", path);
  return static_cast<base::Bytes>(status.f_bavail) * status.f_frsize;
}

}  // namespace plait::os
