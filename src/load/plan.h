// SPDX-License-Identifier: Apache-2.0
//
// What a load consists of: who sends, when, and what. Everything follows from the seed, so that two servers get the
// same bytes at the same times, as far as their answers let them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/json.h"

namespace plait::load {

enum class LoadKind {
  single,     ///< One request after the other.
  strangers,  ///< Prompts that have nothing in common.
  shared,     ///< Prompts with a long common beginning.
  samples,    ///< Several answers to each prompt.
  sessions,   ///< Conversations of several turns with pauses, as agents have them that wait for a tool.
  fairness,   ///< One client that always wants many answers, and a light one beside it.
};
inline constexpr std::size_t kLoadKinds = 6;
/// "single", "strangers", …
[[nodiscard]] std::string_view name(LoadKind kind);
[[nodiscard]] std::optional<LoadKind> load_kind(std::string_view name);

/// Tokens are ids unless `words` is set; then they are English words, which most vocabularies have as one token each.
struct LoadOptions {
  LoadKind kind = LoadKind::strangers;
  std::uint64_t seed = 1;
  std::size_t users = 8;      ///< Requests that are open at a time, unless `rate` is set. Of sessions: sessions.
  std::size_t requests = 32;  ///< In all; of sessions: sessions; of fairness: of the light client.
  double rate = 0;            ///< Requests per second by a Poisson process, however many are open; 0: `users`.
  /// Open at a time at most, for the sake of file handles. What is due beyond it waits, and the waiting counts.
  std::size_t open_max = 1000;
  std::size_t prompt = 128;     ///< Tokens of each prompt that are its own. 1 at least.
  std::size_t shared = 0;       ///< Tokens in front of them that are the same everywhere.
  std::size_t output = 64;      ///< Tokens of each answer; the end token does not end it. 1 at least.
  std::size_t samples = 1;      ///< Answers to each prompt. 1 at least; more than one are drawn at temperature 1.
  std::size_t turns = 1;        ///< Of a conversation. 1 at least.
  std::size_t turn_prompt = 0;  ///< Tokens that each turn but the first adds. With turns > 1: 1 at least.
  double pause = 0;        ///< Seconds before the next turn or the light client's next request, on average: uniform
                           ///< between a half and three halves of it.
  std::size_t heavy = 24;  ///< Requests that the heavy client always has open.
  std::size_t heavy_prompt = 300;
  std::size_t heavy_output = 160;
  bool chat = false;  ///< /v1/chat/completions and words, instead of /v1/completions.
  bool words = false;
  std::size_t ids_below = 8192;  ///< Token ids are drawn from an eighth of this up to it: special ones stand in front.
  std::string model = {};        ///< The field `model`; empty: left out.
};

/// What a kind means where nothing else is said.
[[nodiscard]] LoadOptions usual_options(LoadKind kind);
/// Errors: invalid_argument, naming the option of the command line.
[[nodiscard]] base::Result<void> check(const LoadOptions& options);

/// One client: its tasks are requests, or conversations of several.
struct Source {
  std::string name;                       ///< What reports call it, and the field `user`.
  std::size_t users = 1;                  ///< Tasks at a time; with `rate` any number.
  std::optional<std::size_t> tasks = {};  ///< Nothing: it goes on until all other sources have ended.
  double rate = 0;                        ///< Arrivals per second; 0: a user's next task comes when its last has ended.
  double pause = 0;                       ///< Between a user's tasks, on average.
  double start = 0;                       ///< Seconds after the load's begin.
  std::size_t prompt = 0;
  std::size_t output = 0;
};
/// Requires: check().
[[nodiscard]] std::vector<Source> sources(const LoadOptions& options);

/// Draw `number` of an exponential distribution: the time between two arrivals of a Poisson process. mean > 0.
[[nodiscard]] double exponential(std::uint64_t seed, std::uint64_t number, double mean);
/// Draw `number`, uniform between a half and three halves of `mean`.
[[nodiscard]] double pause_seconds(std::uint64_t seed, std::uint64_t number, double mean);

/// Where requests go: "/v1/completions" or the other.
[[nodiscard]] std::string_view path(const LoadOptions& options);

/// One task: its requests, one after the other. Options and source must outlive it.
class Conversation {
 public:
  /// `source`: its place in sources().
  Conversation(const LoadOptions& options, const Source& of, std::size_t source, std::size_t number);

  /// The next request's body. Requires: turns_left() > 0.
  [[nodiscard]] std::string next_body();
  /// What the model said: the next turn goes on from there.
  void answer(std::string_view text);
  [[nodiscard]] std::size_t turns_left() const { return options_.turns - turn_; }
  /// Of the last body: 0 is the first.
  [[nodiscard]] std::size_t turn() const { return turn_ - 1; }
  /// Seconds before the next turn.
  [[nodiscard]] double pause() const { return pause_seconds(seed_, turn_, options_.pause); }

 private:
  [[nodiscard]] std::string words(std::uint64_t seed, std::size_t count) const;
  [[nodiscard]] std::string next_words();
  [[nodiscard]] text::Json ids() const;

  const LoadOptions& options_;
  const Source& source_;
  std::uint64_t seed_;
  std::size_t turn_ = 0;
  text::Json messages_ = text::Json::array();  ///< Of a chat.
  std::string transcript_ = {};                ///< Of completions in words.
};

}  // namespace plait::load
