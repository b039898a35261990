// SPDX-License-Identifier: Apache-2.0
//
// The settings kv.swap and kv.swap_bytes: where preempted sequences go.
//
//   PLAIT_TRY(const SwapSetting setting, parse_swap_setting("file:/var/tmp", 8_GiB));
//   PLAIT_TRY(const SwapTiers tiers, SwapTiers::make(setting, runner.layout()));
//   EngineOptions options{.kv_bytes = ..., .swap = tiers.options()};    // tiers outlive the engine
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "engine/host_tier.h"
#include "engine/kv_swap.h"
#include "models/kv_layout.h"

namespace plait::engine {

struct SwapSetting {
  std::filesystem::path folder = {};  ///< Empty: preempted sequences are computed again.
  base::Bytes bytes = 0;              ///< Of all tiers together.
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
};

}  // namespace plait::engine
