// SPDX-License-Identifier: Apache-2.0
#include "engine/model_shape.h"

#include <gtest/gtest.h>

namespace plait::engine {
namespace {

models::ModelDescription description(std::uint64_t parameters, base::Bytes bytes) {
  models::ModelDescription model;
  model.parameters = parameters;
  model.types = {{.type = tensor::Type::q8_0, .tensors = 2, .elements = parameters, .bytes = bytes / 4},
                 {.type = tensor::Type::f32, .tensors = 1, .elements = 1, .bytes = bytes - bytes / 4}};
  return model;
}

TEST(ModelShape, OfADenseModel) {
  models::Config config;
  config.layers = 30;
  config.width = 576;
  config.ffn = 1536;
  config.kv_heads = 3;
  config.head_dim = 64;
  const ModelShape shape = model_shape(config, description(134'500'000, 98'000'000));
  EXPECT_EQ(shape.kv_bytes_per_token(), 23'040);
  EXPECT_EQ(shape.parameters, 134.5e6);
  EXPECT_EQ(shape.weight_bytes, 98e6);
  EXPECT_EQ(model_shape(config, description(1, 1), 1.0625).kv_bytes_per_token(), 23'040 * 1.0625 / 2);
}

TEST(ModelShape, OfAMixtureCountsTheExpertsOfARow) {
  models::Config config;
  config.layers = 2;
  config.width = 10;
  config.ffn = 5;
  config.mixture = {.experts = 8, .used = 2};
  const double per_expert = 2 * 3 * 10 * 5;  // layers, matrices
  const ModelShape shape = model_shape(config, description(10'000, 8'000));
  EXPECT_DOUBLE_EQ(shape.parameters, 10'000 - 6 * per_expert);
  EXPECT_DOUBLE_EQ(shape.weight_bytes, 0.8 * shape.parameters);
}

}  // namespace
}  // namespace plait::engine
