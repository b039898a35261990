// SPDX-License-Identifier: Apache-2.0
#include "models/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace plait::models {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::TokenId;

/// Rows whose logits are held at a time: a vocabulary of 262,144 takes 1 MiB a row.
constexpr std::size_t kScoredRows = 64;

/// One model reading window after window.
class Reader {
 public:
  Reader(const Model& model, parallel::Team& team)
      : model_(model), sequence_(model), workspace_(model, team), logits_(kScoredRows * model.vocabulary()) {}

  void restart() { sequence_.trim(0); }
  Result<void> skip(std::span<const TokenId> tokens) {
    return model_.forward(sequence_, tokens, Logits::none, workspace_, {});
  }
  Result<void> read(std::span<const TokenId> tokens) {
    return model_.forward(sequence_, tokens, Logits::all, workspace_,
                          std::span(logits_).first(tokens.size() * model_.vocabulary()));
  }
  [[nodiscard]] std::span<const float> row(std::size_t index) const {
    return std::span(logits_).subspan(index * model_.vocabulary(), model_.vocabulary());
  }

 private:
  const Model& model_;
  Sequence sequence_;
  Workspace workspace_;
  std::vector<float> logits_;
};

/// log of the sum of e^logit.
double log_sum(std::span<const float> logits) {
  const float largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += static_cast<double>(std::exp(logit - largest));
  return static_cast<double>(largest) + std::log(sum);
}

double log_probability(std::span<const float> logits, double sum, TokenId token) {
  return static_cast<double>(logits[static_cast<std::size_t>(token.value())]) - sum;
}

void compare(std::span<const float> logits, double sum, std::span<const float> base, PositionScore& score) {
  const double base_sum = log_sum(base);
  score.base_log_probability = log_probability(base, base_sum, score.token);
  double divergence = 0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    const double base_log = static_cast<double>(base[i]) - base_sum;
    if (base_log < -40) continue;  // e^-40 of all tokens together is below 1e-11
    divergence += std::exp(base_log) * (base_log - (static_cast<double>(logits[i]) - sum));
    const Candidate candidate{TokenId(static_cast<std::int32_t>(i)), base[i]};
    if (score.base_top.back().token != base::kNoToken && candidate.logit <= score.base_top.back().logit) continue;
    score.base_top.back() = candidate;
    for (std::size_t at = score.base_top.size() - 1; at > 0; --at) {
      Candidate& before = score.base_top[at - 1];
      if (before.token != base::kNoToken && before.logit >= score.base_top[at].logit) break;
      std::swap(before, score.base_top[at]);
    }
  }
  score.divergence = divergence;
}

class Scorer {
 public:
  Scorer(const Model& model, const Model* base, parallel::Team& team) : reader_(model, team), team_(team) {
    if (base != nullptr) base_.emplace(*base, team);
  }

  /// `window` is text[begin, begin + options.window) with its first token replaced if asked.
  Result<void> score(std::span<const TokenId> window, std::size_t begin) {
    const std::size_t first = window.size() / 2;
    reader_.restart();
    PLAIT_TRY_VOID(reader_.skip(window.first(first)));
    if (base_) {
      base_->restart();
      PLAIT_TRY_VOID(base_->skip(window.first(first)));
    }
    for (std::size_t at = first; at + 1 < window.size(); at += kScoredRows) {
      const std::size_t rows = std::min(kScoredRows, window.size() - 1 - at);
      PLAIT_TRY_VOID(reader_.read(window.subspan(at, rows)));
      if (base_) PLAIT_TRY_VOID(base_->read(window.subspan(at, rows)));
      add_rows(window.subspan(at + 1, rows), begin + at + 1);
    }
    return {};
  }

  std::vector<PositionScore> take() { return std::move(scores_); }

