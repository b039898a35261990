// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/load_client.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "evaluation/experiments/pte_replay.h"

namespace plait::evaluation {
namespace {

/// A length between (1 - spread) and (1 + spread) times `mean`; 0 stays 0.
std::size_t drawn(std::size_t mean, double spread, double draw) {
  if (mean == 0) return 0;
  const double length = static_cast<double>(mean) * (1 + spread * (2 * draw - 1));
  return std::max<std::size_t>(1, static_cast<std::size_t>(std::round(length)));
}

}  // namespace

std::size_t ClientLoad::length_max() const { return drawn(prompt, spread, 1) + drawn(generate, spread, 1); }

base::Result<void> LoadClient::ask(engine::Engine& engine, double due) {
  const std::uint64_t seed = base::child_seed(load_.seed, asked_);
  const std::size_t prompt = drawn(load_.prompt, load_.spread, base::random_unit(seed, 0));
  engine::Request request;
  request.options.client = load_.name;
  request.prompt = scripted_tokens(base::child_seed(seed, 1), prompt, vocabulary_);
  request.generate.tokens_max = drawn(load_.generate, load_.spread, base::random_unit(seed, 1));
  request.generate.sampler.temperature = 0;
  request.generate.patient = load_.patient;
  request.generate.listener = this;
  PLAIT_TRY(const auto ids, engine.submit(request));
  open_[ids.front()] = {.due = due};
  ++asked_;
  return {};
}

base::Result<void> LoadClient::keep_open(engine::Engine& engine, std::size_t count) {
  while (open_.size() < count) PLAIT_TRY_VOID(ask(engine, clock_.now()));
  return {};
}

void LoadClient::cancel_all(engine::Engine& engine) {
  while (!open_.empty()) engine.cancel(open_.begin()->first);  // on_end() takes it out
}

void LoadClient::watch_gaps(bool watch) {
  watches_ = watch;
  for (auto& [id, request] : open_) request.last_token.reset();
}

bool LoadClient::on_token(engine::SequenceId sequence, const models::Sample& /*sample*/) {
  const double now = clock_.now();
  Open& request = open_[sequence];
  if (!std::exchange(request.has_first, true)) first_tokens.push_back(now - request.due);
  if (watches_ && request.last_token) gaps.push_back(now - *request.last_token);
  request.last_token = now;
  return true;
}

void LoadClient::on_end(engine::SequenceId sequence, const engine::Ending& ending) {
  computed += ending.usage.counters.computed();
  if (ending.error) error = ending.error;
  open_.erase(sequence);
}

TimedStep timed_step(engine::Engine& engine, const base::Clock& clock) {
  const engine::EngineCounters before = engine.counters();
  const double start = clock.now();
  engine.step();
  const double seconds = clock.now() - start;
  const engine::EngineCounters after = engine.counters();
  return {.seconds = seconds,
          .prompt_rows = after.prompt_rows - before.prompt_rows,
          .decode_rows = after.decode_rows - before.decode_rows};
}

double quantile(std::vector<double> values, double q) {
  PLAIT_CHECK(!values.empty());
  const double rank = std::ceil(q * static_cast<double>(values.size()));
  const auto at = static_cast<std::size_t>(std::clamp(rank, 1.0, static_cast<double>(values.size()))) - 1;
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
  return values[at];
}

}  // namespace plait::evaluation
