// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/attention_plan.h"

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
    // What is not written must not matter: a NaN pattern everywhere. Pages have three layers and lie in no order.
    const std::size_t count = (tokens + kPageTokens - 1) / kPageTokens;
    const std::size_t numbers = 3 * page_numbers(shape);
    memory_.assign(count * numbers, 0x7E01);
    for (std::size_t i = 0; i < count; ++i) {
      pages_.push_back(reinterpret_cast<std::byte*>(memory_.data() + (count - 1 - i) * numbers));
    }
    std::rotate(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(count / 3), pages_.end());
  }

  [[nodiscard]] std::byte* const* pages() const { return pages_.data(); }
  [[nodiscard]] std::size_t layer_offset() const { return page_numbers(shape_) * sizeof(tensor::f16); }
  [[nodiscard]] const AttentionShape& shape() const { return shape_; }

  void store(Isa isa, std::size_t position, std::size_t rows) {
    const std::size_t width = shape_.kv_heads * shape_.dim;
    store_kv(isa, shape_, layer_offset(), pages(), position, rows, k.data() + position * width, width,
             v.data() + position * width, width);
  }

  /// What rows at the end of the first `end` tokens see.
  [[nodiscard]] AttentionEntry entry(std::size_t end, std::size_t rows, std::size_t query_row = 0) const {
    return {.pages = pages(), .last = end - rows + 1, .grows = true, .query_row = query_row};
  }

  /// Feeds all tokens in steps of `cut` and returns the results of all rows.
  std::vector<float> run(Isa isa, std::size_t cut, int threads) {
    const std::size_t width = shape_.heads * shape_.dim;
    std::vector<float> out(tokens_ * width, -1);
    parallel::Team team(threads);
    AttentionPlan plan;
    AttentionWorkspace workspace;
    for (std::size_t at = 0; at < tokens_; at += cut) {
      const std::size_t rows = std::min(cut, tokens_ - at);
      store(isa, at, rows);
      const AttentionEntry entries[] = {entry(at + rows, rows)};
      const AttentionRows batch{.rows = rows, .position = static_cast<std::ptrdiff_t>(at), .entries = entries};
      plan.prepare(shape_, {&batch, 1}, threads);
      attention(isa, shape_, plan, layer_offset(), q.data() + at * width, width, out.data() + at * width, width, team,
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
  std::vector<tensor::f16> memory_;
  std::vector<std::byte*> pages_;
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
    const AttentionEntry entries[] = {fixture.entry(3000, 2)};
    const AttentionRows batch{.rows = 2, .position = 2998, .entries = entries};
    AttentionPlan plan;
    plan.prepare(shape, {&batch, 1}, threads);
    attention(best_isa(), shape, plan, fixture.layer_offset(), fixture.q.data(), 6 * 64, out.data(), 6 * 64, team,
              workspace);
    if (threads == 1) want = bits(out);
    EXPECT_EQ(bits(out), want) << threads;
  }
}

TEST(Attention, SequencesOfABatchDoNotTouchEachOther) {
  const AttentionShape shape{.heads = 4, .kv_heads = 2, .dim = 32, .scale = 0.2F};
  const std::size_t width = shape.heads * shape.dim;
  std::vector<Fixture> fixtures;
  std::vector<AttentionEntry> entries;
  std::vector<AttentionRows> batch;
  std::vector<float> q;
  std::vector<float> want;
  for (const std::size_t tokens : std::vector<std::size_t>{5, 300, 64, 65, 700}) {
    fixtures.emplace_back(shape, tokens, tokens);
  }
  entries.reserve(fixtures.size());
  for (Fixture& fixture : fixtures) {
    const std::size_t tokens = fixture.q.size() / width;
    const std::size_t rows = tokens == 300 ? 40 : std::min<std::size_t>(tokens, tokens % 3 + 1);
    const std::vector<float> alone = fixture.run(best_isa(), 50, 2);
    want.insert(want.end(), alone.end() - static_cast<std::ptrdiff_t>(rows * width), alone.end());
    entries.push_back(fixture.entry(tokens, rows, q.size() / width));
    q.insert(q.end(), fixture.q.end() - static_cast<std::ptrdiff_t>(rows * width), fixture.q.end());
    batch.push_back(
        {.rows = rows, .position = static_cast<std::ptrdiff_t>(tokens - rows), .entries = std::span(entries).last(1)});
  }
  AttentionPlan plan;
  for (const int threads : {1, 2, 4}) {
    parallel::Team team(threads);
    AttentionWorkspace workspace;
    std::vector<float> out(q.size());
    plan.prepare(shape, batch, threads);
    attention(best_isa(), shape, plan, fixtures[0].layer_offset(), q.data(), width, out.data(), width, team, workspace);
    EXPECT_EQ(bits(out), bits(want)) << threads;
  }
}

TEST(Attention, ASpanCutIntoSlicesAnywhereGivesTheSameBits) {
  for (const auto& [shape, tokens] : cases()) {
    Fixture fixture(shape, tokens, 31);
    const std::size_t width = shape.heads * shape.dim;
    const auto all = bits(fixture.run(best_isa(), tokens, 1));
    parallel::Team team(2);
    AttentionPlan plan;
    AttentionWorkspace workspace;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      std::vector<AttentionEntry> entries;
      std::size_t from = 0;
      for (std::uint64_t i = 0; from < tokens - 1; ++i) {
        const std::size_t to = std::min(tokens - 1, from + 1 + base::random_u64(seed, i) % tokens);
        entries.push_back({.pages = fixture.pages(), .first = from, .last = to});
        from = to;
      }
      entries.push_back({.pages = fixture.pages(), .first = from, .last = tokens});
      const AttentionRows batch{.rows = 1, .position = static_cast<std::ptrdiff_t>(tokens - 1), .entries = entries};
      std::vector<float> out(width);
      plan.prepare(fixture.shape(), {&batch, 1}, 2);
      attention(best_isa(), fixture.shape(), plan, fixture.layer_offset(), fixture.q.data() + (tokens - 1) * width,
                width, out.data(), width, team, workspace);
      ASSERT_EQ(bits(out), (std::vector(all.end() - static_cast<std::ptrdiff_t>(width), all.end()))) << seed;
    }
  }
}

