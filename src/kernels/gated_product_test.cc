// SPDX-License-Identifier: Apache-2.0
#include "kernels/gated_product.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/random.h"
#include "kernels/elementwise.h"
#include "tensor/half.h"

namespace plait::kernels {
namespace {

using tensor::Type;

std::vector<float> random_floats(std::size_t count, std::uint64_t seed) {
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(base::random_unit(seed, i) - 0.5);
  return x;
}

/// Random blocks with small scales; the types here begin with them.
std::vector<std::byte> random_blocks(Type type, std::size_t rows, std::size_t columns, std::uint64_t seed) {
  const tensor::TypeInfo& info = tensor::info(type);
  std::vector<std::byte> bytes(rows * tensor::row_bytes(type, columns));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(base::random_u64(seed, i));
  for (std::size_t b = 0; b * info.block_bytes < bytes.size(); ++b) {
    const auto value = static_cast<float>(base::random_unit(seed ^ 1, b) - 0.5);
    std::byte* block = bytes.data() + b * info.block_bytes;
    if (type == Type::f32) {
      std::memcpy(block, &value, 4);
      continue;
    }
    const tensor::f16 scale = tensor::f32_to_f16(value * 0.02F);
    std::memcpy(block, &scale, 2);
    if (type == Type::q4_1) std::memcpy(block + 2, &scale, 2);
  }
  return bytes;
}

struct Case {
  Type gate, up;
  Weights weights;
  RowForm form;  ///< Of the results.
  std::size_t inputs, outputs;
  bool bias;
};

constexpr Case kCases[] = {
    {Type::q4_1, Type::q4_1, Weights::exact, RowForm::groups, 96, 320, false},
    {Type::q4_1, Type::q8_0, Weights::exact, RowForm::groups, 64, 288, true},
    {Type::q8_0, Type::q8_0, Weights::exact, RowForm::floats, 64, 77, true},
    {Type::f32, Type::f32, Weights::exact, RowForm::groups, 50, 160, false},
    {Type::q8_0, Type::q8_0, Weights::int8, RowForm::wide, 160, 448, true},
    {Type::q8_0, Type::q8_0, Weights::int8, RowForm::groups, 128, 96, false},
    {Type::q8_0, Type::q8_0, Weights::bf16, RowForm::pairs, 160, 365, true},
    {Type::f32, Type::f32, Weights::bf16, RowForm::groups, 1100, 96, false},
};

/// The numbers of rows in their form, all of them.
std::vector<float> contents(const QuantisedRows& rows) {
  const RowsView& view = rows.view();
  std::vector<float> all;
  if (view.form == RowForm::floats) {
    for (std::size_t i = 0; i < view.m * view.k; ++i) all.push_back(view.x[i]);
    return all;
  }
  if (view.form == RowForm::pairs) {
    for (std::size_t i = 0; i < view.m * view.steps * kPairStep; ++i) all.push_back(view.pairs[i]);
    return all;
  }
  const std::size_t step = view.form == RowForm::wide ? kWideStep : kGroup;
  for (std::size_t i = 0; i < view.m * view.steps * step; ++i) all.push_back(view.a[i]);
  for (std::size_t i = 0; i < view.m * view.groups; ++i) {
    all.push_back(view.scale[i]);
    all.push_back(static_cast<float>(view.minus_sum[i]));
    if (view.form == RowForm::wide) continue;
    all.push_back(view.usum[i]);
    all.push_back(static_cast<float>(view.minus_first[i]));
    all.push_back(static_cast<float>(view.minus_second[i]));
  }
  return all;
}

struct Fixture {
  Fixture(const Case& test, std::size_t rows, parallel::Team& team)
      : test_(test),
        gate_(random_blocks(test.gate, test.outputs, test.inputs, 1)),
        up_(random_blocks(test.up, test.outputs, test.inputs, 2)),
        x_(random_floats(rows * test.inputs, 3)),
        bias_(test.bias ? random_floats(2 * test.outputs, 4) : std::vector<float>()),
        m_(rows) {
    const tensor::MatrixView parts[] = {{test.gate, test.outputs, test.inputs, gate_},
                                        {test.up, test.outputs, test.inputs, up_}};
    packed_ = *PackedMatrix::pack(parts, team, test.weights);
  }

