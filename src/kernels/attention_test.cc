// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"

namespace plait::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kAnySink = 0;  // its address asks the fixture for sinks of its own

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
    // What is not written must not matter: a NaN pattern everywhere.
    const std::size_t blocks = (tokens + kAttentionBlock - 1) / kAttentionBlock;
    k_cache_.assign(blocks * kAttentionBlock * shape.kv_heads * shape.dim, 0x7E01);
    v_cache_ = k_cache_;
  }

  [[nodiscard]] KvBuffer buffer() {
    const std::size_t head = kAttentionBlock * shape_.dim;
    return {k_cache_.data(), v_cache_.data(), head, head * shape_.kv_heads};
  }

  void store(Isa isa, std::size_t position, std::size_t rows) {
    const std::size_t width = shape_.kv_heads * shape_.dim;
    store_kv(isa, shape_, buffer(), position, rows, k.data() + position * width, width, v.data() + position * width,
             width);
  }

  /// Feeds all tokens in steps of `cut` and returns the results of all rows.
  std::vector<float> run(Isa isa, std::size_t cut, int threads) {
    const std::size_t width = shape_.heads * shape_.dim;
    std::vector<float> out(tokens_ * width, -1);
    parallel::Team team(threads);
    AttentionWorkspace workspace;
    for (std::size_t at = 0; at < tokens_; at += cut) {
      const std::size_t rows = std::min(cut, tokens_ - at);
      store(isa, at, rows);
      const AttentionRows entry{.rows = rows, .first_position = at, .kv = view(buffer(), at + rows)};
      attention(isa, shape_, {&entry, 1}, q.data() + at * width, width, out.data() + at * width, width, team,
                workspace);
    }
    return out;
  }

  /// The definition in double, with keys and values rounded to f16 as in the cache.
  [[nodiscard]] std::vector<double> reference() const {
    std::vector<double> out(tokens_ * shape_.heads * shape_.dim);
    const std::size_t group = shape_.heads / shape_.kv_heads;
    for (std::size_t i = 0; i < tokens_; ++i) {
      for (std::size_t h = 0; h < shape_.heads; ++h) {
        const std::size_t first = shape_.window != 0 && i + 1 > shape_.window ? i + 1 - shape_.window : 0;
        std::vector<double> p;
        for (std::size_t t = first; t <= i; ++t) p.push_back(score(i, h, t, h / group));
        const double sink = shape_.sinks != nullptr ? static_cast<double>(shape_.sinks[h]) : -kInfinity;
        const double top = std::max(sink, *std::max_element(p.begin(), p.end()));
        double total = std::exp(sink - top);
        for (double& x : p) total += x = std::exp(x - top);
        double* to = out.data() + (i * shape_.heads + h) * shape_.dim;
        for (std::size_t t = first; t <= i; ++t) {
          for (std::size_t d = 0; d < shape_.dim; ++d) to[d] += p[t - first] / total * at(v, t, h / group, d);
        }
      }
    }
    return out;
  }

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
  [[nodiscard]] double at(const std::vector<float>& x, std::size_t t, std::size_t head, std::size_t d) const {
    return static_cast<double>(
        tensor::f16_to_f32(tensor::f32_to_f16(x[(t * shape_.kv_heads + head) * shape_.dim + d])));
  }
  [[nodiscard]] double score(std::size_t i, std::size_t h, std::size_t t, std::size_t kv_head) const {
    double dot = 0;
    for (std::size_t d = 0; d < shape_.dim; ++d) {
      dot += static_cast<double>(q[(i * shape_.heads + h) * shape_.dim + d]) * at(k, t, kv_head, d);
    }
    dot *= static_cast<double>(shape_.scale);
    const auto cap = static_cast<double>(shape_.soft_cap);
    return cap > 0 ? cap * std::tanh(dot / cap) : dot;
  }

  AttentionShape shape_;
  std::vector<float> sinks_;
  std::size_t tokens_;
  std::vector<tensor::f16> k_cache_;
  std::vector<tensor::f16> v_cache_;
};

std::vector<std::uint32_t> bits(const std::vector<float>& x) {
  std::vector<std::uint32_t> r;
  for (const float f : x) r.push_back(std::bit_cast<std::uint32_t>(f));
  return r;
}

