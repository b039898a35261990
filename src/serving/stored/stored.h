// SPDX-License-Identifier: Apache-2.0
//
// What clients leave on a server: files, batches and responses. All of it lives in one folder and belongs to the
// client's API key; nobody else can tell it from what never was.
//
//   PLAIT_TRY(const auto stored, Stored::open(layer, {.folder = folder}));
//   Api api(models, {.dialects = {responses_dialect(&stored->responses())}});
//   stored->add_routes(router);
//   PLAIT_TRY_VOID(stored->start(models));
//   ...
//   stored->stop();                                  // before the engines' thread ends
//
// The folder holds objects.db (store/objects.h), blobs/ (store/blobs.h; also the results of batches that run), and
// lock, which one server at a time holds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/result.h"
#include "base/units.h"
#include "serving/http/router.h"
#include "serving/models.h"
#include "serving/stored/desk.h"
#include "serving/stored/responses.h"
#include "store/file_layer.h"

namespace plait::serving {

struct StoredOptions {
  std::filesystem::path folder = {};                    ///< Exists, and is for this user alone.
  base::Bytes files_bytes_max = base::Bytes{4} << 30U;  ///< Of one client.
  ResponsesOptions responses = {};
  std::size_t batch_rows = 32;  ///< Most answers of batches in the engine at a time.
  std::function<std::int64_t()> now = now_seconds;
};

/// Any thread.
class Stored {
 public:
  /// Takes the folder, and sweeps away what a crash left half-done. `layer` must outlive it. Errors: busy (another
  /// server has it), invalid_data, unsupported (made by a later version), out_of_resources, io.
  [[nodiscard]] static base::Result<std::unique_ptr<Stored>> open(store::FileLayer& layer,
                                                                  const StoredOptions& options);
  /// stop()
  ~Stored();
  Stored(const Stored&) = delete;
  Stored& operator=(const Stored&) = delete;

  /// /v1/files and /v1/batches, and what is below these and /v1/responses. The router's handlers refer to this object.
  void add_routes(HttpRouter& router);
  [[nodiscard]] Responses& responses();
  /// Begins to run batches. The models must outlive stop(). Errors: invalid_data, io.
  [[nodiscard]] base::Result<void> start(ServedModels& models);
  /// Ends what runs in the background; what is done is kept.
  void stop();

 private:
  class State;
  explicit Stored(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The same addresses on a server that keeps nothing: each answers with 501 and why.
void add_unstored_routes(HttpRouter& router, const std::string& why);

}  // namespace plait::serving
