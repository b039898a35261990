// SPDX-License-Identifier: Apache-2.0
//
// Weights that are requantised or rounded at load.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/matmul_cases.h"
#include "tensor/dequantise.h"

namespace plait::kernels {
namespace {

/// Weights that are made int8 or bf16 at load, whatever their type in the file.
using Made = std::pair<Type, Weights>;
class MadeAtLoad : public testing::TestWithParam<Made> {};
class MadeInt8 : public testing::TestWithParam<Type> {};

TEST_P(MadeAtLoad, EveryIsaWidthAndThreadCountGivesTheReferencesBits) {
  const auto [type, form] = GetParam();
  EXPECT_EQ(difference_by_isa_width_or_threads(type, form, 70, 11, 4), "");
}

TEST_P(MadeAtLoad, RaggedSizes) {
  const auto [type, form] = GetParam();
  parallel::Team team(2);
  for (std::size_t groups : {1U, 2U, 3U, 4U, 5U, 9U, 34U}) {
    const std::size_t columns = columns_for(type, groups);
    for (std::size_t n : {1U, 15U, 17U, 32U, 65U}) {
      const auto w = random_weights(type, n, columns, n * 100 + groups);
      const auto packed = PackedMatrix::pack({&w.view, 1}, team, form).value();
      for (std::size_t m : {1U, 5U, 18U, 45U}) {
        const auto x = random_rows(m * columns, m);
        const auto expected = reference({&w.view, 1}, x, m, form);
        for (const Isa isa : usable_isas()) {
          ASSERT_EQ(first_difference(product(isa, packed, x, m, team), expected), expected.size())
              << name(isa) << " n=" << n << " k=" << columns << " m=" << m;
        }
      }
    }
  }
}

TEST_P(MadeInt8, RowsExpandToWithinHalfAStepOfTheFiles) {
  const std::size_t columns = columns_for(GetParam(), 24);
  parallel::Team team(1);
  const auto w = random_weights(GetParam(), 50, columns, 6);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team, Weights::int8).value();
  EXPECT_LE(packed.bytes(), 64 * (columns + kWideStep) * 33 / 32);
  std::vector<float> expected(columns), found(columns);
  const std::size_t row_bytes = tensor::row_bytes(GetParam(), columns);
  for (std::size_t row = 0; row < 50; ++row) {
    tensor::dequantise(GetParam(), w.view.bytes.subspan(row * row_bytes, row_bytes), expected);
    packed.dequantise_row(row, found);
    for (std::size_t k = 0; k < columns; ++k) {
      const std::size_t first = k / kWideGroup * kWideGroup;
      float largest = 0;
      for (std::size_t i = first; i < std::min(columns, first + kWideGroup); ++i) {
        largest = std::max(largest, std::fabs(expected[i]));
      }
      ASSERT_NEAR(found[k], expected[k], largest / 127 * 0.5001F) << row << ' ' << k;
    }
  }
}

TEST_P(MadeAtLoad, TileKernelsInSoftwareGiveTheReferencesBits) {
  const auto [type, form] = GetParam();
  parallel::Team team(1);
  for (const std::size_t groups : {1U, 18U}) {
    const std::size_t columns = columns_for(type, groups);
    const auto w = random_weights(type, 77, columns, 21);
    const auto packed = PackedMatrix::pack({&w.view, 1}, team, form).value();
    for (const std::size_t m : {1U, 2U, 3U, 15U, 16U, 17U, 20U, 32U, 33U, 50U}) {
      const auto x = random_rows(m * columns, m);
      QuantisedRows rows;
      quantise_rows(Isa::generic, x.data(), m, columns, columns, packed.row_form(), rows, team);
      std::vector<float> y(m * 77);
      const cpu::KernelTable& tiles = cpu::kTileStandIn;
      run_panels(form == Weights::int8 ? tiles.int8 : tiles.pairs, packed.parts().front(), rows, y.data());
      tiles.finish();
      ASSERT_EQ(first_difference(y, reference({&w.view, 1}, x, m, form)), y.size())
          << "m=" << m << " groups=" << groups;
    }
  }
}

TEST_P(MadeInt8, OddActivationsAndWeights) {
  const std::size_t columns = columns_for(GetParam(), 16);
  parallel::Team team(2);
  auto w = random_weights(GetParam(), 35, columns, 8);
  if (GetParam() == Type::f32) {
    for (const auto& [at, value] : {std::pair(3, std::numeric_limits<float>::infinity()), std::pair(600, 1e-35F)}) {
      std::memcpy(w.bytes.data() + 4 * at, &value, 4);
    }
  }
  const auto packed = PackedMatrix::pack({&w.view, 1}, team, Weights::int8).value();
  auto x = random_rows(9 * columns, 9);
  const auto row = [&](std::size_t r) { return x.data() + r * columns; };
  std::fill_n(row(1), columns, -0.0F);
  row(2)[40] = std::numeric_limits<float>::infinity();
  row(3)[0] = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 0; i < columns; ++i) row(4)[i] *= 1e-36F;
  for (std::size_t i = 0; i < columns; ++i) row(5)[i] = i % 2 == 0 ? 127.0F : -127.0F;
  for (std::size_t i = 0; i < columns; ++i) row(6)[i] = 127.0F;
  const auto expected = reference({&w.view, 1}, x, 9, Weights::int8);
  for (const Isa isa : usable_isas()) {
    const auto y = product(isa, packed, x, 9, team);
    ASSERT_EQ(first_difference(y, expected), y.size()) << name(isa);
    for (std::size_t o = 1; o < 35; ++o) {
      EXPECT_EQ(y[35 + o], 0.0F);
      EXPECT_TRUE(std::isnan(y[2 * 35 + o]) && std::isnan(y[3 * 35 + o]));
      EXPECT_TRUE(std::isfinite(y[4 * 35 + o]) && std::isfinite(y[8 * 35 + o]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, MadeInt8, testing::Values(Type::f32, Type::f16, Type::q4_1, Type::q8_0, Type::q6_k),
                         [](const auto& param) { return std::string(tensor::info(param.param).name); });
std::string made_name(const testing::TestParamInfo<Made>& info) {
  return fmt::format("{}_{}", tensor::info(info.param.first).name, name(info.param.second));
}
INSTANTIATE_TEST_SUITE_P(Types, MadeAtLoad,
                         testing::Values(Made{Type::f32, Weights::int8}, Made{Type::f16, Weights::int8},
                                         Made{Type::q4_1, Weights::int8}, Made{Type::q6_k, Weights::int8},
                                         Made{Type::f32, Weights::bf16}, Made{Type::q8_0, Weights::bf16},
                                         Made{Type::q6_k, Weights::bf16}),
                         made_name);

TEST(MadeBf16, RowsExpandToTheFilesFloatsRounded) {
  parallel::Team team(2);
  const auto w = random_weights(Type::q5_0, 50, 96, 6);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team, Weights::bf16).value();
  EXPECT_EQ(packed.bytes(), 64U * 96 * 2);
  std::vector<float> expected(96), found(96);
  const std::size_t row_bytes = tensor::row_bytes(Type::q5_0, 96);
  for (std::size_t row = 0; row < 50; ++row) {
    tensor::dequantise(Type::q5_0, w.view.bytes.subspan(row * row_bytes, row_bytes), expected);
    for (float& value : expected) value = tensor::bf16_to_f32(tensor::f32_to_bf16(value));
    packed.dequantise_row(row, found);
    ASSERT_EQ(first_difference(found, expected), 96U) << row;
  }
}

// Sizes of rows and of weights whose products and sums lie around 2^-126, or beyond the largest float.
TEST(MadeBf16, NumbersOfEverySize) {
  constexpr std::size_t kColumns = 75;
  parallel::Team team(1);
  auto w = random_weights(Type::f32, 40, kColumns, 8);
  auto x = random_rows(20 * kColumns, 9);
  const auto scaled = [&](float value, std::size_t row) {
    return std::ldexp(value, static_cast<int>(row % 8) * 18 - 126 + static_cast<int>(row % 3));
  };
  for (std::size_t i = 0; i < 40 * kColumns; ++i) {
    float value;
    std::memcpy(&value, w.bytes.data() + 4 * i, 4);
    value = i < 38 * kColumns ? scaled(value, i / kColumns) : value;
    std::memcpy(w.bytes.data() + 4 * i, &value, 4);
  }
  for (std::size_t i = 0; i < 16 * kColumns; ++i) x[i] = scaled(x[i], i / kColumns);
  x[16 * kColumns + 3] = std::numeric_limits<float>::infinity();
  x[17 * kColumns + 40] = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(&x[18 * kColumns], kColumns, -0.0F);
  for (std::size_t i = 19 * kColumns; i < x.size(); ++i) x[i] *= 1e37F;
  const auto packed = PackedMatrix::pack({&w.view, 1}, team, Weights::bf16).value();
  const auto expected = reference({&w.view, 1}, x, 20, Weights::bf16);
  for (const Isa isa : usable_isas()) {
    const auto y = product(isa, packed, x, 20, team);
    const std::size_t at = first_difference(y, expected);
    ASSERT_EQ(at, y.size()) << name(isa) << ' ' << at << ": " << y[at] << " not " << expected[at];
    for (std::size_t o = 0; o < 40; ++o) EXPECT_FALSE(std::isfinite(y[16 * 40 + o]) || std::isfinite(y[17 * 40 + o]));
  }
}

// A long panel is cut into pieces when there are many rows.
TEST(MadeBf16, LongPanels) {
  for (const std::size_t columns : {1024U, 1056U, 1601U}) {
    const auto w = random_weights(Type::f32, 57, columns, 6);
    for (const int threads : {1, 3}) {
      parallel::Team team(threads);
      const auto packed = PackedMatrix::pack({&w.view, 1}, team, Weights::bf16).value();
      for (const std::size_t m : {1U, 32U, 33U, 55U, 270U}) {
        const auto x = random_rows(m * columns, m);
        const auto expected = reference({&w.view, 1}, x, m, Weights::bf16);
        for (const Isa isa : usable_isas()) {
          if (isa == Isa::generic && m > 33) continue;  // portable code is slow
          ASSERT_EQ(first_difference(product(isa, packed, x, m, team), expected), expected.size())
              << name(isa) << " k=" << columns << " m=" << m;
        }
      }
    }
  }
}

// The same in software, a piece at a time.
TEST(MadeBf16, PiecesOfAPanelAddUp) {
  parallel::Team team(1);
  const std::size_t columns = 400;
  const auto w = random_weights(Type::f32, 57, columns, 6);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team, Weights::bf16).value();
  const PackedMatrix::Part& part = packed.parts().front();
  const auto x = random_rows(45 * columns, 7);
  QuantisedRows rows;
  quantise_rows(Isa::generic, x.data(), 45, columns, columns, RowForm::pairs, rows, team);
  std::vector<float> y(45 * 57);
  for (std::size_t step = 0; step < 13; step += 5) {
    for (std::size_t panel = 0; panel < 2; ++panel) {
      cpu::kTileStandIn.pairs({.panel = part.panels + panel * part.panel_bytes,
                               .rows = &rows.view(),
                               .row_end = 45,
                               .y = y.data() + panel * kPanel,
                               .y_stride = 57,
                               .outputs = std::min(kPanel, part.rows - panel * kPanel),
                               .step_begin = step,
                               .step_end = step + 5});
    }
  }
  cpu::kTileStandIn.finish();
  EXPECT_EQ(first_difference(y, reference({&w.view, 1}, x, 45, Weights::bf16)), y.size());
}

// Each factor is off by at most 2^-9 of itself.
TEST(MadeBf16, LiesWithinTheRoundingBound) {
  constexpr std::size_t kColumns = 1000;
  parallel::Team team(1);
  const auto w = random_weights(Type::f32, 32, kColumns, 16);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team, Weights::bf16).value();
  const auto x = random_rows(kColumns, 17);
  const auto y = product(best_isa(), packed, x, 1, team);
  for (std::size_t o = 0; o < 32; ++o) {
    double exact = 0, magnitude = 0;
    for (std::size_t k = 0; k < kColumns; ++k) {
      float weight;
      std::memcpy(&weight, w.bytes.data() + 4 * (o * kColumns + k), 4);
      exact += static_cast<double>(weight) * x[k];
      magnitude += std::fabs(static_cast<double>(weight) * x[k]);
    }
    EXPECT_LE(std::fabs(y[o] - exact), magnitude * (0x1.01p-8 + kColumns * 0x1p-24)) << o;
  }
}

}  // namespace
}  // namespace plait::kernels
