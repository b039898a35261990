// SPDX-License-Identifier: Apache-2.0
#include "load/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace plait::load {
namespace {

using text::Json;

struct Totals {
  std::size_t sent = 0;
  std::size_t done = 0;
  std::size_t failed = 0;
  std::size_t dropped = 0;
  std::size_t prompt_tokens = 0;
  std::size_t cached_tokens = 0;
  std::size_t generated_tokens = 0;
};

Totals totals(const LoadReport& report) {
  Totals all;
  for (const GroupReport& group : report.groups) {
    all.sent += group.sent;
    all.done += group.done;
    all.failed += group.failed;
    all.dropped += group.dropped;
    all.prompt_tokens += group.prompt_tokens;
    all.cached_tokens += group.cached_tokens;
    all.generated_tokens += group.generated_tokens;
  }
  return all;
}

double per_second(std::size_t count, double seconds) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }

Json json_of(const Samples& samples) {
  const Distribution all = samples.distribution();
  return {{"count", all.count}, {"mean", all.mean}, {"p50", all.p50},
          {"p90", all.p90},     {"p99", all.p99},   {"max", all.max}};
}

Json json_of(const GroupReport& group) {
  return {{"name", group.name},
          {"sent", group.sent},
          {"done", group.done},
          {"failed", group.failed},
          {"dropped", group.dropped},
          {"silent", group.silent},
          {"prompt_tokens", group.prompt_tokens},
          {"cached_tokens", group.cached_tokens},
          {"generated_tokens", group.generated_tokens},
          {"first_token_seconds", json_of(group.first_token)},
          {"gap_seconds", json_of(group.gap)},
          {"longest_gap_seconds", json_of(group.longest_gap)},
          {"whole_seconds", json_of(group.whole)}};
}

Json json_of(const LoadOptions& options) {
  Json load = {{"kind", name(options.kind)}, {"seed", options.seed},          {"users", options.users},
               {"rate", options.rate},       {"requests", options.requests},  {"prompt", options.prompt},
               {"shared", options.shared},   {"output", options.output},      {"samples", options.samples},
               {"turns", options.turns},     {"pause_seconds", options.pause}};
  if (options.turns > 1) load["turn_prompt"] = options.turn_prompt;
  if (options.kind == LoadKind::fairness) {
    load["heavy"] = options.heavy;
    load["heavy_prompt"] = options.heavy_prompt;
    load["heavy_output"] = options.heavy_output;
  }
  return load;
}

void write_line(std::string& out, std::string_view what, const Samples& samples) {
  const Distribution all = samples.distribution();
  if (all.count == 0) return;
  fmt::format_to(std::back_inserter(out), "  {:<22}{:>10.4f}{:>10.4f}{:>10.4f}{:>10.4f}{:>9}\n", what, all.p50, all.p90,
                 all.p99, all.max, all.count);
}

void write_group(std::string& out, const GroupReport& group) {
  auto at = std::back_inserter(out);
  fmt::format_to(at, "{:<24}{:>10}{:>10}{:>10}{:>10}{:>9}\n", group.name, "p50", "p90", "p99", "max", "n");
  write_line(out, "first token, s", group.first_token);
  write_line(out, "between tokens, s", group.gap);
  write_line(out, "longest gap, s", group.longest_gap);
  write_line(out, "whole, s", group.whole);
}

std::string load_text(const LoadOptions& options) {
  std::string text = fmt::format("{}, seed {}: {} {}", name(options.kind), options.seed, options.requests,
                                 options.turns > 1 ? "sessions" : "requests");
  text += options.rate > 0 ? fmt::format(", {} a second", options.rate) : fmt::format(" of {} users", options.users);
  text += fmt::format(", {} tokens in and {} out", options.shared + options.prompt, options.output);
  if (options.shared > 0) text += fmt::format(", {} of them shared", options.shared);
  if (options.samples > 1) text += fmt::format(", {} answers to each", options.samples);
  if (options.turns > 1) text += fmt::format(", {} turns, {} tokens more in each", options.turns, options.turn_prompt);
  if (options.kind == LoadKind::fairness) {
    text += fmt::format("; beside {} of a heavy client, {} in and {} out", options.heavy, options.heavy_prompt,
                        options.heavy_output);
  }
  return text;
}

}  // namespace

Json report_json(const LoadReport& report, const LoadOptions& options, const LoadTarget& target) {
  const Totals all = totals(report);
  Json groups = Json::array();
  for (const GroupReport& group : report.groups) groups.push_back(json_of(group));
  Json errors = Json::array();
  for (const auto& [what, count] : report.errors) errors.push_back({{"what", what}, {"count", count}});
  return {{"url", target.url},
          {"path", path(options)},
          {"load", json_of(options)},
          {"seconds", report.seconds},
          {"sent", all.sent},
          {"done", all.done},
          {"failed", all.failed},
          {"dropped", all.dropped},
          {"prompt_tokens", all.prompt_tokens},
          {"cached_tokens", all.cached_tokens},
          {"generated_tokens", all.generated_tokens},
          {"prompt_tokens_per_second", per_second(all.prompt_tokens, report.seconds)},
          {"generated_tokens_per_second", per_second(all.generated_tokens, report.seconds)},
          {"requests_per_second", per_second(all.done, report.seconds)},
          {"groups", groups},
          {"errors", errors},
          {"open_most", report.open_most},
          {"generator",
           {{"processor_seconds", report.processor_seconds},
            {"share_of_a_core", report.seconds > 0 ? report.processor_seconds / report.seconds : 0},
            {"late_seconds_max", report.late_seconds_max}}},
          {"interrupted", report.interrupted},
          {"gave_up", report.gave_up}};
}

std::string report_text(const LoadReport& report, const LoadOptions& options, const LoadTarget& target) {
  const Totals all = totals(report);
  std::string out = fmt::format("{}\n{} {}\n", load_text(options), target.url, path(options));
  auto at = std::back_inserter(out);
  fmt::format_to(at, "answered  {} of {} in {:.2f} s, {:.2f} a second", all.done, all.sent, report.seconds,
                 per_second(all.done, report.seconds));
  if (all.failed > 0) fmt::format_to(at, "; {} failed", all.failed);
  if (all.dropped > 0) fmt::format_to(at, "; {} were still open", all.dropped);
  fmt::format_to(at, "\ntokens    {} in ({:.1f} a second, {} of them cached), {} out ({:.1f} a second)\n",
                 all.prompt_tokens, per_second(all.prompt_tokens, report.seconds), all.cached_tokens,
                 all.generated_tokens, per_second(all.generated_tokens, report.seconds));
  for (const GroupReport& group : report.groups) write_group(out, group);
  for (const GroupReport& group : report.groups) {
    if (group.silent > 0) fmt::format_to(at, "{}: {} answers were without text\n", group.name, group.silent);
  }
  for (const auto& [what, count] : report.errors) fmt::format_to(at, "failed    {} times: {}\n", count, what);
  fmt::format_to(at, "generator {:.2f} s of processor time, {:.1f} % of a core; sent at most {:.1f} ms late\n",
                 report.processor_seconds, report.seconds > 0 ? 100 * report.processor_seconds / report.seconds : 0,
                 1e3 * report.late_seconds_max);
  return out;
}

}  // namespace plait::load
