// SPDX-License-Identifier: Apache-2.0
//
// The oracle: every step in plain floats, as its formula reads. Activations are never quantised, weights are expanded
// where they are used, keys and values stay in f32. Simple first; the only concession to speed is that an expanded
// weight row serves all rows of the batch and that rows of weights are shared out among the team.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <numbers>
#include <numeric>
#include <vector>

#include "models/operations.h"
#include "models/routing.h"
#include "tensor/dequantise.h"

namespace plait::models {
namespace {

constexpr std::size_t kWeightTile = 4;
constexpr std::size_t kRowTile = 2;
using Lanes = float __attribute__((vector_size(16)));
constexpr std::size_t kLanes = sizeof(Lanes) / sizeof(float);

Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

/// y[x][w] = sum over k of weights[w][k] * rows[x][k]. Every sum has the same order whatever the tile.
template <std::size_t W, std::size_t X>
void dot_tile(const float* weights, const float* rows, std::size_t k, std::size_t row_stride, float* y,
              std::size_t y_stride) {
  std::array<std::array<Lanes, W>, X> sums = {};
  const std::size_t whole = k / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t x = 0; x < X; ++x) {
      const Lanes value = load(rows + x * row_stride + i);
      for (std::size_t w = 0; w < W; ++w) sums[x][w] += value * load(weights + w * k + i);
    }
  }
  for (std::size_t x = 0; x < X; ++x) {
    for (std::size_t w = 0; w < W; ++w) {
      const Lanes lanes = sums[x][w];
      float sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
      for (std::size_t i = whole; i < k; ++i) sum += weights[w * k + i] * rows[x * row_stride + i];
      y[x * y_stride + w] = sum;
    }
  }
}

template <std::size_t W>
void dot_rows(const float* weights, const float* x, std::size_t rows, std::size_t k, float* y, std::size_t y_stride) {
  std::size_t row = 0;
  for (; row + kRowTile <= rows; row += kRowTile) {
    dot_tile<W, kRowTile>(weights, x + row * k, k, k, y + row * y_stride, y_stride);
  }
  for (; row < rows; ++row) dot_tile<W, 1>(weights, x + row * k, k, k, y + row * y_stride, y_stride);
}

