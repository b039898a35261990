// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "testing/gguf_writer.h"

namespace plait::testing {

/// A file that no reader may accept, and what was done to it.
struct DamagedGguf {
  std::string damage;  ///< "cut at 'vector data'", "'deep dimension 0' = 0".
  std::string field;   ///< What a good message names: a key, a tensor, or empty where the damage hits no named thing.
  std::string bytes;
};

/// A small valid file with metadata of every kind and seven tensors of several types; some 2 KiB.
[[nodiscard]] GgufWriter small_gguf(std::uint32_t version);

/// small_gguf() of both versions, cut at every border and in the middle of every field, with every structural field set
/// to each of several impossible values, and with duplicates, overlaps, bad nesting and bad alignment; more than 900
/// files.
[[nodiscard]] std::vector<DamagedGguf> damaged_gguf_files();

}  // namespace plait::testing