/// Sequences that begin alike: pages of the first are also those of the others up to some token.
struct Family {
  Family(const AttentionShape& shape, const std::vector<std::size_t>& shared, std::size_t tokens) {
    for (const std::size_t own : shared) {
      fixtures.emplace_back(shape, tokens, 41);
      tables.emplace_back(fixtures[0].pages(), fixtures[0].pages() + (tokens + kPageTokens - 1) / kPageTokens);
      const std::size_t from = own / kPageTokens;
      if (fixtures.size() > 1)
        std::copy_n(fixtures.back().pages() + from, tables[0].size() - from, &tables.back()[from]);
      fixtures.back().store(best_isa(), 0, tokens);
    }
  }
  std::deque<Fixture> fixtures;
  std::vector<std::vector<std::byte*>> tables;
};

TEST(Attention, RowsThatShareTheirFirstPagesGetTheBitsTheyHaveAlone) {
  constexpr std::size_t kTokens = 1500;
  const AttentionShape shape{.heads = 6, .kv_heads = 2, .dim = 32, .scale = 0.2F};
  const std::size_t width = shape.heads * shape.dim;
  const Family family(shape, {1488, 1488, 1024, 1024, 1024, 400, 64, 0, 1488, 1488}, kTokens);
  std::vector<AttentionEntry> entries(family.tables.size());
  std::vector<AttentionRows> batch;
  std::vector<float> q;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::size_t rows = i == 3 ? 2 : 1;
    entries[i] = {.pages = family.tables[i].data(), .last = kTokens - rows + 1, .grows = true};
    entries[i].query_row = q.size() / width;
    q.insert(q.end(), family.fixtures[0].q.end() - static_cast<std::ptrdiff_t>(rows * width),
             family.fixtures[0].q.end());
    batch.push_back(
        {.rows = rows, .position = static_cast<std::ptrdiff_t>(kTokens - rows), .entries = {&entries[i], 1}});
  }
  AttentionPlan plan;
  std::vector<std::uint32_t> want;
  for (const int threads : {1, 2, 3}) {
    parallel::Team team(threads);
    AttentionWorkspace workspace;
    std::vector<float> out(q.size());
    const auto run = [&](std::span<const AttentionRows> rows, float* to) {
      plan.prepare(shape, rows, threads);
      attention(best_isa(), shape, plan, family.fixtures[0].layer_offset(), q.data(), width, to, width, team,
                workspace);
    };
    std::size_t row = 0;
    for (const AttentionRows& rows : batch) {
      run({&rows, 1}, out.data() + row * width);
      row += rows.rows;
    }
    if (want.empty()) want = bits(out);
    EXPECT_EQ(bits(out), want) << threads;
    run(batch, out.data());
    EXPECT_EQ(bits(out), want) << threads;
    EXPECT_GT(plan.parts().level_ends.size(), 2U);
  }
}

