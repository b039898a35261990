// SPDX-License-Identifier: Apache-2.0
#include "models/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <type_traits>

#include "base/random.h"
#include "kernels/elementwise.h"
#include "kernels/isa.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::TokenId;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Range {
  double low, high;
  bool low_open = false;
};

base::Result<void> check(std::string_view field, double value, Range range) {
  if (value >= range.low && value <= range.high && !(range.low_open && value == range.low)) return {};  // false for NaN
  return base::fail(ErrorCode::invalid_argument, fmt::format("{}: {} is outside of {}{}, {}]", field, value,
                                                             range.low_open ? '(' : '[', range.low, range.high));
}

base::Result<void> check_bias(const SamplerOptions& options) {
  if (options.logit_bias.size() > 100'000) {
    return base::fail(ErrorCode::invalid_argument, "logit_bias: more than 100,000 entries");
  }
  for (const auto& [id, bias] : options.logit_bias) {
    if (id.value() < 0) {
      return base::fail(ErrorCode::invalid_argument, fmt::format("logit_bias: {} is no token id", id.value()));
    }
    if (bias != -kInfinity) PLAIT_TRY_VOID(check("logit_bias", bias, {-100, 100}));
  }
  return {};
}

// The index of the largest logit, the first of equals. Errors: NaN, +inf, nothing above -inf.
base::Result<std::size_t> largest(std::span<const float> logits) {
  int odd = 0;
  for (const float logit : logits) odd |= logit < std::numeric_limits<float>::infinity() ? 0 : 1;
  if (odd != 0) return base::fail(ErrorCode::invalid_data, "logits: NaN or infinity; the model's numbers are damaged");
  const std::size_t best = kernels::argmax(kernels::best_isa(), logits);
  if (logits[best] == -std::numeric_limits<float>::infinity()) {
    return base::fail(ErrorCode::invalid_data, "logits: no token is allowed");
  }
  return best;
}

// The sum of those weights that are at least `least`, in eight lanes.
double sum_from(std::span<const float> weights, float least) {
  std::array<double, 8> lanes = {};
  std::size_t i = 0;
  for (; i + 8 <= weights.size(); i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) {
      lanes[lane] += weights[i + lane] >= least ? static_cast<double>(weights[i + lane]) : 0.0;
    }
  }
  for (std::size_t lane = 0; i < weights.size(); ++i, ++lane) lanes[lane] += weights[i] >= least ? weights[i] : 0.0F;
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

// Orders by logit, most likely first, ties by id.
struct MoreLikely {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }
};

}  // namespace

base::Result<Logprobs> log_probabilities(std::span<const float> logits, TokenId token, std::size_t top) {
  if (token.value() < 0 || static_cast<std::size_t>(token.value()) >= logits.size()) {
    return base::fail(ErrorCode::invalid_argument, fmt::format("token {} is not in the vocabulary", token.value()));
  }
  PLAIT_TRY_VOID(largest(logits));
  const double shift = kernels::log_sum_exp(kernels::best_isa(), logits);
  Logprobs result;
  result.chosen = static_cast<float>(logits[static_cast<std::size_t>(token.value())] - shift);
  if (top == 0) return result;
  kernels::TopK best;
  for (const kernels::Candidate& candidate : best.select(kernels::best_isa(), logits, std::min(top, logits.size()))) {
    result.top.push_back(
        {TokenId{static_cast<std::int32_t>(candidate.index)}, static_cast<float>(candidate.logit - shift)});
  }
  return result;
}

base::Result<Sampler> Sampler::make(SamplerOptions options) {
  constexpr int kIntMax = std::numeric_limits<int>::max();
  PLAIT_TRY_VOID(check("temperature", options.temperature, {0, 100}));
  PLAIT_TRY_VOID(check("top_k", options.top_k, {0, kIntMax}));
  PLAIT_TRY_VOID(check("top_p", options.top_p, {0, 1, true}));
  PLAIT_TRY_VOID(check("min_p", options.min_p, {0, 1}));
  PLAIT_TRY_VOID(check("typical_p", options.typical_p, {0, 1, true}));
  PLAIT_TRY_VOID(check("repetition_penalty", options.repetition_penalty, {0.01, 100}));
  PLAIT_TRY_VOID(check("presence_penalty", options.presence_penalty, {-100, 100}));
  PLAIT_TRY_VOID(check("frequency_penalty", options.frequency_penalty, {-100, 100}));
  PLAIT_TRY_VOID(check("penalty_window", options.penalty_window, {0, kIntMax}));
  if (options.top_logprobs) PLAIT_TRY_VOID(check("top_logprobs", *options.top_logprobs, {0, 128}));
  PLAIT_TRY_VOID(check_bias(options));
  return Sampler(std::move(options));
}

