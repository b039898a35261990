// SPDX-License-Identifier: Apache-2.0
//
// Settings: what they are called, what they are now, and who said so.
//
// A setting has one key ("kernels.isa"), one environment variable (PLAIT_KERNELS_ISA) and one place in plait.toml
// ([kernels] isa). The first of these that says something wins: the command line, the environment, ./plait.toml,
// $XDG_CONFIG_HOME/plait/plait.toml, the default. known_settings() is the one table; adding a line there is all it
// takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace plait::cli {

/// One line of the table of settings.
struct Setting {
  enum class Kind { text, number, flag, choice };
  std::string_view key;            ///< As on the command line and in `plait config show`: "hub.offline".
  Kind kind;                       ///< What its values look like.
  std::string_view default_value;  ///< In the same spelling as in the environment.
  std::string_view allowed;        ///< choice: the words, separated by '|', "file:FOLDER" among them standing for any
                                   ///< text behind "file:"; number: "lowest..highest"; else empty.
  std::string_view about;          ///< One line for people: meaning, unit, what the default does.
};

/// Every setting there is, sorted by key.
[[nodiscard]] std::span<const Setting> known_settings();
/// The setting called `key`, or null.
[[nodiscard]] const Setting* find_setting(std::string_view key);
/// "hub.offline" → "PLAIT_HUB_OFFLINE".
[[nodiscard]] std::string environment_name(std::string_view key);

/// The settings of one run of the program. A plain value; reading it from several threads is fine.
class Config {
 public:
  /// Where values come from. Every member may be empty.
  struct Sources {
    std::vector<std::pair<std::string, std::string>> command_line = {};  ///< (key, value); later ones win.
    std::function<std::optional<std::string>(const std::string& name)> environment = {};
    std::vector<std::filesystem::path> files = {};  ///< The first that sets a key wins.
    bool files_must_exist = false;                  ///< Else absent files are skipped.
  };
  /// The command line's overrides, the process's environment, ./plait.toml and the user's plait.toml.
  [[nodiscard]] static Sources usual_sources();

  Config();  ///< Defaults only.
  /// Errors: invalid_argument with file and line (or variable, or option) for an unknown key, a bad value or bad TOML,
  /// and for a file that must exist and does not; io for a file that cannot be read.
  [[nodiscard]] static base::Result<Config> load(const Sources& sources);
  /// Says about `key` what `other` says. Requires: `key` is in known_settings().
  void take(std::string_view key, const Config& other);

  /// The value as text. Requires: `key` is in known_settings().
  [[nodiscard]] const std::string& text(std::string_view key) const;
  /// Requires: a setting of kind number.
  [[nodiscard]] std::int64_t number(std::string_view key) const;
  /// Requires: a setting of kind flag.
  [[nodiscard]] bool flag(std::string_view key) const;
  /// Who said so, for people: "default", "command line", "PLAIT_THREADS", "/home/me/.config/plait/plait.toml:3".
  [[nodiscard]] const std::string& origin(std::string_view key) const;

 private:
  struct Value {
    std::string text;
    std::string origin;
    int rank;  // lower wins
  };
  base::Result<void> set(std::string_view key, std::string value, std::string origin, int rank);
  base::Result<void> read_file(const std::filesystem::path& path, int rank);
  base::Result<void> read_toml(std::string_view toml, const std::string& name, int rank);
  friend class TomlReader;
  [[nodiscard]] const Value& value(std::string_view key) const;

  std::vector<Value> values_;  // [known_settings()]
  friend base::Result<Config> parse_config(std::string_view toml, const std::string& name);
};

/// Settings from the text of one plait.toml alone; `name` stands for the file in errors. For tests and fuzzers.
[[nodiscard]] base::Result<Config> parse_config(std::string_view toml, const std::string& name);

/// Parts of a list with commas, without blanks around them.
[[nodiscard]] std::vector<std::string> split_list(std::string_view list);

}  // namespace plait::cli
