// SPDX-License-Identifier: Apache-2.0
//
// One sequence for the tests of attention, with the definition in double.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/attention.h"
#include "kernels/attention_plan.h"

namespace plait::kernels {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr float kAnySink = 0;  // its address asks the fixture for sinks of its own

/// A key or value in 8 bits, as its definition says.
struct Int8Numbers {
  Int8Numbers(const float* x, std::size_t dim) {
    float largest = 0;
    for (std::size_t i = 0; i < dim; ++i) largest = std::max(largest, std::abs(std::clamp(x[i], -65504.0F, 65504.0F)));
    scale = largest / 127 < 0x1p-100F ? 0 : largest / 127;
    const float factor = scale > 0 ? 1 / scale : 0;
    for (std::size_t i = 0; i < dim; ++i) {
      numbers.push_back(static_cast<std::int8_t>(std::nearbyint(std::clamp(x[i], -65504.0F, 65504.0F) * factor)));
    }
  }
  float scale = 0;
  std::vector<std::int8_t> numbers;
};

/// Number d of a head's key or value [dim] as pages hold it.
inline double stored(const AttentionShape& shape, const float* x, std::size_t d) {
  if (shape.arithmetic == AttentionArithmetic::exact)
    return static_cast<double>(tensor::f16_to_f32(tensor::f32_to_f16(x[d])));
  if (shape.arithmetic == AttentionArithmetic::bf16)
    return static_cast<double>(tensor::bf16_to_f32(tensor::f32_to_bf16(x[d])));
  const Int8Numbers all(x, shape.dim);
  return static_cast<double>(all.scale) * all.numbers[d];
}

/// A query's number times the scale, rounded as the arithmetic rounds it.
inline double scaled(const AttentionShape& shape, float x) {
  if (shape.arithmetic != AttentionArithmetic::bf16) return static_cast<double>(x) * static_cast<double>(shape.scale);
  const float unit = shape.soft_cap > 0 ? 1 / shape.soft_cap : 0x1.715476p+0F;
  const float factor = shape.soft_cap > 0 ? shape.scale / shape.soft_cap : shape.scale * unit;
  return static_cast<double>(tensor::bf16_to_f32(tensor::f32_to_bf16(x * factor))) / static_cast<double>(unit);
}

/// A version of the inner functions.
struct AttentionVersion {
  std::string name;
  const AttentionTable* table;
};

/// What this machine can run, and tiles in software.
inline std::vector<AttentionVersion> versions(AttentionArithmetic arithmetic) {
  std::vector<AttentionVersion> all;
  for (const Isa isa : usable_isas()) {
    const AttentionTable* table = &attention_table(isa, arithmetic);
    if (all.empty() || all.back().table != table) all.push_back({std::string(name(isa)), table});
  }
  if (arithmetic == AttentionArithmetic::bf16) all.push_back({"tiles in software", &kAttentionTileStandIn});
  return all;
}

/// Random queries, keys and values of one sequence, and its cache.
class Fixture {
 public:
  Fixture(const AttentionShape& shape, std::size_t tokens, std::uint64_t seed) : shape_(shape), tokens_(tokens) {
    q = random(tokens * shape.heads * shape.dim, 2 * seed, 2.0F);
    k = random(tokens * shape.kv_heads * shape.dim, 2 * seed + 1, 1.0F);
    v = random(tokens * shape.kv_heads * shape.dim, 2 * seed + 5, 1.0F);
    if (shape.sinks != nullptr) {
      sinks_ = random(shape.heads, 2 * seed + 7, 3.0F);
      shape_.sinks = sinks_.data();
    }
    // What is not written must not matter: a NaN pattern everywhere, of f16, bf16 and floats. Pages have three layers
    // and lie in no order.
    const std::size_t count = (tokens + kPageTokens - 1) / kPageTokens;
    const std::size_t words = 3 * layer_bytes(shape) / sizeof(std::uint16_t);
    memory_.assign(count * words, 0x7FC1);
    for (std::size_t i = 0; i < count; ++i) {
      pages_.push_back(reinterpret_cast<std::byte*>(memory_.data() + (count - 1 - i) * words));
    }
    std::rotate(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(count / 3), pages_.end());
  }

  [[nodiscard]] std::byte* const* pages() const { return pages_.data(); }
  [[nodiscard]] std::size_t layer_offset() const { return layer_bytes(shape_); }
  [[nodiscard]] const AttentionShape& shape() const { return shape_; }

  void store(Isa isa, std::size_t position, std::size_t rows) {
    store(attention_table(isa, shape_.arithmetic), position, rows);
  }
  void store(const AttentionTable& table, std::size_t position, std::size_t rows) {
    const std::size_t width = shape_.kv_heads * shape_.dim;
    store_kv(table, shape_, layer_offset(), pages(), position, rows, k.data() + position * width, width,
             v.data() + position * width, width);
  }

  /// What rows at the end of the first `end` tokens see.
  [[nodiscard]] AttentionEntry entry(std::size_t end, std::size_t rows, std::size_t query_row = 0) const {
    return {.pages = pages(), .last = end - rows + 1, .grows = true, .query_row = query_row};
  }

  /// Stores what a piece of a batch brings whose first row is token `at`.
  struct StorePiece {
    Fixture* fixture;
    Isa isa;
    std::size_t at;

