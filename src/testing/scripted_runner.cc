// SPDX-License-Identifier: Apache-2.0
#include "testing/scripted_runner.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/random.h"
#include "engine/token_pages.h"

namespace plait::testing {
namespace {

using models::kLayerGroups;

models::Config config_of(const ScriptOptions& options) {
  models::Config config;
  config.layers = 2;
  config.kv_heads = config.heads = 1;
  config.head_dim = 16;
  config.vocabulary = options.vocabulary;
  config.context = options.context;
  config.window = options.window;
  config.layer_windowed = {false, options.window != 0};
  return config;
}

}  // namespace

ScriptedRunner::ScriptedRunner(const ScriptOptions& options, VirtualClock& clock)
    : options_(options), clock_(clock), config_(config_of(options)), layout_(config_, 2) {}

std::uint64_t ScriptedRunner::add(std::uint64_t hash, std::ptrdiff_t position, std::int32_t token) {
  return hash + base::mix64(static_cast<std::uint64_t>(position) * 0x10001 + static_cast<std::uint32_t>(token));
}

void ScriptedRunner::write_logits(const Seen& seen, std::span<float> logits) {
  const std::uint64_t hash = base::mix64(seen.hashes[0]) ^ base::mix64(seen.hashes[1] + 1);
  for (std::size_t t = 0; t < logits.size(); ++t) {
    logits[t] =
        seen.fails ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(base::random_unit(hash, t)) * 10;
  }
}

void ScriptedRunner::write_hidden(const Seen& seen, std::span<float> hidden) {
  const std::uint64_t hash = base::mix64(seen.hashes[0] + 2) ^ base::mix64(seen.hashes[1] + 3);
  for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] = static_cast<float>(base::random_unit(hash, i)) - 0.5F;
}

ScriptedRunner::Seen ScriptedRunner::seen_by(const models::Rows& entry, std::size_t index) const {
  Seen seen;
  engine::for_each_seen(layout_, entry, index, [&](std::size_t group, std::ptrdiff_t position, std::int32_t token) {
    seen.hashes[group] = add(seen.hashes[group], position, token);
    seen.fails = seen.fails || token == fails_on;
  });
  return seen;
}

base::Result<void> ScriptedRunner::forward(std::span<const models::Rows> batch, std::span<float> logits) {
  std::size_t step_rows = 0;
  engine::write_tokens(layout_, batch);  // everyone's first
  for (const models::Rows& entry : batch) step_rows += entry.tokens.size();
  if (next_error) return std::unexpected(*std::exchange(next_error, std::nullopt));
  logits_most = std::max(logits_most, logits.size() / options_.vocabulary);
  for (const models::Rows& entry : batch) {
    const std::size_t count = entry.tokens.size();
    const std::size_t logits_first = engine::first_with_logits(entry);
    const std::size_t hidden_first = count - entry.hidden.size() / kWidth;
    for (std::size_t i = std::min(logits_first, hidden_first); i < count; ++i) {
      const Seen seen = seen_by(entry, i);
      if (i >= hidden_first) write_hidden(seen, entry.hidden.subspan((i - hidden_first) * kWidth, kWidth));
      if (i < logits_first) continue;
      write_logits(seen, logits.first(options_.vocabulary));
      logits = logits.subspan(options_.vocabulary);
    }
  }
  rows += step_rows;
  rows_of_step.push_back(step_rows);
  clock_.advance(options_.step_seconds + options_.row_seconds * static_cast<double>(step_rows));
  return {};
}

ScriptedRunner::Seen ScriptedRunner::seen_by(std::span<const base::TokenId> tokens,
                                             std::span<const std::ptrdiff_t> positions) const {
  Seen seen;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      const auto window = static_cast<std::ptrdiff_t>(layout_.window(group));
      if (layout_.page_bytes(group) == 0 || (window != 0 && positions.back() - positions[t] >= window)) continue;
      seen.hashes[group] = add(seen.hashes[group], positions[t], tokens[t].value());
    }
  }
  return seen;
}

std::vector<float> ScriptedRunner::logits(std::span<const base::TokenId> tokens) const {
  std::vector<std::ptrdiff_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), std::ptrdiff_t{0});
  return logits(tokens, positions);
}

std::vector<float> ScriptedRunner::logits(std::span<const base::TokenId> tokens,
                                          std::span<const std::ptrdiff_t> positions) const {
  std::vector<float> out(options_.vocabulary);
  write_logits(seen_by(tokens, positions), out);
  return out;
}

std::vector<float> ScriptedRunner::hidden(std::span<const base::TokenId> tokens) const {
  std::vector<std::ptrdiff_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), std::ptrdiff_t{0});
  std::vector<float> out(kWidth);
  write_hidden(seen_by(tokens, positions), out);
  return out;
}

}  // namespace plait::testing
