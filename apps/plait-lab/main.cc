// SPDX-License-Identifier: Apache-2.0
//
// plait-lab: experiments that measure the claims of papers.
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/chart.h"
#include "evaluation/experiment.h"
#include "evaluation/experiments/paging.h"
#include "os/file.h"
#include "text/json.h"

namespace {

namespace base = plait::base;
namespace evaluation = plait::evaluation;

constexpr auto kUsage =
    "plait-lab: experiments that measure the claims of papers\n\n"
    "  plait-lab list\n"
    "  plait-lab run NAME [--json FILE] [--svg FILE] [--quick]\n\n"
    "  --json FILE  write all figures as JSON\n"
    "  --svg FILE   draw the figure\n"
    "  --quick      only see that it runs; its figures mean nothing\n\n"
    "Exit codes: 0 done and every gate holds, 1 a gate or the run failed, 2 wrong usage.\n"
    "Example: plait-lab run paging --svg paging.svg\n";

evaluation::ExperimentRegistry experiments() {
  evaluation::ExperimentRegistry registry;
  registry.add(evaluation::paging_experiment());
  return registry;
}

struct Arguments {
  std::string name = {};
  std::string json = {};
  std::string svg = {};
  evaluation::ExperimentOptions options = {};
};

base::Result<Arguments> parse_run(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--quick") {
      arguments.options.quick = true;
    } else if (word == "--json" || word == "--svg") {
      if (++i == words.size()) return base::fail(base::ErrorCode::invalid_argument, word + " needs a file name");
      (word == "--json" ? arguments.json : arguments.svg) = words[i];
    } else if (word.starts_with('-') || !arguments.name.empty()) {
      return base::fail(base::ErrorCode::invalid_argument, "unexpected `" + word + "`");
    } else {
      arguments.name = word;
    }
  }
  if (!arguments.name.empty()) return arguments;
  return base::fail(base::ErrorCode::invalid_argument, "which experiment? See `plait-lab list`");
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

base::Result<bool> run(const evaluation::ExperimentRegistry& registry, const Arguments& arguments) {
  const evaluation::Experiment* experiment = registry.find(arguments.name);
  if (experiment == nullptr) {
    return base::fail(base::ErrorCode::invalid_argument,
                      "no experiment `" + arguments.name + "`; see `plait-lab list`");
  }
  PLAIT_TRY(const evaluation::ExperimentReport report, experiment->run(arguments.options));
  print(report.text);
  print("\n");
  print(evaluation::gates_text(report.gates));
  if (!arguments.json.empty()) {
    PLAIT_TRY_VOID(plait::os::write_file_atomically(arguments.json, plait::text::dump_json(report.json, 1) + "\n"));
  }
  if (!arguments.svg.empty()) {
    PLAIT_TRY_VOID(plait::os::write_file_atomically(arguments.svg, evaluation::to_svg(report.chart)));
  }
  bool all_hold = true;
  for (const evaluation::Gate& gate : report.gates) all_hold &= gate.holds();
  return all_hold || arguments.options.quick;
}

int fail(const base::Error& error) {
  std::fprintf(stderr, "plait-lab: %s\n", error.text().c_str());
  return error.code == base::ErrorCode::invalid_argument ? 2 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const evaluation::ExperimentRegistry registry = experiments();
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    print(kUsage);
  } else if (words[0] == "list" && words.size() == 1) {
    for (const evaluation::Experiment& experiment : registry.all()) {
      print(experiment.name + "  " + experiment.about + "\n");
    }
  } else if (words[0] == "run") {
    const auto arguments = parse_run({words.begin() + 1, words.end()});
    if (!arguments) return fail(arguments.error());
    const auto passed = run(registry, *arguments);
    if (!passed) return fail(passed.error());
    if (!*passed) return 1;
  } else {
    return fail({base::ErrorCode::invalid_argument, "no such command; see `plait-lab --help`"});
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  return fail({base::ErrorCode::io, "cannot write to standard output"});
}
