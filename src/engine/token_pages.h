// SPDX-License-Identifier: Apache-2.0
//
// For models that compute nothing: pages that hold tokens in place of their keys and values. What a row sees is read
// back from the pages of its view, so the engine's spans, views, cache and preemption are all at work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "models/kv_layout.h"
#include "models/model.h"

namespace plait::engine {

/// Writes each token of the batch into the place that is meant for it, in each layer group that has pages.
inline void write_tokens(const models::KvLayout& layout, std::span<const models::Rows> batch) {
  for (const models::Rows& entry : batch) {
    const models::ViewEntry& own = entry.view.back();
    for (std::size_t i = 0; i < entry.tokens.size(); ++i) {
      const std::size_t at = own.last + i;
      const std::int32_t token = entry.tokens[i].value();
      for (std::size_t group = 0; group < models::kLayerGroups; ++group) {
        if (layout.page_bytes(group) == 0) continue;
        std::memcpy(own.pages[group][at / models::kPageTokens] + at % models::kPageTokens * sizeof(token), &token,
                    sizeof(token));
      }
    }
  }
}

/// Calls f(group, position, token) for all that the row of token `index` of an entry sees, itself included, in the
/// order of the view. Requires: write_tokens() of its batch.
template <class F>
void for_each_seen(const models::KvLayout& layout, const models::Rows& entry, std::size_t index, const F& f) {
  const models::ViewEntry& own = entry.view.back();
  const std::size_t end = own.last + index + 1;
  const std::ptrdiff_t position = own.base + static_cast<std::ptrdiff_t>(end) - 1;
  for (const models::ViewEntry& part : entry.view) {
    for (std::size_t t = part.first; t < (&part == &own ? end : part.last); ++t) {
      const std::ptrdiff_t at = part.base + static_cast<std::ptrdiff_t>(t);
      for (std::size_t group = 0; group < models::kLayerGroups; ++group) {
        const auto window = static_cast<std::ptrdiff_t>(layout.window(group));
        if (layout.page_bytes(group) == 0 || (window != 0 && position - at >= window)) continue;
        std::int32_t token = 0;
        std::memcpy(&token, part.pages[group][t / models::kPageTokens] + t % models::kPageTokens * sizeof(token),
                    sizeof(token));
        f(group, at, token);
      }
    }
  }
}

/// The first token of an entry that has logits; their number if none has.
[[nodiscard]] inline std::size_t first_with_logits(const models::Rows& entry) {
  if (entry.logits == models::Logits::none) return entry.tokens.size();
  return entry.logits == models::Logits::all ? entry.logits_first : entry.tokens.size() - 1;
}

}  // namespace plait::engine
