// SPDX-License-Identifier: Apache-2.0
#include "engine/story_runner.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace plait::engine {
namespace {

using models::kPageTokens;

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

std::byte* place(std::byte* const* pages, std::size_t token) {
  return pages[token / kPageTokens] + token % kPageTokens * sizeof(std::int32_t);
}

}  // namespace

StoryRunner::StoryRunner(const StoryOptions& options, Story story, base::TokenId otherwise)
    : StoryRunner(options,
                  [story = std::move(story), otherwise](std::span<const base::TokenId> seen, std::span<float> logits) {
                    logits[static_cast<std::size_t>(story(seen).value_or(otherwise).value())] = 0;
                  }) {}

StoryRunner::StoryRunner(const StoryOptions& options, Policy policy)
    : options_(options), policy_(std::move(policy)), config_(config_of(options)), layout_(config_, 2) {}

void StoryRunner::see(const models::Rows& entry, std::size_t index) {
  seen_.clear();
  const models::ViewEntry& own = entry.view.back();
  for (const models::ViewEntry& part : entry.view) {
    const std::size_t end = &part == &own ? own.last + index + 1 : part.last;
    for (std::size_t t = part.first; t < end; ++t) {
      std::int32_t token = 0;
      std::memcpy(&token, place(part.pages[0], t), sizeof(token));
      seen_.emplace_back(token);
    }
  }
}

base::Result<void> StoryRunner::forward(std::span<const models::Rows> batch, std::span<float> logits) {
  ++steps_;
  for (const models::Rows& entry : batch) {  // everyone's tokens first
    const models::ViewEntry& own = entry.view.back();
    for (std::size_t i = 0; i < entry.tokens.size(); ++i) {
      const std::int32_t token = entry.tokens[i].value();
      std::memcpy(place(own.pages[0], own.last + i), &token, sizeof(token));
    }
    rows_ += entry.tokens.size();
  }
  for (const models::Rows& entry : batch) {
    const std::size_t count = entry.tokens.size();
    const std::size_t first = entry.logits == models::Logits::none  ? count
                              : entry.logits == models::Logits::all ? entry.logits_first
                                                                    : count - 1;
    for (std::size_t i = first; i < count; ++i) {
      see(entry, i);
      const std::span<float> row = logits.first(options_.vocabulary);
      std::ranges::fill(row, kImpossible);
      policy_(seen_, row);
      logits = logits.subspan(options_.vocabulary);
    }
  }
  return {};
}

}  // namespace plait::engine
