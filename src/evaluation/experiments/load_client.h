// SPDX-License-Identifier: Apache-2.0
//
// Clients of an engine in the same process, for experiments that measure who waits for whom.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"

namespace plait::evaluation {

/// What a client asks for.
struct ClientLoad {
  std::string name = {};
  std::size_t prompt = 1;    ///< Tokens of a request's prompt, on average. No two prompts begin alike.
  std::size_t generate = 1;  ///< Tokens that a request generates, on average; 0: until the context is full.
  double spread = 0;         ///< Lengths are drawn evenly from 1 - spread to 1 + spread times these.
  bool patient = false;      ///< See engine::GenerateOptions.
  std::uint64_t seed = 1;

  /// The most tokens that a request can have.
  [[nodiscard]] std::size_t length_max() const;
};

/// Asks when told to and takes down when tokens come. Must outlive the engine's use of it; one thread.
class LoadClient final : public engine::Listener {
 public:
  LoadClient(const ClientLoad& load, std::size_t vocabulary, const base::Clock& clock)
      : load_(load), vocabulary_(vocabulary), clock_(clock) {}

  /// Submits a request that was due at `due`: its first token counts from there, also if the engine was busy then.
  [[nodiscard]] base::Result<void> ask(engine::Engine& engine, double due);
  /// Asks until `count` requests are open.
  [[nodiscard]] base::Result<void> keep_open(engine::Engine& engine, std::size_t count);
  /// Cancels whatever is open.
  void cancel_all(engine::Engine& engine);
  /// Gaps between tokens are taken down from now on, or no more.
  void watch_gaps(bool watch);

  bool on_token(engine::SequenceId sequence, const models::Sample& sample) override;
  void on_end(engine::SequenceId sequence, const engine::Ending& ending) override;

  [[nodiscard]] std::size_t open() const { return open_.size(); }
  [[nodiscard]] std::size_t asked() const { return asked_; }

  std::vector<double> first_tokens = {};  ///< Seconds from when it was due, in the order in which they came.
  std::vector<double> gaps = {};          ///< Seconds between two tokens of one request.
  double computed = 0;                    ///< Tokens through the model for requests that have ended.
  std::optional<base::Error> error = {};  ///< Of a generation that failed: the last one.

 private:
  struct Open {
    double due = 0;
    std::optional<double> last_token = {};  // within what is watched
    bool has_first = false;
  };

  ClientLoad load_;
  std::size_t vocabulary_;
  const base::Clock& clock_;
  std::map<engine::SequenceId, Open> open_;
  std::size_t asked_ = 0;
  bool watches_ = false;
};

/// What one step carried and took.
struct TimedStep {
  double seconds = 0;
  std::size_t prompt_rows = 0;
  std::size_t decode_rows = 0;
};
[[nodiscard]] TimedStep timed_step(engine::Engine& engine, const base::Clock& clock);

/// The value below which the part `q` of all values lies: of n values the one of rank ceil(q n). Requires: some values.
[[nodiscard]] double quantile(std::vector<double> values, double q);

}  // namespace plait::evaluation
