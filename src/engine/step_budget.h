// SPDX-License-Identifier: Apache-2.0
//
// How many prompt tokens a step may carry, so that streams keep their pace while prompts come in.
//
// A step of w decode rows and p prompt tokens is taken to last t = base(w) + slope(w) p. Both are learned from the
// steps themselves, for each width apart, because rows, contexts and neighbours on the machine change both: least
// squares that forgets, with Huber's weights (1964), so that one step during which the core was somebody else's hardly
// counts; several such steps in succession, or one that was far too fast, mean that the machine has changed and the
// past is worth nothing. The budget is the p at which the step lasts `factor` times base(w). Equal steps tell
// nothing about base and slope apart, so after fifteen full steps one carries the least.
//
// The trade: a full step lasts factor * base, of which prompts have (factor - 1) * base. Beside streams a prompt so
// runs at about (factor - 1) / factor of the rate that it has alone:
//
//   factor                          1.5     2     2.5     3
//   pace of the streams             67 %  50 %    40 %  33 %    of decode-only steps, while prompts come in
//   rate of the prompts, about      33 %  50 %    60 %  67 %    of a prompt alone; prompt_share() says what it is now
//
// It is more than that as far as streams and prompts of a step share one read of the weights, and up to 6 % less for
// the steps that carry the least. 2, the default, leaves room for noise below a gap of 3 decode-only steps. How much
// is shared depends on the machine: where weights are read slowly 2.25 gives prompts 60 %, where rows are computed
// slowly only 52 %. So the budget may be what a share of the prompts' rate needs, between two factors: `prompt_share`.
//
// Deterministic: the same observations give the same budgets. Allocates nothing; O(1), the first steps of a width look
// through the others. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace plait::engine {

struct StepBudgetOptions {
  double factor = 2;              ///< A step with prompts lasts at most this many decode-only steps. > 1.
  double prompt_share = 0;        ///< Longer, if prompts get less than this part of the rate that they have alone, < 1,
  double factor_most = 2;         ///< but not longer than this many decode-only steps. Below `factor`: never longer.
  std::size_t tokens_min = 16;    ///< Prompts always go on by so many, even if that breaks `factor`. A page is a good
                                  ///< value: much smaller pieces read all weights for little.
  std::size_t tokens_max = 512;   ///< Of any step; what the workspace takes at once. ≥ tokens_min.
  std::size_t tokens_first = 64;  ///< While nothing is known about prompts beside streams.
  std::size_t granularity = 4;  ///< Rows of a step, streams included, are multiples, because kernels work in blocks of
                                ///< rows: 4 without tiles. More would cost slow machines much of their small budgets.
};

class StepBudget {
 public:
  /// Requires: options as their comments say, all counts ≥ 1.
  explicit StepBudget(const StepBudgetOptions& options = {});

  /// Prompt tokens that the next step may carry beside `decode_rows` streams; tokens_max if there are none. The same
  /// until the next observe().
  [[nodiscard]] std::size_t tokens(std::size_t decode_rows) const;

  /// A step of so many streams and prompt tokens has taken so long. A step of nothing and times that are not positive
  /// and finite are ignored.
  void observe(std::size_t decode_rows, std::size_t prompt_tokens, double seconds);

  /// What a step would take; 0 if nothing is known yet. Without prompt tokens: the pace that streams would have alone.
  [[nodiscard]] double seconds(std::size_t decode_rows, std::size_t prompt_tokens) const;

  /// Prompt tokens per second beside `decode_rows` streams at the present budget, as a fraction of the rate of prompts
  /// alone at tokens_max. 0 if one of both is not known yet.
  [[nodiscard]] double prompt_share(std::size_t decode_rows) const;

 private:
  // Widths up to 16 have a line each, larger ones share a quarter of an octave.
  static constexpr std::size_t kExactWidths = 17;
  static constexpr std::size_t kLines = kExactWidths + 4 * 20;

  // What is remembered of one line's steps, each with a weight that fades: means, and sums of products about them.
  struct Line {
    double weight = 0;
    double mean_tokens = 0;
    double mean_seconds = 0;
    double tokens_tokens = 0;
    double tokens_seconds = 0;
    double scale = 0;         // typical size of a residual, as a part of the expected time
    std::uint32_t slow = 0;   // steps in succession that were far slower than expected
    std::uint32_t fast = 0;   // and far faster
    std::uint32_t early = 0;  // full ones in succession that were a bit too fast
    std::uint32_t full = 0;   // steps in succession that carried more than the least
    std::uint32_t looks = 0;  // steps that did, up to a few
  };
  struct Estimate {
    double base = 0;           // seconds; 0: unknown
    double slope = 0;          // seconds per prompt token
    bool slope_known = false;  // enough steps with different p were seen, of this width or its neighbours
  };

  static std::size_t line_of(std::size_t decode_rows);
  static double width_of(std::size_t line);
  [[nodiscard]] Estimate of_line(const Line& line) const;
  [[nodiscard]] Estimate from_neighbours(std::size_t line) const;
  [[nodiscard]] Estimate estimate(std::size_t decode_rows) const;
  [[nodiscard]] double alone() const;
  [[nodiscard]] double tokens_wanted(const Estimate& step) const;
  [[nodiscard]] std::size_t full_tokens(const Estimate& step, std::size_t decode_rows) const;
  [[nodiscard]] static bool restarts(Line& line, bool full, double seconds, double expected, double usual);
  void add(Line& line, double tokens, double seconds, double weight);

  StepBudgetOptions options_;
  std::array<Line, kLines> lines_{};
  // The sums of products over all lines: their slope is what a line goes by until it has seen different p itself.
  double tokens_tokens_ = 0;
  double tokens_seconds_ = 0;
};

}  // namespace plait::engine
