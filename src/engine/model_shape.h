// SPDX-License-Identifier: Apache-2.0
//
// What of a model decides how dear its tokens are.
#pragma once

#include "models/config.h"
#include "models/description.h"

namespace plait::engine {

/// Sizes of a model as costs see them. Plain numbers, because they may also come from a command line.
struct ModelShape {
  double layers = 0;
  double width = 0;              ///< Of the residual stream.
  double kv_heads = 0;           ///< Heads of keys, and as many of values.
  double head_dim = 0;           ///< Of keys and values.
  double bytes_per_element = 2;  ///< Of a key or value in the cache; with scales, their share included.
  double parameters = 0;         ///< That one token is multiplied with: of a mixture only the experts of one row.
  double weight_bytes = 0;       ///< Read by a step of one row.

  /// Bytes of keys and values of one token over all layers. A layer that sees only a window is counted as if it saw
  /// everything: beyond the window that is too much.
  [[nodiscard]] double kv_bytes_per_token() const { return 2 * layers * kv_heads * head_dim * bytes_per_element; }
};

/// The shape of a model file; `bytes_per_element` as the cache holds keys and values. Every tensor counts as read by
/// each step, an input embedding of its own too. Of a mixture, weights are taken to be dear in proportion to
/// parameters.
[[nodiscard]] ModelShape model_shape(const models::Config& config, const models::ModelDescription& description,
                                     double bytes_per_element = 2);

}  // namespace plait::engine
