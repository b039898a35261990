// SPDX-License-Identifier: Apache-2.0
#include "cli/engine_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "os/memory.h"

namespace plait::cli {
namespace {

using base::Bytes;

// Where the system does not say what is free.
constexpr Bytes kBytesUnknown = Bytes{1} << 30;
// More than its tokens need: copies of pages that it shares with others.
constexpr Bytes kSparePages = 2;

base::Result<engine::SwapSetting> swap_setting(const Config& config) {
  PLAIT_TRY(auto setting,
            engine::parse_swap_setting(config.text("kv.swap"), static_cast<Bytes>(config.number("kv.swap_bytes"))));
  setting.way = engine::swap_way(config.text("kv.swap_way")).value_or(setting.way);
  return setting;
}

}  // namespace

Bytes kv_bytes(Bytes setting, const engine::Runner& runner, const KvNeed& need, Bytes available) {
  if (setting > 0) return setting;
  const Bytes page = runner.layout().page_bytes(0) + runner.layout().page_bytes(1);
  const std::size_t tokens = need.tokens == 0 ? runner.context() : need.tokens;
  const Bytes pages = (tokens + models::kPageTokens - 1) / models::kPageTokens + kSparePages;
  const Bytes half = available == 0 ? kBytesUnknown : available / 2;
  return std::max(page, std::min(half, need.sequences * pages * page));
}

Bytes kv_setting(const Config& config) { return static_cast<Bytes>(config.number("kv.bytes")); }

void add_engine_options(CLI::App& verb, Session& session, bool with_swap) {
  add_setting(verb, session, "--kv-memory", "kv.bytes");
  if (!with_swap) return;
  add_setting(verb, session, "--kv-swap", "kv.swap");
  add_setting(verb, session, "--kv-swap-bytes", "kv.swap_bytes");
  add_setting(verb, session, "--kv-swap-way", "kv.swap_way");
  add_setting(verb, session, "--kv-group-pages", "kv.group_pages");
  add_setting(verb, session, "--cache-policy", "cache.policy");
  add_setting(verb, session, "--priority", "scheduler.priority");
}

base::Result<void> check_engine_settings(const Config& config) {
  PLAIT_TRY_VOID(swap_setting(config));
  return {};
}

base::Result<EngineSettings> EngineSettings::make(const Config& config, const engine::Runner& runner,
                                                  const KvNeed& need) {
  PLAIT_TRY(const engine::SwapSetting setting, swap_setting(config));
  PLAIT_TRY(engine::SwapTiers tiers, engine::SwapTiers::make(setting, runner.layout()));
  Bytes available = os::memory_info().available;
  if (need.bytes_max > 0) available = available == 0 ? need.bytes_max : std::min(available, need.bytes_max);
  Bytes bytes = kv_bytes(kv_setting(config), runner, need, available);
  if (need.bytes_max > 0) bytes = std::min(bytes, need.bytes_max);
  const auto policy = engine::eviction_kind(config.text("cache.policy"));
  const engine::EngineOptions options{
      .kv_bytes = bytes,
      .order = config.text("scheduler.priority") == "arrival" ? engine::Order::arrival : engine::Order::fair,
      .cache = {.policy = policy.value_or(engine::PrefixCacheOptions{}.policy)},
      .swap = tiers.options(),
      .group_pages = static_cast<std::uint32_t>(config.number("kv.group_pages"))};
  return EngineSettings(std::move(tiers), options);
}

engine::CostRates cost_rates(const models::Model& model) {
  const auto description = models::describe(model.file());
  const engine::HardwareProfile* profile = engine::find_profile("cpu-amx");
  if (!description || profile == nullptr || description->parameters == 0) return {};
  const double bytes_per_element = kernels::number_bytes(model.attention(), model.config().head_dim);
  return engine::cost_rates(engine::model_shape(model.config(), *description, bytes_per_element), *profile);
}

serving::Target target_of(const LoadedModel& loaded, const engine::Engine& engine, serving::Grammars& grammars) {
  return {.model = loaded.name,
          .tokenizer = loaded.tokenizer.get(),
          .chat = &*loaded.chat,
          .context = loaded.model->context(),
          .kv_tokens = static_cast<std::size_t>(engine.counters().pages) * models::kPageTokens,
          .width = loaded.model->width(),
          .pooling = loaded.model->config().pooling.value_or(models::Pooling::mean),
          .grammars = &grammars};
}

std::string preemption_text(const engine::EngineCounters& counters) {
  const engine::SwapCounters& swap = counters.swap;
  if (counters.preemptions == 0 && swap.swap_outs == 0) return {};
  std::string text = fmt::format("preempted {} times", counters.preemptions);
  if (swap.swap_outs == 0) return text + ", computed again";
  text += fmt::format("; {} times to the swap file ({} in {} writes, {} there already), {} times back ({} in {} reads)",
                      swap.swap_outs, base::human_bytes(swap.bytes_out), swap.operations_out,
                      base::human_bytes(swap.bytes_reused), swap.swap_ins, base::human_bytes(swap.bytes_in),
                      swap.operations_in);
  if (swap.recomputes > 0) text += fmt::format(", {} lost to errors and computed again", swap.recomputes);
  return text;
}

text::Json preemption_json(const engine::EngineCounters& counters) {
  const engine::SwapCounters& swap = counters.swap;
  return {
      {"preemptions", counters.preemptions}, {"swap_outs", swap.swap_outs},       {"swap_ins", swap.swap_ins},
      {"writes", swap.operations_out},       {"reads", swap.operations_in},       {"bytes_out", swap.bytes_out},
      {"bytes_in", swap.bytes_in},           {"bytes_reused", swap.bytes_reused}, {"lost_to_errors", swap.recomputes}};
}

}  // namespace plait::cli
