// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/attention_fixture.h"
#include "kernels/attention_plan.h"
#include "kernels/elementwise.h"
#include "kernels/rope.h"

namespace plait::kernels {
namespace {

struct Case {
  AttentionShape shape;
  std::size_t tokens;
};

std::vector<Case> cases(AttentionArithmetic arithmetic) {
  std::vector<Case> all{
      {{.heads = 9, .kv_heads = 3, .dim = 64, .scale = 0.125F}, 200},
      {{.heads = 4, .kv_heads = 1, .dim = 256, .scale = 0.0625F, .window = 70}, 150},
      {{.heads = 14, .kv_heads = 2, .dim = 64, .scale = 0.125F}, 130},
      {{.heads = 2, .kv_heads = 2, .dim = 80, .scale = 0.11F, .soft_cap = 1.5F}, 129},
      {{.heads = 3, .kv_heads = 1, .dim = 96, .scale = 0.1F, .window = 1}, 67},
      {{.heads = 16, .kv_heads = 1, .dim = 16, .scale = 1, .soft_cap = 30, .window = 64}, 190},
      {{.heads = 8, .kv_heads = 2, .dim = 64, .scale = 0.125F, .sinks = &kAnySink}, 140},
      {{.heads = 6, .kv_heads = 2, .dim = 32, .scale = 0.2F, .soft_cap = 2, .window = 66, .sinks = &kAnySink}, 150},
  };
  for (Case& one : all) one.shape.arithmetic = arithmetic;
  return all;
}

class Attention : public ::testing::TestWithParam<AttentionArithmetic> {};

std::string test_name(const ::testing::TestParamInfo<AttentionArithmetic>& info) {
  return std::string(name(info.param));
}
INSTANTIATE_TEST_SUITE_P(Arithmetic, Attention,
                         ::testing::Values(AttentionArithmetic::exact, AttentionArithmetic::bf16,
                                           AttentionArithmetic::int8),
                         test_name);

TEST_P(Attention, IsCloseToTheDefinitionInDouble) {
  for (const auto& [shape, tokens] : cases(GetParam())) {
    Fixture fixture(shape, tokens, 7);
    const std::vector<double> want = fixture.reference();
    // A score has dim roundings of terms below 2, which move a weight by as much; a sum has up to `tokens` more.
    double tolerance = 0x1p-24 * static_cast<double>(2 * shape.dim + tokens);
    // Weights of bf16 are off by 2^-9 and 1e-4 in 2^x. An average of values in [-1, 1] moves by at most twice that.
    if (GetParam() == AttentionArithmetic::bf16) tolerance += 0x1p-8 + 2.2e-4;
    for (const AttentionVersion& version : versions(GetParam())) {
      if (version.table == &kAttentionGeneric) continue;  // slow, and the same bits as the others
      const std::vector<float> got = fixture.run(*version.table, tokens, 2);
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(static_cast<double>(got[i]), want[i], tolerance) << i << " " << version.name;
      }
    }
  }
}

TEST_P(Attention, EveryIsaWithoutTilesGivesTheSameBits) {
  for (const auto& [shape, tokens] : cases(GetParam())) {
    Fixture fixture(shape, tokens, 11);
    const auto want = bits(fixture.run(Isa::generic, tokens, 1));
    for (const Isa isa : usable_isas()) {
      if (GetParam() == AttentionArithmetic::bf16 && isa == Isa::amx) continue;
      EXPECT_EQ(bits(fixture.run(isa, tokens, 1)), want) << name(isa) << " dim " << shape.dim;
    }
  }
}

TEST(AttentionTiles, InSoftwareGiveTheBitsOfTheInstructions) {
  if (best_isa() != Isa::amx) GTEST_SKIP() << "this machine has no tiles";
  for (const auto& [shape, tokens] : cases(AttentionArithmetic::bf16)) {
    Fixture fixture(shape, tokens, 12);
    EXPECT_EQ(bits(fixture.run(Isa::amx, tokens, 1)), bits(fixture.run(kAttentionTileStandIn, tokens, 1)));
  }
}

TEST_P(Attention, CutsAndThreadsDoNotMatter) {
  for (const auto& [shape, tokens] : cases(GetParam())) {
    Fixture fixture(shape, tokens, 13);
    for (const AttentionVersion& version : versions(GetParam())) {
      const bool slow = version.name == "generic" || version.name == "tiles in software";
      const auto want = bits(fixture.run(*version.table, tokens, 1));
      for (const std::size_t cut :
           slow ? std::vector<std::size_t>{7} : std::vector<std::size_t>{1, 2, 7, 13, 64, 100}) {
        // Many small regions of several threads take long on a busy machine; the next test has them too.
        for (const int threads : cut < 64 ? std::vector{1} : std::vector{1, 3}) {
          EXPECT_EQ(bits(fixture.run(*version.table, cut, threads)), want)
              << version.name << " cut " << cut << " threads " << threads << " dim " << shape.dim;
        }
      }
    }
  }
}

TEST_P(Attention, ALongContextIsSplitOverThreadsWithTheSameBits) {
  const std::vector<float> sinks{-9, 0, 2, 4, 9, -std::numeric_limits<float>::infinity()};
  const AttentionShape shape{
      .heads = 6, .kv_heads = 2, .dim = 64, .scale = 0.125F, .arithmetic = GetParam(), .sinks = sinks.data()};
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

TEST_P(Attention, KeysAndValuesMayBeStoredByWhoReadsThem) {
  for (const auto& [shape, tokens] : cases(GetParam())) {
    Fixture fixture(shape, tokens, 19);
    const auto want = bits(fixture.run(best_isa(), tokens, 1));
    for (const std::size_t cut : std::vector<std::size_t>{1, 13}) {
      EXPECT_EQ(bits(fixture.run(best_isa(), cut, 3, true)), want) << " cut " << cut << " dim " << shape.dim;
    }
    EXPECT_GT(fixture.pieces_that_stored, 0U);
  }
}

TEST_P(Attention, SequencesOfABatchDoNotTouchEachOther) {
  const AttentionShape shape{.heads = 4, .kv_heads = 2, .dim = 32, .scale = 0.2F, .arithmetic = GetParam()};
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

TEST_P(Attention, ASpanCutIntoSlicesAnywhereGivesTheSameBits) {
  for (const auto& [shape, tokens] : cases(GetParam())) {
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

TEST_P(Attention, RowsThatShareTheirFirstPagesGetTheBitsTheyHaveAlone) {
  constexpr std::size_t kTokens = 1500;
  const AttentionShape shape{.heads = 6, .kv_heads = 2, .dim = 32, .scale = 0.2F, .arithmetic = GetParam()};
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

TEST_P(Attention, EntriesOfSeveralSpansAreSeenTogetherEachWithItsOwnRotation) {
  // Three spans whose queries differ: the weights are those of one softmax over all of their tokens.
  const AttentionShape shape{
      .heads = 4, .kv_heads = 2, .dim = 32, .scale = 0.2F, .window = 140, .arithmetic = GetParam()};
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
  const double tolerance = GetParam() != AttentionArithmetic::bf16 ? 2e-5 : 0x1p-8 + 2.4e-4;  // as above
  for (std::size_t head = 0; head < shape.heads; ++head) {
    std::vector<double> want(shape.dim);
    double total = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t t = entries[i].first; t < lengths[i]; ++t) {
        if (position - (entries[i].base + static_cast<std::ptrdiff_t>(t)) >= 140) continue;
        const std::size_t at = (t * 2 + head / 2) * shape.dim;
        double dot = 0;
        for (std::size_t d = 0; d < shape.dim; ++d) {
          dot += scaled(shape, q[i * width + head * shape.dim + d]) * stored(shape, &spans[i].k[at], d);
        }
        const double p = std::exp(dot);
        total += p;
        for (std::size_t d = 0; d < shape.dim; ++d) want[d] += p * stored(shape, &spans[i].v[at], d);
      }
    }
    for (std::size_t d = 0; d < shape.dim; ++d) {
      ASSERT_NEAR(static_cast<double>(out[head * shape.dim + d]), want[d] / total, tolerance) << head << " " << d;
    }
  }
}

/// Rotates each head of tokens [token, heads, dim] by the position of its token.
void turn(std::vector<float>& x, std::size_t heads, std::size_t dim, const std::vector<std::ptrdiff_t>& positions) {
  const RopeTable table(rope_frequencies(dim, 1e5));
  std::vector<float> cos(dim / 2);
  std::vector<float> sin(dim / 2);
  for (std::size_t t = 0; t < positions.size(); ++t) {
    table.fill(positions[t], cos.data(), sin.data());
    rope_neox(best_isa(), &x[t * heads * dim], heads, dim, dim, cos.data(), sin.data());
  }
}

/// Two spans, one behind the other at a far place. What plait does: keys turned by their number in the span, once, and
/// the query by its distance from each span's origin. The other way: keys turned again by where their span begins.
struct MovedSpans {
  static constexpr AttentionShape kShape{.heads = 4, .kv_heads = 2, .dim = 64, .scale = 0.125F};
  static constexpr std::size_t kWidth = 4 * 64;
  static constexpr std::array<std::size_t, 2> kLengths{70, 33};
  static constexpr std::size_t kTheirQuery = 2;  // row of q

  explicit MovedSpans(std::ptrdiff_t origin) : position(origin + 102) {
    for (std::size_t i = 0; i < 2; ++i) {
      const std::ptrdiff_t base = i == 0 ? origin : origin + 70;
      std::vector<std::ptrdiff_t> numbers(kLengths[i]);
      std::iota(numbers.begin(), numbers.end(), 0);
      Fixture& once = ours.emplace_back(kShape, kLengths[i], 60 + i);
      turn(once.k, 2, 64, numbers);
      once.store(best_isa(), 0, kLengths[i]);
      Fixture& twice = theirs.emplace_back(kShape, kLengths[i], 60 + i);
      twice.k = once.k;
      turn(twice.k, 2, 64, std::vector<std::ptrdiff_t>(kLengths[i], base));
      twice.store(best_isa(), 0, kLengths[i]);
      our_entries.push_back({.pages = once.pages(), .last = kLengths[i], .base = base, .query_row = i});
      their_entries.push_back({.pages = twice.pages(), .last = kLengths[i], .base = base, .query_row = kTheirQuery});
      add_query(position - base);
    }
    add_query(position);
  }

  void add_query(std::ptrdiff_t distance) {
    std::vector<float> query = Fixture::random(kWidth, 3, 1.0F);
    turn(query, 4, 64, {distance});
    q.insert(q.end(), query.begin(), query.end());
  }

  [[nodiscard]] float score(std::size_t row, const Fixture& span, std::size_t token, std::size_t head) const {
    const float* key = &span.k[(token * 2 + head / 2) * 64];
    return std::inner_product(key, key + 64, &q[row * kWidth + head * 64], 0.0F) * kShape.scale;
  }

  [[nodiscard]] std::vector<float> attend(const std::vector<AttentionEntry>& entries) const {
    const AttentionRows batch{.rows = 1, .position = position, .entries = entries};
    parallel::Team team(2);
    AttentionWorkspace workspace;
    AttentionPlan plan;
    std::vector<float> out(kWidth);
    plan.prepare(kShape, {&batch, 1}, 2);
    attention(best_isa(), kShape, plan, ours[0].layer_offset(), q.data(), kWidth, out.data(), kWidth, team, workspace);
    return out;
  }

  std::ptrdiff_t position;
  std::deque<Fixture> ours = {};
  std::deque<Fixture> theirs = {};
  std::vector<AttentionEntry> our_entries = {};
  std::vector<AttentionEntry> their_entries = {};
  std::vector<float> q = {};
};

TEST(AttentionOfMovedSpans, AQueryTurnedForEachIsAsGoodAsTheirKeysTurned) {
  for (const std::ptrdiff_t origin : std::vector<std::ptrdiff_t>{0, 1000, 100'000}) {
    const MovedSpans spans(origin);
    for (std::size_t i = 0; i < 2; ++i) {  // scores in floats: the same but for roundings of a few turns
      for (std::size_t t = 0; t < MovedSpans::kLengths[i]; ++t) {
        for (std::size_t head = 0; head < 4; ++head) {
          ASSERT_NEAR(spans.score(i, spans.ours[i], t, head),
                      spans.score(MovedSpans::kTheirQuery, spans.theirs[i], t, head), 1e-5)
              << origin << " " << t << " " << head;
        }
      }
    }
    // Pages hold f16: what is turned before it is stored is rounded elsewhere.
    const std::vector<float> ours = spans.attend(spans.our_entries);
    const std::vector<float> theirs = spans.attend(spans.their_entries);
    for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], theirs[i], 1e-3) << origin << " " << i;
  }
}

TEST_P(Attention, ATokenThatIsNotVisibleMayHoldAnything) {
  const AttentionShape shape{
      .heads = 3, .kv_heads = 1, .dim = 64, .scale = 0.125F, .window = 20, .arithmetic = GetParam()};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const AttentionVersion& version : versions(GetParam())) {
    for (const std::size_t cut : std::vector<std::size_t>{100, 9}) {
      for (const bool only_value : {false, true}) {
        Fixture fixture(shape, 100, 19);
        const auto want = bits(fixture.run(*version.table, cut, 1));
        for (std::size_t d = 0; d < 64; ++d) fixture.v[50 * 64 + d] = nan;
        if (!only_value) std::fill_n(fixture.k.begin() + 50 * 64, 64, nan);
        const std::vector<float> got = fixture.run(*version.table, cut, 1);
        for (std::size_t i = 0; i < got.size(); ++i) {
          const std::size_t position = i / (3 * 64);
          if (position < 50 || position >= 70) {
            ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), want[i]) << position << " " << version.name;
          } else {
            ASSERT_TRUE(std::isnan(got[i])) << position << " " << version.name;
          }
        }
      }
    }
  }
}

