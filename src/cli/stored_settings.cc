// SPDX-License-Identifier: Apache-2.0
#include "cli/stored_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

#include "os/file.h"
#include "os/paths.h"

namespace plait::cli {
namespace {

namespace fs = std::filesystem;
using base::Result;

constexpr std::string_view kNone = "none";

// For this user alone: what clients leave is nobody else's business.
Result<void> make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder / "blobs", error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return std::unexpected(os::file_error("cannot make", folder, error.value()));
  return {};
}

serving::StoredOptions options_of(const Config& config, const fs::path& folder) {
  const auto rows = static_cast<std::size_t>(config.number("server.batch_rows"));
  const auto all = static_cast<std::size_t>(config.number("server.rows"));
  return {.folder = folder,
          .files_bytes_max = static_cast<base::Bytes>(config.number("server.files_bytes")),
          .responses = {.bytes_max = static_cast<base::Bytes>(config.number("server.responses_bytes")),
                        .seconds_max = config.number("server.responses_days") * 24 * 3600},
          .batch_rows = rows > 0 ? rows : std::max<std::size_t>(1, all / 2)};
}

}  // namespace

Result<StoredHere> StoredHere::open(const Session& session) {
  StoredHere here;
  const std::string& setting = session.config.text("server.data");
  if (setting == kNone) {
    here.why_ = "server.data is none";
    return here;
  }
  const fs::path folder = setting.empty() ? os::state_dir() / "server" : fs::path(setting);
  PLAIT_TRY_VOID(make_folder(folder));
  auto stored = serving::Stored::open(*here.layer_, options_of(session.config, folder));
  if (stored) {
    here.stored_ = *std::move(stored);
    return here;
  }
  if (stored.error().code != base::ErrorCode::busy || !setting.empty()) return std::unexpected(stored.error());
  here.why_ = "another server has its folder; --data gives it one of its own";
  note(session, fmt::format("files, batches and responses are not kept: {}", here.why_));
  return here;
}

serving::Dialect StoredHere::responses() const {
  return serving::responses_dialect(stored_ ? &stored_->responses() : nullptr);
}

void StoredHere::add_routes(serving::HttpRouter& router) const {
  if (stored_) return stored_->add_routes(router);
  serving::add_unstored_routes(router, why_);
}

Result<void> StoredHere::start(serving::ServedModels& models) const {
  return stored_ ? stored_->start(models) : Result<void>{};
}

void StoredHere::stop() const {
  if (stored_) stored_->stop();
}

void add_stored_options(CLI::App& verb, Session& session) { add_setting(verb, session, "--data", "server.data"); }

}  // namespace plait::cli
