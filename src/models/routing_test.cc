// SPDX-License-Identifier: Apache-2.0
#include "models/routing.h"

#include <gtest/gtest.h>

namespace plait::models {
namespace {

TEST(Routing, PlacesAreOrderedByExpertThenRow) {
  Routing routing;
  for (int again = 0; again < 2; ++again) {
    routing.resize(3, 2);
    const std::size_t experts[3][2] = {{4, 1}, {1, 0}, {4, 0}};
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t rank = 0; rank < 2; ++rank) routing.row(row)[rank] = {experts[row][rank], 0.5F, 99};
    }
    routing.order(6);
    ASSERT_EQ(routing.places(), 6U);
    ASSERT_EQ(routing.groups().size(), 3U);
    std::size_t place = 0;
    for (const std::size_t expert : {0U, 1U, 4U}) {
      const Routing::Group& group = routing.groups()[place / 2];
      EXPECT_EQ(group.expert, expert);
      EXPECT_EQ(group.first, place);
      EXPECT_EQ(group.count, 2U);
      EXPECT_LT(routing.row_of(place), routing.row_of(place + 1));
      for (const std::size_t end = place + 2; place < end; ++place) EXPECT_EQ(routing.expert_of(place), expert);
    }
    for (std::size_t row = 0; row < 3; ++row) {
      for (const Routing::Choice& choice : routing.row(row)) {
        EXPECT_EQ(routing.row_of(choice.place), row);
        EXPECT_EQ(routing.expert_of(choice.place), choice.expert);
      }
    }
  }
  routing.resize(0, 2);
  routing.order(6);
  EXPECT_TRUE(routing.groups().empty());
}

}  // namespace
}  // namespace plait::models
