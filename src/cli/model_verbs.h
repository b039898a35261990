// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"
#include "hub/hub.h"

namespace plait::cli {

/// `plait model list|pull|show|verify|remove`.
void add_model_verbs(CLI::App& app, Session& session);

/// Where models lie: `models` below the setting cache_dir, else below the user's cache folder. It need not exist.
[[nodiscard]] std::filesystem::path models_folder(const Config& config);

/// The hub as the settings describe it.
[[nodiscard]] base::Result<hub::Hub> open_hub(const Config& config);

/// The file that a name or path stands for; an empty text stands for the setting `model`. For every verb with a model.
/// Errors: see hub::Hub::resolve.
[[nodiscard]] base::Result<std::filesystem::path> resolve_model(const Config& config,
                                                                std::string_view name_or_path = {});

}  // namespace plait::cli
