// SPDX-License-Identifier: Apache-2.0
#include "reasoning/strategy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "reasoning/best_of.h"
#include "reasoning/group_think.h"
#include "reasoning/hogwild.h"
#include "reasoning/outline_paths.h"
#include "reasoning/parallel_distill_refine.h"
#include "reasoning/spawn_search.h"
#include "reasoning/thread_weaver.h"

namespace plait::reasoning {

std::string_view name(CallRole role) {
  constexpr std::array<std::string_view, 7> kNames{"main", "child", "draft", "judge", "planner", "distiller", "worker"};
  return kNames[static_cast<std::size_t>(role)];
}

Spending sum(const std::vector<CallRecord>& calls) {
  Spending spent{.calls = calls.size()};
  for (const CallRecord& call : calls) {
    spent.generated_tokens += call.generated_tokens;
    spent.prefilled_tokens += call.prefilled_tokens;
    spent.cached_tokens += call.cached_tokens;
    spent.critical_path_tokens = std::max(spent.critical_path_tokens, call.critical_tokens);
    spent.cost += call.cost;
  }
  return spent;
}

void StrategyRegistry::add(StrategyEntry entry) {
  PLAIT_CHECK(find(entry.name) == nullptr, entry.name);
  entries_.push_back(std::move(entry));
}

const StrategyEntry* StrategyRegistry::find(std::string_view name) const {
  const auto at = std::ranges::find(entries_, name, &StrategyEntry::name);
  return at == entries_.end() ? nullptr : &*at;
}

base::Result<std::unique_ptr<Strategy>> StrategyRegistry::make(std::string_view name, const text::Json& options) const {
  if (const StrategyEntry* entry = find(name)) return entry->make(options);
  std::string names;
  for (const StrategyEntry& entry : entries_) names += (names.empty() ? "" : ", ") + entry.name;
  return base::fail(base::ErrorCode::invalid_argument,
                    fmt::format("no strategy is called {}; there are {}", name.substr(0, 100), names));
}

StrategyRegistry all_strategies() {
  StrategyRegistry registry;
  registry.add(hogwild_strategy());
  registry.add(group_think_strategy());
  registry.add(thread_weaver_strategy());
  registry.add(spawn_strategy());
  registry.add(pdr_strategy());
  registry.add(refine_strategy());
  registry.add(outlines_strategy());
  registry.add(best_of_strategy());
  return registry;
}

}  // namespace plait::reasoning
