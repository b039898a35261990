// SPDX-License-Identifier: Apache-2.0
//
// plait-lab: experiments that measure the claims of papers.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/chart.h"
#include "evaluation/experiment.h"
#include "evaluation/experiments/apr.h"
#include "evaluation/experiments/backtrack.h"
#include "evaluation/experiments/enumerations.h"
#include "evaluation/experiments/fairness.h"
#include "evaluation/experiments/fastswitch.h"
#include "evaluation/experiments/index.h"
#include "evaluation/experiments/learners.h"
#include "evaluation/experiments/ope.h"
#include "evaluation/experiments/paging.h"
#include "evaluation/experiments/pdr.h"
#include "evaluation/experiments/pte.h"
#include "evaluation/experiments/sharing.h"
#include "evaluation/experiments/thinking_together.h"
#include "evaluation/experiments/threadweaver.h"
#include "evaluation/experiments/trace_command.h"
#include "hub/hub.h"
#include "os/file.h"
#include "os/paths.h"
#include "text/json.h"

namespace {

namespace base = plait::base;
namespace evaluation = plait::evaluation;

constexpr auto kUsage =
    "plait-lab: experiments that measure the claims of papers\n\n"
    "  plait-lab list\n"
    "  plait-lab run NAME [OPTIONS]    an experiment\n"
    "  plait-lab run all [OPTIONS]     those of ways to think, one after the other, in one table\n"
    "  plait-lab bench NAME [OPTIONS]  tables of a part alone, beside others of its kind\n"
    "  plait-lab traces KIND COUNT     what learners are trained on, a JSON object a line: what is given and what\n"
    "                                  is to be written; KIND is a search over CountDown, direct, depth-first or\n"
    "                                  spawned, or refined, which takes drafts of direct.gguf in the folder of\n"
    "                                  --learners, or products, sums line by line and in threads\n\n"
    "  --json FILE   write all figures as JSON\n"
    "  --svg FILE    draw the figure\n"
    "  --model NAME  or the path of its file, for experiments that run one; smollm2-135m\n"
    "  --learners FOLDER  where bench/learners/train.py has left its models, for `run learners`\n"
    "  --scale S     so many times the trajectories or keys; 1\n"
    "  --quick       only see that it runs; its figures mean nothing\n"
    "  --numbers N, --seed N, --context N, --part training|validation|test    of traces: numbers of a problem (3),\n"
    "                seed (1), window of a spawned search in tokens (1024), and which problems\n"
    "  --products N  of traces products: products of a sum; 0, the default, draws 3 to 5\n\n"
    "Exit codes: 0 done and every gate holds, 1 a gate or the run failed, 2 wrong usage.\n"
    "Example: plait-lab run paging --svg paging.svg\n";

/// What stands behind `run` and behind `bench`.
struct Lab {
  evaluation::ExperimentRegistry run;
  evaluation::ExperimentRegistry bench;
};

Lab make_lab() {
  Lab lab;
  lab.run.add(evaluation::fastswitch_experiment());
  lab.run.add(evaluation::paging_experiment());
  lab.run.add(evaluation::pte_experiment());
  lab.run.add(evaluation::fairness_experiment());
  lab.run.add(evaluation::sharing_experiment());
  lab.run.add(evaluation::hogwild_experiment());
  lab.run.add(evaluation::group_think_experiment());
  lab.run.add(evaluation::threadweaver_experiment());
  lab.run.add(evaluation::apr_experiment());
  lab.run.add(evaluation::pdr_experiment());
  lab.run.add(evaluation::ope_experiment());
  lab.run.add(evaluation::backtrack_experiment());
  lab.run.add(evaluation::coverage_experiment());
  lab.run.add(evaluation::learners_experiment());
  lab.bench.add(evaluation::index_experiment());
  return lab;
}

/// Of `run all`.
constexpr std::array kThinking = {"hogwild", "group-think", "threadweaver", "apr", "pdr", "ope", "backtrack"};

struct Arguments {
  std::string name = {};
  std::string json = {};
  std::string svg = {};
  std::string model = "smollm2-135m";
  std::string learners = {};
  std::string scale = "1";
  bool quick = false;
};

base::Result<Arguments> parse_run(const std::vector<std::string>& words) {
  Arguments arguments;
  const std::map<std::string_view, std::string*> values = {{"--json", &arguments.json},
                                                           {"--svg", &arguments.svg},
                                                           {"--model", &arguments.model},
                                                           {"--learners", &arguments.learners},
                                                           {"--scale", &arguments.scale}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (const auto value = values.find(word); value != values.end()) {
      if (++i == words.size()) return base::fail(base::ErrorCode::invalid_argument, word + " needs a value");
      *value->second = words[i];
    } else if (word == "--quick") {
      arguments.quick = true;
    } else if (word.starts_with('-') || !arguments.name.empty()) {
      return base::fail(base::ErrorCode::invalid_argument, "unexpected `" + word + "`");
    } else {
      arguments.name = word;
    }
  }
  if (!arguments.name.empty()) return arguments;
  return base::fail(base::ErrorCode::invalid_argument, "which one? See `plait-lab list`");
}

/// A model that is not here stays unsaid: only who needs one complains.
base::Result<evaluation::ExperimentOptions> options_of(const Arguments& arguments) {
  evaluation::ExperimentOptions options{.quick = arguments.quick, .learners = arguments.learners};
  char* end = nullptr;
  options.scale = std::strtod(arguments.scale.c_str(), &end);
  if (*end != '\0' || !(options.scale > 0) || options.scale > 1000) {
    return base::fail(base::ErrorCode::invalid_argument, "--scale is a number above 0, at most 1000");
  }
  const char* folder = std::getenv("PLAIT_MODELS");
  const auto models = folder != nullptr ? std::filesystem::path(folder) : plait::os::cache_dir() / "models";
  PLAIT_TRY(const auto hub, plait::hub::Hub::open({.models_dir = models}));
  if (const auto path = hub.resolve(arguments.model)) options.model = *path;
  return options;
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

base::Result<void> write_json(const Arguments& arguments, const plait::text::Json& json) {
  if (arguments.json.empty()) return {};
  return plait::os::write_file_atomically(arguments.json, plait::text::dump_json(json, 1) + "\n");
}

base::Result<bool> run_all(const evaluation::ExperimentRegistry& registry, const Arguments& arguments) {
  if (!arguments.svg.empty()) return base::fail(base::ErrorCode::invalid_argument, "--svg draws one experiment");
  PLAIT_TRY(const evaluation::ExperimentOptions options, options_of(arguments));
  std::vector<evaluation::ExperimentRun> runs;
  plait::text::Json json = plait::text::Json::object();
  bool all_hold = true;
  for (const char* name : kThinking) {
    std::fprintf(stderr, "plait-lab: %s\n", name);
    runs.push_back({name, registry.find(name)->run(options)});
    const auto& report = runs.back().report;
    all_hold = all_hold && report && evaluation::passes(*report, options.quick);
    if (report) json[name] = report->json;
  }
  print(evaluation::summary_text(runs));
  PLAIT_TRY_VOID(write_json(arguments, json));
  return all_hold;
}

base::Result<bool> run(const evaluation::ExperimentRegistry& registry, const Arguments& arguments) {
  const evaluation::Experiment* experiment = registry.find(arguments.name);
  if (experiment == nullptr) {
    return base::fail(base::ErrorCode::invalid_argument,
                      "there is no `" + arguments.name + "` here; see `plait-lab list`");
  }
  PLAIT_TRY(const evaluation::ExperimentOptions options, options_of(arguments));
  PLAIT_TRY(const evaluation::ExperimentReport report, experiment->run(options));
  print(report.text);
  print("\n");
  print(evaluation::gates_text(report.gates));
  PLAIT_TRY_VOID(write_json(arguments, report.json));
  if (!arguments.svg.empty()) {
    PLAIT_TRY_VOID(plait::os::write_file_atomically(arguments.svg, evaluation::to_svg(report.chart)));
  }
  return evaluation::passes(report, options.quick);
}

int fail(const base::Error& error) {
  std::fprintf(stderr, "plait-lab: %s\n", error.text().c_str());
  return error.code == base::ErrorCode::invalid_argument ? 2 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const Lab lab = make_lab();
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    print(kUsage);
  } else if (words[0] == "list" && words.size() == 1) {
    for (const auto& experiment : lab.run.all()) print("run " + experiment.name + "  " + experiment.about + "\n");
    for (const auto& experiment : lab.bench.all()) print("bench " + experiment.name + "  " + experiment.about + "\n");
  } else if (words[0] == "run" || words[0] == "bench") {
    const auto arguments = parse_run({words.begin() + 1, words.end()});
    if (!arguments) return fail(arguments.error());
    const bool all = words[0] == "run" && arguments->name == "all";
    const auto passed = all ? run_all(lab.run, *arguments) : run(words[0] == "run" ? lab.run : lab.bench, *arguments);
    if (!passed) return fail(passed.error());
    if (!*passed) return 1;
  } else if (words[0] == "traces") {
    const auto written = evaluation::write_traces({words.begin() + 1, words.end()}, print);
    if (!written) return fail(written.error());
  } else {
    return fail({base::ErrorCode::invalid_argument, "no such command; see `plait-lab --help`"});
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  return fail({base::ErrorCode::io, "cannot write to standard output"});
}
