// SPDX-License-Identifier: Apache-2.0
//
// Where plait keeps things, by the XDG base directory rules. Nothing here creates a folder. Functions read the
// environment, so call them before other threads change it.
#pragma once

#include <filesystem>
#include <vector>

namespace plait::os {

/// Downloads and other things that can be made again: $XDG_CACHE_HOME/plait, else ~/.cache/plait.
[[nodiscard]] std::filesystem::path cache_dir();
/// Logs and history: $XDG_STATE_HOME/plait, else ~/.local/state/plait.
[[nodiscard]] std::filesystem::path state_dir();
/// The user's own settings: $XDG_CONFIG_HOME/plait, else ~/.config/plait.
[[nodiscard]] std::filesystem::path config_dir();
/// Settings files in the order in which they win: ./plait.toml, then the user's. They need not exist.
[[nodiscard]] std::vector<std::filesystem::path> config_files();

}  // namespace plait::os
