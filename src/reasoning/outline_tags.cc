// SPDX-License-Identifier: Apache-2.0
#include "reasoning/outline_tags.h"

#include <array>

namespace plait::reasoning {
namespace {

constexpr std::array<std::string_view, kTagKinds> kTagNames{"Parallel>", "Outlines>",   "Outline>",
                                                            "Thread>",   "Conclusion>", "think>"};

}  // namespace

std::vector<Tag> find_tags(std::string_view text) {
  std::vector<Tag> tags;
  for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    const bool closes = text.substr(at + 1).starts_with('/');
    const std::string_view behind = text.substr(at + (closes ? 2 : 1));
    for (std::size_t kind = 0; kind < kTagKinds; ++kind) {
      if (!behind.starts_with(kTagNames[kind])) continue;
      tags.push_back({static_cast<TagKind>(kind), closes, at, at + (closes ? 2 : 1) + kTagNames[kind].size()});
      break;
    }
  }
  return tags;
}

}  // namespace plait::reasoning
