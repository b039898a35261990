// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/fastswitch_measure.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "engine/host_tier.h"
#include "evaluation/experiments/fastswitch_tier.h"
#include "os/direct_io.h"

namespace plait::evaluation {
namespace {

using base::Bytes;
using base::Result;

/// The file of one run, one tier for each layer group.
struct Tiers {
  std::array<std::unique_ptr<engine::HostTier>, engine::kLayerGroups> tiers = {};
  std::array<PiecewiseTier*, engine::kLayerGroups> pieces = {};
  os::AsyncFileMode mode = {};
};

Bytes aligned(Bytes bytes) { return (bytes + os::kDirectAlignment - 1) / os::kDirectAlignment * os::kDirectAlignment; }

std::uint32_t layers_of(const models::KvLayout& layout, std::size_t group, std::size_t layers) {
  std::uint32_t count = 0;
  for (std::size_t layer = 0; layer < layers; ++layer) count += layout.group_of(layer) == group ? 1 : 0;
  return count;
}

/// Room for a copy of every chat, with the space behind it that copies are given.
Result<Tiers> make_tiers(const models::KvLayout& layout, std::size_t layers, const SwapSetup& setup,
                         const SwapWay& way) {
  Tiers made;
  if (!way.swaps) return made;
  const std::uint32_t reserve = engine::SwapOptions{}.reserve_pages.value_or(0);
  std::uint32_t slots = 0;
  for (const Chat& chat : setup.chats) slots += chat_pages(chat) + reserve;
  for (std::size_t group = 0; group < engine::kLayerGroups; ++group) {
    if (layout.page_bytes(group) == 0) continue;
    const Bytes page = aligned(layout.page_bytes(group));
    const auto blocks = static_cast<std::uint32_t>(page / os::kDirectAlignment);
    PLAIT_TRY(auto file, way.pieces ? engine::FileTier::make(setup.folder, slots * blocks, os::kDirectAlignment)
                                    : engine::FileTier::make(setup.folder, slots, page));
    made.mode = file->mode();
    if (way.pieces) {
      const std::uint32_t pieces = std::min(blocks, 2 * layers_of(layout, group, layers));
      auto cut = std::make_unique<PiecewiseTier>(std::move(file), page, pieces);
      made.pieces[group] = cut.get();
      made.tiers[group] = std::move(cut);
    } else {
      made.tiers[group] = std::move(file);
    }
  }
  return made;
}

engine::EngineOptions engine_options(const models::KvLayout& layout, const SwapSetup& setup, std::uint32_t pages) {
  Bytes page = 0;
  for (std::size_t group = 0; group < engine::kLayerGroups; ++group) page += aligned(layout.page_bytes(group));
  engine::EngineOptions options{.kv_bytes = pages * page, .rows_max = setup.rows_max};
  options.fairness.ageing = 0;     // priorities are the trace's alone
  options.share_prefixes = false;  // no two chats begin alike
  return options;
}

void sleep_until(double seconds) {
  const double left = seconds - base::steady_clock().now();
  if (left > 0) std::this_thread::sleep_for(std::chrono::duration<double>(left));
}

}  // namespace

double SwapRun::operations_per_swap_out() const {
  return operations / static_cast<double>(chats.counters.swap.swap_outs);
}

double SwapRun::bytes_out_per_swap_out() const {
  const engine::SwapCounters& swap = chats.counters.swap;
  return static_cast<double>(swap.bytes_out) / static_cast<double>(swap.swap_outs);
}

Result<SwapRun> run_swap_way(engine::Runner& runner, const SwapSetup& setup, const SwapWay& way,
                             PriorityPattern pattern, std::uint64_t seed) {
  PLAIT_TRY(const Tiers tiers, make_tiers(runner.layout(), setup.layers, setup, way));
  ChatReplayOptions options{.rate = setup.rate,
                            .priorities = pattern,
                            .period_steps = setup.period_steps,
                            .seed = seed,
                            .engine = engine_options(runner.layout(), setup, setup.pages),
                            .sleep_until = sleep_until};
  options.engine.preempt_levels = true;
  options.engine.group_pages = way.group;
  engine::KvSwapOptions& swap = options.engine.swap;
  for (std::size_t group = 0; group < engine::kLayerGroups; ++group) swap.tiers[group] = tiers.tiers[group].get();
  swap.choice = way.swaps ? engine::SwapChoice::swap : engine::SwapChoice::recompute;
  swap.wait = way.waits ? engine::SwapWait::always : engine::SwapWait::adaptive;
  swap.wait_out = way.waits;
  swap.manager.join_pages = way.join;
  swap.manager.reuse = way.reuse;
  SwapRun run{.mode = tiers.mode};
  PLAIT_TRY(run.chats, replay_chats(runner, setup.chats, options));
  const engine::SwapCounters& counted = run.chats.counters.swap;
  run.operations = static_cast<double>(counted.operations_out + counted.operations_in);
  if (way.pieces) run.operations = 0;
  for (const PiecewiseTier* tier : tiers.pieces) {
    if (tier != nullptr) run.operations += static_cast<double>(tier->operations());
  }
  return run;
}

Result<ChatRun> run_without_limit(engine::Runner& runner, const SwapSetup& setup, double rate, std::uint64_t seed) {
  std::uint32_t pages = 0;
  for (const Chat& chat : setup.chats) pages += chat_pages(chat) + 2;
  return replay_chats(runner, setup.chats,
                      {.rate = rate,
                       .seed = seed,
                       .engine = engine_options(runner.layout(), setup, pages),
                       .sleep_until = sleep_until});
}

std::uint32_t chat_pages(const Chat& chat) {
  return static_cast<std::uint32_t>((chat.tokens() + models::kPageTokens - 1) / models::kPageTokens);
}

}  // namespace plait::evaluation
