// SPDX-License-Identifier: Apache-2.0
#include "engine/swap_setting.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace plait::engine {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::string_view kFile = "file:";
constexpr base::Bytes kSlotsMax = 1U << 30;

/// Pages lie as far apart as the file wants them aligned.
base::Bytes slot_bytes(base::Bytes page_bytes) {
  return (page_bytes + os::kDirectAlignment - 1) / os::kDirectAlignment * os::kDirectAlignment;
}

}  // namespace

std::optional<SwapWay> swap_way(std::string_view name) {
  if (name == "pages") return SwapWay::pages;
  if (name == "runs") return SwapWay::runs;
  if (name == "async") return SwapWay::asynchronous;
  if (name == "reuse") return SwapWay::reuse;
  return std::nullopt;
}

Result<SwapSetting> parse_swap_setting(std::string_view text, base::Bytes bytes) {
  if (text == "none" || text == "recompute") return SwapSetting{};
  if (text == "pinned") {
    return fail(ErrorCode::invalid_argument,
                "kv.swap = pinned is for keys and values on a GPU and this build has none; file:FOLDER works here");
  }
  if (!text.starts_with(kFile)) {
    return fail(ErrorCode::invalid_argument, fmt::format("kv.swap is none, recompute or file:FOLDER, not `{}`", text));
  }
  const std::string_view folder = text.substr(kFile.size());
  if (folder.empty()) return fail(ErrorCode::invalid_argument, "kv.swap = file: wants a folder behind the colon");
  if (bytes == 0) {
    return fail(ErrorCode::invalid_argument, fmt::format("kv.swap = {} wants kv.swap_bytes above 0", text));
  }
  return SwapSetting{.folder = std::string(folder), .bytes = bytes};
}

Result<SwapTiers> SwapTiers::make(const SwapSetting& setting, const models::KvLayout& layout) {
  SwapTiers tiers;
  tiers.way_ = setting.way;
  if (setting.folder.empty()) return tiers;
  const base::Bytes page = slot_bytes(layout.page_bytes(0)) + slot_bytes(layout.page_bytes(1));
  const base::Bytes pages = std::min(setting.bytes / page, kSlotsMax);
  if (pages == 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("kv.swap_bytes of {} do not hold {} tokens, which take {}",
                            base::human_bytes(setting.bytes), models::kPageTokens, base::human_bytes(page)));
  }
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (layout.page_bytes(group) == 0) continue;
    PLAIT_TRY(tiers.tiers_[group],
              FileTier::make(setting.folder, static_cast<std::uint32_t>(pages), slot_bytes(layout.page_bytes(group))));
  }
  return tiers;
}

KvSwapOptions SwapTiers::options() const {
  KvSwapOptions options;
  for (std::size_t group = 0; group < kLayerGroups; ++group) options.tiers[group] = tiers_[group].get();
  const bool waits = way_ < SwapWay::asynchronous;
  options.wait = waits ? SwapWait::always : SwapWait::adaptive;
  options.wait_out = waits;
  options.manager.join_pages = way_ >= SwapWay::runs;
  options.manager.reuse = way_ == SwapWay::reuse;
  return options;
}

std::uint32_t SwapTiers::pages() const {
  for (const auto& tier : tiers_) {
    if (tier != nullptr) return tier->slots();
  }
  return 0;
}

}  // namespace plait::engine
