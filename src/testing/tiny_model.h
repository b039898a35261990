// SPDX-License-Identifier: Apache-2.0
//
// Tiny random models as GGUF files in memory: two layers of width 256, a byte-level vocabulary of 288. Every byte is a
// pure function of the description, by whole-number arithmetic only, so that tools/oracle/tiny.py makes the same files
// and only the expected logits need to be stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/type.h"

namespace plait::testing {

struct TinyModel {
  std::string architecture = "llama";      ///< llama, qwen2, qwen3, gemma3
  tensor::Type type = tensor::Type::q4_0;  ///< Of every matrix.
  bool tied = true;                        ///< No separate output matrix.
  /// plain; linear, llama3, yarn: kinds of RoPE scaling; partial: half of each head is rotated; bias: biases
  /// everywhere; flags: windows given layer by layer; caps: soft caps of attention and logits; mixed: matrices of
  /// different types.
  std::string variant = "plain";

  /// "llama/Q4_0/tied/plain"
  [[nodiscard]] std::string name() const;
};

inline constexpr std::size_t kTinyVocabulary = 288;

/// The whole file.
[[nodiscard]] std::vector<std::byte> make_tiny_model(const TinyModel& model);

/// Every architecture with every type, then the variants. The same list in the same order as in tools/oracle/tiny.py.
[[nodiscard]] std::vector<TinyModel> tiny_model_zoo();

/// FNV-1a.
[[nodiscard]] std::uint64_t hash_bytes(std::string_view bytes);

}  // namespace plait::testing
