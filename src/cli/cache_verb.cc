// SPDX-License-Identifier: Apache-2.0
#include "cli/cache_verb.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "cli/text_input.h"
#include "engine/page_trace.h"
#include "engine/paging_replay.h"
#include "text/json.h"

namespace plait::cli {
namespace {

struct ReplayFlags {
  std::string trace = {};
  std::vector<std::string> policies = {"all"};
  std::uint32_t pages = 32;
  std::optional<double> errors = {};
  std::uint32_t seeds = 8;
};

base::Result<std::vector<engine::EvictionKind>> parse_policies(const std::vector<std::string>& names) {
  std::vector<engine::EvictionKind> kinds;
  for (const std::string& name : names) {
    if (name == "all") {
      kinds.assign(engine::kEvictionKinds.begin(), engine::kEvictionKinds.end());
      return kinds;
    }
    const auto kind = engine::eviction_kind(name);
    if (!kind) {
      std::string known;
      for (const engine::EvictionKind one : engine::kEvictionKinds) known += ", " + std::string(engine::name(one));
      return base::fail(base::ErrorCode::invalid_argument,
                        fmt::format("no eviction policy `{}`; there are all{}", name, known));
    }
    if (std::ranges::find(kinds, *kind) == kinds.end()) kinds.push_back(*kind);
  }
  return kinds;
}

base::Result<engine::PageTrace> read_trace(const std::string& path) {
  PLAIT_TRY(const std::string text, read_text(path));
  auto trace = engine::parse_page_trace(text);
  if (!trace) trace.error().message = (path == "-" ? "standard input" : path) + ": " + trace.error().message;
  return trace;
}

double per_optimum(double faults, const engine::ReplayReport& report) {
  return faults / static_cast<double>(report.optimum);  // a trace has a request, so the optimum has a fault
}

text::Json report_json(const engine::ReplayReport& report) {
  text::Json json{{"requests", report.requests},    {"distinct", report.distinct},
                  {"pages", report.pages},          {"bits", report.recorded_bits ? "recorded" : "computed"},
                  {"errors", report.errors},        {"optimum", report.optimum},
                  {"policies", text::Json::array()}};
  for (const engine::PolicyReplay& policy : report.policies) {
    json["policies"].push_back({{"policy", engine::name(policy.kind)},
                                {"faults", policy.faults},
                                {"mean", policy.mean()},
                                {"per_optimum", per_optimum(policy.mean(), report)},
                                {"wrong_zeros", policy.wrong_zeros},
                                {"wrong_ones", policy.wrong_ones},
                                {"bound", policy.bound ? text::Json(*policy.bound) : text::Json(nullptr)}});
  }
  return json;
}

std::string where_bits_come_from(const engine::ReplayReport& report) {
  if (report.recorded_bits) return "bits as recorded";
  if (report.errors == 0) return "every bit right";
  return fmt::format("{:.4g} % of the bits wrong", 100 * report.errors);
}

void print_report(const engine::ReplayReport& report) {
  print("{} requests for {} pages, cache of {} pages, {}\n\n", report.requests, report.distinct, report.pages,
        where_bits_come_from(report));
  print("{:<14} {:>12} {:>10} {:>10} {:>12} {:>12}\n", "policy", "faults", "least", "most", "per optimum",
        "wrong 0 / 1");
  print("{:<14} {:>12} {:>10} {:>10} {:>12.3f}\n", "optimum", report.optimum, report.optimum, report.optimum, 1.0);
  for (const engine::PolicyReplay& policy : report.policies) {
    const bool uses_bits = engine::bit_kind(policy.kind) != engine::BitKind::none;
    print("{:<14} {:>12.1f} {:>10} {:>10} {:>12.3f} {:>12}\n", engine::name(policy.kind), policy.mean(), policy.least(),
          policy.most(), per_optimum(policy.mean(), report),
          uses_bits ? fmt::format("{:.0f} / {:.0f}", policy.wrong_zeros, policy.wrong_ones) : "-");
  }
}

base::Result<void> replay(const ReplayFlags& flags, const Session& session) {
  PLAIT_TRY(const auto kinds, parse_policies(flags.policies));
  PLAIT_TRY(const auto trace, read_trace(flags.trace));
  const engine::ReplayReport report =
      engine::replay(trace, {.kinds = kinds, .pages = flags.pages, .errors = flags.errors, .seeds = flags.seeds});
  if (session.json) {
    print("{}\n", report_json(report).dump());
  } else {
    print_report(report);
  }
  return {};
}

}  // namespace

void add_cache(CLI::App& app, Session& session) {
  CLI::App* verb = app.add_subcommand("cache", "The prefix cache: replay a trace of its pages");
  verb->require_subcommand(1);
  verb->footer("Example: plait cache replay trace.txt");

  auto flags = std::make_shared<ReplayFlags>();
  CLI::App* replayed = verb->add_subcommand("replay", "Faults of each eviction policy beside the optimum");
  replayed
      ->add_option("trace", flags->trace, "One request a line, `page` or `page bit`, # comments; - for standard input")
      ->required();
  replayed->add_option("--policies", flags->policies, "Which ones, separated by commas, or all")
      ->delimiter(',')
      ->capture_default_str();
  replayed->add_option("--pages", flags->pages, "How many pages the cache holds")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1U << 26U));
  replayed
      ->add_option("--errors", flags->errors,
                   "Instead of the trace's bits: the right ones, this share of them wrong (0 to 1)")
      ->check(CLI::Range(0.0, 1.0));
  replayed->add_option("--seeds", flags->seeds, "Runs of each policy; faults are their mean")
      ->capture_default_str()
      ->check(CLI::Range(1U, 10'000U));
  replayed->footer("Example: plait cache replay trace.txt --pages 64 --errors 0.05 --policies lru,mark0,guarded");
  replayed->callback([&session, flags] { session.action = [&session, flags] { return replay(*flags, session); }; });
}

}  // namespace plait::cli
