// SPDX-License-Identifier: Apache-2.0
#include "reasoning/prompts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>

#include "base/check.h"

namespace plait::reasoning {

using base::ErrorCode;
using base::fail;

Prompts Prompts::built_in() {
  Prompts prompts;
  for (const auto& [name, source] : prompt_files()) {
    auto parsed = text::Template::parse(source);
    PLAIT_CHECK(parsed.has_value(), name);
    prompts.templates_.emplace(name, *std::move(parsed));
  }
  return prompts;
}

base::Result<void> Prompts::replace(std::string_view name, std::string_view source) {
  const auto at = templates_.find(name);
  if (at == templates_.end()) {
    return fail(ErrorCode::not_found,
                fmt::format("no prompt is called {}; there are {}", name.substr(0, 100), fmt::join(names(), ", ")));
  }
  PLAIT_TRY(at->second, text::Template::parse(source));
  return {};
}

base::Result<std::string> Prompts::render(std::string_view name, const text::Json& variables) const {
  const auto at = templates_.find(name);
  if (at == templates_.end()) return fail(ErrorCode::not_found, fmt::format("no prompt is called {}", name));
  PLAIT_TRY(std::string text, at->second.render(variables));
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return std::string();
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string> Prompts::names() const {
  std::vector<std::string> all;
  for (const auto& [name, parsed] : templates_) all.push_back(name);
  return all;
}

}  // namespace plait::reasoning
