// SPDX-License-Identifier: Apache-2.0
//
// What a manifest lets through becomes file names, addresses and arguments of programs.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "hub/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto models = plait::hub::parse_manifest({reinterpret_cast<const char*>(data), size});
  if (!models) return 0;
  for (const auto& model : *models) {
    PLAIT_CHECK(!model.name.empty() && model.name.find('/') == std::string::npos && model.name[0] != '.', model.name);
    PLAIT_CHECK(model.bytes > 0 && model.sha256.size() == 64 && !model.sources.empty(), model.name);
    for (const auto& source : model.sources) {
      PLAIT_CHECK(source.url.empty() != source.parts.empty(), source.url);
      for (const auto& part : source.parts) PLAIT_CHECK(!part.package.starts_with('-'), part.package);
    }
  }
  return 0;
}