Sampler::Sampler(SamplerOptions options) : options_(std::move(options)) {}

base::Result<Sample> Sampler::sample(std::span<const float> logits, SampleContext context) {
  if (logits.empty()) return base::fail(ErrorCode::invalid_data, "logits: empty");
  context.prompt_length = std::min(context.prompt_length, context.tokens.size());
  PLAIT_TRY(std::size_t best, largest(logits));
  std::span<const float> effective = logits;
  if (adjusts(context)) {
    adjusted_.assign(logits.begin(), logits.end());
    PLAIT_TRY_VOID(adjust(context));
    effective = adjusted_;
    PLAIT_TRY(best, largest(effective));
  }
  Sample sample;
  sample.token = TokenId{static_cast<std::int32_t>(best)};
  if (options_.temperature > 0) {
    const std::uint64_t generated = context.tokens.size() - context.prompt_length;
    PLAIT_TRY(sample.token, draw(effective, base::random_unit(options_.seed, generated)));
  }
  if (options_.top_logprobs) {
    PLAIT_TRY(sample.logprobs, log_probabilities(context.given.empty() ? logits : context.given, sample.token,
                                                 static_cast<std::size_t>(*options_.top_logprobs)));
  }
  return sample;
}

bool Sampler::adjusts(SampleContext context) const {
  const bool penalties =
      options_.repetition_penalty != 1 || options_.presence_penalty != 0 || options_.frequency_penalty != 0;
  return !options_.logit_bias.empty() || (penalties && !context.tokens.empty());
}

base::Result<void> Sampler::adjust(SampleContext context) {
  for (const auto& [id, bias] : options_.logit_bias) {
    const auto index = static_cast<std::size_t>(id.value());
    if (index >= adjusted_.size()) {
      return base::fail(ErrorCode::invalid_argument,
                        fmt::format("logit_bias: token {} is not in the vocabulary of {}", index, adjusted_.size()));
    }
    adjusted_[index] += static_cast<float>(bias);
  }
  penalise(context);
  return {};
}

// The repetition penalty sees prompt and generated tokens; presence and frequency see generated ones only.
void Sampler::penalise(SampleContext context) {
  const std::size_t window =
      options_.penalty_window > 0 ? static_cast<std::size_t>(options_.penalty_window) : context.tokens.size();
  const std::size_t first = context.tokens.size() - std::min(window, context.tokens.size());
  const auto collect = [&](std::size_t from) {
    seen_.clear();
    for (std::size_t i = from; i < context.tokens.size(); ++i) {
      const std::int32_t id = context.tokens[i].value();
      if (id >= 0 && static_cast<std::size_t>(id) < adjusted_.size()) seen_.push_back(id);
    }
    std::ranges::sort(seen_);
  };
  if (options_.repetition_penalty != 1) {
    collect(first);
    const auto factor = static_cast<float>(options_.repetition_penalty);
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      if (i > 0 && seen_[i] == seen_[i - 1]) continue;
      float& logit = adjusted_[static_cast<std::size_t>(seen_[i])];
      logit = logit > 0 ? logit / factor : logit * factor;
    }
  }
  if (options_.presence_penalty == 0 && options_.frequency_penalty == 0) return;
  collect(std::max(first, context.prompt_length));
  for (std::size_t i = 0; i < seen_.size();) {
    std::size_t end = i;
    while (end < seen_.size() && seen_[end] == seen_[i]) ++end;
    const double penalty = options_.presence_penalty + options_.frequency_penalty * static_cast<double>(end - i);
    adjusted_[static_cast<std::size_t>(seen_[i])] -= static_cast<float>(penalty);
    i = end;
  }
}

base::Result<TokenId> Sampler::draw(std::span<const float> logits, double unit) {
  PLAIT_TRY(const std::size_t best, largest(logits));
  weights_.resize(logits.size());
  const float high = logits[best];
  const auto cold = static_cast<float>(1 / options_.temperature);
  for (std::size_t i = 0; i < logits.size(); ++i) weights_[i] = (logits[i] - high) * cold;
  kernels::exp(kernels::best_isa(), weights_.data(), weights_.size(), weights_.data());
  const bool few = options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < logits.size();
  if (options_.typical_p == 1 && options_.top_p == 1 && !few) return draw_from_all(unit);
  candidates_.clear();
  if (few) {
    keep_likely(logits, static_cast<std::size_t>(options_.top_k), std::numeric_limits<double>::infinity());
  } else if (options_.typical_p < 1) {
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (weights_[i] > 0) candidates_.push_back({logits[i], static_cast<std::int32_t>(i), weights_[i]});
    }
  } else {
    keep_likely(logits, logits.size(), options_.top_p * sum_from(weights_, 0));
  }
  if (options_.typical_p < 1) keep_typical();
  if (options_.top_p < 1 && (few || options_.typical_p < 1)) keep_top_p();
  if (options_.min_p > 0) keep_min_p();
  double sum = 0;
  for (const Candidate& candidate : candidates_) sum += candidate.weight;
  double left = unit * sum;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0) return TokenId{candidate.id};
  }
  return TokenId{candidates_.back().id};  // rounding only
}

