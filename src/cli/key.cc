// SPDX-License-Identifier: Apache-2.0
#include "cli/key.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "os/file.h"
#include "os/paths.h"
#include "serving/key_file.h"
#include "text/json.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using serving::HttpKey;

struct KeyFlags {
  std::string file = {};
  std::string name = {};
  serving::HttpClientLimits limits = {};
};

std::filesystem::path file_of(const KeyFlags& flags, const Session& session) {
  if (!flags.file.empty()) return flags.file;
  const std::string& setting = session.config.text("server.keys");
  return setting.empty() ? os::state_dir() / "keys.json" : std::filesystem::path(setting);
}

Result<std::vector<HttpKey>> load(const std::filesystem::path& file) {
  const auto text = os::read_file(file, serving::kKeyFileBytesMax);
  if (!text && text.error().code == ErrorCode::not_found) return std::vector<HttpKey>();
  if (!text) return std::unexpected(text.error());
  return serving::read_keys(*text);
}

// Others must not read it: a digest is no key, but names are nobody's business.
Result<void> store(const std::filesystem::path& file, const std::vector<HttpKey>& keys) {
  PLAIT_TRY_VOID(serving::HttpKeys::make(keys));
  std::error_code error;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
  PLAIT_TRY_VOID(os::write_file_atomically(file, serving::write_keys(keys)));
  using std::filesystem::perms;
  std::filesystem::permissions(file, perms::owner_read | perms::owner_write, error);
  if (error) return fail(ErrorCode::io, fmt::format("{}: {}", file.string(), error.message()));
  return {};
}

Result<void> add(const KeyFlags& flags, const Session& session) {
  const std::filesystem::path file = file_of(flags, session);
  PLAIT_TRY(auto keys, load(file));
  const std::string key = serving::make_key();
  const std::string salt = serving::make_salt();
  keys.push_back({.name = flags.name, .salt = salt, .digest = serving::hash_key(key, salt), .limits = flags.limits});
  PLAIT_TRY_VOID(store(file, keys));
  if (session.json) {
    print("{}\n", text::dump_json({{"name", flags.name}, {"key", key}, {"file", file.string()}}));
  } else {
    print("{}\n", key);
  }
  note(session, fmt::format("this is the only time the key is shown; plait serve --keys {}", file.string()));
  return {};
}

Result<void> list(const KeyFlags& flags, const Session& session) {
  PLAIT_TRY(const auto keys, load(file_of(flags, session)));
  text::Json json = text::Json::array();
  for (const HttpKey& key : keys) {
    const serving::HttpClientLimits& limits = key.limits;
    json.push_back({{"name", key.name},
                    {"weight", limits.weight},
                    {"requests_per_minute", limits.requests_per_minute},
                    {"in_flight_max", limits.in_flight_max},
                    {"operator", limits.sees_all}});
    if (!session.json) {
      const auto bound = [](std::uint32_t number) { return number == 0 ? "any number" : std::to_string(number); };
      print("{}: weight {}, {} of requests a minute, {} at a time{}\n", key.name, limits.weight,
            bound(limits.requests_per_minute), bound(limits.in_flight_max), limits.sees_all ? ", operator" : "");
    }
  }
  if (session.json) print("{}\n", text::dump_json(json));
  return {};
}

Result<void> remove(const KeyFlags& flags, const Session& session) {
  const std::filesystem::path file = file_of(flags, session);
  PLAIT_TRY(auto keys, load(file));
  if (std::erase_if(keys, [&](const HttpKey& key) { return key.name == flags.name; }) == 0) {
    return fail(ErrorCode::not_found, fmt::format("{}: there is no key called {}", file.string(), flags.name));
  }
  return store(file, keys);
}

}  // namespace

void add_key(CLI::App& app, Session& session) {
  auto flags = std::make_shared<KeyFlags>();
  CLI::App* verb = app.add_subcommand("key", "API keys for the server");
  verb->require_subcommand(1);
  verb->add_option("--file", flags->file,
                   "The file of keys; else the setting server.keys, else one among plait's data");
  verb->footer("Example: plait key add alice --weight 2");
  CLI::App* adds = verb->add_subcommand("add", "Make a key and print it, once; only its digest is kept");
  adds->add_option("name", flags->name, "What logs and shares call its owner")->required();
  adds->add_option("--weight", flags->limits.weight, "Share of the machine beside other clients")
      ->check(CLI::Range(1e-3, 1e6))
      ->capture_default_str();
  adds->add_option("--requests-per-minute", flags->limits.requests_per_minute, "Most requests a minute; 0: any number");
  adds->add_option("--in-flight", flags->limits.in_flight_max, "Most requests at a time; 0: any number");
  adds->add_flag("--operator", flags->limits.sees_all, "Lists of requests show those of all keys, not only its own");
  adds->footer("Example: plait key add alice --requests-per-minute 60");
  CLI::App* lists = verb->add_subcommand("list", "Names and limits of all keys");
  lists->footer("Example: plait key list --json");
  CLI::App* removes = verb->add_subcommand("remove", "Forget a key; a running server does so within seconds");
  removes->add_option("name", flags->name, "Its name")->required();
  removes->footer("Example: plait key remove alice");
  using Action = Result<void> (*)(const KeyFlags&, const Session&);
  for (const auto& [one, action] : {std::pair<CLI::App*, Action>{adds, add}, {lists, list}, {removes, remove}}) {
    one->callback(
        [&session, flags, action] { session.action = [&session, flags, action] { return action(*flags, session); }; });
  }
}

}  // namespace plait::cli
