// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace plait::kernels {
namespace {

TEST(Isa, GenericIsAlwaysThereAndBestIsLast) {
  ASSERT_FALSE(usable_isas().empty());
  EXPECT_EQ(usable_isas().front(), Isa::generic);
  EXPECT_EQ(usable_isas().back(), best_isa());
  EXPECT_TRUE(std::ranges::is_sorted(usable_isas()));
}

TEST(Isa, NamesParseBack) {
  for (const Isa isa : usable_isas()) EXPECT_EQ(parse_isa(name(isa)).value(), isa);
  EXPECT_EQ(parse_isa("auto").value(), best_isa());
}

TEST(Isa, UnknownAndUnusableNamesAreDifferentErrors) {
  EXPECT_EQ(parse_isa("mmx").error().code, base::ErrorCode::invalid_argument);
  for (const Isa isa : {Isa::avx2, Isa::avxvnni, Isa::avx512, Isa::amx}) {
    if (std::ranges::find(usable_isas(), isa) != usable_isas().end()) continue;
    EXPECT_EQ(parse_isa(name(isa)).error().code, base::ErrorCode::unsupported);
  }
}

}  // namespace
}  // namespace plait::kernels