 private:
  void add_rows(std::span<const TokenId> following, std::size_t index) {
    const std::size_t old = scores_.size();
    scores_.resize(old + following.size());
    team_.run([&](int member) {
      const auto [begin, end] = parallel::part(following.size(), member, team_.size());
      for (std::size_t row = begin; row < end; ++row) {
        PositionScore& score = scores_[old + row];
        const std::span<const float> logits = reader_.row(row);
        const double sum = log_sum(logits);
        score.index = index + row;
        score.token = following[row];
        score.top = TokenId(static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
        score.log_probability = log_probability(logits, sum, score.token);
        if (base_) compare(logits, sum, base_->row(row), score);
      }
    });
  }

  Reader reader_;
  std::optional<Reader> base_;
  parallel::Team& team_;
  std::vector<PositionScore> scores_;
};

Result<void> check(const Model& model, const Model* base, std::size_t tokens, const ScoreOptions& options) {
  if (options.window < 4 || options.window > model.context() || (base != nullptr && options.window > base->context())) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a window of {} tokens is below 4 or beyond the context", options.window));
  }
  if (tokens < options.window) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the text has {} tokens; at least one window of {} is needed", tokens, options.window));
  }
  if (base != nullptr && base->vocabulary() != model.vocabulary()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the models' vocabularies have {} and {} tokens; only equal ones compare",
                            model.vocabulary(), base->vocabulary()));
  }
  return {};
}

template <class F>
Estimate estimate(std::span<const PositionScore> scores, F&& value) {
  const auto n = static_cast<double>(scores.size());
  double sum = 0;
  for (const PositionScore& score : scores) sum += value(score);
  const double mean = sum / n;
  double squares = 0;
  for (const PositionScore& score : scores) squares += (value(score) - mean) * (value(score) - mean);
  return {mean, scores.size() < 2 ? 0 : std::sqrt(squares / (n - 1) / n)};
}

/// e^mean; the error follows from the derivative.
Estimate exponential(Estimate log) { return {std::exp(log.value), std::exp(log.value) * log.error}; }

double margin(const PositionScore& score) {
  for (const Candidate& candidate : score.base_top) {
    if (candidate.token == score.top) return static_cast<double>(score.base_top[0].logit - candidate.logit);
  }
  return static_cast<double>(score.base_top[0].logit - score.base_top.back().logit);
}

}  // namespace

Result<std::vector<PositionScore>> score_text(const Model& model, const Model* base, std::span<const TokenId> tokens,
                                              const ScoreOptions& options, parallel::Team& team) {
  PLAIT_TRY_VOID(check(model, base, tokens.size(), options));
  std::size_t windows = tokens.size() / options.window;
  if (options.windows_max != 0) windows = std::min(windows, options.windows_max);
  Scorer scorer(model, base, team);
  std::vector<TokenId> window;
  for (std::size_t i = 0; i < windows; ++i) {
    const auto text = tokens.subspan(i * options.window, options.window);
    window.assign(text.begin(), text.end());
    if (options.first_token) window.front() = *options.first_token;
    PLAIT_TRY_VOID(scorer.score(window, i * options.window));
    if (options.progress && !options.progress(i + 1, windows)) return fail(ErrorCode::interrupted, "stopped");
  }
  return scorer.take();
}

ScoreSummary summarise(std::span<const PositionScore> scores) {
  ScoreSummary summary;
  summary.positions = scores.size();
  if (scores.empty()) return summary;
  summary.perplexity = exponential(estimate(scores, [](const PositionScore& s) { return -s.log_probability; }));
  if (scores.front().base_top[0].token == base::kNoToken) return summary;
  summary.base_perplexity =
      exponential(estimate(scores, [](const PositionScore& s) { return -s.base_log_probability; }));
  summary.divergence = estimate(scores, [](const PositionScore& s) { return s.divergence; });
  summary.same_top = estimate(scores, [](const PositionScore& s) { return s.top == s.base_top[0].token ? 1.0 : 0.0; });
  for (const PositionScore& score : scores) {
    if (score.top != score.base_top[0].token) summary.margin_max = std::max(summary.margin_max, margin(score));
  }
  return summary;
}

}  // namespace plait::models
