// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "models/gguf.h"

namespace plait::models {

/// How much of a model is stored in one tensor type.
struct TypeShare {
  tensor::Type type = tensor::Type::f32;
  std::size_t tensors = 0;
  std::uint64_t elements = 0;
  base::Bytes bytes = 0;
};

/// What a model file says about itself, for people and for `plait model show`. Owns its texts, so it outlives the file.
/// Texts come from the file as they are: whoever shows them on a terminal escapes control characters. Empty and 0: not
/// stated.
struct ModelDescription {
  std::string architecture;          ///< "llama"
  std::string name;                  ///< "Smollm2 135M 8k Lc100K Mix1 Ep2"
  std::string size_label;            ///< "135M"
  std::string licence;               ///< "apache-2.0"
  std::string tokenizer;             ///< Kind of tokenizer: "gpt2" (byte-level BPE), "llama" (SentencePiece) …
  std::string pre_tokenizer;         ///< "smollm", "qwen2", "default" …
  std::string chat_template;         ///< The Jinja source.
  std::uint64_t parameters = 0;      ///< Elements of all tensors; a tied output matrix counts once.
  std::uint64_t vocabulary = 0;      ///< Tokens.
  std::uint64_t context_length = 0;  ///< Tokens the model was trained for.
  std::uint64_t layers = 0;
  std::uint64_t width = 0;  ///< Embedding length.
  std::uint64_t feed_forward = 0;
  std::uint64_t heads = 0;
  std::uint64_t kv_heads = 0;
  std::uint32_t gguf_version = 0;
  std::size_t files = 1;
  base::Bytes file_bytes = 0;
  std::vector<TypeShare> types;  ///< The types that occur, most bytes first.
};

/// Sums a file up. Only the architecture is required. Errors: not_found, invalid_data (a field of the wrong kind, by
/// name).
[[nodiscard]] base::Result<ModelDescription> describe(const GgufFile& file);

}  // namespace plait::models
