// SPDX-License-Identifier: Apache-2.0
//
// How a verb joins the command line. A verb's file has one function
//
//   void add_ask(CLI::App& app, Session& session) {
//     auto options = std::make_shared<AskOptions>();
//     CLI::App* verb = app.add_subcommand("ask", "Answer one question");
//     verb->add_option("question", options->question, "...");
//     add_setting(*verb, session, "-m,--model", "model");             // a flag for a setting, see config.h
//     verb->footer("Example: plait ask \"Why is the sky blue?\"");
//     verb->callback([&session, options] { session.action = [&session, options] { return ask(*options, session); }; });
//   }
//
// and cli.cc calls it. The callback only stores what to do: cli::run() parses, reads the settings, then runs the action
// and turns its Error into a line on standard error and an exit code (exit_code.h). The options that every verb has
// (-v, -q, --json, --no-progress, --config FILE, --set KEY=VALUE) belong to the program and may stand before or after
// the verb.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/config.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace plait::cli {

/// What all verbs share during one run of the program. Made by cli::run(); outlives every action.
struct Session {
  Config config;         ///< Complete when an action runs; defaults only while verbs are added.
  bool verbose = false;  ///< -v: errors show their chain.
  bool quiet = false;    ///< -q: nothing on standard error but errors.
  bool json = false;     ///< --json: the result as one JSON document (or one a line) on standard output.
  bool progress = true;  ///< False with --no-progress or -q. Bars also need a terminal: see os/terminal.h.
  std::vector<std::pair<std::string, std::string>> overrides = {};  ///< Settings given on the command line.
  std::function<base::Result<void>()> action = {};         ///< What the chosen verb does; empty: print the help.
  std::string config_file = {};                            ///< --config: the one settings file; empty: the usual ones.
  std::function<base::Result<Config>()> read_config = {};  ///< The settings as they are now. Set when an action runs.
};

/// Gives `verb` an option that sets the setting `key`, with the setting's own line as help.
/// Requires: `key` is in known_settings(). `names` as in CLI11: "-t,--threads".
CLI::Option* add_setting(CLI::App& verb, Session& session, const std::string& names, std::string_view key);

/// Writes to standard output: the result, and nothing else. A failed write surfaces once, at the end of cli::run().
void print(std::string_view text);
template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  print(std::string_view(fmt::format(format, std::forward<Args>(args)...)));
}

/// Writes a line to standard error unless -q: what happens, hints, statistics.
void note(const Session& session, std::string_view line);

}  // namespace plait::cli