TEST(AttentionTiles, OneNumberThatIsNaNTakesTheHeadOfRowsThatSeeIt) {
  const AttentionShape shape{
      .heads = 2, .kv_heads = 2, .dim = 32, .scale = 0.2F, .arithmetic = AttentionArithmetic::bf16};
  for (const AttentionVersion& version : versions(AttentionArithmetic::bf16)) {
    Fixture fixture(shape, 90, 21);
    fixture.v[(41 * 2 + 1) * 32 + 17] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> got = fixture.run(*version.table, 30, 1);
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(std::isnan(got[i]), i / 64 >= 41 && i / 32 % 2 == 1) << i << " " << version.name;
    }
  }
}

TEST_P(Attention, StoredNumbersStayFinite) {
  const AttentionShape shape{.heads = 1, .kv_heads = 1, .dim = 16, .arithmetic = GetParam()};
  const float infinity = std::numeric_limits<float>::infinity();
  float largest = 65504;
  if (GetParam() == AttentionArithmetic::bf16) largest = 0x1.FEp127F;
  if (GetParam() == AttentionArithmetic::int8) largest = 127 * (65504.0F / 127);
  for (const AttentionVersion& version : versions(GetParam())) {
    Fixture fixture(shape, 1, 23);
    for (std::size_t d = 0; d < 16; ++d) fixture.v[d] = d % 2 == 0 ? infinity : -infinity;
    fixture.v[4] = std::numeric_limits<float>::max();
    const std::vector<float> got = fixture.run(*version.table, 1, 1);
    for (std::size_t d = 0; d < 16; ++d) EXPECT_EQ(got[d], d % 2 == 0 ? largest : -largest) << version.name;
  }
}

