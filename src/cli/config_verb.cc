// SPDX-License-Identifier: Apache-2.0
#include "cli/config_verb.h"

#include <CLI/CLI.hpp>

#include "text/json.h"

namespace plait::cli {
namespace {

using Kind = Setting::Kind;

text::Json as_json(const Config& config) {
  auto document = text::Json::array();
  for (const Setting& setting : known_settings()) {
    text::Json entry{{"key", setting.key}};
    if (setting.kind == Kind::number) entry["value"] = config.number(setting.key);
    if (setting.kind == Kind::flag) entry["value"] = config.flag(setting.key);
    if (!entry.contains("value")) entry["value"] = config.text(setting.key);
    entry["origin"] = config.origin(setting.key);
    entry["default"] = setting.default_value;
    entry["environment"] = environment_name(setting.key);
    entry["about"] = setting.about;
    document.push_back(std::move(entry));
  }
  return document;
}

base::Result<void> show(const Session& session) {
  if (session.json) {
    print("{}\n", as_json(session.config).dump(2, ' ', false, text::Json::error_handler_t::replace));
    return {};
  }
  for (const Setting& setting : known_settings()) {
    const std::string& text = session.config.text(setting.key);
    const bool quoted = setting.kind == Kind::text || setting.kind == Kind::choice;
    print("{:<20} = {:<16} # {}\n", setting.key, quoted ? fmt::format("\"{}\"", text) : text,
          session.config.origin(setting.key));
    if (session.verbose) print("{:<20}   {}\n", "", setting.about);
  }
  return {};
}

}  // namespace

void add_config(CLI::App& app, Session& session) {
  CLI::App* verb = app.add_subcommand("config", "Settings and where they come from");
  verb->require_subcommand(1);
  CLI::App* shown = verb->add_subcommand("show", "Every setting, its value and its origin; -v adds what it means");
  shown->footer("Example: PLAIT_THREADS=2 plait config show");
  shown->callback([&session] { session.action = [&session] { return show(session); }; });
}

}  // namespace plait::cli
