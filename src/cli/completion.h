// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace plait::cli {

/// One verb with what may follow it, as the command line's tree has it.
struct CompletionNode {
  std::string path;                                             ///< "plait model pull"
  std::vector<std::pair<std::string, std::string>> verbs = {};  ///< Sub-verbs and what they do.
  std::vector<std::string> options = {};                        ///< "--json", "-v", those of outer levels included.
  bool takes_model = false;                                     ///< A free argument is a model's name.
};

/// Every verb of the tree, outer ones first.
[[nodiscard]] std::vector<CompletionNode> completion_nodes(const CLI::App& app);

/// The script that makes `shell` ("bash", "zsh", "fish") complete plait's command line. Models are asked for when
/// needed, with `plait model list`.
[[nodiscard]] std::string completion_script(const CLI::App& app, std::string_view shell);

/// `plait completion bash|zsh|fish`.
void add_completion(CLI::App& app, Session& session);

}  // namespace plait::cli