/// A key or a value of `dim` numbers for each way in which they can be awkward in 8 bits.
std::vector<std::vector<float>> awkward_numbers(std::size_t dim) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<std::vector<float>> all(8, Fixture::random(dim, 3, 4.0F));
  all[1].assign(dim, 0.0F);
  for (std::size_t i = 0; i < dim; ++i) {
    all[2][i] = (static_cast<float>(i % 255) - 127) / 2;  // the scale is 1/2: exact
    all[3][i] = (static_cast<float>(i % 254) - 126.5F) / 127 * 126.5F;
    all[4][i] *= 0x1p-140F;
    all[5][i] *= 0x1p-90F;
  }
  all[2][0] = all[3][0] = 63.5F;
  all[6][dim / 2] = -infinity;
  all[7][dim - 1] = nan;
  return all;
}

TEST(AttentionInEightBits, PagesAreWhatTheDefinitionSays) {
  for (const std::size_t dim : {16U, 64U, 80U, 256U}) {
    const AttentionShape shape{.heads = 1, .kv_heads = 1, .dim = dim, .arithmetic = AttentionArithmetic::int8};
    const std::vector<std::vector<float>> tokens = awkward_numbers(dim);
    for (const AttentionVersion& version : versions(AttentionArithmetic::int8)) {
      SCOPED_TRACE(version.name);
      Fixture fixture(shape, tokens.size(), 25);
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        std::ranges::copy(tokens[t], fixture.v.begin() + static_cast<std::ptrdiff_t>(t * dim));
        std::ranges::copy(tokens[tokens.size() - 1 - t], fixture.k.begin() + static_cast<std::ptrdiff_t>(t * dim));
      }
      fixture.store(*version.table, 0, tokens.size());
      const std::byte* head = fixture.pages()[0] + fixture.layer_offset();
      const auto* numbers = reinterpret_cast<const std::int8_t*>(head);
      const auto* scales = reinterpret_cast<const float*>(head + 2 * kPageTokens * dim);
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        for (const bool key : {false, true}) {
          const std::size_t which = key ? tokens.size() - 1 - t : t;
          const float scale = scales[key ? t : kPageTokens + t];
          if (which == 7) {  // a number is NaN
            EXPECT_TRUE(std::isnan(scale));
            continue;
          }
          const Int8Numbers want(tokens[which].data(), dim);
          EXPECT_EQ(scale, want.scale) << which;
          for (std::size_t d = 0; d < dim; ++d) {
            ASSERT_EQ(numbers[key ? d * kPageTokens + t : (kPageTokens + t) * dim + d], want.numbers[d])
                << which << " " << d;
          }
        }
      }
    }
  }
}

TEST(AttentionInEightBits, TakesAboutHalfTheMemory) {
  EXPECT_EQ(head_bytes(AttentionArithmetic::exact, 64), 4096U);
  EXPECT_EQ(head_bytes(AttentionArithmetic::int8, 64), 2048U + 128U);
  EXPECT_EQ(number_bytes(AttentionArithmetic::int8, 64), 1.0625);
}

}  // namespace
}  // namespace plait::kernels
