// SPDX-License-Identifier: Apache-2.0
//
// For tests and fuzzers of the GGUF reader: uses everything that an accepted file offers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/gguf.h"
#include "tensor/dequantise.h"

namespace plait::models {

/// Reads all metadata in every way and expands the first row of every tensor; returns a number that depends on all of
/// it, so that nothing is optimised away.
inline std::size_t exercise(const GgufFile& file) {
  std::size_t sum = file.version() + file.file_bytes() + file.part_count();
  for (const GgufEntry& entry : file.metadata()) {
    sum += entry.text().size() + name(entry.kind).size() + (file.entry(entry.key) == &entry ? 1 : 0);
    sum += file.get<std::string_view>(entry.key).value_or("").size() + file.get<std::uint32_t>(entry.key).value_or(0);
    sum += file.get<std::int64_t>(entry.key) ? 1 : 0;
    sum += file.get_or<float>(entry.key, 0) ? 1 : 0;
    sum += file.get_or<bool>(entry.key, false).value_or(false) ? 1 : 0;
    for (const std::string_view text : file.strings(entry.key).value_or(std::vector<std::string_view>{})) {
      for (const char c : text) sum += static_cast<unsigned char>(c);
    }
    sum += file.numbers<std::int32_t>(entry.key).value_or(std::vector<std::int32_t>{}).size();
    sum += file.numbers<float>(entry.key).value_or(std::vector<float>{}).size();
  }
  for (const TensorInfo& tensor : file.tensors()) {
    const tensor::MatrixView matrix = file.matrix(tensor);
    std::vector<float> row(matrix.columns);
    tensor::dequantise(matrix.type, matrix.bytes.first(matrix.bytes.size() / matrix.rows), row);
    sum += std::to_integer<std::size_t>(matrix.bytes.back()) + (row.back() > 0 ? 1 : 0);
    sum += file.find(tensor.name) == &tensor ? 1 : 0;
  }
  return sum;
}

}  // namespace plait::models