struct Case {
  AttentionShape shape;
  std::size_t tokens;
};

std::vector<Case> cases() {
  return {
      {{.heads = 9, .kv_heads = 3, .dim = 64, .scale = 0.125F}, 200},
      {{.heads = 4, .kv_heads = 1, .dim = 256, .scale = 0.0625F, .window = 70}, 150},
      {{.heads = 14, .kv_heads = 2, .dim = 64, .scale = 0.125F}, 130},
      {{.heads = 2, .kv_heads = 2, .dim = 80, .scale = 0.11F, .soft_cap = 1.5F}, 129},
      {{.heads = 3, .kv_heads = 1, .dim = 96, .scale = 0.1F, .window = 1}, 67},
      {{.heads = 16, .kv_heads = 1, .dim = 16, .scale = 1, .soft_cap = 30, .window = 64}, 190},
      {{.heads = 8, .kv_heads = 2, .dim = 64, .scale = 0.125F, .sinks = &kAnySink}, 140},
      {{.heads = 6, .kv_heads = 2, .dim = 32, .scale = 0.2F, .soft_cap = 2, .window = 66, .sinks = &kAnySink}, 150},
  };
}

TEST(Attention, IsCloseToTheDefinitionInDouble) {
  for (const auto& [shape, tokens] : cases()) {
    Fixture fixture(shape, tokens, 7);
    const std::vector<float> got = fixture.run(best_isa(), tokens, 2);
    const std::vector<double> want = fixture.reference();
    // A score has dim roundings of terms below 2, which move a weight by as much; a sum has up to `tokens` more.
    const double tolerance = 0x1p-24 * static_cast<double>(2 * shape.dim + tokens);
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(static_cast<double>(got[i]), want[i], tolerance) << i;
  }
}

TEST(Attention, EveryIsaGivesTheSameBits) {
  for (const auto& [shape, tokens] : cases()) {
    Fixture fixture(shape, tokens, 11);
    const auto want = bits(fixture.run(Isa::generic, tokens, 1));
    for (const Isa isa : usable_isas()) {
      EXPECT_EQ(bits(fixture.run(isa, tokens, 1)), want) << name(isa) << " dim " << shape.dim;
    }
  }
}

TEST(Attention, CutsAndThreadsDoNotMatter) {
  for (const auto& [shape, tokens] : cases()) {
    Fixture fixture(shape, tokens, 13);
    const auto want = bits(fixture.run(best_isa(), tokens, 1));
    for (const Isa isa : usable_isas()) {
      if (isa == Isa::generic) continue;
      for (const std::size_t cut : std::vector<std::size_t>{1, 2, 7, 13, 64, 100}) {
        // Many small regions of several threads take long on a busy machine; the next test has them too.
        for (const int threads : cut < 64 ? std::vector{1} : std::vector{1, 3}) {
          EXPECT_EQ(bits(fixture.run(isa, cut, threads)), want)
              << name(isa) << " cut " << cut << " threads " << threads << " dim " << shape.dim;
        }
      }
    }
  }
}

TEST(Attention, ALongContextIsSplitOverThreadsWithTheSameBits) {
  const std::vector<float> sinks{-9, 0, 2, 4, 9, -std::numeric_limits<float>::infinity()};
  const AttentionShape shape{.heads = 6, .kv_heads = 2, .dim = 64, .scale = 0.125F, .sinks = sinks.data()};
  Fixture fixture(shape, 3000, 17);
  fixture.store(best_isa(), 0, 3000);
  std::vector<std::uint32_t> want;
  for (const int threads : {1, 2, 3, 5}) {
    parallel::Team team(threads);
    AttentionWorkspace workspace;
    std::vector<float> out(2 * 6 * 64);
    const AttentionRows entry{.rows = 2, .first_position = 2998, .kv = view(fixture.buffer(), 3000)};
    attention(best_isa(), shape, {&entry, 1}, fixture.q.data(), 6 * 64, out.data(), 6 * 64, team, workspace);
    if (threads == 1) want = bits(out);
    EXPECT_EQ(bits(out), want) << threads;
  }
}

