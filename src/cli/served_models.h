// SPDX-License-Identifier: Apache-2.0
//
// The models of `plait serve`, as the settings server.* and kv.* say.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"
#include "parallel/team.h"
#include "serving/models.h"

namespace plait::cli {

/// The setting `model` first; then those of server.models, or, if that is empty, all that are here; with the aliases of
/// server.aliases. Errors: invalid_argument (an alias without a model), not_found, and those of reading.
[[nodiscard]] base::Result<std::vector<serving::ModelOffer>> model_offers(const Config& config);

/// How to serve them: all engines on one team. Session and team must outlive what is returned. Errors: as
/// model_offers().
[[nodiscard]] base::Result<serving::ServedModelsOptions> served_models_options(const Session& session,
                                                                               parallel::Team& team);

/// Parts of a list with commas, without blanks around them.
[[nodiscard]] std::vector<std::string> split_list(std::string_view list);

}  // namespace plait::cli
