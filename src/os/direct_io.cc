// SPDX-License-Identifier: Apache-2.0
#include "os/direct_io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/check.h"
#include "os/detail/thread_file.h"
#include "os/detail/transfer.h"
#include "os/detail/uring_file.h"
#include "os/file.h"

namespace plait::os {
namespace {

using base::Result;

constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC;

// A file system that cannot do O_DIRECT says EINVAL, some when opening, some only at the first transfer.
bool direct_works(int descriptor) {
  alignas(kDirectAlignment) std::byte block[kDirectAlignment];
  return ::pread(descriptor, block, sizeof block, 0) >= 0 || errno != EINVAL;
}

// `open_with(flags)` gives a descriptor or -1 and errno.
template <class Open>
Result<detail::OpenFile> open_direct_or_cached(const std::filesystem::path& path, bool direct, Open open_with) {
  if (direct) {
    detail::OpenFile file(open_with(O_DIRECT), true, path);
    if (file.descriptor() >= 0 && direct_works(file.descriptor())) return file;
    if (file.descriptor() < 0 && errno != EINVAL) return std::unexpected(file_error("cannot open", path, errno));
  }
  detail::OpenFile file(open_with(0), false, path);
  if (file.descriptor() < 0) return std::unexpected(file_error("cannot open", path, errno));
  return file;
}

Result<std::unique_ptr<AsyncFile>> start(detail::OpenFile file, const AsyncFileOptions& options) {
  PLAIT_CHECK(options.depth >= 1 && options.depth <= 4096, options.depth);
  if (options.reserve_bytes > 0 &&
      ::fallocate(file.descriptor(), 0, 0, static_cast<off_t>(options.reserve_bytes)) != 0 && errno != EOPNOTSUPP &&
      errno != ENOSYS) {
    return std::unexpected(file_error("cannot reserve space in", file.path(), errno));
  }
  if (options.use_io_uring) {
    if (auto ring = detail::make_uring_file(file, options.depth)) return ring;
  }
  return detail::make_thread_file(std::move(file));
}

// A file without a name; where the file system has none, one whose name goes at once.
int open_nameless(const std::filesystem::path& folder, int flags) {
  const int descriptor = ::open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC | O_EXCL | flags, 0600);
  if (descriptor >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return descriptor;
  std::string name = (folder / ".plait-swap-XXXXXX").string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC | flags);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

}  // namespace

Result<std::unique_ptr<AsyncFile>> open_async_file(const std::filesystem::path& path, const AsyncFileOptions& options) {
  PLAIT_TRY(auto file, open_direct_or_cached(path, options.use_direct,
                                             [&](int flags) { return ::open(path.c_str(), kFlags | flags, 0600); }));
  return start(std::move(file), options);
}

Result<std::unique_ptr<AsyncFile>> open_temporary_file(const std::filesystem::path& folder,
                                                       const AsyncFileOptions& options) {
  PLAIT_TRY(auto file,
            open_direct_or_cached(folder, options.use_direct, [&](int flags) { return open_nameless(folder, flags); }));
  return start(std::move(file), options);
}

}  // namespace plait::os
