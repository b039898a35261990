// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_serve.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "cli/progress.h"
#include "cli/server_address.h"
#include "load/report.h"
#include "os/interrupt.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

/// What the command line says; nothing: as the kind has it.
struct LoadFlags {
  std::string kind = "strangers";
  std::uint64_t seed = 1;
  std::optional<std::size_t> users = {};
  std::optional<std::size_t> requests = {};
  double rate = 0;
  std::optional<std::size_t> prompt = {};
  std::optional<std::size_t> shared = {};
  std::optional<std::size_t> output = {};
  std::optional<std::size_t> samples = {};
  std::optional<std::size_t> turns = {};
  std::optional<std::size_t> turn_prompt = {};
  std::optional<double> pause = {};
  std::optional<std::size_t> heavy = {};
  std::optional<std::size_t> heavy_prompt = {};
  std::optional<std::size_t> heavy_output = {};
  std::optional<std::size_t> ids_below = {};
  std::optional<std::size_t> open_max = {};
  std::string endpoint = {};
  bool words = false;
  std::string model = {};
  ServerAddress server = {};
  std::string light_key = {};
};

Result<load::LoadOptions> load_options(const LoadFlags& flags) {
  const auto kind = load::load_kind(flags.kind);
  if (!kind) return fail(ErrorCode::invalid_argument, "no such kind of load: " + flags.kind);
  load::LoadOptions options = load::usual_options(*kind);
  options.seed = flags.seed;
  options.users = flags.users.value_or(options.users);
  options.requests = flags.requests.value_or(flags.users ? *flags.users : options.requests);
  options.rate = flags.rate;
  options.prompt = flags.prompt.value_or(options.prompt);
  options.shared = flags.shared.value_or(options.shared);
  options.output = flags.output.value_or(options.output);
  options.samples = flags.samples.value_or(options.samples);
  options.turns = flags.turns.value_or(options.turns);
  options.turn_prompt = flags.turn_prompt.value_or(options.turn_prompt);
  options.pause = flags.pause.value_or(options.pause);
  options.heavy = flags.heavy.value_or(options.heavy);
  options.heavy_prompt = flags.heavy_prompt.value_or(options.heavy_prompt);
  options.heavy_output = flags.heavy_output.value_or(options.heavy_output);
  options.ids_below = flags.ids_below.value_or(options.ids_below);
  options.open_max = flags.open_max.value_or(options.open_max);
  if (!flags.endpoint.empty()) options.chat = flags.endpoint == "chat";
  options.words = flags.words || options.chat;
  options.model = flags.model;
  PLAIT_TRY_VOID(load::check(options));
  return options;
}

Result<void> bench_serve(const LoadFlags& flags, const Session& session) {
  PLAIT_TRY(const load::LoadOptions options, load_options(flags));
  const ServerAddress server = complete(flags.server, session);
  const load::LoadTarget target{.url = server.url, .key = server.key, .light_key = flags.light_key};
  const os::InterruptGuard guard;
  ProgressBar bar(session.progress, ProgressUnit::pieces);
  const load::LoadWatch watch{
      .progress = [&](std::size_t done, std::size_t total) { bar.update(name(options.kind), done, total); },
      .keep_going = [] { return !os::interrupt_requested(); }};
  const auto report = load::run_load(options, target, watch);
  bar.clear();
  if (!report) return std::unexpected(report.error());
  if (session.json) {
    print("{}\n", text::dump_json(load::report_json(*report, options, target)));
  } else {
    print(load::report_text(*report, options, target));
  }
  if (report->interrupted) return fail(ErrorCode::interrupted, "interrupted; above is what came until then");
  if (report->gave_up) {
    return fail(ErrorCode::network, fmt::format("gave up after {} failed requests in a row, for instance: {}",
                                                load::kFailuresInRow, report->errors.begin()->first));
  }
  if (!report->errors.empty()) {
    return fail(ErrorCode::network,
                fmt::format("some requests failed, for instance: {}", report->errors.begin()->first));
  }
  return {};
}

void add_load_options(CLI::App& verb, LoadFlags& flags) {
  verb.add_option("load", flags.kind, "Kind of load")
      ->check(CLI::IsMember({"single", "strangers", "shared", "samples", "sessions", "fairness"}))
      ->capture_default_str();
  verb.add_option("--users", flags.users,
                  "So many are open at a time; a user's next request comes when its last ended");
  verb.add_option("--requests", flags.requests,
                  "In all; default with --users: as many, all at once. Of sessions: sessions");
  verb.add_option("--rate", flags.rate, "Instead: so many a second on average, by a Poisson process, whatever is open");
  verb.add_option("--open-max", flags.open_max, "With --rate: so many are open at most, others wait; default 1000");
  verb.add_option("--seed", flags.seed, "Prompts and times follow from it. A seed again finds its prompts cached")
      ->capture_default_str();
  verb.add_option("-p,--prompt", flags.prompt, "Tokens of each prompt");
  verb.add_option("--shared", flags.shared, "Tokens in front of them that are the same everywhere");
  verb.add_option("-n,--output", flags.output, "Tokens of each answer");
  verb.add_option("--samples", flags.samples, "Answers to each prompt, as the field n");
  verb.add_option("--turns", flags.turns, "Turns of each session");
  verb.add_option("--turn-prompt", flags.turn_prompt, "Words that each turn but the first adds");
  verb.add_option("--pause", flags.pause,
                  "Seconds before the next turn, or the light client's next request, on average");
  verb.add_option("--heavy", flags.heavy, "fairness: requests that the heavy client always has open");
  verb.add_option("--heavy-prompt", flags.heavy_prompt, "fairness: tokens of its prompts");
  verb.add_option("--heavy-output", flags.heavy_output, "fairness: tokens of its answers");
  verb.add_option("--endpoint", flags.endpoint, "/v1/completions or /v1/chat/completions; default: chat for sessions")
      ->check(CLI::IsMember({"completions", "chat"}));
  verb.add_flag("--words", flags.words, "Prompts are words instead of token ids; chat always has them");
  verb.add_option("--ids-below", flags.ids_below, "Token ids are drawn from an eighth of this up to it; default 8192");
}

}  // namespace

void add_bench_serve(CLI::App& bench, Session& session) {
  auto flags = std::make_shared<LoadFlags>();
  CLI::App* verb = bench.add_subcommand("serve", "Send a load to a server and measure what its clients see");
  add_load_options(*verb, *flags);
  verb->add_option("-m,--model", flags->model, "The field `model` of the requests; default: none");
  add_server_options(*verb, flags->server);
  verb->add_option("--light-key", flags->light_key, "fairness: API key of the light client; default: --key");
  verb->footer("Example: plait bench serve shared --users 16 --shared 896 --json");
  verb->callback([&session, flags] { session.action = [&session, flags] { return bench_serve(*flags, session); }; });
}

}  // namespace plait::cli
