// SPDX-License-Identifier: Apache-2.0
#include "cli/batch.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "cli/engine_settings.h"
#include "cli/line_file.h"
#include "cli/model_session.h"
#include "cli/progress.h"
#include "engine/engine.h"
#include "os/interrupt.h"
#include "serving/batch.h"
#include "store/file_layer.h"
#include "store/result_file.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using Clock = std::chrono::steady_clock;

// More rows were no faster on the machine that was measured, and need more memory; see docs/batch.md.
constexpr std::size_t kRows = 64;

struct BatchFlags {
  std::string input = {};
  std::string output = {};
  bool ordered = false;
  std::size_t rows = kRows;
  double commit_seconds = 1;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Lines that are not blank, for the bar; nothing if the file can be read only once.
base::Result<std::size_t> count_lines(const BatchFlags& flags) {
  PLAIT_TRY(LineFile file, LineFile::open(flags.input));
  std::size_t lines = 0;
  while (file.is_regular() && !os::interrupt_requested()) {
    PLAIT_TRY(const auto line, file.next(1));
    if (!line) break;
    if (!line->empty()) ++lines;
  }
  return lines;
}

// Never a file that already has another meaning.
base::Result<void> check_output(const BatchFlags& flags) {
  std::error_code ignored;
  if (std::filesystem::equivalent(flags.input, flags.output, ignored)) {
    return fail(ErrorCode::invalid_argument, "-o names the input itself; results need a file of their own");
  }
  return {};
}

// What the results look like from outside, whole file and this run.
struct Outcome {
  serving::BatchCounts counts = {};
  std::size_t answered = 0;  // in the file
  double seconds = 0;
};

void report(const Outcome& outcome, const engine::EngineCounters& counted, const LoadedModel& loaded,
            const Session& session) {
  const serving::BatchCounts& counts = outcome.counts;
  const double rate = static_cast<double>(counts.generated_tokens) / std::max(outcome.seconds, 1e-9);
  if (session.json) {
    print("{}\n", text::Json{{"model", loaded.name},
                             {"lines", counts.lines},
                             {"skipped", counts.skipped},
                             {"answered", counts.answered},
                             {"failed", counts.failed},
                             {"prompt_tokens", counts.prompt_tokens},
                             {"completion_tokens", counts.generated_tokens},
                             {"seconds", outcome.seconds},
                             {"preemption", preemption_json(counted)},
                             {"interrupted", counts.ended_early}}
                      .dump());
  }
  std::string line = fmt::format("{} answered, {} failed", counts.answered, counts.failed);
  if (counts.skipped > 0) line += fmt::format(", {} done before", counts.skipped);
  note(session, fmt::format("{}; {} prompt tokens and {} tokens in {:.1f} s ({:.0f} tokens/s)", line,
                            counts.prompt_tokens, counts.generated_tokens, outcome.seconds, rate));
  if (const std::string preempted = preemption_text(counted); !preempted.empty()) note(session, preempted);
  if (counts.warned > 0) {
    note(session,
         fmt::format("{} requests have fields that are ignored; see plait.warnings in their results", counts.warned));
  }
  if (counts.other_model > 0) {
    note(session, fmt::format("{} requests name another model; {} answered them", counts.other_model, loaded.name));
  }
}

// Requests in, results out, with the bar.
base::Result<Outcome> run_batch(const BatchFlags& flags, const LoadedModel& loaded, engine::Engine& engine,
                                store::ResultFile& results, const serving::BatchDone& done, const Session& session) {
  serving::Grammars grammars(*loaded.tokenizer);
  const serving::Target target = target_of(loaded, engine, grammars);
  PLAIT_TRY(const std::size_t lines, count_lines(flags));
  PLAIT_TRY(LineFile input, LineFile::open(flags.input));
  serving::EngineAnswers answers(engine, target, flags.rows);
  serving::Batch batch(answers, target, results, done,
                       {.ordered = flags.ordered, .commit_seconds = flags.commit_seconds});
  ProgressBar bar(session.progress, ProgressUnit::pieces);
  const auto start = Clock::now();
  const auto watch = [&](const serving::BatchCounts& counts) {
    const double rate = static_cast<double>(engine.counters().decode_rows) / std::max(seconds_since(start), 1e-3);
    const std::size_t over = counts.skipped + counts.answered + counts.failed;
    bar.update("requests", over, std::max(lines, counts.lines), fmt::format("{:.0f} tokens/s", rate));
    return !os::interrupt_requested();
  };
  PLAIT_TRY(const auto counts, batch.run([&] { return input.next(serving::kBatchLineBytesMax); }, watch));
  return Outcome{.counts = counts, .answered = done.answered() + counts.answered, .seconds = seconds_since(start)};
}

base::Result<void> batch(const BatchFlags& flags, const Session& session) {
  PLAIT_TRY_VOID(check_output(flags));
  PLAIT_TRY_VOID(check_engine_settings(session.config));
  PLAIT_TRY_VOID(LineFile::open(flags.input));  // before the model is loaded
  const os::InterruptGuard guard;
  serving::BatchDone done;
  store::OsFileLayer files;
  PLAIT_TRY(const auto results,
            store::ResultFile::open(files, flags.output, [&](std::string_view line) { return done.note(line); }));
  if (const base::Bytes dropped = results->recovery().bytes_dropped; dropped > 0) {
    note(session, fmt::format("{}: cut {} at its end that an ended run had not finished writing", flags.output,
                              base::human_bytes(dropped)));
  }
  PLAIT_TRY(const LoadedModel loaded, load_model(session));
  engine::ModelRunner runner(*loaded.model, *loaded.team);
  PLAIT_TRY(const EngineSettings settings, EngineSettings::make(session.config, runner, {.sequences = flags.rows}));
  engine::EngineOptions options = settings.options();
  options.rows_max = flags.rows;
  options.rates = cost_rates(*loaded.model);
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, options));
  PLAIT_TRY(const Outcome outcome, run_batch(flags, loaded, *engine, *results, done, session));
  report(outcome, engine->counters(), loaded, session);
  if (outcome.counts.ended_early) {
    return fail(ErrorCode::interrupted, "interrupted; the same command goes on from here");
  }
  if (outcome.answered == 0 && outcome.counts.lines > 0) {
    return fail(ErrorCode::internal, fmt::format("no request was answered; {} says why", flags.output));
  }
  return {};
}

}  // namespace

void add_batch(CLI::App& app, Session& session) {
  auto flags = std::make_shared<BatchFlags>();
  CLI::App* verb = app.add_subcommand("batch", "Answer a file of requests, many at a time");
  verb->add_option("file", flags->input,
                   "Requests in OpenAI's batch shape, one JSON object a line; - for standard input")
      ->required();
  verb->add_option("-o,--output", flags->output, "Results, one line each; what is there already is not done again")
      ->required();
  verb->add_flag("--ordered", flags->ordered, "Results in the order of the requests, not as they come");
  verb->add_option("--rows", flags->rows, "Most answers that are generated at a time")
      ->check(CLI::Range(std::size_t{1}, models::kStepRows))
      ->capture_default_str();
  verb->add_option("--commit-seconds", flags->commit_seconds, "Results are safe on the disk after this long")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  add_engine_options(*verb, session, true);
  add_model_options(*verb, session);
  verb->footer("Example: plait batch requests.jsonl -o results.jsonl --ordered");
  verb->callback([&session, flags] { session.action = [&session, flags] { return batch(*flags, session); }; });
}

}  // namespace plait::cli
