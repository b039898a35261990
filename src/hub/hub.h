// SPDX-License-Identifier: Apache-2.0
//
// Models by name: which there are, which are here, and how to get the others.
//
//   PLAIT_TRY(auto hub, hub::Hub::open({.models_dir = os::cache_dir() / "models"}));
//   PLAIT_TRY(auto path, hub.resolve("smollm2-135m"));      // a file, or an error that names the command which fetches
//   it
//
// A file under its final name is whole: it got there by renaming, after its length and SHA-256 had been checked. Pulls
// of one model by several processes take turns. Threads: methods may be called from several threads at once.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/fetch.h"
#include "hub/manifest.h"

namespace plait::hub {

struct HubOptions {
  std::filesystem::path models_dir;     ///< Where models lie, as NAME.gguf. Made by the first pull.
  std::filesystem::path manifest = {};  ///< A JSON file with more models; skipped if it does not exist or is empty.
  bool offline = false;                 ///< Pulls fail at once.
};

/// What is known about a model's file without reading it.
enum class Presence {
  absent,
  partial,   ///< A pull was interrupted and can go on.
  present,   ///< There, with the right length.
  mismatch,  ///< There, with another length than the manifest says.
};

/// What a pull tells while it runs, besides the progress in `fetch`.
struct PullOptions {
  FetchOptions fetch = {};
  std::function<void(std::string_view)> on_message =
      {};  ///< One line: a source that failed, waiting for another process.
};

class Hub {
 public:
  /// The built-in models and those of the user's manifest, which may replace built-in ones of the same name.
  /// Errors: invalid_data (manifest), io.
  [[nodiscard]] static base::Result<Hub> open(HubOptions options);

  [[nodiscard]] std::span<const ModelEntry> models() const { return models_; }
  /// The model called `name`. Errors: not_found.
  [[nodiscard]] base::Result<const ModelEntry*> find(std::string_view name) const;
  [[nodiscard]] std::filesystem::path path_of(const ModelEntry& entry) const;
  [[nodiscard]] Presence presence(const ModelEntry& entry) const;

  /// The file that a name or a path stands for. A name of the manifest wins over a file in the working folder (write
  /// ./name for that). Errors: not_found, saying which command fetches it; invalid_data for a file of the wrong length.
  [[nodiscard]] base::Result<std::filesystem::path> resolve(std::string_view name_or_path) const;

  /// Fetches a model unless it is present, trying its sources in order; waits while another process fetches it.
  /// Returns its path. After an error nothing lies under the final name that was not there before; what came so far
  /// stays for the next pull, except when the disk is full. Errors: network (every source failed), invalid_data (every
  /// source had the wrong file), out_of_resources (disk full, checked beforehand), interrupted, io (read-only folder).
  [[nodiscard]] base::Result<std::filesystem::path> pull(const ModelEntry& entry, const PullOptions& options) const;

  /// Compares length and SHA-256 of the file with the manifest. Errors: not_found, invalid_data, interrupted, io.
  [[nodiscard]] base::Result<void> verify(const ModelEntry& entry, const FetchOptions& options) const;

  /// Removes the model's file and whatever an interrupted pull left. Returns the bytes that became free.
  /// Errors: not_found if there was nothing, busy while it is being fetched, io.
  [[nodiscard]] base::Result<base::Bytes> remove(const ModelEntry& entry) const;

 private:
  explicit Hub(HubOptions options) : options_(std::move(options)) {}
  [[nodiscard]] base::Result<void> check_space(const ModelEntry& entry, const PartFile& part) const;
  [[nodiscard]] base::Result<void> pull_from(const ModelEntry& entry, const Source& source, const PullOptions& options,
                                             PartFile& part) const;
  [[nodiscard]] base::Result<void> try_sources(const ModelEntry& entry, const PullOptions& options,
                                               PartFile& part) const;
  [[nodiscard]] std::filesystem::path hidden(const ModelEntry& entry, std::string_view suffix) const;

  HubOptions options_;
  std::vector<ModelEntry> models_;  // sorted by name
};

}  // namespace plait::hub
