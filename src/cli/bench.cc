// SPDX-License-Identifier: Apache-2.0
#include "cli/bench.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "cli/model_session.h"
#include "kernels/probe.h"
#include "os/cpu.h"
#include "os/interrupt.h"
#include "os/memory.h"

namespace plait::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::size_t prompt = 512;
  std::size_t decode = 64;
  std::size_t depth = 0;
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

struct Report {
  Samples prompt;      // tokens per second
  Samples decode;      // tokens per second
  Samples read_share;  // of the read probe of the same repeat
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
        sequence_(*loaded.model),
        workspace_(*loaded.model, *loaded.team),
        tokens_(random_tokens(std::max({options.prompt, options.decode, options.depth}), loaded.model->vocabulary())),
        logits_(loaded.model->vocabulary()) {}

  base::Result<Report> run() {
    Report report;
    report.resident_after_load = os::resident_bytes();
    if (!options_.no_probe) {
      const std::string_view wanted = main_instruction(loaded_.model->isa());
      for (const auto& peak : kernels::probe_peaks(*loaded_.team)) {
        if (peak.name == wanted) report.peak = peak;
      }
    }
    for (int turn = -1; turn < options_.repeats; ++turn) {  // turn -1 warms up
      if (os::interrupt_requested()) return base::fail(base::ErrorCode::interrupted, "interrupted");
      PLAIT_TRY_VOID(repeat(turn >= 0, report));
    }
    return report;
  }

 private:
  base::Result<void> repeat(bool counts, Report& report) {
    double prompt_seconds = 0;
    double decode_seconds = 0;
    if (options_.prompt > 0) {
      sequence_.trim(0);
      PLAIT_TRY(prompt_seconds, feed(options_.prompt));
    }
    if (options_.decode > 0) {
      sequence_.trim(0);
      if (options_.depth > 0) PLAIT_TRY_VOID(feed(options_.depth));
      PLAIT_TRY_VOID(step());  // the first token after a prompt still finds the caches cold
      const auto start = Clock::now();
      for (std::size_t i = 1; i < options_.decode; ++i) PLAIT_TRY_VOID(step());
      decode_seconds = std::chrono::duration<double>(Clock::now() - start).count();
    }
    if (!counts) return {};
    if (prompt_seconds > 0) report.prompt.values.push_back(static_cast<double>(options_.prompt) / prompt_seconds);
    if (options_.decode < 2) return {};
    const double rate = static_cast<double>(options_.decode - 1) / decode_seconds;
    report.decode.values.push_back(rate);
    if (options_.no_probe) return {};
    const kernels::ReadVariant best = kernels::probe_read(loaded_.model->bytes_per_step(), *loaded_.team).best;
    report.read_variant = best.name;
    report.read_probe.values.push_back(best.bytes_per_second);
    report.read_share.values.push_back(rate * static_cast<double>(loaded_.model->bytes_per_step()) /
                                       best.bytes_per_second);
    return {};
  }

