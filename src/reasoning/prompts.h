// SPDX-License-Identifier: Apache-2.0
//
// What strategies say to the model: templates (text/template.h) by name, "pdr.draft". Those of the folder prompts/ are
// built in; each can be replaced.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/json.h"
#include "text/template.h"

namespace plait::reasoning {

class Prompts {
 public:
  /// Those that are built in.
  [[nodiscard]] static Prompts built_in();
  /// Errors: not_found (no prompt of this name is used, with the names of all); those of Template::parse().
  [[nodiscard]] base::Result<void> replace(std::string_view name, std::string_view source);
  /// The text, without white space at its ends. Errors: not_found; those of Template::render().
  [[nodiscard]] base::Result<std::string> render(std::string_view name, const text::Json& variables) const;
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  std::map<std::string, text::Template, std::less<>> templates_;
};

/// Name and source of each file in prompts/. Made by tools/embed_texts.py.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> prompt_files();

}  // namespace plait::reasoning
