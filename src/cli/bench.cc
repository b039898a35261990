// SPDX-License-Identifier: Apache-2.0
#include "cli/bench.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "base/random.h"
#include "cli/bench_serve.h"
#include "cli/bench_streams.h"
#include "cli/engine_settings.h"
#include "cli/model_session.h"
#include "kernels/probe.h"
#include "os/cpu.h"
#include "os/interrupt.h"
#include "os/memory.h"
#include "text/json.h"

namespace plait::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::size_t prompt = 512;
  std::size_t decode = 64;
  std::vector<std::size_t> rows = {1};
  std::size_t depth = 0;
  std::vector<std::size_t> streams = {};
  std::size_t shared = 0;
  bool watched = false;
  std::size_t samples = 1;
  int repeats = 5;
  bool no_probe = false;
};

// One kind of measurement over all repeats.
struct Samples {
  std::vector<double> values;

  [[nodiscard]] double median() const {
    if (values.empty()) return 0;
    std::vector<double> sorted = values;
    std::ranges::sort(sorted);
    const std::size_t half = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }
  [[nodiscard]] double lowest() const { return values.empty() ? 0 : std::ranges::min(values); }
  [[nodiscard]] double highest() const { return values.empty() ? 0 : std::ranges::max(values); }
};

// Decoding with one number of sequences side by side.
struct DecodeReport {
  std::size_t rows = 1;
  Samples rate = {};        // tokens per second, of all sequences together
  Samples read_share = {};  // of the read probe of the same repeat
  models::StepClock times = {};
  std::size_t steps_timed = 0;
};

struct Report {
  Samples prompt;  // tokens per second
  models::StepClock prompt_times = {};
  std::vector<DecodeReport> decode;
  Samples read_probe;  // bytes per second
  kernels::PeakProbe peak = {};
  std::string_view read_variant = {};
  base::Bytes resident_after_load = 0;
};

// The instruction that the linear layers of an instruction set live from.
std::string_view main_instruction(kernels::Isa isa) {
  switch (isa) {
    case kernels::Isa::amx:
      return "tdpbssd";
    case kernels::Isa::avx512:
      return "vpdpbusd zmm";
    case kernels::Isa::avxvnni:
      return "vpdpbusd ymm";
    case kernels::Isa::avx2:
      return "vpmaddubsw ymm";
    case kernels::Isa::generic:
      return "vfmadd231ps ymm";
  }
  return {};
}

std::vector<base::TokenId> random_tokens(std::size_t count, std::size_t vocabulary) {
  std::vector<base::TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) {
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(1, i) % vocabulary));
  }
  return tokens;
}

// One model with what a measurement needs.
class Bench {
 public:
  Bench(const BenchOptions& options, const LoadedModel& loaded)
      : options_(options),
        loaded_(loaded),
        workspace_(*loaded.model, *loaded.team),
        tokens_(random_tokens(std::max({options.prompt, options.decode, options.depth}), loaded.model->vocabulary())) {
    const std::size_t rows = std::ranges::max(options.rows);
    for (std::size_t i = 0; i < rows; ++i) sequences_.emplace_back(*loaded.model);
    logits_.resize(rows * loaded.model->vocabulary());
  }

  base::Result<Report> run() {
    Report report;
    report.resident_after_load = os::resident_bytes();
    for (const std::size_t rows : options_.rows) report.decode.push_back({.rows = rows});
    if (!options_.no_probe) {
      const std::string_view wanted = main_instruction(loaded_.model->isa());
      for (const auto& peak : kernels::probe_peaks(*loaded_.team)) {
        if (peak.name == wanted) report.peak = peak;
      }
    }
    for (int turn = -1; turn < options_.repeats; ++turn) {  // turn -1 warms up
      PLAIT_TRY_VOID(repeat(turn >= 0, report));
    }
    if (!options_.no_probe) PLAIT_TRY_VOID(measure_parts(report));
    return report;
  }

