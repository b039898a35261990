// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/dispatch.h"
#include "kernels/matmul_cases.h"
#include "kernels/pack_format.h"
#include "tensor/dequantise.h"
#include "tensor/half.h"

namespace plait::kernels {
namespace {

class OfType : public testing::TestWithParam<Type> {};

TEST_P(OfType, EveryIsaWidthAndThreadCountGivesTheReferencesBits) {
  EXPECT_EQ(difference_by_isa_width_or_threads(GetParam(), Weights::exact, 33, 8, 4), "");
}

TEST_P(OfType, RaggedSizes) {
  const Type type = GetParam();
  parallel::Team team(2);
  for (std::size_t groups : {1U, 2U, 3U, 9U, 17U, 40U}) {
    const std::size_t columns = columns_for(type, groups);
    for (std::size_t n : {1U, 8U, 15U, 16U, 31U, 32U, 33U, 65U}) {
      const auto w = random_weights(type, n, columns, n * 100 + groups);
      const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
      for (std::size_t m : {1U, 5U, 18U}) {
        const auto x = random_rows(m * columns, m);
        const auto expected = reference({&w.view, 1}, x, m);
        for (const Isa isa : usable_isas()) {
          ASSERT_EQ(first_difference(product(isa, packed, x, m, team), expected), expected.size())
              << name(isa) << " n=" << n << " k=" << columns << " m=" << m;
        }
      }
    }
  }
}

TEST_P(OfType, LargestQuantsDoNotOverflow) {
  const Type type = GetParam();
  const std::size_t columns = columns_for(type, 8);
  parallel::Team team(1);
  for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
    auto w = random_weights(type, 40, columns, 5);
    if (tensor::info(type).block_elements > 1) {
      const auto [d, min] = scale_places(type);
      for (std::size_t i = 0; i < w.bytes.size(); ++i) {
        const auto in_block = static_cast<int>(i % tensor::info(type).block_bytes);
        const int size = type == Type::mxfp4 ? 1 : 2;
        const bool scale =
            (in_block >= d && in_block < d + size) || (min >= 0 && in_block >= min && in_block < min + 2);
        if (!scale) w.bytes[i] = static_cast<std::byte>(fill);
      }
    }
    const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
    for (const int pattern : {0, 1, 2}) {
      std::vector<float> x(20 * columns, 127.0F);
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (pattern == 1 || (pattern == 2 && i % 2 == 1)) x[i] = -127.0F;
      }
      const auto expected = reference({&w.view, 1}, x, 20);
      for (const Isa isa : usable_isas()) {
        ASSERT_EQ(first_difference(product(isa, packed, x, 20, team), expected), expected.size())
            << name(isa) << " fill " << fill << " pattern " << pattern;
      }
    }
  }
}

TEST_P(OfType, OddActivations) {
  const Type type = GetParam();
  const std::size_t columns = columns_for(type, 16);
  parallel::Team team(2);
  const auto w = random_weights(type, 35, columns, 8);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
  const bool blocks = tensor::info(type).block_elements > 1;
  auto x = random_rows(9 * columns, 9);
  const auto row = [&](std::size_t r) { return x.data() + r * columns; };
  std::fill_n(row(1), columns, 0.0F);
  std::fill_n(row(2), columns, -0.0F);
  row(3)[40] = std::numeric_limits<float>::infinity();
  row(4)[0] = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 0; i < columns; ++i) row(5)[i] *= 1e-36F;
  for (std::size_t i = 0; i < columns; ++i) row(6)[i] *= 1e36F;
  for (std::size_t i = 0; i < columns; ++i) row(7)[i] = std::ldexp(1.0F, -static_cast<int>(i % 150));
  const auto expected = reference({&w.view, 1}, x, 9);
  for (const Isa isa : usable_isas()) {
    const auto y = product(isa, packed, x, 9, team);
    ASSERT_EQ(first_difference(y, expected), y.size()) << name(isa);
    for (std::size_t o = 0; o < 35; ++o) {
      EXPECT_EQ(y[35 + o], 0.0F);
      EXPECT_TRUE(!blocks || (std::isnan(y[3 * 35 + o]) && std::isnan(y[4 * 35 + o])));
      EXPECT_TRUE(std::isfinite(y[5 * 35 + o]) && std::isfinite(y[8 * 35 + o]));
    }
  }
}

TEST_P(OfType, PackedRowsExpandToTheFilesFloats) {
  const Type type = GetParam();
  const std::size_t columns = columns_for(type, 16);
  parallel::Team team(2);
  const auto w = random_weights(type, 50, columns, 6);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
  const auto expanded = PackedMatrix::pack({&w.view, 1}, team, Weights::f32).value();
  std::vector<float> expected(columns), found(columns), from_expanded(columns);
  const std::size_t row_bytes = tensor::row_bytes(type, columns);
  for (std::size_t row = 0; row < 50; ++row) {
    tensor::dequantise(type, w.view.bytes.subspan(row * row_bytes, row_bytes), expected);
    packed.dequantise_row(row, found);
    expanded.dequantise_row(row, from_expanded);
    ASSERT_EQ(first_difference(found, expected), columns) << row;
    ASSERT_EQ(first_difference(from_expanded, expected), columns) << row;
  }
}

