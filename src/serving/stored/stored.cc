// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/stored.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>

#include "serving/stored/batch_job.h"
#include "serving/stored/batches.h"
#include "serving/stored/desk.h"
#include "serving/stored/files.h"
#include "store/blobs.h"
#include "store/objects.h"

namespace plait::serving {

using base::Result;

namespace {

// What has no card: an upload that a crash ended, the results of a batch that is over.
Result<void> sweep(const store::Blobs& blobs, store::Objects& objects) {
  std::set<std::string> known;
  for (const auto& [kind, label] : {std::pair(kFileKind, ""), std::pair(kBatchKind, "open")}) {
    PLAIT_TRY(const auto cards, objects.all(kind, label));
    for (const store::Object& card : cards) known.insert(card.id);
  }
  PLAIT_TRY(const auto names, blobs.names());
  for (const std::string& name : names) {
    if (!known.contains(name)) PLAIT_TRY_VOID(blobs.remove(name));
  }
  return {};
}

}  // namespace

class Stored::State {
 public:
  State(std::unique_ptr<store::File> lock, std::unique_ptr<store::Objects> objects, std::unique_ptr<store::Blobs> blobs,
        const StoredOptions& options)
      : lock_(std::move(lock)),
        objects_(std::move(objects)),
        blobs_(std::move(blobs)),
        files(*objects_, *blobs_, options.files_bytes_max),
        batches(*objects_, *blobs_, files,
                {.rows = options.batch_rows, .files_bytes_max = options.files_bytes_max, .now = options.now}),
        responses(*objects_, options.responses) {}

 private:
  std::unique_ptr<store::File> lock_;  // first: held until the rest is gone
  std::unique_ptr<store::Objects> objects_;
  std::unique_ptr<store::Blobs> blobs_;

 public:
  Files files;
  Batches batches;
  Responses responses;
  Desk desk;  // last: its jobs use the rest
};

Stored::Stored(std::unique_ptr<State> state) : state_(std::move(state)) {}
Stored::~Stored() = default;

Result<std::unique_ptr<Stored>> Stored::open(store::FileLayer& layer, const StoredOptions& options) {
  PLAIT_TRY(auto lock, layer.open(options.folder / "lock"));
  PLAIT_TRY(auto objects, store::Objects::open(options.folder / "objects.db"));
  PLAIT_TRY(auto blobs, store::Blobs::open(layer, options.folder / "blobs"));
  PLAIT_TRY_VOID(sweep(*blobs, *objects));
  return std::unique_ptr<Stored>(
      new Stored(std::make_unique<State>(std::move(lock), std::move(objects), std::move(blobs), options)));
}

void Stored::add_routes(HttpRouter& router) {
  state_->files.add_routes(router, state_->desk);
  state_->batches.add_routes(router, state_->desk);
  state_->responses.add_routes(router, state_->desk);
}

Responses& Stored::responses() { return state_->responses; }

Result<void> Stored::start(ServedModels& models) { return state_->batches.start(models); }

void Stored::stop() { state_->batches.stop(); }

void add_unstored_routes(HttpRouter& router, const std::string& why) {
  const auto refuse = [why](const HttpRequest&, const Responder& responder) {
    responder.refuse({.status = 501, .message = "this server keeps nothing: " + why, .code = "not_stored"});
  };
  for (const char* pattern :
       {"/v1/files", "/v1/files/{rest...}", "/v1/batches", "/v1/batches/{rest...}", "/v1/responses/{rest...}"}) {
    for (const HttpMethod method : {HttpMethod::get, HttpMethod::post, HttpMethod::remove}) {
      router.add(method, pattern, refuse);
    }
  }
}

}  // namespace plait::serving