  std::vector<float> by_steps(Isa isa, parallel::Team& team) {
    QuantisedRows rows;
    quantise_rows(isa, x_.data(), m_, test_.inputs, test_.inputs, packed_.row_form(), rows, team);
    const std::size_t n = test_.outputs;
    std::vector<float> both(m_ * 2 * n);
    matmul(isa, packed_, rows, both.data(), 2 * n, team);
    std::vector<float> gated(m_ * n);
    for (std::size_t row = 0; row < m_; ++row) {
      float* gates = both.data() + row * 2 * n;
      if (test_.bias) add(isa, gates, bias_.data(), 2 * n, gates);
      silu_mul(isa, gates, gates + n, n, gated.data() + row * n);
    }
    QuantisedRows out;
    quantise_rows(isa, gated.data(), m_, n, n, test_.form, out, team);
    return contents(out);
  }

  std::vector<float> at_once(Isa isa, parallel::Team& team) {
    QuantisedRows rows;
    quantise_rows(isa, x_.data(), m_, test_.inputs, test_.inputs, packed_.row_form(), rows, team);
    QuantisedRows out;
    os::HugeVector<float> floats;
    os::HugeVector<float> scratch;
    team.run(GatedProduct(isa, packed_, rows, bias_, silu_mul, test_.form, out, floats, scratch, team.size()));
    return contents(out);
  }

  Case test_;
  std::vector<std::byte> gate_, up_;
  std::vector<float> x_, bias_;
  std::size_t m_;
  PackedMatrix packed_;
};

TEST(GatedProduct, HasTheBitsOfItsSteps) {
  for (const int threads : {1, 2, 3, 7}) {
    parallel::Team team(threads);
    for (const Case& test : kCases) {
      for (const std::size_t rows : std::vector<std::size_t>{1, 5, 16, 17, 33, 270}) {
        Fixture fixture(test, rows, team);
        for (const Isa isa : usable_isas()) {
          if (threads != 2 && isa == Isa::generic) continue;  // portable code is slow
          if (threads > 2 && rows > 40) continue;
          EXPECT_EQ(fixture.at_once(isa, team), fixture.by_steps(isa, team))
              << name(isa) << ", " << threads << " threads, " << rows << " rows, case " << &test - kCases;
        }
      }
    }
  }
}

TEST(GatedProduct, GoesOnInTheSameRegionWithTheNextProduct) {
  parallel::Team team(3);
  const std::size_t m = 21;
  Fixture fixture(kCases[0], m, team);
  const std::vector<std::byte> bytes = random_blocks(Type::q8_0, 40, kCases[0].outputs, 9);
  const tensor::MatrixView down_view{Type::q8_0, 40, kCases[0].outputs, bytes};
  const PackedMatrix down = *PackedMatrix::pack({&down_view, 1}, team);
  const std::vector<float> bias = random_floats(40, 10);
  const Isa isa = best_isa();
  QuantisedRows rows;
  quantise_rows(isa, fixture.x_.data(), m, kCases[0].inputs, kCases[0].inputs, RowForm::groups, rows, team);
  QuantisedRows between;
  os::HugeVector<float> floats;
  os::HugeVector<float> scratch;
  const GatedProduct gated(isa, fixture.packed_, rows, {}, silu_mul, RowForm::groups, between, floats, scratch, 3);
  std::vector<float> in_turn(m * 40);
  team.run_in_turn(gated, Product(isa, down, between, in_turn.data(), 40, bias, 3));
  std::vector<float> by_steps(m * 40);
  matmul(isa, down, between, by_steps.data(), 40, team);
  for (std::size_t row = 0; row < m; ++row) {
    add(isa, by_steps.data() + row * 40, bias.data(), 40, by_steps.data() + row * 40);
  }
  EXPECT_EQ(in_turn, by_steps);
}

/// Parts in a random order are the whole.
TEST(QuantisePart, AnyPartsMakeTheRows) {
  parallel::Team team(1);
  for (const RowForm form : {RowForm::groups, RowForm::wide, RowForm::pairs}) {
    for (const std::size_t m : std::vector<std::size_t>{1, 3, 16, 31, 50}) {
      const std::size_t k = 128 * 5 + 37;
      const std::vector<float> x = random_floats(m * k, m);
      for (const Isa isa : usable_isas()) {
        QuantisedRows whole;
        quantise_rows(isa, x.data(), m, k, k, form, whole, team);
        QuantisedRows parts;
        parts.resize(m, k, form);
        for (std::size_t row = 0; row < m;) {
          const std::size_t end = std::min(m, row + 1 + base::random_u64(m, row) % 20);
          for (std::size_t input = 0; input < k;) {
            const std::size_t last = std::min(k, input + 128 * (1 + base::random_u64(row, input) % 3));
            quantise_part(isa, x.data() + row * k + input, k, {row, end}, {input, last}, parts);
            input = last;
          }
          row = end;
        }
        EXPECT_EQ(contents(whole), contents(parts)) << name(isa) << ", " << m << " rows";
      }
    }
  }
}

}  // namespace
}  // namespace plait::kernels
