// SPDX-License-Identifier: Apache-2.0
//
// Runs a file of requests, as many at a time as whoever answers them takes, and writes a line of result for each.
//
//   BatchDone done;
//   PLAIT_TRY(auto results, store::ResultFile::open(layer, path, [&](auto line) { return done.note(line); }));
//   EngineAnswers answers(engine, target, 64);
//   Batch batch(answers, target, *results, done, {});
//   PLAIT_TRY(const BatchCounts counts, batch.run(next_line, watch));
//
// Exactly once: a request whose result is in the file is skipped, and a result is in the file or not, whatever happens
// (store/result_file.h). So a run that was killed is started again and goes on. A request without a seed gets one that
// follows from its custom_id; with the engine's promise that a generation depends on its tokens, options and seed
// alone, the texts are those of a run that was never disturbed, whatever the width. Failed requests have a result, too:
// to try one again, take its line out of the file. Of a custom_id that comes twice, the first line counts; the other
// gets an error, and so does a line that is no request. Requests are known by custom_id, such errors by the number of
// their line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "serving/batch_line.h"
#include "serving/exchange.h"
#include "store/result_file.h"

namespace plait::serving {

/// Who answers the requests of a batch. Used by the batch's thread only.
class BatchAnswers {
 public:
  struct Answer {
    std::size_t order = 0;
    std::unique_ptr<Exchange> exchange = {};  ///< Done. Null if the request was refused.
    Refusal refusal = {};
  };

  BatchAnswers() = default;
  BatchAnswers(const BatchAnswers&) = delete;
  BatchAnswers& operator=(const BatchAnswers&) = delete;
  virtual ~BatchAnswers() = default;  ///< Drops what is in flight.

  /// Whether one more request is welcome beside so many generations in flight.
  [[nodiscard]] virtual bool has_room(std::size_t generations) const = 0;
  /// `order` comes back with the answer.
  virtual void start(std::size_t order, Request request) = 0;
  /// Takes the work on by a step, or waits a moment for who does. What has been answered since the last time.
  [[nodiscard]] virtual std::vector<Answer> advance() = 0;
};

/// An engine that nobody else uses.
class EngineAnswers final : public BatchAnswers {
 public:
  /// `rows`: EngineOptions::rows_max. Half as many more generations wait in the engine. It and what `target` points to
  /// must outlive this.
  EngineAnswers(engine::Engine& engine, const Target& target, std::size_t rows)
      : engine_(engine), target_(target), generations_max_(rows + rows / 2 + 1) {}

  [[nodiscard]] bool has_room(std::size_t generations) const override { return generations < generations_max_; }
  void start(std::size_t order, Request request) override;
  [[nodiscard]] std::vector<Answer> advance() override;

 private:
  engine::Engine& engine_;
  const Target& target_;
  const std::size_t generations_max_;
  std::unordered_map<std::size_t, std::unique_ptr<Exchange>> running_;  // by order
  std::vector<std::size_t> done_;                                       // orders of those that a step ended
  std::vector<Answer> refused_;
};

struct BatchOptions {
  bool ordered = false;  ///< Results in the order of the input, instead of as they come.
  /// With `ordered`, results that wait for an earlier one: at most so many requests ahead of it are begun.
  std::size_t ahead_max = 4096;
  /// Why a request that names this model is not answered by the target; nothing if it is. Empty: all are answered.
  std::function<std::optional<Refusal>(const std::string& asked)> refuse_model = {};
  /// Called with each request before it is started: who pays for it.
  std::function<void(Request& request)> prepare = {};
  double commit_seconds = 1;  ///< Results are made durable this often, or when so many wait: a kill costs no more work.
  std::size_t commit_results = 256;
};

/// Of one run.
struct BatchCounts {
  std::size_t lines = 0;        ///< Of the input, blank ones excepted: the sum of the next three, unless it was ended.
  std::size_t skipped = 0;      ///< Were in the file of results.
  std::size_t answered = 0;     ///< Status 200.
  std::size_t failed = 0;       ///< Another status, or a line that is no request of its own.
  std::size_t warned = 0;       ///< Had fields that were ignored.
  std::size_t other_model = 0;  ///< Named a model that is not the one that answered.
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generated_tokens = 0;
  bool ended_early = false;  ///< `watch` said so.
};

/// One thread.
class Batch {
 public:
  /// The next line of the input without its newline, at most kBatchLineBytesMax + 1 bytes of it; nothing at the end.
  using NextLine = std::function<base::Result<std::optional<std::string>>()>;
  /// Told after each BatchAnswers::advance(); false ends the run: results that are there are written, the rest is left
  /// for another run.
  using Watch = std::function<bool(const BatchCounts& counts)>;

  /// All of them, and what `target` points to, must outlive the batch.
  Batch(BatchAnswers& answers, const Target& target, store::ResultFile& results, const BatchDone& done,
        BatchOptions options, const base::Clock& clock = base::steady_clock());
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// Runs to the end of the input. Every result has been committed when it returns without error. Errors: those of
  /// `next`, and those of writing; another run goes on after the last committed result. Call it once.
  [[nodiscard]] base::Result<BatchCounts> run(const NextLine& next, const Watch& watch);

 private:
  /// A request that is being answered.
  struct Flight {
    std::uint64_t number = 0;  // of its line
    Endpoint endpoint = Endpoint::chat_completions;
    std::string custom_id;
    std::size_t generations = 0;
  };

  base::Result<void> fill(const NextLine& next);
  base::Result<void> take(std::string line);
  base::Result<void> begin(BatchLine line, std::size_t order);
  base::Result<void> refuse(std::uint64_t number, std::string_view custom_id, std::size_t order,
                            const Refusal& refusal);
  base::Result<void> land(std::vector<BatchAnswers::Answer> answers);
  base::Result<void> write(std::size_t order, std::string result);
  base::Result<void> append(const std::string& result);
  base::Result<void> commit(bool now);
  [[nodiscard]] bool has_room() const;

  BatchAnswers& answers_;
  const Target& target_;
  store::ResultFile& results_;
  const BatchDone& done_;
  const BatchOptions options_;
  const base::Clock& clock_;
  BatchCounts counts_;
  std::uint64_t number_ = 0;  // of the line read last, from 1
  bool input_over_ = false;
  std::unordered_map<std::string, std::uint64_t> seen_;  // custom_id to the number of its line
  // By order, the place among those that get a result in this run.
  std::unordered_map<std::size_t, Flight> flights_;
  std::size_t generations_ = 0;  // of all flights
  std::size_t next_order_ = 0;
  std::size_t next_written_ = 0;              // only with `ordered`
  std::map<std::size_t, std::string> waits_;  // only with `ordered`: results behind next_written_
  std::size_t uncommitted_ = 0;
  double committed_at_ = 0;
};

}  // namespace plait::serving