  base::Result<double> feed(std::size_t count) {
    const auto start = Clock::now();
    const std::span<const base::TokenId> tokens = std::span(tokens_).first(count);
    PLAIT_TRY_VOID(loaded_.model->forward(sequence_, tokens, models::Logits::last, workspace_, logits_));
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  base::Result<void> step() {
    const std::span<const base::TokenId> token = std::span(tokens_).first(1);
    return loaded_.model->forward(sequence_, token, models::Logits::last, workspace_, logits_);
  }

  const BenchOptions& options_;
  const LoadedModel& loaded_;
  models::Sequence sequence_;
  models::Workspace workspace_;
  std::vector<base::TokenId> tokens_;
  std::vector<float> logits_;
};

nlohmann::json samples_json(const Samples& samples) {
  return {{"tokens_per_second", samples.median()}, {"samples", samples.values}};
}

void print_json(const Report& report, const LoadedModel& loaded, const BenchOptions& options) {
  const models::Model& model = *loaded.model;
  nlohmann::json document{
      {"model", loaded.name},
      {"cpu", os::cpu_features().model_name},
      {"isa", kernels::name(model.isa())},
      {"threads", loaded.team->size()},
      {"load_seconds", loaded.load_seconds},
      {"file_bytes", model.file().file_bytes()},
      {"weight_bytes", model.weight_bytes()},
      {"bytes_per_step", model.bytes_per_step()},
      {"resident_bytes_after_load", report.resident_after_load},
      {"prompt", samples_json(report.prompt)},
      {"decode", samples_json(report.decode)},
  };
  document["prompt"]["tokens"] = options.prompt;
  document["decode"]["tokens"] = options.decode;
  document["decode"]["depth"] = options.depth;
  if (!options.no_probe) {
    document["probe"] = {{"read_bytes_per_second", report.read_probe.median()},
                         {"read_variant", report.read_variant},
                         {"peak_instruction", report.peak.name},
                         {"peak_operations_per_second", report.peak.operations_per_second}};
    document["decode"]["share_of_read_probe"] = report.read_share.median();
    if (report.peak.operations_per_second > 0) {
      document["prompt"]["share_of_peak"] =
          report.prompt.median() * model.operations_per_token() / report.peak.operations_per_second;
    }
  }
  print("{}\n", document.dump());
}

void print_text(const Report& report, const LoadedModel& loaded, const BenchOptions& options) {
  const models::Model& model = *loaded.model;
  print("{}: {} threads, {}, {}\n", loaded.name, loaded.team->size(), kernels::name(model.isa()),
        os::cpu_features().model_name);
  print("load       {:.2f} s, file {}, resident {}\n", loaded.load_seconds,
        base::human_bytes(model.file().file_bytes()), base::human_bytes(report.resident_after_load));
  const auto line = [](std::string_view what, const Samples& samples, std::size_t tokens) {
    print("{:<10} {:8.1f} tokens/s ({:.1f} to {:.1f}), {} tokens, {} repeats\n", what, samples.median(),
          samples.lowest(), samples.highest(), tokens, samples.values.size());
  };
  if (!report.prompt.values.empty()) line("prompt", report.prompt, options.prompt);
  if (!report.decode.values.empty()) line("decode", report.decode, options.decode);
  if (options.no_probe) return;
  if (report.peak.operations_per_second > 0) {
    const double operations = report.prompt.median() * model.operations_per_token();
    print("prompt     {:.3f} T operations/s of {:.3f} ({}): {:.0f} %\n", operations / 1e12,
          report.peak.operations_per_second / 1e12, report.peak.name,
          100 * operations / report.peak.operations_per_second);
  }
  if (report.decode.values.empty()) return;
  print("decode     {:.1f} GB/s of the file's weights; the probe reads {} at {:.1f} GB/s ({}): {:.0f} %\n",
        report.decode.median() * static_cast<double>(model.bytes_per_step()) / 1e9,
        base::human_bytes(model.bytes_per_step()), report.read_probe.median() / 1e9, report.read_variant,
        100 * report.read_share.median());
}

base::Result<void> bench(const BenchOptions& options, const Session& session) {
  const os::InterruptGuard guard;
  PLAIT_TRY(const LoadedModel loaded, load_model(session));
  const std::size_t needed = std::max(options.prompt, options.depth + options.decode);
  if (needed > loaded.model->context()) {
    return base::fail(base::ErrorCode::invalid_argument,
                      fmt::format("{} tokens are asked for and the context holds {}", needed, loaded.model->context()));
  }
  PLAIT_TRY(const Report report, Bench(options, loaded).run());
  if (session.json) {
    print_json(report, loaded, options);
  } else {
    print_text(report, loaded, options);
  }
  if (report.read_share.median() > 1) {
    note(session, "the share of the read probe is above 100 %: the probe is not valid, measure again");
  }
  return {};
}

}  // namespace

void add_bench(CLI::App& app, Session& session) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* verb = app.add_subcommand("bench", "Measure how fast a model runs here");
  verb->add_option("-p,--prompt", options->prompt, "Tokens of the prompt; 0: none")->capture_default_str();
  verb->add_option("-d,--decode", options->decode, "Tokens to decode one by one; 0: none")->capture_default_str();
  verb->add_option("--depth", options->depth, "Tokens in the context before decoding")->capture_default_str();
  verb->add_option("-r,--repeats", options->repeats, "How often; medians are shown")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  verb->add_flag("--no-probe", options->no_probe, "Without the machine's limits beside it");
  add_model_options(*verb, session);
  verb->footer("Example: plait bench --prompt 512 --decode 64");
  verb->callback([&session, options] { session.action = [&session, options] { return bench(*options, session); }; });
}

}  // namespace plait::cli