 private:
  base::Result<void> repeat(bool counts, Report& report) {
    if (options_.prompt > 0) {
      sequences_[0].trim(0);
      PLAIT_TRY(const double seconds, feed(0, options_.prompt));
      if (counts) report.prompt.values.push_back(static_cast<double>(options_.prompt) / seconds);
    }
    if (options_.decode < 2) return {};
    double probe = 0;
    if (counts && !options_.no_probe) {
      const kernels::ReadVariant best = kernels::probe_read(loaded_.model->bytes_per_step(), *loaded_.team).best;
      report.read_variant = best.name;
      report.read_probe.values.push_back(best.bytes_per_second);
      probe = best.bytes_per_second;
    }
    for (DecodeReport& decode : report.decode) {
      PLAIT_TRY(const double seconds, decode_seconds(decode.rows));
      if (!counts) continue;
      const double steps = static_cast<double>(options_.decode - 1) / seconds;
      decode.rate.values.push_back(steps * static_cast<double>(decode.rows));
      if (probe > 0) {
        decode.read_share.values.push_back(steps * static_cast<double>(loaded_.model->bytes_per_step()) / probe);
      }
    }
    return {};
  }

  // Once more with the clock that the figures above do without.
  base::Result<void> measure_parts(Report& report) {
    if (options_.prompt > 0) {
      sequences_[0].trim(0);
      workspace_.measure(&report.prompt_times);
      PLAIT_TRY_VOID(feed(0, options_.prompt));
    }
    if (options_.decode < 2) return {};
    for (DecodeReport& decode : report.decode) {
      workspace_.measure(nullptr);
      PLAIT_TRY_VOID(start_decoding(decode.rows));
      workspace_.measure(&decode.times);
      for (std::size_t i = 1; i < options_.decode; ++i) PLAIT_TRY_VOID(step(decode.rows));
      decode.steps_timed = options_.decode - 1;
    }
    workspace_.measure(nullptr);
    return {};
  }

  base::Result<void> start_decoding(std::size_t rows) {
    for (std::size_t i = 0; i < rows; ++i) {
      sequences_[i].trim(0);
      if (options_.depth > 0) PLAIT_TRY_VOID(feed(i, options_.depth));
    }
    return step(rows);  // the first token after a prompt still finds the caches cold
  }

