// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/result.h"
#include "cli/command.h"

namespace plait::cli {

/// What `plait model show` prints about a model file.
struct ShowOptions {
  bool chat_template = false;  ///< Only the chat template's source, as it stands in the file.
};

/// Prints what is in a model file: architecture and shape, tensor types, tokenizer, chat template, licence; all
/// metadata with -v. `name_or_path` as for every verb; empty: the setting `model`. Errors: those of hub::Hub::resolve
/// and models::GgufFile::open; not_found for a chat template that is not there.
[[nodiscard]] base::Result<void> show_model(const Session& session, std::string_view name_or_path,
                                            const ShowOptions& options);

}  // namespace plait::cli
