// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/random.h"
#include "cli/engine_settings.h"
#include "engine/engine.h"
#include "os/cpu.h"
#include "os/interrupt.h"
#include "text/json.h"

namespace plait::cli {
namespace {

/// Tells the time in the model and in the samplers from the engine's own.
class TimedRunner final : public engine::Runner {
 public:
  explicit TimedRunner(engine::Runner& runner) : runner_(runner) {}

  [[nodiscard]] const models::KvLayout& layout() const override { return runner_.layout(); }
  [[nodiscard]] std::size_t vocabulary() const override { return runner_.vocabulary(); }
  [[nodiscard]] std::size_t context() const override { return runner_.context(); }
  [[nodiscard]] base::Result<void> forward(std::span<const models::Rows> batch, std::span<float> logits) override {
    const double start = base::steady_clock().now();
    auto done = runner_.forward(batch, logits);
    forward_seconds += base::steady_clock().now() - start;
    return done;
  }
  void for_each(std::size_t count, const std::function<void(std::size_t)>& f) override {
    const double start = base::steady_clock().now();
    runner_.for_each(count, f);
    sample_seconds += base::steady_clock().now() - start;
  }

  double forward_seconds = 0;
  double sample_seconds = 0;

 private:
  engine::Runner& runner_;
};

class Counter final : public engine::Listener {
 public:
  bool on_token(engine::SequenceId /*sequence*/, const models::Sample& /*sample*/) override { return true; }
  void on_end(engine::SequenceId /*sequence*/, const engine::Ending& ending) override {
    generated += ending.usage.generated_tokens;
    if (ending.error) error = ending.error;
    first_token_seconds.push_back(ending.usage.waited_seconds + ending.usage.prompt_seconds);
  }

  std::size_t generated = 0;
  std::optional<base::Error> error = {};  // of one that failed
  std::vector<double> first_token_seconds = {};
};

/// One load from its first request to its last token.
struct Load {
  double rate = 0;          // tokens per second, prompts and answers
  double decode_rate = 0;   // generated tokens per second of the whole time
  double engine_share = 0;  // of the time outside model and samplers
  double sample_share = 0;
  double first_token = 0;  // seconds, median of the requests
  double seconds = 0;
  double prompt_rows = 0;  // really computed
  engine::EngineCounters counters = {};
};

base::Result<Load> run_load(const Session& session, const LoadedModel& loaded, const StreamsOptions& options,
                            std::size_t streams, int turn) {
  engine::ModelRunner model_runner(*loaded.model, *loaded.team);
  TimedRunner runner(model_runner);
  PLAIT_TRY(const EngineSettings settings,
            EngineSettings::make(session.config, runner,
                                 {.sequences = streams, .tokens = options.prompt + options.generate}));
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, settings.options()));
  Counter counter;
  const double start = base::steady_clock().now();
  for (std::size_t i = 0; i < streams; i += options.samples) {
    engine::Request request{.generate = {.sampler = {.temperature = options.samples > 1 ? 1.0 : 0.0},
                                         .tokens_max = options.generate,
                                         .patient = !options.watched,
                                         .listener = &counter},
                            .samples = std::min(options.samples, streams - i)};
    for (std::size_t t = 0; t < options.prompt; ++t) {
      const std::uint64_t seed = base::child_seed(static_cast<std::uint64_t>(turn + 1), t < options.shared ? 0 : i + 1);
      request.prompt.emplace_back(static_cast<std::int32_t>(base::random_u64(seed, t) % loaded.model->vocabulary()));
    }
    PLAIT_TRY_VOID(engine->submit(request));
  }
  while (engine->step()) {
    if (os::interrupt_requested()) return base::fail(base::ErrorCode::interrupted, "interrupted");
  }
  const double seconds = base::steady_clock().now() - start;
  if (counter.error) return std::unexpected(*counter.error);
  const auto median = counter.first_token_seconds.begin() + static_cast<std::ptrdiff_t>(streams / 2);
  std::ranges::nth_element(counter.first_token_seconds, median);
  return Load{.rate = static_cast<double>(streams * options.prompt + counter.generated) / seconds,
              .decode_rate = static_cast<double>(counter.generated) / seconds,
              .engine_share = 1 - (runner.forward_seconds + runner.sample_seconds) / seconds,
              .sample_share = runner.sample_seconds / seconds,
              .first_token = *median,
              .seconds = seconds,
              .prompt_rows = static_cast<double>(engine->counters().prompt_rows),
              .counters = engine->counters()};
}

double median(std::vector<Load>& loads, double Load::* value) {
  std::ranges::sort(loads, {}, value);
  return loads[loads.size() / 2].*value;
}

// The run of the median rate. Requires: not empty.
const Load& middle(std::vector<Load>& loads) {
  std::ranges::sort(loads, {}, &Load::rate);
  return loads[loads.size() / 2];
}

text::Json loads_json(std::vector<Load>& loads, const StreamsOptions& options, std::size_t streams) {
  return {{"streams", streams},
          {"prompt", options.prompt},
          {"generate", options.generate},
          {"tokens_per_second", median(loads, &Load::rate)},
          {"seconds", median(loads, &Load::seconds)},
          {"prompt_rows_computed", median(loads, &Load::prompt_rows)},
          {"generated_per_second", median(loads, &Load::decode_rate)},
          {"first_token_seconds", median(loads, &Load::first_token)},
          {"engine_share", median(loads, &Load::engine_share)},
          {"sampling_share", median(loads, &Load::sample_share)},
          {"preemption", preemption_json(middle(loads).counters)}};
}

void print_loads(std::vector<Load>& loads, std::size_t streams) {
  print(
      "{:>4} stream{} {:8.1f} tokens/s ({:.1f} to {:.1f}), {:.1f} generated; first token after {:.3f} s; engine "
      "{:.1f} %, sampling {:.1f} %\n",
      streams, streams == 1 ? " " : "s", median(loads, &Load::rate), std::ranges::min(loads, {}, &Load::rate).rate,
      std::ranges::max(loads, {}, &Load::rate).rate, median(loads, &Load::decode_rate),
      median(loads, &Load::first_token), 100 * median(loads, &Load::engine_share),
      100 * median(loads, &Load::sample_share));
  const std::string preempted = preemption_text(middle(loads).counters);
  if (!preempted.empty()) print("             {}\n", preempted);
}

}  // namespace

base::Result<void> bench_streams(const Session& session, const LoadedModel& loaded, const StreamsOptions& options) {
  if (options.prompt == 0 || options.generate == 0) {
    return base::fail(base::ErrorCode::invalid_argument, "--streams needs --prompt and --decode of 1 token at least");
  }
  auto document = text::Json::array();
  if (!session.json) {
    print("{}: {} threads, {} tokens in, {} out, {}\n", loaded.name, loaded.team->size(), options.prompt,
          options.generate, os::cpu_features().model_name);
  }
  for (const std::size_t streams : options.streams) {
    std::vector<Load> loads;
    for (int turn = -1; turn < options.repeats; ++turn) {  // turn -1 warms up
      PLAIT_TRY(const Load load, run_load(session, loaded, options, streams, turn));
      if (turn >= 0) loads.push_back(load);
    }
    if (session.json) {
      document.push_back(loads_json(loads, options, streams));
    } else {
      print_loads(loads, streams);
    }
  }
  if (session.json) print("{}\n", text::Json{{"model", loaded.name}, {"streams", document}}.dump());
  return {};
}

}  // namespace plait::cli
