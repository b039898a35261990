// SPDX-License-Identifier: Apache-2.0
#include "evaluation/chart.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace plait::evaluation {
namespace {

int count(const std::string& text, const std::string& word) {
  int found = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

TEST(Chart, TicksAreRoundAndCoverTheRange) {
  EXPECT_EQ(round_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  for (const double low : {-3.7, 0.0, 1.0, 1.03, 250.0}) {
    for (const double span : {0.0, 1e-6, 0.1, 0.47, 1.0, 3.9, 1000.0}) {
      const auto ticks = round_ticks(low, low + span, 5);
      ASSERT_GE(ticks.size(), 2U);
      EXPECT_LE(ticks.size(), 12U) << low << ' ' << span;
      EXPECT_LE(ticks.front(), low + 1e-6 * std::abs(low) + 1e-9);
      EXPECT_GE(ticks.back(), low + span - 1e-6 * std::abs(low) - 1e-9);
      const double mantissa = std::log10(ticks[1] - ticks[0]) - std::floor(std::log10(ticks[1] - ticks[0]) + 1e-6);
      EXPECT_TRUE(std::abs(mantissa) < 1e-3 || std::abs(mantissa - std::log10(2)) < 1e-3 ||
                  std::abs(mantissa - std::log10(5)) < 1e-3)
          << low << ' ' << span;
    }
  }
}

TEST(Chart, DrawsEverySeriesAndEscapesNames) {
  const Chart chart{.title = "a < b & \"c\"",
                    .x_label = "x",
                    .y_label = "y",
                    .panels = {{"one", {{"ours", {0, 1, 2}, {1, 2, 1}}, {"theirs", {0, 1}, {3, 3}}}},
                               {"two", {{"ours", {5}, {5}}}},
                               {"empty", {}}}};
  const std::string svg = to_svg(chart);
  EXPECT_EQ(count(svg, "<polyline"), 3);
  EXPECT_EQ(count(svg, "<circle"), 6);
  EXPECT_EQ(count(svg, ">ours</text>"), 1);  // one legend for all panels
  EXPECT_EQ(count(svg, "a &lt; b &amp; &quot;c&quot;"), 1);
  EXPECT_EQ(count(svg, "nan"), 0);
  EXPECT_EQ(count(svg, "inf"), 0);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(to_svg(chart), svg);
}

TEST(Chart, LeavesOutWhatIsNotFinite) {
  const double bad = std::numeric_limits<double>::quiet_NaN();
  const std::string svg =
      to_svg({.title = "", .x_label = "", .y_label = "", .panels = {{"", {{"a", {0, 1, 2}, {1, bad, 2}}}}}});
  EXPECT_EQ(count(svg, "<circle"), 2);
  EXPECT_EQ(count(svg, "nan"), 0);
}

}  // namespace
}  // namespace plait::evaluation