// The logic of the tile kernels, on every machine: what a tile instruction would refuse ends the test.
TEST_P(OfType, TileKernelsInSoftwareGiveTheReferencesBits) {
  const Type type = GetParam();
  parallel::Team team(1);
  const cpu::KernelTable& table = cpu::kTileStandIn;
  for (const std::size_t groups : {1U, 24U}) {
    const std::size_t columns = columns_for(type, groups);
    const auto w = random_weights(type, 77, columns, 21);
    const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
    const PackedMatrix::Part& part = packed.parts().front();
    for (const std::size_t m : {1U, 11U, 12U, 16U, 21U, 24U, 33U}) {
      const auto x = random_rows(m * columns, m);
      QuantisedRows rows;
      quantise_rows(Isa::generic, x.data(), m, columns, columns, packed.row_form(), rows, team);
      std::vector<float> y(m * 77);
      run_panels(panel_kernel(table, type), part, rows, y.data());
      table.finish();
      ASSERT_EQ(first_difference(y, reference({&w.view, 1}, x, m)), y.size()) << "m=" << m << " groups=" << groups;
    }
  }
}

// Against exact arithmetic in double: a differs from x by at most half a step, so the sum by at most sum |w| * step /
// 2, and the float accumulation by some 2^-24 of the sum of magnitudes for each of its additions.
TEST_P(OfType, LiesWithinTheQuantisationBound) {
  const Type type = GetParam();
  const std::size_t columns = columns_for(type, 32);
  parallel::Team team(1);
  const auto w = random_weights(type, 32, columns, 16);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
  const auto x = random_rows(columns, 17);
  const auto y = product(best_isa(), packed, x, 1, team);
  const bool blocks = tensor::info(type).block_elements > 1;
  std::vector<float> row(columns);
  for (std::size_t o = 0; o < 32; ++o) {
    packed.dequantise_row(o, row);
    double exact = 0, bound = 0;
    for (std::size_t g = 0; g < columns; g += 32) {
      double largest = 0, weights = 0, magnitude = 0;
      for (std::size_t i = g; i < std::min(columns, g + 32); ++i) {
        exact += static_cast<double>(row[i]) * x[i];
        largest = std::max(largest, std::fabs(static_cast<double>(x[i])));
        weights += std::fabs(row[i]);
        magnitude += std::fabs(static_cast<double>(row[i]) * x[i]);
      }
      bound += (blocks ? weights * largest / 127 * 0.5001 : 0.0) + magnitude * static_cast<double>(columns) * 0x1p-23;
    }
    EXPECT_LE(std::fabs(y[o] - exact), bound) << o;
  }
}

std::vector<Type> types() {
  std::vector<Type> all;
  for (const auto& info : tensor::all_types()) all.push_back(info.type);
  return all;
}
INSTANTIATE_TEST_SUITE_P(Types, OfType, testing::ValuesIn(types()),
                         [](const auto& param) { return std::string(tensor::info(param.param).name); });

TEST(Matmul, StackedPartsOfDifferentTypes) {
  parallel::Team team(3);
  const auto q = random_weights(Type::q4_k, 70, 512, 1);
  const auto k = random_weights(Type::q5_0, 33, 512, 2);
  const auto v = random_weights(Type::q6_k, 40, 512, 3);
  const auto f = random_weights(Type::f16, 5, 512, 4);
  const std::vector<tensor::MatrixView> parts{q.view, k.view, v.view, f.view};
  const auto packed = PackedMatrix::pack(parts, team).value();
  EXPECT_EQ(packed.outputs(), 148U);
  EXPECT_EQ(packed.file_bytes(), q.bytes.size() + k.bytes.size() + v.bytes.size() + f.bytes.size());
  for (std::size_t m : {1U, 7U, 40U, 300U}) {
    const auto x = random_rows(m * 512, m);
    const auto expected = reference(parts, x, m);
    for (const Isa isa : usable_isas()) {
      if (isa == Isa::generic && m > 40) continue;
      ASSERT_EQ(first_difference(product(isa, packed, x, m, team), expected), expected.size()) << name(isa) << m;
    }
  }
}

TEST(Matmul, ScalesThatAreExponentsOfEverySize) {
  parallel::Team team(1);
  auto w = random_weights(Type::mxfp4, 64, 128, 1);
  for (std::size_t block = 0; block < 256; ++block) w.bytes[17 * block] = static_cast<std::byte>(block);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
  for (const float size : {1e-30F, 1.0F, 1e3F}) {
    auto x = random_rows(14 * 128, 2);
    for (float& value : x) value *= size;
    const auto expected = reference({&w.view, 1}, x, 14);
    for (const Isa isa : usable_isas()) {
      EXPECT_EQ(first_difference(product(isa, packed, x, 14, team), expected), expected.size()) << name(isa) << size;
    }
  }
}

