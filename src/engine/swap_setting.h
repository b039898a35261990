// SPDX-License-Identifier: Apache-2.0
//
// The settings kv.swap, kv.swap_bytes and kv.swap_way: where preempted sequences go, and how.
//
//   PLAIT_TRY(const SwapSetting setting, parse_swap_setting("file:/var/tmp", 8_GiB));
//   PLAIT_TRY(const SwapTiers tiers, SwapTiers::make(setting, runner.layout()));
//   EngineOptions options{.kv_bytes = ..., .swap = tiers.options()};    // tiers outlive the engine
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "engine/host_tier.h"
#include "engine/kv_swap.h"
#include "models/kv_layout.h"

namespace plait::engine {

/// What FastSwitch's parts bring, one after the other; all but the last are there to compare with.
enum class SwapWay {
  pages,         ///< One operation for each page, the engine stands still meanwhile, a copy dies when it was read.
  runs,          ///< One operation for each run of adjacent pages.
  asynchronous,  ///< And others compute meanwhile.
  reuse,         ///< And a copy outlives the return: the next time only what is new is written.
};
/// "pages", "runs", "async" or "reuse", as the setting kv.swap_way has them.
[[nodiscard]] std::optional<SwapWay> swap_way(std::string_view name);

struct SwapSetting {
  std::filesystem::path folder = {};  ///< Empty: preempted sequences are computed again.
  base::Bytes bytes = 0;              ///< Of all tiers together.
  SwapWay way = SwapWay::reuse;
};

/// `text`: "none" or "recompute" (the same: nothing is written anywhere), or "file:FOLDER" (a file without a name in
/// that folder). Errors: invalid_argument ("pinned", which needs a GPU; anything else; no folder; a file without
/// bytes), saying what is allowed.
[[nodiscard]] base::Result<SwapSetting> parse_swap_setting(std::string_view text, base::Bytes bytes);

/// The tiers of a setting, one for each layer group. Movable; must outlive the engines that use them, one at a time.
class SwapTiers {
 public:
  /// Divides the bytes so that each group holds as many pages as the other. Claims the disk space. Errors:
  /// invalid_argument (bytes do not hold a page, with both numbers); those of FileTier::make (folder, disk space).
  [[nodiscard]] static base::Result<SwapTiers> make(const SwapSetting& setting, const models::KvLayout& layout);

  /// For EngineOptions::swap.
  [[nodiscard]] KvSwapOptions options() const;
  /// Pages of 16 tokens that each group's tier holds; 0 without tiers.
  [[nodiscard]] std::uint32_t pages() const;

 private:
  std::array<std::unique_ptr<FileTier>, kLayerGroups> tiers_;
  SwapWay way_ = SwapWay::reuse;
};

}  // namespace plait::engine
