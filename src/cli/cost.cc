// SPDX-License-Identifier: Apache-2.0
#include "cli/cost.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>
#include <unordered_map>

#include "cli/model_session.h"
#include "cli/model_verbs.h"
#include "cli/text_input.h"
#include "kernels/probe.h"
#include "models/config.h"
#include "models/description.h"
#include "models/gguf.h"
#include "text/json.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using text::Json;
using namespace base::literals;

struct CostOptions {
  std::string file = {};
  std::string shape = {};
};

constexpr double kCountMax = 1e12;  // of tokens: far beyond any run, and exact in a double

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(number)) return std::nullopt;
  return number;
}

// One line's number called `key`; `absent` if there is none, or an error if that is nothing either.
Result<double> member(const Json& line, const char* key, std::optional<double> absent, bool whole = true) {
  const auto found = line.find(key);
  if (found == line.end()) {
    if (absent) return *absent;
    return fail(ErrorCode::invalid_data, fmt::format("no `{}`", key));
  }
  const double value = found->is_number() ? found->get<double>() : NAN;
  if (!(value >= 0 && value <= kCountMax) || (whole && value != std::floor(value))) {
    return fail(ErrorCode::invalid_data, fmt::format("`{}` is no {} from 0 to 1e12", key, whole ? "count" : "number"));
  }
  return value;
}

