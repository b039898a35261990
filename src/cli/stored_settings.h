// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/result.h"
#include "cli/command.h"
#include "serving/http/router.h"
#include "serving/stored/stored.h"
#include "store/file_layer.h"

namespace plait::cli {

/// What the settings server.data, server.files_bytes and server.batch_rows make of a server.
class StoredHere {
 public:
  /// Opens the folder, which it makes if need be. Another server that has the usual folder is no error: then this one
  /// keeps nothing, and says so. Errors: those of making the folder and of serving::Stored::open.
  [[nodiscard]] static base::Result<StoredHere> open(const Session& session);

  /// /v1/responses, which a server that keeps nothing has as well.
  [[nodiscard]] serving::Dialect responses() const;
  void add_routes(serving::HttpRouter& router) const;
  [[nodiscard]] base::Result<void> start(serving::ServedModels& models) const;
  void stop() const;

 private:
  std::unique_ptr<store::OsFileLayer> layer_ = std::make_unique<store::OsFileLayer>();
  std::unique_ptr<serving::Stored> stored_;  // null: nothing is kept
  std::string why_;                          // nothing is kept
};

/// --data
void add_stored_options(CLI::App& verb, Session& session);

}  // namespace plait::cli
