// SPDX-License-Identifier: Apache-2.0
#include "engine/story_runner.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "engine/token_pages.h"

namespace plait::engine {
namespace {

constexpr float kImpossible = -100;

models::Config config_of(const StoryOptions& options) {
  models::Config config;
  config.layers = 1;
  config.kv_heads = config.heads = 1;
  config.head_dim = 16;
  config.vocabulary = options.vocabulary;
  config.context = options.context;
  config.layer_windowed = {false};
  return config;
}

}  // namespace

StoryRunner::StoryRunner(const StoryOptions& options, Story story, base::TokenId otherwise)
    : StoryRunner(options,
                  [story = std::move(story), otherwise](std::span<const base::TokenId> seen, std::span<float> logits) {
                    logits[static_cast<std::size_t>(story(seen).value_or(otherwise).value())] = 0;
                  }) {}

StoryRunner::StoryRunner(const StoryOptions& options, Policy policy)
    : options_(options), policy_(std::move(policy)), config_(config_of(options)), layout_(config_, 2) {}

base::Result<void> StoryRunner::forward(std::span<const models::Rows> batch, std::span<float> logits) {
  ++steps_;
  write_tokens(layout_, batch);  // everyone's first
  for (const models::Rows& entry : batch) {
    rows_ += entry.tokens.size();
    for (std::size_t i = first_with_logits(entry); i < entry.tokens.size(); ++i) {
      seen_.clear();
      for_each_seen(layout_, entry, i,
                    [&](std::size_t, std::ptrdiff_t, std::int32_t token) { seen_.emplace_back(token); });
      const std::span<float> row = logits.first(options_.vocabulary);
      std::ranges::fill(row, kImpossible);
      policy_(seen_, row);
      logits = logits.subspan(options_.vocabulary);
    }
  }
  return {};
}

}  // namespace plait::engine
