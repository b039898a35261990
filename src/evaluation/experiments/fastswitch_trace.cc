// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/fastswitch_trace.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace plait::evaluation {
namespace {

constexpr std::size_t kTurnsMost = 10;
constexpr double kMarkovStay = 0.9;

/// Numbers of one seed, one after the other.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}

  double unit() { return base::random_unit(seed_, count_++); }
  std::size_t below(std::size_t limit) { return base::random_u64(seed_, count_++) % limit; }
  double exponential() { return -std::log(1 - unit()); }
  /// Log-normal, its logarithm spread by 0.8, cut at six times the mean.
  std::size_t length(double mean) {
    constexpr double kSpread = 0.8;
    constexpr double kTwoPi = 6.283185307179586;
    const double normal = std::sqrt(-2 * std::log(1 - unit())) * std::cos(kTwoPi * unit());
    const double drawn = mean * std::exp(kSpread * normal - kSpread * kSpread / 2);
    return static_cast<std::size_t>(std::clamp(std::round(drawn), 1.0, std::floor(6 * mean)));
  }

 private:
  std::uint64_t seed_;
  std::uint64_t count_ = 0;
};

}  // namespace

std::size_t Chat::tokens() const {
  std::size_t sum = 0;
  for (const ChatTurn& turn : turns) sum += turn.prompt + turn.answer;
  return sum;
}

std::vector<Chat> chat_trace(const ChatTraceOptions& options) {
  PLAIT_CHECK(options.prompt_mean >= 2 && options.answer_mean >= 2, options.prompt_mean, options.answer_mean);
  Draws draws(options.seed);
  std::vector<std::size_t> turns;
  for (std::size_t i = 0; i < options.chats; ++i) turns.push_back(1 + i % kTurnsMost);
  for (std::size_t i = turns.size(); i > 1; --i) std::swap(turns[i - 1], turns[draws.below(i)]);
  std::vector<Chat> chats;
  double arrival = 0;
  for (const std::size_t count : turns) {
    Chat chat{.arrival = arrival};
    for (std::size_t t = 0; t < count; ++t) {
      ChatTurn turn{.prompt = draws.length(options.prompt_mean), .answer = draws.length(options.answer_mean)};
      if (t > 0) turn.pause = options.pause_mean * draws.exponential();
      chat.turns.push_back(turn);
    }
    chats.push_back(std::move(chat));
    arrival += draws.exponential();
  }
  return chats;
}

bool PriorityTrace::next() {
  const double draw = base::random_unit(seed_, periods_);
  const bool fresh = pattern_ == PriorityPattern::random || periods_ == 0;
  if (fresh) {
    favoured_ = draw < 0.5;
  } else if (draw >= kMarkovStay) {
    favoured_ = !favoured_;
  }
  ++periods_;
  return favoured_;
}

}  // namespace plait::evaluation
