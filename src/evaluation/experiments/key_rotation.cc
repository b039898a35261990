// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/key_rotation.h"

#include "base/check.h"
#include "base/random.h"
#include "kernels/elementwise.h"

namespace plait::evaluation {
namespace {

/// Turned again and again, keys must not grow: a factor of the whole rotation belongs to it once.
kernels::RopeTable table_of(const kernels::RopeFrequencies& frequencies) { return {frequencies.radians, 1}; }

}  // namespace

KeyRotation::KeyRotation(const models::Model& model, parallel::Team& team, std::size_t rows_most,
                         std::size_t tokens_most)
    : model_(model),
      team_(team),
      rows_most_(rows_most),
      head_numbers_(tokens_most * model.config().head_dim),
      tables_{table_of(model.config().rope), table_of(model.config().rope_window)},
      keys_(model.config().layers * rows_most * model.config().kv_heads * head_numbers_),
      floats_(rows_most * (rows_most - 1) * model.config().kv_heads * head_numbers_),
      turned_(floats_.size()) {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    keys_[i] = tensor::f32_to_f16(static_cast<float>(base::random_unit(1, i)) - 0.5F);
  }
}

void KeyRotation::run(std::size_t rows, std::size_t prompt, std::size_t tokens) {
  PLAIT_CHECK(rows <= rows_most_ && tokens * model_.config().head_dim <= head_numbers_, rows, tokens);
  const models::Config& config = model_.config();
  for (std::size_t length = 1; length <= tokens; ++length) {
    place(rows, prompt, length);
    for (std::size_t layer = 0; layer < config.layers; ++layer) {  // as a layer's attention wants them
      team_.for_chunks(histories_.size() * config.kv_heads, 1, [&](parallel::Range range) {
        for (std::size_t i = range.begin; i < range.end; ++i) {
          turn(layer, i / config.kv_heads, i % config.kv_heads, length);
        }
      });
    }
  }
}

/// Where the others stand for each reader: one behind the other, behind the prompt.
void KeyRotation::place(std::size_t rows, std::size_t prompt, std::size_t length) {
  histories_.resize(rows * (rows - 1));
  std::size_t next = 0;
  for (std::size_t reader = 0; reader < rows; ++reader) {
    std::size_t position = prompt;
    for (std::size_t row = 0; row < rows; ++row) {
      if (row == reader) continue;
      History& history = histories_[next++];
      history.row = row;
      for (std::size_t group = 0; group < tables_.size(); ++group) {
        history.cos[group].resize(tables_[group].pairs());
        history.sin[group].resize(tables_[group].pairs());
        tables_[group].fill(static_cast<std::ptrdiff_t>(position), history.cos[group].data(),
                            history.sin[group].data());
      }
      position += length;
    }
  }
}

void KeyRotation::turn(std::size_t layer, std::size_t history, std::size_t head, std::size_t length) {
  const models::Config& config = model_.config();
  const History& seen = histories_[history];
  const std::size_t group = model_.kv_layout().group_of(layer);
  const std::size_t numbers = length * config.head_dim;
  const auto* from = keys_.data() + ((layer * rows_most_ + seen.row) * config.kv_heads + head) * head_numbers_;
  const std::size_t at = (history * config.kv_heads + head) * head_numbers_;
  const auto rotate = config.rope_interleaved ? kernels::rope_norm : kernels::rope_neox;
  kernels::from_f16(model_.isa(), from, numbers, floats_.data() + at);
  // One angle for all of a span's tokens: to the rotation they are so many heads of one token.
  rotate(model_.isa(), floats_.data() + at, length, config.head_dim, config.rotated, seen.cos[group].data(),
         seen.sin[group].data());
  kernels::to_f16(model_.isa(), floats_.data() + at, numbers, turned_.data() + at);
}

}  // namespace plait::evaluation