  base::Result<double> decode_seconds(std::size_t rows) {
    PLAIT_TRY_VOID(start_decoding(rows));
    const auto start = Clock::now();
    for (std::size_t i = 1; i < options_.decode; ++i) PLAIT_TRY_VOID(step(rows));
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  base::Result<double> feed(std::size_t sequence, std::size_t count) {
    if (os::interrupt_requested()) return base::fail(base::ErrorCode::interrupted, "interrupted");
    const auto start = Clock::now();
    const std::span<const base::TokenId> tokens = std::span(tokens_).first(count);
    const std::span<float> logits = std::span(logits_).first(loaded_.model->vocabulary());
    PLAIT_TRY_VOID(loaded_.model->forward(sequences_[sequence], tokens, models::Logits::last, workspace_, logits));
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  base::Result<void> step(std::size_t rows) {
    if (os::interrupt_requested()) return base::fail(base::ErrorCode::interrupted, "interrupted");
    batch_.clear();
    for (std::size_t i = 0; i < rows; ++i) batch_.push_back({&sequences_[i], std::span(tokens_).first(1)});
    return loaded_.model->forward(batch_, workspace_, std::span(logits_).first(rows * loaded_.model->vocabulary()));
  }

  const BenchOptions& options_;
  const LoadedModel& loaded_;
  std::vector<models::Sequence> sequences_;
  models::Workspace workspace_;
  std::vector<base::TokenId> tokens_;
  std::vector<models::SequenceRows> batch_;
  std::vector<float> logits_;
};

text::Json samples_json(const Samples& samples) {
  return {{"tokens_per_second", samples.median()}, {"samples", samples.values}};
}

text::Json times_json(const models::StepClock& times) {
  text::Json parts = text::Json::object();
  for (std::size_t i = 0; i < models::kStepPartNames.size(); ++i) {
    parts[models::kStepPartNames[i]] = times.seconds(static_cast<models::StepPart>(i)) / times.total();
  }
  return parts;
}

text::Json decode_json(const DecodeReport& decode, const BenchOptions& options) {
  text::Json document = samples_json(decode.rate);
  document["rows"] = decode.rows;
  document["tokens"] = options.decode;
  document["depth"] = options.depth;
  if (!decode.read_share.values.empty()) document["share_of_read_probe"] = decode.read_share.median();
  if (decode.times.total() > 0) document["time"] = times_json(decode.times);
  return document;
}

void print_json(const Report& report, const LoadedModel& loaded, const BenchOptions& options) {
  const models::Model& model = *loaded.model;
  text::Json document{
      {"model", loaded.name},
      {"cpu", os::cpu_features().model_name},
      {"isa", kernels::name(model.isa())},
      {"weights", kernels::name(model.weights())},
      {"attention", kernels::name(model.attention())},
      {"kv_bytes_per_token", model.kv_layout().token_bytes()},
      {"threads", loaded.team->size()},
      {"load_seconds", loaded.load_seconds},
      {"file_bytes", model.file().file_bytes()},
      {"weight_bytes", model.weight_bytes()},
      {"bytes_per_step", model.bytes_per_step()},
      {"resident_bytes_after_load", report.resident_after_load},
      {"prompt", samples_json(report.prompt)},
      {"decode", text::Json::array()},
  };
  document["prompt"]["tokens"] = options.prompt;
  if (report.prompt_times.total() > 0) document["prompt"]["time"] = times_json(report.prompt_times);
  for (const DecodeReport& decode : report.decode) document["decode"].push_back(decode_json(decode, options));
  if (!options.no_probe) {
    document["probe"] = {{"read_bytes_per_second", report.read_probe.median()},
                         {"read_variant", report.read_variant},
                         {"peak_instruction", report.peak.name},
                         {"peak_operations_per_second", report.peak.operations_per_second}};
    if (report.peak.operations_per_second > 0) {
      document["prompt"]["share_of_peak"] =
          report.prompt.median() * model.operations_per_token() / report.peak.operations_per_second;
    }
  }
  print("{}\n", document.dump());
}

// "products 71 %, attention 9 %, ...": parts of the time, the largest first; what is below one per cent is left out.
std::string times_text(const models::StepClock& times) {
  std::vector<std::pair<double, std::string_view>> parts;
  for (std::size_t i = 0; i < models::kStepPartNames.size(); ++i) {
    parts.emplace_back(times.seconds(static_cast<models::StepPart>(i)) / times.total(), models::kStepPartNames[i]);
  }
  std::ranges::sort(parts, std::greater());
  std::string text;
  for (const auto& [share, name] : parts) {
    if (share < 0.01) break;
    text += fmt::format("{}{} {:.0f} %", text.empty() ? "" : ", ", name, 100 * share);
  }
  return text;
}

void print_decode(const DecodeReport& decode, const BenchOptions& options) {
  const double rows = static_cast<double>(decode.rows);
  print("decode     {:8.1f} tokens/s ({:.1f} to {:.1f}), {} row{}, {} tokens after {}\n", decode.rate.median(),
        decode.rate.lowest(), decode.rate.highest(), decode.rows, decode.rows == 1 ? "" : "s", options.decode,
        options.depth);
  print("           {:.3f} ms a step", 1e3 * rows / decode.rate.median());
  if (decode.times.total() > 0) print(": {}", times_text(decode.times));
  print("\n");
}

void print_text(const Report& report, const LoadedModel& loaded, const BenchOptions& options) {
  const models::Model& model = *loaded.model;
  print("{}: {} threads, {}, {}\n", loaded.name, loaded.team->size(), kernels::name(model.isa()),
        os::cpu_features().model_name);
  print("load       {:.2f} s, file {}, resident {}\n", loaded.load_seconds,
        base::human_bytes(model.file().file_bytes()), base::human_bytes(report.resident_after_load));
  print("cache      attention {}, {} bytes a token\n", kernels::name(model.attention()),
        model.kv_layout().token_bytes());
  if (!report.prompt.values.empty()) {
    print("prompt     {:8.1f} tokens/s ({:.1f} to {:.1f}), {} tokens, {} repeats\n", report.prompt.median(),
          report.prompt.lowest(), report.prompt.highest(), options.prompt, report.prompt.values.size());
    if (report.prompt_times.total() > 0) print("           {}\n", times_text(report.prompt_times));
  }
  if (options.decode > 1) {
    for (const DecodeReport& decode : report.decode) print_decode(decode, options);
  }
  if (options.no_probe) return;
  if (!report.prompt.values.empty() && report.peak.operations_per_second > 0) {
    const double operations = report.prompt.median() * model.operations_per_token();
    print("prompt     {:.3f} T operations/s of {:.3f} ({}): {:.0f} %\n", operations / 1e12,
          report.peak.operations_per_second / 1e12, report.peak.name,
          100 * operations / report.peak.operations_per_second);
  }
  for (const DecodeReport& decode : report.decode) {
    if (decode.read_share.values.empty()) continue;
    print("{:<2} row{:<5} {:.1f} GB/s of weights; the probe reads {} at {:.1f} GB/s ({}): {:.0f} %\n", decode.rows,
          decode.rows == 1 ? "" : "s", decode.read_share.median() * report.read_probe.median() / 1e9,
          base::human_bytes(model.bytes_per_step()), report.read_probe.median() / 1e9, report.read_variant,
          100 * decode.read_share.median());
  }
}

base::Result<void> bench(const BenchOptions& options, const Session& session) {
  PLAIT_TRY_VOID(check_engine_settings(session.config));
  const os::InterruptGuard guard;
  PLAIT_TRY(const LoadedModel loaded, load_model(session));
  const std::size_t needed = std::max(options.prompt, options.depth + options.decode);
  if (needed > loaded.model->context()) {
    return base::fail(base::ErrorCode::invalid_argument,
                      fmt::format("{} tokens are asked for and the context holds {}", needed, loaded.model->context()));
  }
  if (!options.streams.empty()) {
    return bench_streams(session, loaded,
                         {.prompt = options.prompt,
                          .shared = options.shared,
                          .watched = options.watched,
                          .samples = options.samples,
                          .generate = options.decode,
                          .streams = options.streams,
                          .repeats = options.repeats});
  }
  PLAIT_TRY(const Report report, Bench(options, loaded).run());
  if (session.json) {
    print_json(report, loaded, options);
  } else {
    print_text(report, loaded, options);
  }
  for (const DecodeReport& decode : report.decode) {
    if (decode.read_share.median() > 1) {
      note(session, "the share of the read probe is above 100 %: the probe is not valid, measure again");
    }
  }
  return {};
}

}  // namespace

void add_bench(CLI::App& app, Session& session) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* verb = app.add_subcommand("bench", "Measure how fast a model runs here");
  verb->add_option("-p,--prompt", options->prompt, "Tokens of the prompt; 0: none")->capture_default_str();
  verb->add_option("-d,--decode", options->decode, "Tokens to decode one by one; 0: none")->capture_default_str();
  verb->add_option("--rows", options->rows, "Sequences to decode side by side; several numbers: one after the other")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::Range(1, 512));
  verb->add_option("--streams", options->streams,
                   "Instead: so many requests at once through the engine, each with --prompt and --decode tokens")
      ->delimiter(',')
      ->check(CLI::Range(1, 512));
  verb->add_option("--shared", options->shared, "With --streams: so many first tokens of all prompts are the same")
      ->capture_default_str();
  verb->add_option("--samples", options->samples, "With --streams: answers to each prompt, which count as streams")
      ->capture_default_str()
      ->check(CLI::Range(1, 512));
  verb->add_flag("--watched", options->watched,
                 "With --streams: as if people read the answers as they come, prompts keep the pace of those at work");
  verb->add_option("--depth", options->depth, "Tokens in the context before decoding")->capture_default_str();
  verb->add_option("-r,--repeats", options->repeats, "How often; medians are shown")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  verb->add_flag("--no-probe", options->no_probe,
                 "Only the rates: without the machine's limits and the parts of the time");
  add_model_options(*verb, session);
  add_engine_options(*verb, session, true);
  verb->footer("Example: plait bench --prompt 512 --decode 64 --rows 1,8,32");
  add_bench_serve(*verb, session);
  verb->callback([&session, options, verb] {
    if (!verb->get_subcommands().empty()) return;  // that one has said what to do
    session.action = [&session, options] { return bench(*options, session); };
  });
}

}  // namespace plait::cli