Result<TraceRound> parse_round(std::string_view text) {
  PLAIT_TRY(const Json line, text::parse_json(text, {.bytes_max = 1_MiB, .depth_max = 16, .values_max = 10'000}));
  if (!line.is_object()) return fail(ErrorCode::invalid_data, "not a JSON object");
  TraceRound round;
  if (const auto name = line.find("trajectory"); name != line.end()) {
    if (!name->is_string() && !name->is_number()) return fail(ErrorCode::invalid_data, "`trajectory` is no text");
    round.trajectory = name->is_string() ? name->get<std::string>() : text::dump_json(*name);
  }
  engine::RoundCounters& counters = round.counters;
  PLAIT_TRY(round.round, member(line, "round", std::nullopt));
  PLAIT_TRY(counters.context, member(line, "context", std::nullopt));
  PLAIT_TRY(counters.cached, member(line, "cached", 0.0));
  if (counters.cached > counters.context) return fail(ErrorCode::invalid_data, "`cached` is more than `context`");
  PLAIT_TRY(counters.prefilled, member(line, "prefilled", counters.context - counters.cached));
  if (counters.cached + counters.prefilled < counters.context) {
    return fail(ErrorCode::invalid_data, "`cached` and `prefilled` are less than `context`");
  }
  PLAIT_TRY(counters.decoded, member(line, "decoded", std::nullopt));
  PLAIT_TRY(round.batch, member(line, "batch", 1.0, false));
  if (round.batch < 1) return fail(ErrorCode::invalid_data, "`batch` is less than 1");
  counters.weight_reads = counters.decoded / round.batch;
  const auto meanwhile = line.find("meanwhile");
  round.told_meanwhile = meanwhile != line.end();
  if (round.told_meanwhile) {
    if (!meanwhile->is_object()) return fail(ErrorCode::invalid_data, "`meanwhile` is no object");
    PLAIT_TRY(counters.meanwhile.prefilled, member(*meanwhile, "prefilled", std::nullopt, false));
    PLAIT_TRY(counters.meanwhile.weight_reads, member(*meanwhile, "weight_reads", std::nullopt, false));
    PLAIT_TRY(counters.meanwhile.lengths, member(*meanwhile, "lengths", std::nullopt, false));
  }
  return round;
}

// The machine as the setting cost.profile says. Its name points into the settings.
Result<engine::HardwareProfile> chosen_profile(const Session& session) {
  const std::string& name = session.config.text("cost.profile");
  if (const auto* profile = engine::find_profile(name)) return *profile;
  engine::HardwareProfile profile{.name = name};
  if (name == "measured") {
    PLAIT_TRY(const auto team, start_team(thread_count(session)));
    profile.source = "arithmetic in registers and reads of 96 MiB";
    profile.bytes_per_second = kernels::probe_read(96_MiB, *team, 0.2).best.bytes_per_second;
    for (const auto& peak : kernels::probe_peaks(*team, 0.05)) {
      profile.flops_per_second = std::max(profile.flops_per_second, peak.operations_per_second);
    }
    if (profile.bytes_per_second > 0) return profile;
    return fail(ErrorCode::out_of_resources, "no memory to measure this machine; name a profile");
  }
  const std::size_t slash = std::min(name.find('/'), name.size());
  const auto flops = parse_number(std::string_view(name).substr(0, slash));
  const auto bytes = parse_number(std::string_view(name).substr(std::min(slash + 1, name.size())));
  if (flops && bytes && *flops > 0 && *bytes > 0) {
    profile.flops_per_second = *flops;
    profile.bytes_per_second = *bytes;
    profile.source = "as given";
    return profile;
  }
  return fail(ErrorCode::invalid_argument,
              fmt::format("cost.profile: `{}` is no machine; see `plait cost --help`", name.substr(0, 40)));
}

Result<engine::ModelShape> chosen_shape(const CostOptions& options, const Session& session) {
  if (!options.shape.empty()) return parse_model_shape(options.shape);
  PLAIT_TRY(const auto path, resolve_model(session.config));
  PLAIT_TRY(const auto file, models::GgufFile::open(path));
  PLAIT_TRY(const auto description, models::describe(file));
  PLAIT_TRY(const auto config, models::read_config(file));
  PLAIT_TRY(const auto attention, chosen_attention(session.config));
  return engine::model_shape(config, description, kernels::number_bytes(attention, config.head_dim));
}

engine::CostLength chosen_length(const Session& session) {
  const std::string& word = session.config.text("cost.length");
  if (word == "start") return engine::CostLength::start;
  return word == "end" ? engine::CostLength::end : engine::CostLength::mean;
}

/// Counters and costs of a trajectory, or of everything.
struct Sum {
  std::string trajectory = {};
  double rounds = 0;
  double cached = 0;
  double prefilled = 0;
  double decoded = 0;
  engine::Cost cost = {};
  bool told_meanwhile = true;  ///< By all of them.

  void add(const TraceRound& round, const engine::Cost& one) {
    rounds += 1;
    cached += round.counters.cached;
    prefilled += round.counters.prefilled;
    decoded += round.counters.decoded;
    cost += one;
    told_meanwhile = told_meanwhile && round.told_meanwhile;
  }
};

/// What is shown.
struct CostReport {
  engine::HardwareProfile profile;
  engine::ModelShape shape;
  std::vector<TraceRound> rounds;
  std::vector<engine::Cost> costs;  // of the rounds
  std::vector<Sum> trajectories;    // in the order of their first rounds
  Sum total;
};

CostReport make_report(const engine::HardwareProfile& profile, const engine::ModelShape& shape,
                       engine::CostLength length, std::vector<TraceRound> rounds) {
  CostReport report;
  report.profile = profile;
  report.shape = shape;
  report.rounds = std::move(rounds);
  const engine::CostRates rates = engine::cost_rates(shape, profile);
  std::unordered_map<std::string_view, std::size_t> places;
  for (const TraceRound& round : report.rounds) {
    const engine::Cost cost = engine::round_cost(round.counters, rates, length);
    const auto [place, is_new] = places.try_emplace(round.trajectory, report.trajectories.size());
    if (is_new) report.trajectories.emplace_back().trajectory = round.trajectory;
    report.trajectories[place->second].add(round, cost);
    report.total.add(round, cost);
    report.costs.push_back(cost);
  }
  return report;
}

Json cost_json(const engine::Cost& cost, bool with_latency) {
  Json json = {{"pte", cost.pte}, {"pte_cache", cost.pte_cache}, {"pte_w", cost.pte_w}};
  if (with_latency) json["pte_latency"] = cost.pte_latency;
  return json;
}

Json sum_json(const Sum& sum) {
  return {{"trajectory", sum.trajectory},
          {"rounds", sum.rounds},
          {"cached", sum.cached},
          {"prefilled", sum.prefilled},
          {"decoded", sum.decoded},
          {"computed", sum.prefilled + sum.decoded},
          {"cost", cost_json(sum.cost, sum.told_meanwhile)}};
}

void print_json(const CostReport& report, const Session& session) {
  Json rounds = Json::array();
  for (std::size_t i = 0; i < report.rounds.size(); ++i) {
    const TraceRound& round = report.rounds[i];
    rounds.push_back({{"trajectory", round.trajectory},
                      {"round", round.round},
                      {"context", round.counters.context},
                      {"cached", round.counters.cached},
                      {"prefilled", round.counters.prefilled},
                      {"decoded", round.counters.decoded},
                      {"batch", round.batch},
                      {"cost", cost_json(report.costs[i], round.told_meanwhile)}});
  }
  Json trajectories = Json::array();
  for (const Sum& sum : report.trajectories) trajectories.push_back(sum_json(sum));
  Json total = sum_json(report.total);
  total.erase("trajectory");
  const Json document{{"profile",
                       {{"name", report.profile.name},
                        {"source", report.profile.source},
                        {"flops_per_second", report.profile.flops_per_second},
                        {"bytes_per_second", report.profile.bytes_per_second},
                        {"intensity", report.profile.intensity()}}},
                      {"length", session.config.text("cost.length")},
                      {"rounds", std::move(rounds)},
                      {"trajectories", std::move(trajectories)},
                      {"total", std::move(total)}};
  print("{}\n", text::dump_json(document));
}

// Text from a file may hold terminal commands; people get to see `?` instead.
std::string harmless(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

void print_table(const CostReport& report, const Session& session) {
  const auto& [name, flops, bytes, source] = report.profile;
  print("machine  {}: {:.2f} TFLOP/s, {:.1f} GB/s, {:.1f} operations a byte ({})\n", name, flops / 1e12, bytes / 1e9,
        report.profile.intensity(), source);
  const engine::ModelShape& shape = report.shape;
  print("model    {} layers x {}, {} key heads of {}, {:.1f} million parameters in {:.1f} MB\n", shape.layers,
        shape.width, shape.kv_heads, shape.head_dim, shape.parameters / 1e6, shape.weight_bytes / 1e6);
  print("lengths  of the {} of a round; costs in prefill token equivalents\n\n", session.config.text("cost.length"));
  const bool named = report.trajectories.size() > 1 || !report.trajectories.front().trajectory.empty();
  std::size_t width = 10;
  for (const Sum& sum : report.trajectories) width = std::max(width, sum.trajectory.size());
  const auto first = [&](const std::string& trajectory) {
    return named ? fmt::format("{:<{}}  ", harmless(trajectory), width) : std::string();
  };
  print("{}{:>6} {:>9} {:>9} {:>9} {:>8} {:>6} {:>12} {:>12} {:>12}\n", first("trajectory"), "round", "context",
        "cached", "prefilled", "decoded", "batch", "PTE", "PTE-cache", "PTE-w");
  for (std::size_t i = 0; i < report.rounds.size(); ++i) {
    const auto& [trajectory, round, batch, counters, told_meanwhile] = report.rounds[i];
    const engine::Cost& cost = report.costs[i];
    print("{}{:>6} {:>9} {:>9} {:>9} {:>8} {:>6.4g} {:>12.1f} {:>12.1f} {:>12.1f}\n", first(trajectory), round,
          counters.context, counters.cached, counters.prefilled, counters.decoded, batch, cost.pte, cost.pte_cache,
          cost.pte_w);
  }
  const auto print_sum = [&](const Sum& sum, const std::string& start) {
    print("{}{:>6} {:>9} {:>9} {:>9} {:>8} {:>6} {:>12.1f} {:>12.1f} {:>12.1f}\n", start, "total", "", sum.cached,
          sum.prefilled, sum.decoded, "", sum.cost.pte, sum.cost.pte_cache, sum.cost.pte_w);
  };
  if (report.trajectories.size() > 1) {
    print("\n");
    for (const Sum& sum : report.trajectories) print_sum(sum, first(sum.trajectory));
  }
  print_sum(report.total, first(""));
  print("\n{} rounds, {} tokens computed, {} of them decoded\n", report.total.rounds,
        report.total.prefilled + report.total.decoded, report.total.decoded);
  if (report.total.told_meanwhile) print("PTE-latency {:.1f} in all\n", report.total.cost.pte_latency);
}

Result<void> cost(const CostOptions& options, const Session& session) {
  PLAIT_TRY(const std::string text, read_text(options.file));
  PLAIT_TRY(auto rounds, parse_trace(text, options.file == "-" ? "standard input" : options.file));
  PLAIT_TRY(const auto shape, chosen_shape(options, session));
  PLAIT_TRY(const auto profile, chosen_profile(session));
  const CostReport report = make_report(profile, shape, chosen_length(session), std::move(rounds));
  if (session.json) {
    print_json(report, session);
  } else {
    print_table(report, session);
  }
  return {};
}

std::string footer() {
  std::string names;
  for (const auto& profile : engine::named_profiles()) {
    names += fmt::format("  {:<9} {:5.1f} operations a byte  {}\n", profile.name, profile.intensity(), profile.source);
  }
  return "Profiles: measured (this machine, now), a pair FLOPS/BYTES as in 0.45e12/30e9, or\n" + names +
         "Example: plait cost trace.jsonl --profile cpu-amx";
}

}  // namespace

Result<std::vector<TraceRound>> parse_trace(std::string_view text, const std::string& name) {
  std::vector<TraceRound> rounds;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t length = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto round = parse_round(line);
    if (!round) return fail(ErrorCode::invalid_data, fmt::format("{}:{}: {}", name, number, round.error().message));
    rounds.push_back(*std::move(round));
  }
  if (rounds.empty()) return fail(ErrorCode::invalid_data, name + ": no rounds");
  return rounds;
}

Result<engine::ModelShape> parse_model_shape(std::string_view text) {
  engine::ModelShape shape;
  const std::array<std::pair<std::string_view, double*>, 7> known{{{"layers", &shape.layers},
                                                                   {"width", &shape.width},
                                                                   {"kv_heads", &shape.kv_heads},
                                                                   {"head_dim", &shape.head_dim},
                                                                   {"bytes", &shape.bytes_per_element},
                                                                   {"parameters", &shape.parameters},
                                                                   {"weights", &shape.weight_bytes}}};
  while (!text.empty()) {
    const std::size_t length = std::min(text.find(','), text.size());
    const std::string_view pair = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto entry = std::ranges::find(known, pair.substr(0, equals), &std::pair<std::string_view, double*>::first);
    const auto value = parse_number(pair.substr(std::min(equals + 1, pair.size())));
    if (entry == known.end() || !value || !(*value > 0 && *value < 1e18)) {
      return fail(ErrorCode::invalid_argument, fmt::format("--model-shape: `{}` is no size of a model", pair));
    }
    *entry->second = *value;
  }
  for (const auto& [key, value] : known) {
    if (*value == 0) return fail(ErrorCode::invalid_argument, fmt::format("--model-shape: no `{}`", key));
  }
  return shape;
}

void add_cost(CLI::App& app, Session& session) {
  auto options = std::make_shared<CostOptions>();
  CLI::App* verb = app.add_subcommand("cost", "What the rounds of a run cost the machine");
  verb->add_option("trace", options->file, "JSON lines, one for each round; - for standard input")->required();
  auto* shape = verb->add_option("--model-shape", options->shape,
                                 "Instead of a model: layers=30,width=576,kv_heads=3,head_dim=64,"
                                 "parameters=134.5e6,weights=98e6[,bytes=2]");
  add_setting(*verb, session, "-m,--model", "model")->excludes(shape);
  add_setting(*verb, session, "--kv-type", "kv.type")->excludes(shape);
  add_setting(*verb, session, "--profile", "cost.profile");
  add_setting(*verb, session, "--length", "cost.length");
  verb->footer(footer());
  verb->callback([&session, options] { session.action = [&session, options] { return cost(*options, session); }; });
}

}  // namespace plait::cli
