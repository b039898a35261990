// SPDX-License-Identifier: Apache-2.0
//
// The models that a server answers with: loaded when somebody asks, kept while they are used and for a while after, and
// given up for others when memory runs short.
//
//   ServedModels models(thread, {.offers = offers, .usual = "smollm2-135m", .make = make});
//   models.acquire("qwen", {}, [](Accepted<ModelLease> lease) { ... lease->target ... lease->loop ... });
//
// A model that somebody holds a lease on stays. Others go when they were idle for their keep-alive, or at once, the one
// that was used longest ago first, when memory is asked for that the budget does not hold otherwise. A model that does
// not fit beside those in use is waited for, but not for ever.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "engine/engine.h"
#include "serving/engine_loop.h"
#include "serving/fields.h"
#include "serving/metrics.h"
#include "serving/request.h"
#include "text/json.h"

namespace plait::serving {

/// A model in memory with its engine. Destroyed on the loader's thread, when nobody uses the engine any more.
class ReadyModel {
 public:
  virtual ~ReadyModel() = default;
  [[nodiscard]] virtual const Target& target() const = 0;
  [[nodiscard]] virtual engine::Engine& engine() = 0;
  [[nodiscard]] virtual base::Bytes bytes() const = 0;  ///< Of weights, keys and values.
};

/// What one asks with.
struct ServedModel {
  const Target& target;
  std::shared_ptr<EngineLoop> loop;  ///< Closed once the model has gone.
  std::int64_t since = 0;            ///< When it was loaded, seconds since 1970.
};
/// The model stays loaded as long as a copy is held. Any thread.
using ModelLease = std::shared_ptr<const ServedModel>;

/// A model that can be had.
struct ModelOffer {
  std::string name = {};
  std::string source = {};  ///< Where it comes from, for who loads it; clients do not see it.
  std::vector<std::string> aliases = {};
  base::Bytes bytes = 0;  ///< Least that it takes in memory.
};

/// How a model is.
struct ModelStanding {
  std::string name = {};
  std::vector<std::string> aliases = {};
  enum class State { absent, loading, ready } state = State::absent;
  base::Bytes bytes = 0;  ///< In memory, or the least that it takes there.
  std::size_t leases = 0;
  std::int64_t since = 0;                   ///< As ServedModel::since.
  std::optional<double> seconds_left = {};  ///< Until it goes, if nobody asks.
  std::optional<std::size_t> context = {};  ///< Of a ready one.
  bool thinks = false;                      ///< A ready one that has thoughts before its answers.
  std::optional<engine::EngineCounters> counters = {};
};

/// The way to the engine of a loaded model.
struct LoopOfModel {
  std::string name = {};
  std::shared_ptr<EngineLoop> loop = {};
};

struct ServedModelsOptions {
  std::vector<ModelOffer> offers = {};
  std::string usual = {};  ///< The model of requests that name none: one of the offers. It has no keep-alive.
  /// Loads one, within so many bytes for weights, keys and values. Called on the loader's thread, and by preload().
  std::function<base::Result<std::unique_ptr<ReadyModel>>(const ModelOffer& offer, base::Bytes bytes)> make = {};
  base::Bytes bytes_max = 0;                        ///< Of all models together. 0: no limit.
  double keep_alive = 300;                          ///< Seconds without a lease; negative: for ever.
  double wait_max = 60;                             ///< Seconds that a request waits for memory that others use.
  std::size_t waiting_max = 256;                    ///< Requests that wait for models; the next ones are refused.
  std::function<void(std::string_view)> note = {};  ///< A line on what was loaded, or why not. The loader's thread.
};

/// What a request's body says in `model`, for acquire(). Empty if it names none; a value of another kind is refused
/// later, by whoever reads the rest.
[[nodiscard]] std::string model_named(const text::Json& body);

class ServedModels {  // any thread
 public:
  using Then = std::move_only_function<void(Accepted<ModelLease>)>;

  /// The thread must outlive it. Requires: `make`, and the usual model among the offers.
  ServedModels(EngineThread& thread, ServedModelsOptions options, const base::Clock& clock = base::steady_clock());
  /// Unloads all. Requires: no leases but those of work that was posted, and the engines' thread does not run.
  ~ServedModels();
  ServedModels(const ServedModels&) = delete;
  ServedModels& operator=(const ServedModels&) = delete;

  /// Loads the usual model now. Before anything is asked. Errors: those of `make`.
  [[nodiscard]] base::Result<void> preload();
  /// A name, an alias, either with ":latest", or nothing for the usual model: the offer's name. Refused: 404.
  [[nodiscard]] Accepted<std::string> find(std::string_view asked) const;
  /// Calls `then` with a lease: at once if the model is ready, else when it is, on the loader's thread. `keep_alive`
  /// replaces what the options say from now on. Refused: as find(); 503 (no memory, with the numbers; it cannot be
  /// loaded; too many wait).
  void acquire(std::string_view asked, std::optional<double> keep_alive, Then then);
  /// All offers, in their order.
  [[nodiscard]] std::vector<ModelStanding> list() const;
  /// Of the loaded ones.
  [[nodiscard]] std::vector<LoopOfModel> loops() const;
  /// Of each model that was ever loaded: what has grown since the beginning, the times before it went and came back
  /// included, and how it is if it is loaded now.
  [[nodiscard]] std::vector<MetricsSources::Model> work() const;
  /// The sum over models, of work() but for its StepWork and the less usual counters of swapping.
  [[nodiscard]] engine::EngineCounters counters() const;
  [[nodiscard]] const std::string& usual() const { return options_.usual; }

 private:
  struct Waiting {
    Then then;
    double since = 0;
  };
  struct Entry {
    ModelOffer offer;
    std::unique_ptr<ReadyModel> model = {};
    std::unique_ptr<ServedModel> served = {};
    bool loading = false;
    std::size_t leases = 0;
    double used_at = 0;
    double keep_alive = 0;
    std::vector<Waiting> waiting = {};
    std::optional<EngineProgress> gone = {};  // what its engines before this one have done
  };
  using Lock = std::unique_lock<std::mutex>;

  [[nodiscard]] ModelLease lease(Entry& entry);
  void release(Entry& entry);
  void load_loop(const std::stop_token& stop);
  [[nodiscard]] std::vector<Entry*> wanted() const;
  [[nodiscard]] Entry* spare(bool expired_only) const;
  [[nodiscard]] base::Bytes used() const;
  [[nodiscard]] base::Bytes room() const;
  void look_after(Lock& lock);
  void try_load(Entry& entry, Lock& lock);
  void load(Entry& entry, Lock& lock);
  void unload(Entry& entry, Lock& lock);
  void refuse(Entry& entry, const Refusal& refusal, Lock& lock);
  void put(Entry& entry, std::unique_ptr<ReadyModel> model);
  [[nodiscard]] Refusal no_memory(const Entry& entry) const;
  void note(std::string_view line) const;

  EngineThread& thread_;
  ServedModelsOptions options_;
  const base::Clock& clock_;
  std::map<std::string, std::string, std::less<>> names_;  // names and aliases → names
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::unique_ptr<Entry>> entries_;  // the rest is under mutex_
  std::size_t waiting_ = 0;
  base::Bytes leaving_ = 0;  // of models that are being unloaded
  bool news_ = false;        // for the loader
  std::jthread loader_;      // last: it uses the rest
};

}  // namespace plait::serving
