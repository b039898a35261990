// SPDX-License-Identifier: Apache-2.0
//
// What the settings kv.* and scheduler.priority say to an engine: one rule for every verb that makes one.
//
//   PLAIT_TRY_VOID(check_engine_settings(session.config));       // before the model is loaded
//   ...
//   PLAIT_TRY(const EngineSettings settings, EngineSettings::make(session.config, runner, {.sequences = 64}));
//   PLAIT_TRY(const auto engine, engine::Engine::make(runner, settings.options()));    // `settings` outlives it
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/model_session.h"
#include "engine/engine.h"
#include "engine/swap_setting.h"
#include "models/model.h"
#include "serving/request.h"
#include "text/json.h"

namespace plait::cli {

/// How much keys and values can become.
struct KvNeed {
  std::size_t sequences = 1;  ///< At a time.
  std::size_t tokens = 0;     ///< Most of each; 0: the whole context.
  /// Not more than this, whatever the setting says; 0: no limit.
  base::Bytes bytes_max = 0;
};

/// Memory for keys and values, in bytes: `setting` (kv.bytes) if it is not 0; else half of `available`, but no more
/// than `need` can fill and no less than a page. `available` 0: the system does not say; a gibibyte counts as its half.
[[nodiscard]] base::Bytes kv_bytes(base::Bytes setting, const engine::Runner& runner, const KvNeed& need,
                                   base::Bytes available);

/// The setting kv.bytes.
[[nodiscard]] base::Bytes kv_setting(const Config& config);

/// --kv-memory, for verbs with one sequence; with_swap: all of kv.*, cache.policy and scheduler.priority.
void add_engine_options(CLI::App& verb, Session& session, bool with_swap);

/// What can be said against the settings without a model. Errors: those of engine::parse_swap_setting.
[[nodiscard]] base::Result<void> check_engine_settings(const Config& config);

/// Options for an engine, and the swap file that they refer to. Must outlive the engine; one engine at a time.
class EngineSettings {
 public:
  /// Claims the disk space of kv.swap. Errors: those of engine::parse_swap_setting and engine::SwapTiers::make.
  [[nodiscard]] static base::Result<EngineSettings> make(const Config& config, const engine::Runner& runner,
                                                         const KvNeed& need);

  /// kv_bytes, group_pages, swap, cache and order are set; the rest is left at its defaults.
  [[nodiscard]] const engine::EngineOptions& options() const { return options_; }

 private:
  EngineSettings(engine::SwapTiers tiers, const engine::EngineOptions& options)
      : tiers_(std::move(tiers)), options_(options) {}

  engine::SwapTiers tiers_;
  engine::EngineOptions options_;
};

/// What a model's tokens cost on the machine that prices are counted for, see engine/cost.h. All zero if its file does
/// not say enough.
[[nodiscard]] engine::CostRates cost_rates(const models::Model& model);

/// What requests are read for. All three must outlive its use.
[[nodiscard]] serving::Target target_of(const LoadedModel& loaded, const engine::Engine& engine,
                                        serving::Grammars& grammars);

/// What became of preempted sequences: "preempted 12 times; 9 times to the swap file (31 MB in 12 writes, 20 MB there
/// already), 9 times back (51 MB in 14 reads)". Empty if nobody was preempted.
[[nodiscard]] std::string preemption_text(const engine::EngineCounters& counters);
/// The same for programs: an object of numbers.
[[nodiscard]] text::Json preemption_json(const engine::EngineCounters& counters);

}  // namespace plait::cli
