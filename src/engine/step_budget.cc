// SPDX-License-Identifier: Apache-2.0
#include "engine/step_budget.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.h"

namespace plait::engine {
namespace {

constexpr double kForget = 0.98;         // a line remembers some 50 steps: about a second of decoding
constexpr double kForgetCommon = 0.995;  // what all lines share may be older
constexpr double kForgetScale = 0.9;
constexpr double kHuber = 3;          // residuals count in full up to so many typical ones
constexpr double kScaleFirst = 0.25;  // before anything is known
constexpr double kScaleMin = 0.02;    // a quiet machine's first hiccup must not be infinite
// The common slope counts in a line like one step that far from the mean, in prompt tokens, or like the line's own.
constexpr double kCommonReach = 32;
// Nothing makes a machine faster by accident: one step faster than that part of what was expected proves that what is
// remembered is wrong, and so do a few that are faster than usual. Of slow steps it takes more.
constexpr double kFast = 0.6;
constexpr std::uint32_t kFastSteps = 3;
constexpr std::uint32_t kSlowSteps = 8;
// A slope that is far too steep keeps budgets so small that it hardly shows: then full steps are always a bit too
// early.
constexpr double kEarly = 0.1;  // of the expected time
constexpr std::uint32_t kEarlySteps = 10;
// A line's slope is believed after so many steps that carried more than the least. Until then the budget is
// tokens_first, in turn with the least: where slopes are plain to see, also if the very first such step was stolen.
constexpr std::uint32_t kLooks = 3;
constexpr double kSeedWeight = 0.5;  // of what the neighbours say, in a line without steps
constexpr double kBaseMin = 0.1;     // of a line's mean time: slopes that leave less for decoding are noise
// Of so many full steps one carries the least. It costs a sixteenth of the prompts' rate and tells twice as much as
// halving every eighth, which costs the same.
constexpr std::uint32_t kFullSteps = 15;

}  // namespace

StepBudget::StepBudget(const StepBudgetOptions& options) : options_(options) {
  PLAIT_CHECK(options.factor > 1 && std::isfinite(options.factor), options.factor);
  PLAIT_CHECK(options.prompt_share >= 0 && options.prompt_share < 1, options.prompt_share);
  PLAIT_CHECK(options.tokens_min >= 1 && options.tokens_min <= options.tokens_max, options.tokens_min);
  PLAIT_CHECK(options.tokens_first >= 1 && options.granularity >= 1, options.tokens_first, options.granularity);
}

std::size_t StepBudget::line_of(std::size_t decode_rows) {
  if (decode_rows < kExactWidths) return decode_rows;
  const auto octave = static_cast<std::size_t>(std::bit_width(decode_rows - 1)) - 1;  // ≥ 4
  const std::size_t quarter = ((decode_rows - 1) >> (octave - 2)) & 3U;
  return std::min(kExactWidths + 4 * (octave - 4) + quarter, kLines - 1);
}

double StepBudget::width_of(std::size_t line) {
  if (line < kExactWidths) return static_cast<double>(line);
  const auto octave = static_cast<int>((line - kExactWidths) / 4 + 4);
  const auto quarter = static_cast<double>((line - kExactWidths) % 4);
  return std::ldexp(1 + (quarter + 0.5) / 4, octave);
}

StepBudget::Estimate StepBudget::of_line(const Line& line) const {
  Estimate estimate;
  if (line.weight == 0) return estimate;
  const double weight = std::min(std::max(kCommonReach * kCommonReach, line.tokens_tokens), tokens_tokens_);
  if (line.tokens_tokens + weight > 0) {
    const double common = weight > 0 ? weight * tokens_seconds_ / tokens_tokens_ : 0;
    estimate.slope = std::max((line.tokens_seconds + common) / (line.tokens_tokens + weight), 0.0);
    estimate.slope_known = line.looks >= kLooks;
  }
  if (line.mean_tokens > 0) {
    const double slope_max = (1 - kBaseMin) * line.mean_seconds / line.mean_tokens;
    estimate.slope = std::min(estimate.slope, slope_max);
  }
  estimate.base = line.mean_seconds - estimate.slope * line.mean_tokens;
  return estimate;
}

// Between two known widths times are interpolated. Beyond them the smaller of two answers is taken: as long as the next
// narrower width, or in proportion to the next wider one. So a budget is too small at first rather than too large.
StepBudget::Estimate StepBudget::from_neighbours(std::size_t line) const {
  std::size_t below = line;
  std::size_t above = line;
  while (below > 0 && (below == line || lines_[below].weight == 0)) --below;
  while (above < kLines && (above == line || lines_[above].weight == 0)) ++above;
  const bool has_below = below > 0;  // a step without streams says nothing about streams
  const bool has_above = line > 0 && above < kLines;
  if (line == 0 || (!has_below && !has_above)) return {};
  Estimate low = has_below ? of_line(lines_[below]) : Estimate{};
  const Estimate high = has_above ? of_line(lines_[above]) : Estimate{};
  if (!has_below) {
    low = high;
    low.base *= width_of(line) / width_of(above);
  } else if (has_above) {
    const double part = (width_of(line) - width_of(below)) / (width_of(above) - width_of(below));
    low.base += part * (high.base - low.base);
    low.slope += part * (high.slope - low.slope);
  }
  return low;
}

StepBudget::Estimate StepBudget::estimate(std::size_t decode_rows) const {
  const std::size_t line = line_of(decode_rows);
  return lines_[line].weight > 0 ? of_line(lines_[line]) : from_neighbours(line);
}

// Seconds of a prompt token when steps carry nothing else; 0 if nothing is known.
double StepBudget::alone() const {
  return lines_[0].weight > 0 ? seconds(0, options_.tokens_max) / static_cast<double>(options_.tokens_max) : 0;
}

// p tokens have the share if p / (base + slope p) ≥ share / alone.
double StepBudget::tokens_wanted(const Estimate& step) const {
  const double room = (options_.factor - 1) * step.base;
  const double room_most = std::max(room, (options_.factor_most - 1) * step.base);
  const double share = options_.prompt_share;
  const double left = alone() - share * step.slope;
  const double wanted = left > 0 ? step.slope * share * step.base / left : room_most;
  const double seconds = alone() > 0 ? std::clamp(wanted, room, room_most) : room;
  const auto most = static_cast<double>(options_.tokens_max);
  return seconds < step.slope * most ? seconds / step.slope : most;
}

std::size_t StepBudget::full_tokens(const Estimate& step, std::size_t decode_rows) const {
  const auto most = static_cast<double>(options_.tokens_max);
  double budget = std::min(static_cast<double>(options_.tokens_first), most);
  if (step.base > 0 && step.slope_known) {
    budget = tokens_wanted(step);
  } else if (step.base > 0 && alone() > 0) {
    // Prompts alone tell more than enough of what a token costs beside streams. But looks must be more than the least.
    const double least = static_cast<double>(options_.tokens_min + options_.granularity);
    budget = std::min(budget, std::max(least, (options_.factor - 1) * step.base / alone()));
  }
  const auto whole = static_cast<std::size_t>(budget);
  const std::size_t over = (decode_rows % options_.granularity + whole) % options_.granularity;
  return std::max(whole - std::min(over, whole), options_.tokens_min);
}

std::size_t StepBudget::tokens(std::size_t decode_rows) const {
  if (decode_rows == 0) return options_.tokens_max;
  const Estimate step = estimate(decode_rows);
  const Line& line = lines_[line_of(decode_rows)];
  if (line.full >= (step.slope_known ? kFullSteps : 1)) return options_.tokens_min;
  return full_tokens(step, decode_rows);
}

bool StepBudget::restarts(Line& line, bool full, double seconds, double expected, double usual) {
  const double late = seconds - expected;
  line.slow = late > usual ? line.slow + 1 : 0;
  line.fast = late < -usual ? line.fast + 1 : 0;
  if (full && late <= usual) line.early = late < -kEarly * expected ? line.early + 1 : 0;
  return seconds < kFast * expected || line.fast >= kFastSteps || line.early >= kEarlySteps || line.slow >= kSlowSteps;
}

void StepBudget::observe(std::size_t decode_rows, std::size_t prompt_tokens, double seconds) {
  if (decode_rows + prompt_tokens == 0 || !std::isfinite(seconds) || seconds <= 0) return;
  const std::size_t index = line_of(decode_rows);
  const auto tokens = static_cast<double>(prompt_tokens);
  Line& line = lines_[index];
  if (line.weight == 0) {
    const Estimate seed = from_neighbours(index);
    const double expected = seed.base > 0 ? seed.base + seed.slope * tokens : seconds;
    line = {.weight = kSeedWeight, .mean_tokens = tokens, .mean_seconds = expected, .scale = kScaleFirst};
    if (seed.slope_known) line.looks = kLooks;
  }
  const bool looks = prompt_tokens > options_.tokens_min;
  const std::uint32_t full = looks ? line.full + 1 : 0;
  const Estimate known = of_line(line);
  const double expected = known.base + known.slope * tokens;
  const double late = seconds - expected;
  const double usual = kHuber * std::max(line.scale, kScaleMin) * expected;
  if (restarts(line, looks, seconds, expected, usual)) {
    line = {.weight = 1, .mean_tokens = tokens, .mean_seconds = seconds, .scale = kScaleFirst};
    tokens_tokens_ = tokens_seconds_ = 0;
  } else {
    // A slope that is looked at for the first time is no surprise.
    const bool first_look = known.slope == 0 && tokens != line.mean_tokens;
    if (looks && line.looks < kLooks) ++line.looks;
    const double weight = late > usual && !first_look ? usual / late : 1;
    line.scale = kForgetScale * line.scale + (1 - kForgetScale) * std::min(std::abs(late), usual) / expected;
    line.weight *= kForget;
    line.tokens_tokens *= kForget;
    line.tokens_seconds *= kForget;
    add(line, tokens, seconds, weight);
  }
  line.full = full;
}

void StepBudget::add(Line& line, double tokens, double seconds, double weight) {
  const double away = tokens - line.mean_tokens;
  const double late = seconds - line.mean_seconds;
  line.weight += weight;
  line.mean_tokens += away * weight / line.weight;
  line.mean_seconds += late * weight / line.weight;
  const double square = weight * away * (tokens - line.mean_tokens);
  const double product = weight * away * (seconds - line.mean_seconds);
  line.tokens_tokens += square;
  line.tokens_seconds += product;
  if (square < 1) return;  // steps all alike say nothing about the slope and must not make it fade
  tokens_tokens_ = kForgetCommon * tokens_tokens_ + square;
  tokens_seconds_ = kForgetCommon * tokens_seconds_ + product;
}

double StepBudget::seconds(std::size_t decode_rows, std::size_t prompt_tokens) const {
  const Estimate step = estimate(decode_rows);
  return step.base + step.slope * static_cast<double>(prompt_tokens);
}

double StepBudget::prompt_share(std::size_t decode_rows) const {
  const std::size_t budget = decode_rows == 0 ? options_.tokens_max : full_tokens(estimate(decode_rows), decode_rows);
  const double beside = seconds(decode_rows, budget);
  return beside == 0 ? 0 : static_cast<double>(budget) / beside * alone();
}

}  // namespace plait::engine