TEST(Attention, EntriesOfSeveralSpansAreSeenTogetherEachWithItsOwnRotation) {
  // Three spans whose queries differ: the weights are those of one softmax over all of their tokens.
  const AttentionShape shape{.heads = 4, .kv_heads = 2, .dim = 32, .scale = 0.2F, .window = 140};
  const std::size_t width = shape.heads * shape.dim;
  const std::vector<std::size_t> lengths{70, 33, 90};
  std::deque<Fixture> spans;
  std::vector<AttentionEntry> entries;
  std::vector<float> q = Fixture::random(3 * width, 5, 2.0F);
  std::ptrdiff_t base = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    spans.emplace_back(shape, lengths[i], 50 + i);
    spans.back().store(best_isa(), 0, lengths[i]);
    entries.push_back(
        {.pages = spans.back().pages(), .first = i == 1 ? 5U : 0U, .last = lengths[i], .base = base, .query_row = i});
    base += static_cast<std::ptrdiff_t>(lengths[i]);
  }
  const std::ptrdiff_t position = base - 1;
  const AttentionRows batch{.rows = 1, .position = position, .entries = entries};
  AttentionPlan plan;
  parallel::Team team(2);
  AttentionWorkspace workspace;
  std::vector<float> out(width);
  plan.prepare(shape, {&batch, 1}, 2);
  attention(best_isa(), shape, plan, spans[0].layer_offset(), q.data(), width, out.data(), width, team, workspace);
  for (std::size_t head = 0; head < shape.heads; ++head) {
    std::vector<double> want(shape.dim);
    double total = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t t = entries[i].first; t < lengths[i]; ++t) {
        if (position - (entries[i].base + static_cast<std::ptrdiff_t>(t)) >= 140) continue;
        const std::size_t at = (t * 2 + head / 2) * shape.dim;
        const auto half = [](float x) { return static_cast<double>(tensor::f16_to_f32(tensor::f32_to_f16(x))); };
        double dot = 0;
        for (std::size_t d = 0; d < shape.dim; ++d) {
          dot += static_cast<double>(q[i * width + head * shape.dim + d]) * half(spans[i].k[at + d]);
        }
        const double p = std::exp(dot * static_cast<double>(shape.scale));
        total += p;
        for (std::size_t d = 0; d < shape.dim; ++d) want[d] += p * half(spans[i].v[at + d]);
      }
    }
    for (std::size_t d = 0; d < shape.dim; ++d) {
      ASSERT_NEAR(static_cast<double>(out[head * shape.dim + d]), want[d] / total, 2e-5) << head << " " << d;
    }
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

}  // namespace
}  // namespace plait::kernels
