// SPDX-License-Identifier: Apache-2.0
#include "evaluation/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "base/check.h"

namespace plait::evaluation {
namespace {

// Pixels.
constexpr double kPanelWidth = 300;
constexpr double kPanelHeight = 220;
constexpr double kLeft = 54;  // of a panel's axes, for tick labels and the axis label
constexpr double kRight = 12;
constexpr double kAbove = 28;
constexpr double kBelow = 42;
constexpr double kTitle = 34;
constexpr double kLegendRow = 20;
constexpr double kLegendEntry = 120;

// Okabe and Ito's palette, which colour-blind readers can tell apart; dashes show a line that lies under another.
constexpr std::array<std::string_view, 7> kColours{"#000000", "#e69f00", "#56b4e9", "#009e73",
                                                   "#d55e00", "#0072b2", "#cc79a7"};
constexpr std::array<std::string_view, 3> kDashes{"", "6 3", "2 3"};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void cover(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

bool drawn(const ChartSeries& series, std::size_t i) {
  return std::isfinite(series.x[i]) && std::isfinite(series.y[i]);
}

/// One axis: its ticks, and where values lie between the first and the last of them.
struct Axis {
  std::vector<double> ticks;
  double from;  ///< Pixel of the first tick.
  double to;
  [[nodiscard]] double at(double value) const {
    const double span = ticks.back() - ticks.front();
    return from + (value - ticks.front()) / (span == 0 ? 1 : span) * (to - from);
  }
};

Axis axis(Range range, double from, double to) {
  if (range.low > range.high) range = {0, 1};  // nothing to draw
  return {round_ticks(range.low, range.high, 5), from, to};
}

std::string text(double x, double y, std::string_view anchor, std::string_view content, int size = 11) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x, y, anchor,
                     size, escaped(content));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
}

std::string line_style(std::size_t index) {
  return fmt::format("fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" stroke-dasharray=\"{}\"",
                     kColours[index % kColours.size()], kDashes[index % kDashes.size()]);
}

std::string frame(const Chart& chart, const ChartPanel& panel, const Axis& x, const Axis& y) {
  std::string svg;
  for (const double tick : y.ticks) {
    svg += line(x.from, y.at(tick), x.to, y.at(tick), "stroke=\"#dddddd\"");
    svg += text(x.from - 6, y.at(tick) + 4, "end", fmt::format("{:.6g}", tick));
  }
  for (const double tick : x.ticks) {
    svg += line(x.at(tick), y.from, x.at(tick), y.from + 4, "stroke=\"#444444\"");
    svg += text(x.at(tick), y.from + 16, "middle", fmt::format("{:.6g}", tick));
  }
  svg += line(x.from, y.from, x.to, y.from, "stroke=\"#444444\"");
  svg += line(x.from, y.from, x.from, y.to, "stroke=\"#444444\"");
  svg += text((x.from + x.to) / 2, y.to - 10, "middle", panel.title, 12);
  svg += text((x.from + x.to) / 2, y.from + 32, "middle", chart.x_label);
  const double left = x.from - 40;
  const double middle = (y.from + y.to) / 2;
  svg += fmt::format("<g transform=\"rotate(-90 {:.1f} {:.1f})\">\n{}</g>\n", left, middle,
                     text(left, middle, "middle", chart.y_label));
  return svg;
}

std::string curve(const ChartSeries& series, std::size_t index, const Axis& x, const Axis& y) {
  std::string points;
  std::string dots;
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (!drawn(series, i)) continue;
    points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", x.at(series.x[i]), y.at(series.y[i]));
    dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.2\" fill=\"{}\"/>\n", x.at(series.x[i]),
                        y.at(series.y[i]), kColours[index % kColours.size()]);
  }
  if (!series.line) return dots;
  return fmt::format("<polyline points=\"{}\" {}/>\n{}", points, line_style(index), dots);
}

/// The names of all series, in the order in which they first appear: their places are their colours.
std::vector<std::string> series_names(const Chart& chart) {
  std::vector<std::string> names;
  for (const ChartPanel& panel : chart.panels) {
    for (const ChartSeries& series : panel.series) {
      if (std::ranges::find(names, series.name) == names.end()) names.push_back(series.name);
    }
  }
  return names;
}

std::string panel_svg(const Chart& chart, const ChartPanel& panel, const std::vector<std::string>& names, double left,
                      double top) {
  Range xs;
  Range ys;
  for (const ChartSeries& series : panel.series) {
    PLAIT_CHECK(series.x.size() == series.y.size(), series.x.size(), series.y.size());
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!drawn(series, i)) continue;
      xs.cover(series.x[i]);
      ys.cover(series.y[i]);
    }
  }
  const Axis x = axis(xs, left + kLeft, left + kPanelWidth - kRight);
  const Axis y = axis(ys, top + kPanelHeight - kBelow, top + kAbove);
  std::string svg = frame(chart, panel, x, y);
  for (const ChartSeries& series : panel.series) {
    const auto index = static_cast<std::size_t>(std::ranges::find(names, series.name) - names.begin());
    svg += curve(series, index, x, y);
  }
  return svg;
}

std::string legend(const std::vector<std::string>& names, std::size_t entries_per_row, double top) {
  std::string svg;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double x = 16 + static_cast<double>(i % entries_per_row) * kLegendEntry;
    const double y = top + static_cast<double>(i / entries_per_row) * kLegendRow + 10;
    svg += line(x, y, x + 24, y, line_style(i));
    svg += text(x + 30, y + 4, "start", names[i]);
  }
  return svg;
}

}  // namespace

std::vector<double> round_ticks(double low, double high, int count) {
  PLAIT_CHECK(std::isfinite(low) && std::isfinite(high) && low <= high && count >= 1, low, high, count);
  const double span = high > low ? high - low : std::max(std::abs(high), 1.0);
  const double power = std::pow(10, std::floor(std::log10(span / count)));
  double step = power;
  for (const double factor : {2.0, 5.0, 10.0}) {
    if (span / step > count * 1.5) step = power * factor;
  }
  // A hair of slack: a range that ends on a tick must not get one more for the rounding of the division.
  const double first = std::floor(low / step + 1e-9);
  const double last = std::max(std::ceil(high / step - 1e-9), first + 1);
  std::vector<double> ticks;
  for (double tick = first; tick <= last; ++tick) ticks.push_back(tick * step);
  return ticks;
}

std::string to_svg(const Chart& chart) {
  PLAIT_CHECK(chart.columns >= 1);
  const std::vector<std::string> names = series_names(chart);
  const std::size_t columns = std::max<std::size_t>(1, std::min(chart.columns, chart.panels.size()));
  const std::size_t rows = (chart.panels.size() + columns - 1) / columns;
  const double width = static_cast<double>(columns) * kPanelWidth;
  const double below = kTitle + static_cast<double>(rows) * kPanelHeight;
  const auto entries_per_row = std::max<std::size_t>(1, static_cast<std::size_t>((width - 16) / kLegendEntry));
  const std::size_t legend_rows = (names.size() + entries_per_row - 1) / entries_per_row;
  const double height = below + static_cast<double>(legend_rows) * kLegendRow + 10;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" fill=\"#222222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
      width, height);
  svg += text(width / 2, 22, "middle", chart.title, 14);
  for (std::size_t i = 0; i < chart.panels.size(); ++i) {
    svg += panel_svg(chart, chart.panels[i], names, static_cast<double>(i % columns) * kPanelWidth,
                     kTitle + static_cast<double>(i / columns) * kPanelHeight);
  }
  return svg + legend(names, entries_per_row, below) + "</svg>\n";
}

}  // namespace plait::evaluation