TEST(Matmul, GroupsGiveTheBitsOfSingleProducts) {
  constexpr std::size_t kColumns = 512;
  const std::array types{Type::mxfp4, Type::q4_k, Type::f16, Type::iq4_xs, Type::mxfp4, Type::q8_0};
  for (const std::vector<std::size_t>& sizes :
       {std::vector<std::size_t>{1}, {1, 1, 1, 1, 1, 1}, {40, 1, 3, 0, 17, 2}}) {
    parallel::Team loader(1);
    std::vector<PackedMatrix> packed;
    std::vector<RowGroup> groups;
    std::vector<float> expected;
    std::size_t rows = 0;
    for (const std::size_t size : sizes) rows += size;
    const auto x = random_rows(rows * kColumns, rows);
    rows = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const auto w = random_weights(types[i], 70, kColumns, i);
      packed.push_back(PackedMatrix::pack({&w.view, 1}, loader).value());
      groups.push_back({nullptr, rows, sizes[i]});
      const auto begin = x.begin() + static_cast<std::ptrdiff_t>(rows * kColumns);
      const std::vector<float> own(begin, begin + static_cast<std::ptrdiff_t>(sizes[i] * kColumns));
      const auto y = reference({&w.view, 1}, own, sizes[i]);
      expected.insert(expected.end(), y.begin(), y.end());
      rows += sizes[i];
    }
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i].w = &packed[i];
    for (int threads = 1; threads <= 4; ++threads) {
      parallel::Team team(threads);
      std::vector<QuantisedRows> scratch;
      for (const Isa isa : usable_isas()) {
        std::vector<float> y(rows * 70, 12345.0F);
        matmul_grouped(isa, groups, x.data(), kColumns, y.data(), 70, scratch, team);
        ASSERT_EQ(first_difference(y, expected), y.size()) << name(isa) << ", " << threads << " threads";
      }
    }
  }
}

TEST(Matmul, PackedSizeStaysNearTheFiles) {
  parallel::Team team(1);
  for (const Type type : {Type::q4_0, Type::q4_1, Type::q5_0, Type::q8_0, Type::q3_k, Type::q4_k, Type::q5_k,
                          Type::q6_k, Type::iq4_nl, Type::iq4_xs}) {
    const auto w = random_weights(type, 1024, 1024, 1);
    const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
    EXPECT_LE(static_cast<double>(packed.bytes()), 1.05 * static_cast<double>(packed.file_bytes()))
        << tensor::info(type).name;
  }
}

TEST(Matmul, MatricesShareTheMemoryTheyAreGiven) {
  parallel::Team team(2);
  const auto a = random_weights(Type::q4_1, 64, 64, 1);
  const auto b = random_weights(Type::q6_k, 33, 256, 2);
  PackedMatrix first, second;
  {
    WeightMemory memory(base::Bytes{1} << 20);
    first = PackedMatrix::pack({&a.view, 1}, team, Weights::exact, &memory).value();
    second = PackedMatrix::pack({&b.view, 1}, team, Weights::exact, &memory).value();
  }
  EXPECT_EQ(second.parts().front().panels, first.parts().front().panels + first.bytes());
  for (const auto& [packed, weights] : {std::pair{&first, &a}, std::pair{&second, &b}}) {
    const auto x = random_rows(3 * packed->inputs(), 5);
    EXPECT_EQ(first_difference(product(best_isa(), *packed, x, 3, team), reference({&weights->view, 1}, x, 3)),
              3 * packed->outputs());
  }
  WeightMemory none(base::Bytes{1} << 62);
  EXPECT_EQ(PackedMatrix::pack({&a.view, 1}, team, Weights::exact, &none).error().code,
            base::ErrorCode::out_of_resources);
}

TEST(Matmul, BadPartsAreRefused) {
  parallel::Team team(1);
  const auto w = random_weights(Type::q4_0, 4, 64, 1);
  const auto other = random_weights(Type::q4_0, 4, 96, 1);
  auto cut = w.view;
  cut.bytes = cut.bytes.first(cut.bytes.size() - 1);
  auto odd = w.view;
  odd.columns = 48;
  const std::vector<std::vector<tensor::MatrixView>> bad{
      {}, {cut}, {odd}, {w.view, other.view}, {tensor::MatrixView{}}};
  for (const auto& parts : bad) {
    const auto packed = PackedMatrix::pack(parts, team);
    ASSERT_FALSE(packed);
    EXPECT_EQ(packed.error().code, base::ErrorCode::invalid_argument);
  }
}

TEST(Matmul, NoRowsIsNoWork) {
  parallel::Team team(2);
  const auto w = random_weights(Type::q4_0, 4, 64, 1);
  const auto packed = PackedMatrix::pack({&w.view, 1}, team).value();
  for (const Isa isa : usable_isas()) EXPECT_TRUE(product(isa, packed, {}, 0, team).empty());
}

}  // namespace
}  // namespace plait::kernels
