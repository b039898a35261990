// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/watching_rows.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>

#include "engine/engine.h"
#include "evaluation/experiments/load_client.h"
#include "evaluation/experiments/pte_replay.h"

namespace plait::evaluation {
namespace {

using base::Result;
using base::TokenId;
using engine::SequenceId;

class Endings final : public engine::Listener {
 public:
  bool on_token(SequenceId /*sequence*/, const models::Sample& /*sample*/) override { return true; }
  void on_end(SequenceId /*sequence*/, const engine::Ending& ending) override {
    if (ending.error) error = ending.error;
    ++count;
  }
  std::size_t count = 0;
  std::optional<base::Error> error = {};
};

/// An engine with the prompt computed, for all measurements.
class RowsRun {
 public:
  RowsRun(engine::Runner& runner, const RowsLoad& load, const base::Clock& clock)
      : runner_(runner), load_(load), clock_(clock) {}

  Result<void> open(std::size_t width_most) {
    const base::Bytes page = runner_.layout().page_bytes(0) + runner_.layout().page_bytes(1);
    const std::size_t longest = load_.prompt + width_most * load_.tokens;
    const std::size_t pages = (load_.widths.size() + 1) * (longest / models::kPageTokens + 1) +
                              (width_most + 1) * (load_.tokens / models::kPageTokens + 3);
    PLAIT_TRY(engine_, engine::Engine::make(runner_, {.kv_bytes = pages * page, .share_prefixes = false}, clock_));
    PLAIT_TRY(root_, compute(load_.prompt));
    for (const std::size_t width : load_.widths) {
      PLAIT_TRY(longer_roots_[width], compute(load_.prompt + (width - 1) * load_.tokens / 2));
    }
    return {};
  }

  Result<double> measure(RowsHow how, std::size_t width) {
    if (how == RowsHow::key_rotation) {
      const double began = clock_.now();
      load_.rotation->run(width, load_.prompt, load_.tokens);
      return clock_.now() - began;
    }
    PLAIT_TRY(const std::vector<SequenceId> rows, make_rows(how, width));
    const double began = clock_.now();
    for (std::size_t i = 0; i < width; ++i) {
      PLAIT_TRY_VOID(engine_->generate(rows[i], {.tokens_max = load_.tokens, .listener = &endings_}));
      if (how == RowsHow::serial) PLAIT_TRY_VOID(run());
    }
    PLAIT_TRY_VOID(run());
    const double seconds = clock_.now() - began;
    for (const SequenceId row : rows) engine_->close(row);
    return seconds;
  }

 private:
  /// A sequence of so many tokens, computed.
  Result<SequenceId> compute(std::size_t tokens) {
    PLAIT_TRY(const SequenceId root, engine_->create({}));
    PLAIT_TRY_VOID(engine_->append(root, scripted_tokens(1, tokens, runner_.vocabulary())));
    PLAIT_TRY_VOID(engine_->generate(root, {.prompt_only = true, .listener = &endings_}));
    PLAIT_TRY_VOID(run());
    return root;
  }

  Result<void> run() {
    while (engine_->step()) {
    }
    if (endings_.error) return std::unexpected(*endings_.error);
    return {};
  }

  Result<std::vector<SequenceId>> make_rows(RowsHow how, std::size_t width) {
    const bool watches = how == RowsHow::contiguous || how == RowsHow::slots;
    std::vector<SequenceId> rows;
    for (std::size_t i = 0; i < width; ++i) {
      const SequenceId root = how == RowsHow::same_context ? longer_roots_.at(width) : root_;
      PLAIT_TRY(const SequenceId row, watches ? engine_->create({}) : engine_->fork(root));
      if (watches) PLAIT_TRY_VOID(engine_->join(row, root_, 0));
      PLAIT_TRY_VOID(engine_->append(row, std::array{TokenId(static_cast<std::int32_t>(10 + i))}));
      rows.push_back(row);
    }
    if (!watches) return rows;
    const auto slot = [&](std::size_t i) { return static_cast<std::ptrdiff_t>(load_.prompt + i * (load_.tokens + 2)); };
    for (std::size_t i = 0; i < width; ++i) {
      for (std::size_t other = 0; other < width; ++other) {
        if (other == i) continue;
        engine::Watch watch;
        if (how == RowsHow::slots) watch = {.other_position = slot(other), .own_position = slot(i)};
        PLAIT_TRY_VOID(engine_->watch(rows[i], rows[other], watch));
      }
    }
    return rows;
  }

  engine::Runner& runner_;
  const RowsLoad& load_;
  const base::Clock& clock_;
  std::unique_ptr<engine::Engine> engine_;
  SequenceId root_ = {};
  std::map<std::size_t, SequenceId> longer_roots_;  // by width
  Endings endings_;
};

}  // namespace

const std::vector<double>& RowsFigures::seconds(RowsHow how, std::size_t width) const {
  static const std::vector<double> kNone;
  const auto at = seconds_.find({how, width});
  return at == seconds_.end() ? kNone : at->second;
}

double RowsFigures::ratio(RowsHow a, std::size_t width_a, RowsHow b, std::size_t width_b) const {
  const std::vector<double>& above = seconds(a, width_a);
  const std::vector<double>& below = seconds(b, width_b);
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(above.size(), below.size()); ++i) ratios.push_back(above[i] / below[i]);
  return quantile(std::move(ratios), 0.5);
}

std::vector<double> RowsFigures::sums(RowsHow a, RowsHow b, std::size_t width) const {
  std::vector<double> both;
  std::ranges::transform(seconds(a, width), seconds(b, width), std::back_inserter(both), std::plus<>());
  return both;
}

Result<RowsFigures> run_rows(engine::Runner& runner, const RowsLoad& load, const base::Clock& clock) {
  RowsFigures figures;
  RowsRun run(runner, load, clock);
  PLAIT_TRY_VOID(run.open(*std::ranges::max_element(load.widths)));
  for (std::size_t round = 0; round <= load.rounds; ++round) {
    for (const std::size_t width : load.widths) {
      for (const RowsHow how : load.how) {
        if (how == RowsHow::serial && width > load.serial_most) continue;
        PLAIT_TRY(const double seconds, run.measure(how, width));
        if (round > 0) figures.add(how, width, seconds);  // the first one warms up
      }
    }
  }
  return figures;
}

}  // namespace plait::evaluation