TEST(Attention, SequencesOfABatchDoNotTouchEachOther) {
  const AttentionShape shape{.heads = 4, .kv_heads = 2, .dim = 32, .scale = 0.2F};
  const std::size_t width = shape.heads * shape.dim;
  std::vector<Fixture> fixtures;
  std::vector<AttentionRows> batch;
  std::vector<float> q;
  std::vector<float> want;
  for (const std::size_t tokens : std::vector<std::size_t>{5, 300, 64, 65, 700}) {
    fixtures.emplace_back(shape, tokens, tokens);
  }
  for (Fixture& fixture : fixtures) {
    const std::size_t tokens = fixture.q.size() / width;
    const std::size_t rows = tokens == 300 ? 40 : std::min<std::size_t>(tokens, tokens % 3 + 1);
    const std::vector<float> alone = fixture.run(best_isa(), 50, 2);
    want.insert(want.end(), alone.end() - static_cast<std::ptrdiff_t>(rows * width), alone.end());
    q.insert(q.end(), fixture.q.end() - static_cast<std::ptrdiff_t>(rows * width), fixture.q.end());
    batch.push_back({.rows = rows, .first_position = tokens - rows, .kv = view(fixture.buffer(), tokens)});
  }
  for (const int threads : {1, 2, 4}) {
    parallel::Team team(threads);
    AttentionWorkspace workspace;
    std::vector<float> out(q.size());
    attention(best_isa(), shape, batch, q.data(), width, out.data(), width, team, workspace);
    EXPECT_EQ(bits(out), bits(want)) << threads;
  }
}

TEST(Attention, ATokenThatIsNotVisibleMayHoldAnything) {
  const AttentionShape shape{.heads = 3, .kv_heads = 1, .dim = 64, .scale = 0.125F, .window = 20};
  Fixture fixture(shape, 100, 19);
  const auto want = bits(fixture.run(best_isa(), 100, 1));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t d = 0; d < 64; ++d) fixture.v[50 * 64 + d] = fixture.k[50 * 64 + d] = nan;
  for (const Isa isa : usable_isas()) {
    const std::vector<float> got = fixture.run(isa, 100, 1);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const std::size_t position = i / (3 * 64);
      if (position < 50 || position >= 70) {
        ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), want[i]) << position;
      } else {
        ASSERT_TRUE(std::isnan(got[i])) << position;
      }
    }
  }
}

TEST(Attention, StoredNumbersStayFinite) {
  const AttentionShape shape{.heads = 1, .kv_heads = 1, .dim = 16};
  for (const Isa isa : usable_isas()) {
    Fixture fixture(shape, 1, 23);
    for (std::size_t d = 0; d < 16; ++d) fixture.v[d] = d % 2 == 0 ? 1e9F : -std::numeric_limits<float>::infinity();
    const std::vector<float> got = fixture.run(isa, 1, 1);
    for (std::size_t d = 0; d < 16; ++d) EXPECT_EQ(got[d], d % 2 == 0 ? 65504.0F : -65504.0F);
  }
}

TEST(Attention, HeadMajorCachesAreReadToo) {
  const AttentionShape shape{.heads = 4, .kv_heads = 2, .dim = 16, .scale = 0.3F};
  Fixture fixture(shape, 150, 29);
  const auto want = bits(fixture.run(best_isa(), 150, 1));
  std::vector<tensor::f16> k(2 * 3 * 64 * 16, 0x7E01);
  std::vector<tensor::f16> v = k;
  const KvBuffer buffer{k.data(), v.data(), 3 * 64 * 16, 64 * 16};
  store_kv(best_isa(), shape, buffer, 0, 150, fixture.k.data(), 32, fixture.v.data(), 32);
  parallel::Team team(2);
  AttentionWorkspace workspace;
  std::vector<float> out(want.size());
  const AttentionRows entry{.rows = 150, .first_position = 0, .kv = view(buffer, 150)};
  attention(best_isa(), shape, {&entry, 1}, fixture.q.data(), 64, out.data(), 64, team, workspace);
  EXPECT_EQ(bits(out), want);
}

}  // namespace
}  // namespace plait::kernels
