// SPDX-License-Identifier: Apache-2.0
//
// The hyper-parameters of a model: what the file's metadata says, checked, in plait's words.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernels/rope.h"

namespace plait::models {

class GgufFile;

enum class Architecture { llama, qwen2, qwen3, gemma3, qwen2moe, qwen3moe, gpt_oss };

/// As in the file's `general.architecture`.
[[nodiscard]] std::string_view name(Architecture architecture);

/// What a feed-forward part makes of gate and up.
enum class Activation { silu, gelu, clamped_swiglu };
/// Feed-forward parts of which each row uses a few, chosen by a router.
struct Mixture {
  std::size_t experts = 0;     ///< 0: the model is no mixture, each layer has one feed-forward part.
  std::size_t used = 0;        ///< Experts of a row.
  std::size_t shared_ffn = 0;  ///< Inner width of an expert that every row uses besides; 0: none.
  bool normalised = false;     ///< The used experts' weights are made to add up to one.
};

/// How the hidden states of a text become one vector.
enum class Pooling {
  mean,  ///< Of all tokens.
  last,  ///< The last token's.
};

struct Config {
  Architecture architecture = Architecture::llama;
  std::string name;  ///< `general.name`; may be empty.
  std::size_t layers = 0;
  std::size_t width = 0;  ///< Of the residual stream.
  std::size_t ffn = 0;    ///< Inner width of the feed-forward part, or of one expert.
  Mixture mixture;
  std::size_t heads = 0;  ///< Query heads; a multiple of kv_heads.
  std::size_t kv_heads = 0;
  std::size_t head_dim = 0;    ///< Of queries, keys and values.
  std::size_t vocabulary = 0;  ///< Rows of the embedding matrix.
  std::size_t context = 0;     ///< Most tokens of one sequence that the model was made for.

  float norm_epsilon = 0;
  float attention_scale = 0;     ///< Factor of query times key.
  float attention_soft_cap = 0;  ///< 0: none.
  float logit_soft_cap = 0;      ///< 0: none.
  float embedding_scale = 1;

  std::size_t rotated = 0;               ///< Leading dims of a head that are rotated; even.
  bool rope_interleaved = false;         ///< Pairs are (2i, 2i+1) instead of (i, i + rotated/2).
  kernels::RopeFrequencies rope;         ///< Of layers that see everything.
  kernels::RopeFrequencies rope_window;  ///< Of layers with a window.

  std::size_t window = 0;  ///< A windowed layer's query at position p sees positions > p - window. 0: no such layers.
  std::vector<bool> layer_windowed;  ///< [layers]

  Activation activation = Activation::silu;
  std::optional<Pooling> pooling = {};  ///< What the model was trained for, where its file says it.
};

/// Reads and checks the metadata, the embedding matrix's shape and the optional `rope_freqs.weight`.
/// Errors: unsupported (another architecture or variant, named), not_found or invalid_data (the message names the key).
[[nodiscard]] base::Result<Config> read_config(const GgufFile& file);

}  // namespace plait::models
