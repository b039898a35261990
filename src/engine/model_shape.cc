// SPDX-License-Identifier: Apache-2.0
#include "engine/model_shape.h"

#include <algorithm>

namespace plait::engine {

ModelShape model_shape(const models::Config& config, const models::ModelDescription& description,
                       double bytes_per_element) {
  ModelShape shape{.layers = static_cast<double>(config.layers),
                   .width = static_cast<double>(config.width),
                   .kv_heads = static_cast<double>(config.kv_heads),
                   .head_dim = static_cast<double>(config.head_dim),
                   .bytes_per_element = bytes_per_element,
                   .parameters = static_cast<double>(description.parameters)};
  double bytes = 0;
  for (const models::TypeShare& share : description.types) bytes += static_cast<double>(share.bytes);
  const double idle_experts = static_cast<double>(config.mixture.experts - config.mixture.used);
  constexpr double kMatricesOfExpert = 3;  // gate, up, down
  const double idle = shape.layers * idle_experts * kMatricesOfExpert * shape.width * static_cast<double>(config.ffn);
  const double active = std::max(shape.parameters - idle, 1.0);
  shape.weight_bytes = shape.parameters > 0 ? bytes * active / shape.parameters : bytes;
  shape.parameters = active;
  return shape;
}

}  // namespace plait::engine
