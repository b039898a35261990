// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "cli/ask.h"
#include "cli/batch.h"
#include "cli/bench.h"
#include "cli/cache_verb.h"
#include "cli/chat.h"
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/config_verb.h"
#include "cli/cost.h"
#include "cli/doctor.h"
#include "cli/embed.h"
#include "cli/exit_code.h"
#include "cli/key.h"
#include "cli/model_verbs.h"
#include "cli/perplexity.h"
#include "cli/ps.h"
#include "cli/roofline.h"
#include "cli/serve.h"
#include "cli/think.h"
#include "cli/tokenize.h"
#include "cli/top.h"

namespace plait::cli {
namespace {

constexpr auto kAbout = "Many strands of reasoning at once";
constexpr auto kFooter =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 model or file invalid, 4 out of resources, 130 interrupted.\n"
    "Example: plait model list";

void add_common_options(CLI::App& app, Session& session) {
  app.set_version_flag("--version", "plait 0.1.0");
  app.add_flag("-v,--verbose", session.verbose, "Show where an error came from");
  app.add_flag("-q,--quiet", session.quiet, "Nothing on standard error but errors");
  app.add_flag("--json", session.json, "The result as JSON");
  app.add_flag("!--no-progress", session.progress, "No progress bars");
  app.add_option("--config", session.config_file, "Settings come from this file alone, not from the usual plait.toml")
      ->type_name("FILE");
  const auto set = [&session](const std::vector<std::string>& pairs) {
    for (const std::string& pair : pairs) {
      const std::size_t equals = std::min(pair.find('='), pair.size());
      session.overrides.emplace_back(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
    }
  };
  app.add_option_function<std::vector<std::string>>("--set", set, "KEY=VALUE: a setting, see `plait config show`")
      ->take_all()
      ->expected(1);
}

void add_verbs(CLI::App& app, Session& session) {
  add_serve(app, session);
  add_ps(app, session);
  add_top(app, session);
  add_key(app, session);
  add_ask(app, session);
  add_think(app, session);
  add_chat(app, session);
  add_batch(app, session);
  add_embed(app, session);
  add_tokenize(app, session);
  add_perplexity(app, session);
  add_bench(app, session);
  add_roofline(app, session);
  add_cache(app, session);
  add_cost(app, session);
  add_model_verbs(app, session);
  add_doctor(app, session);
  add_config(app, session);
  add_completion(app, session);
}

ExitCode report(const base::Error& error, bool verbose) {
  std::fflush(stdout);
  std::fputs((describe(error, verbose) + "\n").c_str(), stderr);
  return exit_code(error.code);
}

// Reads the settings and does what was asked; a result that could not be written is a failure, too.
ExitCode act(CLI::App& app, Session& session) {
  if (!session.action) {
    print(app.help());
  } else {
    Config::Sources sources = Config::usual_sources();
    sources.command_line = session.overrides;
    if (!session.config_file.empty()) {
      sources.files = {session.config_file};
      sources.files_must_exist = true;
    }
    session.read_config = [sources = std::move(sources)] { return Config::load(sources); };
    auto config = session.read_config();
    if (!config) return report(config.error(), session.verbose);
    session.config = *std::move(config);
    if (session.quiet) session.progress = false;
    if (const auto done = session.action(); !done) return report(done.error(), session.verbose);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return report({base::ErrorCode::io, "cannot write to standard output"}, session.verbose);
  }
  return ExitCode::done;
}

}  // namespace

int run(int argc, char** argv) {
  Session session;
  CLI::App app(kAbout, "plait");
  app.footer(kFooter);
  app.fallthrough();
  app.require_subcommand(0, 1);
  add_common_options(app, session);
  add_verbs(app, session);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::string line = error.what();
    std::ranges::replace(line, '\n', ' ');
    return static_cast<int>(
        report({base::ErrorCode::invalid_argument, line + "; see `plait --help`"}, session.verbose));
  }
  return static_cast<int>(act(app, session));
}

}  // namespace plait::cli