    static void call(const void* context, std::size_t row, std::size_t rows, std::size_t head) {
      const auto& [f, isa, at] = *static_cast<const StorePiece*>(context);
      const std::size_t width = f->shape_.kv_heads * f->shape_.dim;
      const std::size_t first = (at + row) * width + head * f->shape_.dim;
      store_kv_head(isa, f->shape_, f->layer_offset(), f->pages(), at + row, rows, head, f->k.data() + first, width,
                    f->v.data() + first, width);
    }
  };

  /// Feeds all tokens in steps of `cut` and returns the results of all rows. `inside`: who computes a piece stores its
  /// keys and values, where that is allowed.
  std::vector<float> run(Isa isa, std::size_t cut, int threads, bool inside = false) {
    return run(attention_table(isa, shape_.arithmetic), cut, threads, inside ? &isa : nullptr);
  }
  std::vector<float> run(const AttentionTable& table, std::size_t cut, int threads, const Isa* inside = nullptr) {
    const std::size_t width = shape_.heads * shape_.dim;
    std::vector<float> out(tokens_ * width, -1);
    parallel::Team team(threads);
    AttentionPlan plan;
    AttentionWorkspace workspace;
    for (std::size_t at = 0; at < tokens_; at += cut) {
      const std::size_t rows = std::min(cut, tokens_ - at);
      const AttentionEntry entries[] = {entry(at + rows, rows)};
      const AttentionRows batch{.rows = rows, .position = static_cast<std::ptrdiff_t>(at), .entries = entries};
      plan.prepare(shape_, {&batch, 1}, threads);
      const bool by_pieces = inside != nullptr && plan.whole_views();
      const StorePiece piece{this, inside != nullptr ? *inside : Isa::generic, at};
      pieces_that_stored += by_pieces ? 1 : 0;
      if (!by_pieces) store(table, at, rows);
      attention(table, shape_, plan, layer_offset(), q.data() + at * width, width, out.data() + at * width, width, team,
                workspace, by_pieces ? BeforeAttention{StorePiece::call, &piece} : BeforeAttention{});
    }
    return out;
  }

  /// The definition in double, with keys and values rounded as in the cache, and for bf16 queries too.
  [[nodiscard]] std::vector<double> reference() const {
    std::vector<double> out(tokens_ * shape_.heads * shape_.dim);
    const std::size_t group = shape_.heads / shape_.kv_heads;
    const std::vector<double> keys = all_stored(k);
    const std::vector<double> values = all_stored(v);
    for (std::size_t i = 0; i < tokens_; ++i) {
      for (std::size_t h = 0; h < shape_.heads; ++h) {
        const std::size_t first = shape_.window != 0 && i + 1 > shape_.window ? i + 1 - shape_.window : 0;
        std::vector<double> p;
        for (std::size_t t = first; t <= i; ++t) p.push_back(score(keys, i, h, t, h / group));
        const double sink = shape_.sinks != nullptr ? static_cast<double>(shape_.sinks[h]) : -kInfinity;
        const double top = std::max(sink, *std::max_element(p.begin(), p.end()));
        double total = std::exp(sink - top);
        for (double& x : p) total += x = std::exp(x - top);
        double* to = out.data() + (i * shape_.heads + h) * shape_.dim;
        for (std::size_t t = first; t <= i; ++t) {
          for (std::size_t d = 0; d < shape_.dim; ++d) to[d] += p[t - first] / total * values[index(t, h / group, d)];
        }
      }
    }
    return out;
  }

  std::size_t pieces_that_stored = 0;
  std::vector<float> q;  // [token, heads, dim]
  std::vector<float> k;  // [token, kv_heads, dim]
  std::vector<float> v;

  static std::vector<float> random(std::size_t n, std::uint64_t seed, float width) {
    std::vector<float> x(n);
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = (static_cast<float>(base::random_unit(seed, i)) * 2 - 1) * width;
    }
    return x;
  }

 private:
  [[nodiscard]] std::size_t index(std::size_t t, std::size_t head, std::size_t d) const {
    return (t * shape_.kv_heads + head) * shape_.dim + d;
  }
  [[nodiscard]] std::vector<double> all_stored(const std::vector<float>& x) const {
    std::vector<double> numbers;
    for (std::size_t i = 0; i < x.size(); ++i)
      numbers.push_back(stored(shape_, &x[i - i % shape_.dim], i % shape_.dim));
    return numbers;
  }
  [[nodiscard]] double score(const std::vector<double>& keys, std::size_t i, std::size_t h, std::size_t t,
                             std::size_t kv_head) const {
    double dot = 0;
    for (std::size_t d = 0; d < shape_.dim; ++d) {
      dot += scaled(shape_, q[(i * shape_.heads + h) * shape_.dim + d]) * keys[index(t, kv_head, d)];
    }
    const auto cap = static_cast<double>(shape_.soft_cap);
    return cap > 0 ? cap * std::tanh(dot / cap) : dot;
  }

  AttentionShape shape_;
  std::vector<float> sinks_;
  std::size_t tokens_;
  std::vector<std::uint16_t> memory_;
  std::vector<std::byte*> pages_;
};

inline std::vector<std::uint32_t> bits(const std::vector<float>& x) {
  std::vector<std::uint32_t> r;
  for (const float f : x) r.push_back(std::bit_cast<std::uint32_t>(f));
  return r;
}

}  // namespace plait::kernels