// One draw from all weights that min_p leaves: block by block, then within the block.
TokenId Sampler::draw_from_all(double unit) const {
  constexpr std::size_t kBlock = 1024;
  const auto least = static_cast<float>(options_.min_p);  // the largest weight is 1
  const std::span<const float> weights = weights_;
  const auto block = [&](std::size_t at) { return weights.subspan(at, std::min(kBlock, weights.size() - at)); };
  double sum = 0;
  for (std::size_t at = 0; at < weights.size(); at += kBlock) sum += sum_from(block(at), least);
  double left = unit * sum;
  std::size_t last = 0;
  for (std::size_t at = 0; at < weights.size(); at += kBlock) {
    const double here = sum_from(block(at), least);
    if (here == 0) continue;
    last = at;
    if (left < here) break;
    left -= here;
  }
  std::size_t chosen = last;
  for (std::size_t i = last; i < std::min(last + kBlock, weights.size()); ++i) {
    if (weights[i] < least || weights[i] == 0) continue;
    chosen = i;
    left -= weights[i];
    if (left < 0) break;
  }
  return TokenId{static_cast<std::int32_t>(chosen)};
}

// The most likely candidates in order, at most `count` and no more than are needed to hold `mass`. Takes pieces of
// growing size, so that a peaked distribution sorts a handful.
void Sampler::keep_likely(std::span<const float> logits, std::size_t count, double mass) {
  double sum = 0;
  for (std::size_t piece = mass < std::numeric_limits<double>::infinity() ? std::min<std::size_t>(64, count) : count;;
       piece = std::min(count, piece * 8)) {
    const auto likely = top_.select(kernels::best_isa(), logits, piece);
    for (std::size_t i = candidates_.size(); i < likely.size(); ++i) {
      const float weight = weights_[likely[i].index];
      if (weight == 0 && !candidates_.empty()) return;
      candidates_.push_back({likely[i].logit, static_cast<std::int32_t>(likely[i].index), weight});
      sum += weight;
      if (sum >= mass) return;
    }
    if (piece == count || likely.size() < piece) return;
  }
}

// Takes pieces of growing size in order until the mass is reached, so that a peaked distribution sorts a handful.
template <class Less>
void Sampler::keep_mass(double mass, Less less) {
  const auto begin = candidates_.begin();
  const std::size_t size = candidates_.size();
  double sum = 0;
  for (std::size_t done = 0, piece = 64; done < size; piece *= 8) {
    const std::size_t end = piece < size - done ? done + piece : size;
    const auto at = [&](std::size_t i) { return begin + static_cast<std::ptrdiff_t>(i); };
    if (end < size) std::nth_element(at(done), at(end), candidates_.end(), less);
    std::sort(at(done), at(end), less);
    for (; done < end; ++done) {
      sum += candidates_[done].weight;
      if (sum >= mass) {
        candidates_.resize(done + 1);
        return;
      }
    }
  }
}

void Sampler::keep_top_p() {
  double sum = 0;
  for (const Candidate& candidate : candidates_) sum += candidate.weight;
  keep_mass(options_.top_p * sum, MoreLikely{});
}

// Typical sampling: the surprise -log p nearest to the entropy first (Meister et al., TACL 2023).
void Sampler::keep_typical() {
  double sum = 0;
  double weighted = 0;
  for (const Candidate& candidate : candidates_) {
    sum += candidate.weight;
    weighted += candidate.weight * std::log(candidate.weight);
  }
  // With w = exp(x) and Z = sum w: entropy = log Z - sum(w x) / Z and surprise = log Z - x, so the distance is |x -
  // mean|.
  const double mean = weighted / sum;
  const auto high = std::ranges::max(candidates_, {}, &Candidate::logit).logit;
  const auto distance = [&](const Candidate& candidate) {
    return std::abs((static_cast<double>(candidate.logit) - high) / options_.temperature - mean);
  };
  keep_mass(options_.typical_p * sum, [&](const Candidate& a, const Candidate& b) {
    const double x = distance(a);
    const double y = distance(b);
    return x != y ? x < y : a.id < b.id;
  });
}

void Sampler::keep_min_p() {
  double high = 0;
  for (const Candidate& candidate : candidates_) high = std::max(high, candidate.weight);
  std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.weight < options_.min_p * high; });
}

}  // namespace plait::models