void rms_norm(const float* x, std::span<const float> weight, float epsilon, float* out) {
  double squares = 0;
  for (std::size_t i = 0; i < weight.size(); ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const double mean = squares / static_cast<double>(weight.size());
  const auto scale = static_cast<float>(1 / std::sqrt(mean + static_cast<double>(epsilon)));
  for (std::size_t i = 0; i < weight.size(); ++i) out[i] = x[i] * scale * weight[i];
}

void rotate(const Config& config, const kernels::RopeFrequencies& rope, std::ptrdiff_t position, float* head) {
  const std::size_t half = config.rotated / 2;
  const auto magnitude = static_cast<float>(rope.magnitude);
  for (std::size_t i = 0; i < half; ++i) {
    const double angle = static_cast<double>(position) * rope.radians[i];
    const auto cosine = static_cast<float>(std::cos(angle)) * magnitude;
    const auto sine = static_cast<float>(std::sin(angle)) * magnitude;
    float& a = head[config.rope_interleaved ? 2 * i : i];
    float& b = head[config.rope_interleaved ? 2 * i + 1 : i + half];
    const float rotated = a * cosine - b * sine;
    b = a * sine + b * cosine;
    a = rotated;
  }
}

float cap(float value, float limit) { return limit == 0 ? value : limit * std::tanh(value / limit); }

float silu(float x) { return x / (1 + std::exp(-x)); }

float gelu(float x) {
  const float inner = std::sqrt(2 * std::numbers::inv_pi_v<float>) * (x + 0.044715F * x * x * x);
  return 0.5F * x * (1 + std::tanh(inner));
}

float activate(Activation activation, float gate, float up) {
  if (activation == Activation::gelu) return gelu(gate) * up;
  if (activation == Activation::silu) return silu(gate) * up;
  const float limited = std::min(gate, 7.0F);
  return limited / (1 + std::exp(-1.702F * limited)) * (std::clamp(up, -7.0F, 7.0F) + 1);
}

class ReferenceOperations final : public Operations {
 public:
  ReferenceOperations(const Config& config, const KvLayout& layout, const Weights& weights, parallel::Team& team)
      : config_(config),
        layout_(layout),
        weights_(weights),
        team_(team),
        scratch_(static_cast<std::size_t>(team.size())) {}

  void begin(std::span<const Segment> segments, std::size_t /*rows*/) override { segments_ = segments; }

  void embed(std::span<const base::TokenId> tokens, float* x) override {
    const tensor::MatrixView& matrix = weights_.embedding;
    const std::size_t bytes = tensor::row_bytes(matrix.type, matrix.columns);
    for (std::size_t row = 0; row < tokens.size(); ++row) {
      const std::span<float> out(x + row * config_.width, config_.width);
      tensor::dequantise(matrix.type,
                         matrix.bytes.subspan(static_cast<std::size_t>(tokens[row].value()) * bytes, bytes), out);
      for (float& value : out) value *= config_.embedding_scale;
    }
  }

  void project(const Linear& linear, const float* x, std::span<const float> norm, std::size_t rows, float* y) override {
    if (!norm.empty()) {
      normed_.resize(rows * linear.inputs);
      for (std::size_t row = 0; row < rows; ++row) {
        rms_norm(x + row * linear.inputs, norm, config_.norm_epsilon, normed_.data() + row * linear.inputs);
      }
      x = normed_.data();
    }
    if (linear.packed) {
      kernels::quantise_rows(isa_, x, rows, linear.inputs, linear.inputs, linear.packed->row_form(), rows_view_, team_);
      kernels::matmul(isa_, *linear.packed, rows_view_, y, linear.outputs, team_);
    } else {
      multiply_from_file(linear, x, rows, y);
    }
    if (linear.bias.empty()) return;
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t i = 0; i < linear.outputs; ++i) y[row * linear.outputs + i] += linear.bias[i];
    }
  }

  void store(std::size_t layer, float* qkv) override {
    const kernels::RopeFrequencies& rope = config_.layer_windowed[layer] ? config_.rope_window : config_.rope;
    const Layer& weights = weights_.layers[layer];
    const std::size_t dim = config_.head_dim;
    const std::size_t kv = config_.kv_heads * dim;
    for (const Segment& segment : segments_) {
      for (std::size_t i = 0; i < segment.rows; ++i) {
        float* query = qkv + (segment.row + i) * qkv_width();
        float* key = query + config_.heads * dim;
        const std::size_t index = segment.index() + i;
        norm_heads(query, config_.heads, weights.query_norm);
        norm_heads(key, config_.kv_heads, weights.key_norm);
        rotate_heads(key, config_.kv_heads, rope, static_cast<std::ptrdiff_t>(index));
        float* page = page_of(layer, segment.view.back(), index);
        std::copy_n(key, kv, page + index % kPageTokens * kv);
        std::copy_n(key + kv, kv, page + (kPageTokens + index % kPageTokens) * kv);
      }
    }
  }

  void attend(std::size_t layer, float* qkv, float* out) override {
    store(layer, qkv);
    for (const Segment& segment : segments_) {
      const std::size_t jobs = segment.rows * config_.heads;
      team_.run([&](int member) {
        // Later rows see more tokens: rows are dealt out in turn.
        for (auto job = static_cast<std::size_t>(member); job < jobs; job += static_cast<std::size_t>(team_.size())) {
          attend_head(layer, segment, job / config_.heads, job % config_.heads, qkv, out,
                      scratch_[static_cast<std::size_t>(member)]);
        }
      });
    }
  }

  void feed_forward(const Linear& gate_up, const Linear& down, const float* x, std::span<const float> norm,
                    std::size_t rows, float* y) override {
    std::vector<float> both(rows * gate_up.outputs);
    std::vector<float> gated(rows * down.inputs);
    project(gate_up, x, norm, rows, both.data());
    gate(both.data(), down.inputs, rows, gated.data());
    project(down, gated.data(), {}, rows, y);
  }

  void mix(const Experts& experts, const float* x, std::span<const float> norm, std::size_t rows, float* y) override {
    const std::size_t width = config_.width;
    std::vector<float> normed(rows * width);
    for (std::size_t row = 0; row < rows; ++row) {
      rms_norm(x + row * width, norm, config_.norm_epsilon, normed.data() + row * width);
    }
    choose(experts.router, normed, rows);
    std::vector<float> outputs(routing_.places() * width);
    for (const Routing::Group& group : routing_.groups()) {
      std::vector<float> inputs(group.count * width);
      for (std::size_t i = 0; i < group.count; ++i) {
        std::copy_n(normed.data() + routing_.row_of(group.first + i) * width, width, inputs.data() + i * width);
      }
      feed_forward(experts.gate_up[group.expert], experts.down[group.expert], inputs.data(), {}, group.count,
                   outputs.data() + group.first * width);
    }
    std::fill_n(y, rows * width, 0.0F);
    for (std::size_t row = 0; row < rows; ++row) {
      for (const Routing::Choice& choice : routing_.row(row)) {
        add_weighted(outputs.data() + choice.place * width, choice.weight, y + row * width);
      }
    }
    if (config_.mixture.shared_ffn == 0) return;
    std::vector<float> gates(rows);
    project(experts.shared_gate, normed.data(), {}, rows, gates.data());
    outputs.resize(std::max(outputs.size(), rows * width));
    feed_forward(experts.shared_gate_up, experts.shared_down, normed.data(), {}, rows, outputs.data());
    for (std::size_t row = 0; row < rows; ++row) {
      add_weighted(outputs.data() + row * width, 1 / (1 + std::exp(-gates[row])), y + row * width);
    }
  }

  void add(const float* y, std::span<const float> norm, std::size_t rows, float* x) override {
    normed_.resize(config_.width);
    for (std::size_t row = 0; row < rows; ++row) {
      const float* added = y + row * config_.width;
      if (!norm.empty()) {
        rms_norm(added, norm, config_.norm_epsilon, normed_.data());
        added = normed_.data();
      }
      for (std::size_t i = 0; i < config_.width; ++i) x[row * config_.width + i] += added[i];
    }
  }

  void normalise(const float* x, std::span<const float> norm, std::size_t rows, float* y) override {
    for (std::size_t row = 0; row < rows; ++row) {
      rms_norm(x + row * config_.width, norm, config_.norm_epsilon, y + row * config_.width);
    }
  }

  void cap_logits(std::size_t rows, float* logits) override {
    if (config_.logit_soft_cap == 0) return;
    for (std::size_t i = 0; i < rows * config_.vocabulary; ++i) logits[i] = cap(logits[i], config_.logit_soft_cap);
  }

 private:
  /// The experts of each row, x being the router's input, into routing_.
  void choose(const Linear& router, const std::vector<float>& x, std::size_t rows) {
    const Mixture& mixture = config_.mixture;
    std::vector<float> scores(rows * mixture.experts);
    project(router, x.data(), {}, rows, scores.data());
    routing_.resize(rows, mixture.used);
    std::vector<std::size_t> order(mixture.experts);
    for (std::size_t row = 0; row < rows; ++row) {
      const float* score = scores.data() + row * mixture.experts;
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t expert) {
        return std::isnan(score[expert]) ? -INFINITY : score[expert];
      });
      const std::size_t summed = mixture.normalised ? mixture.used : mixture.experts;
      double sum = 0;
      for (std::size_t i = 0; i < summed; ++i) sum += std::exp(static_cast<double>(score[order[i]] - score[order[0]]));
      for (std::size_t rank = 0; rank < mixture.used; ++rank) {
        const double power = std::exp(static_cast<double>(score[order[rank]] - score[order[0]]));
        routing_.row(row)[rank] = {order[rank], static_cast<float>(power / sum)};
      }
    }
    routing_.order(mixture.experts);
  }

  void gate(const float* gate_up, std::size_t ffn, std::size_t rows, float* out) {
    for (std::size_t row = 0; row < rows; ++row) {
      const float* gates = gate_up + row * 2 * ffn;
      for (std::size_t i = 0; i < ffn; ++i) {
        out[row * ffn + i] = activate(config_.activation, gates[i], gates[ffn + i]);
      }
    }
  }

  void add_weighted(const float* values, float weight, float* sum) const {
    for (std::size_t i = 0; i < config_.width; ++i) sum[i] += weight * values[i];
  }

  [[nodiscard]] std::size_t qkv_width() const { return (config_.heads + 2 * config_.kv_heads) * config_.head_dim; }

  void multiply_from_file(const Linear& linear, const float* x, std::size_t rows, float* y) {
    team_.run([&](int member) {
      std::size_t first = 0;
      for (const tensor::MatrixView& part : linear.parts) {
        const parallel::Range range = parallel::part(part.rows, member, team_.size(), kWeightTile);
        multiply(part, range, x, rows, y + first, linear.outputs, scratch_[static_cast<std::size_t>(member)].scores);
        first += part.rows;
      }
    });
  }

  static void multiply(const tensor::MatrixView& w, parallel::Range range, const float* x, std::size_t rows, float* y,
                       std::size_t y_stride, std::vector<float>& scratch) {
    const std::size_t bytes = tensor::row_bytes(w.type, w.columns);
    scratch.resize(std::max(scratch.size(), kWeightTile * w.columns));
    for (std::size_t n = range.begin; n < range.end; n += kWeightTile) {
      const std::size_t tile = std::min(kWeightTile, range.end - n);
      tensor::dequantise(w.type, w.bytes.subspan(n * bytes, tile * bytes), std::span(scratch).first(tile * w.columns));
      if (tile == kWeightTile) {
        dot_rows<kWeightTile>(scratch.data(), x, rows, w.columns, y + n, y_stride);
      } else {
        for (std::size_t i = 0; i < tile; ++i) {
          dot_rows<1>(scratch.data() + i * w.columns, x, rows, w.columns, y + n + i, y_stride);
        }
      }
    }
  }

  void norm_heads(float* heads, std::size_t count, std::span<const float> norm) const {
    for (std::size_t head = 0; head < count && !norm.empty(); ++head) {
      float* values = heads + head * config_.head_dim;
      rms_norm(values, norm, config_.norm_epsilon, values);
    }
  }

  void rotate_heads(float* heads, std::size_t count, const kernels::RopeFrequencies& rope,
                    std::ptrdiff_t position) const {
    for (std::size_t head = 0; head < count; ++head) rotate(config_, rope, position, heads + head * config_.head_dim);
  }

  /// The layer's part of the page of a token: keys [16, kv_heads * dim], then values.
  [[nodiscard]] float* page_of(std::size_t layer, const ViewEntry& entry, std::size_t token) const {
    std::byte* page = entry.pages[layout_.group_of(layer)][token / kPageTokens];
    return reinterpret_cast<float*>(page + layout_.offset_of(layer));
  }

  /// A member's memory for one head: the tokens that it sees, and its query.
  struct HeadScratch {
    std::vector<float> scores;
    std::vector<const float*> values;
    std::vector<float> query;
  };

  /// Scores of the entry's tokens that the row sees, and where their values are.
  void score(std::size_t layer, const ViewEntry& entry, std::size_t last, std::ptrdiff_t position, std::size_t head,
             const float* query, HeadScratch& seen) const {
    const std::size_t dim = config_.head_dim;
    const std::size_t kv = config_.kv_heads * dim;
    const bool windowed = config_.layer_windowed[layer];
    seen.query.assign(query, query + dim);
    rotate(config_, windowed ? config_.rope_window : config_.rope, position - entry.base, seen.query.data());
    for (std::size_t t = entry.first; t < last; ++t) {
      const std::ptrdiff_t distance = position - entry.base - static_cast<std::ptrdiff_t>(t);
      if (windowed && distance >= static_cast<std::ptrdiff_t>(config_.window)) continue;
      const float* key =
          page_of(layer, entry, t) + t % kPageTokens * kv + head / (config_.heads / config_.kv_heads) * dim;
      float dot = 0;
      dot_tile<1, 1>(key, seen.query.data(), dim, dim, &dot, 1);
      seen.scores.push_back(cap(dot * config_.attention_scale, config_.attention_soft_cap));
      seen.values.push_back(key + kPageTokens * kv);
    }
  }

  void attend_head(std::size_t layer, const Segment& segment, std::size_t row, std::size_t head, const float* qkv,
                   float* out, HeadScratch& seen) const {
    const std::size_t dim = config_.head_dim;
    const float* query = qkv + (segment.row + row) * qkv_width() + head * dim;
    const std::ptrdiff_t position = segment.position() + static_cast<std::ptrdiff_t>(row);
    seen.scores.clear();
    seen.values.clear();
    for (const ViewEntry& entry : segment.view) {
      const bool own = &entry == &segment.view.back();
      score(layer, entry, own ? segment.index() + row + 1 : entry.last, position, head, query, seen);
    }
    const std::vector<float>& sinks = weights_.layers[layer].sinks;
    float largest = sinks.empty() ? -INFINITY : sinks[head];
    for (const float score : seen.scores) largest = std::max(largest, score);
    double sum = sinks.empty() ? 0 : static_cast<double>(std::exp(sinks[head] - largest));
    for (float& score : seen.scores) {
      score = std::exp(score - largest);
      sum += static_cast<double>(score);
    }
    float* result = out + (segment.row + row) * config_.heads * dim + head * dim;
    std::fill_n(result, dim, 0.0F);
    for (std::size_t t = 0; t < seen.scores.size(); ++t) {
      const auto share = static_cast<float>(static_cast<double>(seen.scores[t]) / sum);
      for (std::size_t i = 0; i < dim; ++i) result[i] += share * seen.values[t][i];
    }
  }

  const Config& config_;
  const KvLayout& layout_;
  const Weights& weights_;
  kernels::Isa isa_ = kernels::best_isa();
  parallel::Team& team_;
  std::span<const Segment> segments_;
  std::vector<float> normed_;
  Routing routing_;
  kernels::QuantisedRows rows_view_;  ///< For expanded weights, which read the floats themselves.
  std::vector<HeadScratch> scratch_;  ///< One for each member.
};

}  // namespace

std::unique_ptr<Operations> make_reference_operations(const Config& config, const KvLayout& layout,
                                                      const Weights& weights, parallel::Team& team) {
  return std::make_unique<ReferenceOperations>(config, layout, weights, team);
}

}  // namespace plait::models
