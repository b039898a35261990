// SPDX-License-Identifier: Apache-2.0
//
// Chats of several turns, drawn from a seed, and who is favoured when. Everything here is synthetic: lengths have the
// shape of conversations (long tails, answers twice as long as questions, 5.5 turns on average), not their text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace plait::evaluation {

struct ChatTurn {
  std::size_t prompt = 1;  ///< Tokens that the user adds. ≥ 1.
  std::size_t answer = 1;  ///< Tokens that are generated. ≥ 1.
  double pause = 0;        ///< Before the prompt, after the last answer, in mean times between two arrivals.
};

struct Chat {
  double arrival = 0;  ///< In mean times between two arrivals: a Poisson process of rate 1.
  std::vector<ChatTurn> turns = {};

  /// All tokens of it.
  [[nodiscard]] std::size_t tokens() const;
};

struct ChatTraceOptions {
  std::size_t chats = 10;   ///< Turns are 1 to 10, evenly: 5.5 on average, exactly for multiples of 10.
  double prompt_mean = 20;  ///< Tokens; log-normal, up to six times the mean. ≥ 2.
  double answer_mean = 40;  ///< The same.
  double pause_mean = 0.4;  ///< Exponential.
  std::uint64_t seed = 1;
};

/// In order of arrival. The same options give the same chats.
[[nodiscard]] std::vector<Chat> chat_trace(const ChatTraceOptions& options);

enum class PriorityPattern {
  random,  ///< Favoured or not is drawn anew every time.
  markov,  ///< It stays what it is with probability 0.9.
};

/// Whether one chat is favoured, period after period: half of the time in either pattern.
class PriorityTrace {
 public:
  PriorityTrace(PriorityPattern pattern, std::uint64_t seed) : pattern_(pattern), seed_(seed) {}

  /// Of the next period.
  [[nodiscard]] bool next();

 private:
  PriorityPattern pattern_;
  std::uint64_t seed_;
  std::uint64_t periods_ = 0;
  bool favoured_ = false;
};

}  // namespace plait::evaluation
