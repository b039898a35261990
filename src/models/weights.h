// SPDX-License-Identifier: Apache-2.0
//
// The weights of a model by their role: found in the file by name, checked against the config's sizes, and prepared for
// the chosen arithmetic.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "kernels/matmul.h"
#include "models/config.h"
#include "models/gguf.h"
#include "parallel/team.h"
#include "tensor/matrix_view.h"

namespace plait::models {

/// One or several matrices that read the same input, their outputs one after another: y = [W0 x; W1 x; ...] + bias.
struct Linear {
  std::vector<const TensorInfo*> tensors;       ///< In the file.
  std::vector<tensor::MatrixView> parts;        ///< Their bytes in the file; pages may have been dropped.
  std::optional<kernels::PackedMatrix> packed;  ///< The same, prepared for the kernels; or not.
  std::vector<float> bias;                      ///< [outputs], or empty.
  std::size_t inputs = 0;
  std::size_t outputs = 0;
};

/// The feed-forward part of a layer that is a mixture of experts.
struct Experts {
  Linear router;                           ///< One output for each expert.
  std::vector<Linear> gate_up;             ///< [experts]: ffn gates, then ffn ups. They have no `tensors` of their own.
  std::vector<Linear> down;                ///< [experts], likewise.
  std::vector<const TensorInfo*> tensors;  ///< Those of all experts together.
  Linear shared_gate;                      ///< One output; the three of the shared expert, if there is one.
  Linear shared_gate_up;
  Linear shared_down;
};

/// Vectors are [width] or, for query and key norms, [head_dim]; empty where the architecture has none.
struct Layer {
  std::vector<float> attention_norm;
  Linear query_key_value;  ///< heads * dim, kv_heads * dim, kv_heads * dim outputs
  std::vector<float> query_norm;
  std::vector<float> key_norm;
  std::vector<float>
      sinks;  ///< [heads]: a score of nothing for each head, which takes a share of the weights; or empty.
  Linear attention_output;
  std::vector<float> attention_post_norm;
  std::vector<float> ffn_norm;
  Linear gate_up;  ///< ffn gates, then ffn ups
  Linear down;
  std::optional<Experts> experts;  ///< Instead of gate_up and down.
  std::vector<float> ffn_post_norm;
};

struct Weights {
  tensor::MatrixView embedding;  ///< In the file, [vocabulary, width].
  std::vector<Layer> layers;
  std::vector<float> output_norm;
  Linear output;  ///< [vocabulary, width]; the embedding itself when tied.
  bool tied = false;
  double expert_share = 1;  ///< Used experts over all experts.

  [[nodiscard]] base::Bytes packed_bytes() const;
  /// Of one row: of experts, those it uses.
  [[nodiscard]] base::Bytes bytes_per_step() const;
  [[nodiscard]] double operations_per_token() const;
};

/// Finds and checks every tensor; touches only the pages of the norms and biases.
/// Errors: not_found or invalid_data (the tensor's name, wanted and found shape); unsupported (a tensor of a layer that
/// plait does not know, so that nothing is silently left out).
[[nodiscard]] base::Result<Weights> find_weights(const GgufFile& file, const Config& config);

/// Packs every linear layer, one after another, and gives the file's pages back on the way. What chooses experts stays
/// exact: it is small, and a little noise there changes who computes.
/// Errors: those of PackedMatrix::pack; io if the file changed under us.
[[nodiscard]] base::Result<void> pack_weights(const GgufFile& file, Weights& weights, kernels::Weights form,
                                              parallel::Team& team);

}  // namespace plait::models
