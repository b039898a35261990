// SPDX-License-Identifier: Apache-2.0
//
// Line charts as SVG, for reports.
//
//   const Chart chart{.title = "faults", .x_label = "errors", .y_label = "faults / optimum", .panels = {panel}};
//   os::write_file_atomically("figure.svg", to_svg(chart));
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace plait::evaluation {

/// A line through points, in the order given, or the points alone. Points that are not finite are left out.
struct ChartSeries {
  std::string name;  ///< For the legend. Series of one name have one colour in all panels.
  std::vector<double> x;
  std::vector<double> y;  ///< As long as x.
  bool line = true;
};

/// One pair of axes; its ranges are those of its series.
struct ChartPanel {
  std::string title;
  std::vector<ChartSeries> series;
};

/// Panels side by side, with one legend below.
struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<ChartPanel> panels;
  std::size_t columns = 3;  ///< Panels in a row.
};

/// Round numbers, 1, 2 or 5 times a power of ten apart, some `count` of them, the first not above `low` and the last
/// not below `high`. Requires: finite, low ≤ high, count ≥ 1.
[[nodiscard]] std::vector<double> round_ticks(double low, double high, int count);

/// A whole SVG document that needs nothing else. The same chart gives the same bytes. Requires: columns ≥ 1, x and y of
/// each series equally long.
[[nodiscard]] std::string to_svg(const Chart& chart);

}  // namespace plait::evaluation
