// SPDX-License-Identifier: Apache-2.0
#include "models/weights.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "tensor/dequantise.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

/// Takes tensors by name, checks their shapes, and remembers which were taken.
class Finder {
 public:
  explicit Finder(const GgufFile& file) : file_(file) {}

  Result<std::vector<float>> vector(const std::string& name, std::size_t size) {
    const TensorInfo* info = file_.find(name);
    if (info == nullptr) return fail(ErrorCode::not_found, fmt::format("the file has no tensor {}", name));
    if (info->dim_count != 1 || info->dims[0] != size) return wrong_shape(*info, fmt::format("[{}]", size));
    taken_.insert(info->name);
    std::vector<float> values(size);
    tensor::dequantise(info->type, file_.matrix(*info).bytes, values);
    for (const float value : values) {
      if (!std::isfinite(value)) return fail(ErrorCode::invalid_data, fmt::format("tensor {} holds {}", name, value));
    }
    return values;
  }

  Result<std::vector<float>> vector_or_none(const std::string& name, std::size_t size) {
    return file_.find(name) == nullptr ? Result<std::vector<float>>(std::vector<float>{}) : vector(name, size);
  }

  /// Stacks [outputs[i], inputs] matrices `prefix``names[i]`.weight and their biases, absent ones counting as zeros.
  Result<Linear> linear(const std::string& prefix,
                        std::initializer_list<std::pair<std::string_view, std::size_t>> names, std::size_t inputs) {
    Linear linear;
    linear.inputs = inputs;
    bool any_bias = false;
    for (const auto& [suffix, outputs] : names) {
      const std::string name = fmt::format("{}{}", prefix, suffix);
      PLAIT_TRY(const TensorInfo* info, matrix(name + ".weight", outputs, inputs));
      linear.tensors.push_back(info);
      linear.parts.push_back(file_.matrix(*info));
      PLAIT_TRY(const std::vector<float> bias, vector_or_none(name + ".bias", outputs));
      any_bias = any_bias || !bias.empty();
      linear.bias.resize(linear.outputs);
      linear.bias.insert(linear.bias.end(), bias.begin(), bias.end());
      linear.outputs += outputs;
      linear.bias.resize(linear.outputs);
    }
    if (!any_bias) linear.bias = {};
    return linear;
  }

  Result<const TensorInfo*> matrix(const std::string& name, std::size_t rows, std::size_t columns) {
    const TensorInfo* info = file_.find(name);
    if (info == nullptr) return fail(ErrorCode::not_found, fmt::format("the file has no tensor {}", name));
    if (info->dim_count != 2 || info->dims[0] != columns || info->dims[1] != rows) {
      return wrong_shape(*info, fmt::format("[{}, {}]", columns, rows));
    }
    taken_.insert(info->name);
    return info;
  }

  /// A weight that nobody took would change the result silently.
  [[nodiscard]] Result<void> nothing_left() const {
    for (const TensorInfo& info : file_.tensors()) {
      if (!taken_.contains(info.name) && info.name != "rope_freqs.weight") {
        return fail(ErrorCode::unsupported, fmt::format("plait does not know what tensor {} is for", info.name));
      }
    }
    return {};
  }

 private:
  static std::unexpected<base::Error> wrong_shape(const TensorInfo& info, const std::string& wanted) {
    std::string found;
    for (int i = 0; i < info.dim_count; ++i) {
      found += fmt::format("{}{}", i == 0 ? "" : ", ", info.dims[static_cast<std::size_t>(i)]);
    }
    return fail(ErrorCode::invalid_data,
                fmt::format("tensor {} is [{}]; the metadata asks for {}", info.name, found, wanted));
  }

  const GgufFile& file_;
  std::unordered_set<std::string_view> taken_;
};

Result<Layer> find_layer(Finder& finder, const Config& config, std::size_t index) {
  const std::string prefix = fmt::format("blk.{}.", index);
  const std::size_t query = config.heads * config.head_dim;
  const std::size_t kv = config.kv_heads * config.head_dim;
  Layer layer;
  PLAIT_TRY(layer.attention_norm, finder.vector(prefix + "attn_norm.weight", config.width));
  PLAIT_TRY(layer.query_key_value,
            finder.linear(prefix, {{"attn_q", query}, {"attn_k", kv}, {"attn_v", kv}}, config.width));
  PLAIT_TRY(layer.attention_output, finder.linear(prefix, {{"attn_output", config.width}}, query));
  PLAIT_TRY(layer.ffn_norm, finder.vector(prefix + "ffn_norm.weight", config.width));
  PLAIT_TRY(layer.gate_up, finder.linear(prefix, {{"ffn_gate", config.ffn}, {"ffn_up", config.ffn}}, config.width));
  PLAIT_TRY(layer.down, finder.linear(prefix, {{"ffn_down", config.width}}, config.ffn));
  if (config.architecture == Architecture::qwen3 || config.architecture == Architecture::gemma3) {
    PLAIT_TRY(layer.query_norm, finder.vector(prefix + "attn_q_norm.weight", config.head_dim));
    PLAIT_TRY(layer.key_norm, finder.vector(prefix + "attn_k_norm.weight", config.head_dim));
  }
  if (config.architecture == Architecture::gemma3) {
    PLAIT_TRY(layer.attention_post_norm, finder.vector(prefix + "post_attention_norm.weight", config.width));
    PLAIT_TRY(layer.ffn_post_norm, finder.vector(prefix + "post_ffw_norm.weight", config.width));
  }
  return layer;
}

template <class Function>
void for_each_linear(const Weights& weights, Function&& function) {
  for (const Layer& layer : weights.layers) {
    function(layer.query_key_value);
    function(layer.attention_output);
    function(layer.gate_up);
    function(layer.down);
  }
  function(weights.output);
}

Result<void> pack(const GgufFile& file, Linear& linear, kernels::Weights form, kernels::WeightMemory& memory,
                  parallel::Team& team) {
  PLAIT_TRY(linear.packed, kernels::PackedMatrix::pack(linear.parts, team, form, &memory));
  for (const TensorInfo* info : linear.tensors) file.drop_pages(*info);
  return {};
}

}  // namespace

Result<Weights> find_weights(const GgufFile& file, const Config& config) {
  Finder finder(file);
  Weights weights;
  PLAIT_TRY(const TensorInfo* embedding, finder.matrix("token_embd.weight", config.vocabulary, config.width));
  weights.embedding = file.matrix(*embedding);
  weights.layers.reserve(config.layers);
  for (std::size_t index = 0; index < config.layers; ++index) {
    PLAIT_TRY(Layer layer, find_layer(finder, config, index));
    weights.layers.push_back(std::move(layer));
  }
  PLAIT_TRY(weights.output_norm, finder.vector("output_norm.weight", config.width));
  weights.tied = file.find("output.weight") == nullptr;
  PLAIT_TRY(weights.output,
            finder.linear("", {{weights.tied ? "token_embd" : "output", config.vocabulary}}, config.width));
  PLAIT_TRY_VOID(finder.nothing_left());
  PLAIT_TRY_VOID(file.check());
  return weights;
}

Result<void> pack_weights(const GgufFile& file, Weights& weights, kernels::Weights form, parallel::Team& team) {
  kernels::WeightMemory memory;
  for (Layer& layer : weights.layers) {
    PLAIT_TRY_VOID(pack(file, layer.query_key_value, form, memory, team));
    PLAIT_TRY_VOID(pack(file, layer.attention_output, form, memory, team));
    PLAIT_TRY_VOID(pack(file, layer.gate_up, form, memory, team));
    PLAIT_TRY_VOID(pack(file, layer.down, form, memory, team));
  }
  PLAIT_TRY_VOID(pack(file, weights.output, form, memory, team));
  return file.check();
}

base::Bytes Weights::packed_bytes() const {
  base::Bytes bytes = 0;
  for_each_linear(*this, [&](const Linear& linear) { bytes += linear.packed ? linear.packed->bytes() : 0; });
  return bytes;
}

base::Bytes Weights::file_bytes_per_step() const {
  base::Bytes bytes = tensor::row_bytes(embedding.type, embedding.columns);
  for_each_linear(*this, [&](const Linear& linear) {
    for (const tensor::MatrixView& part : linear.parts) bytes += part.bytes.size();
  });
  return bytes;
}

double Weights::operations_per_token() const {
  double operations = 0;
  for_each_linear(*this, [&](const Linear& linear) {
    operations += 2 * static_cast<double>(linear.inputs) * static_cast<double>(linear.outputs);
  });
  return operations;
}

}  // namespace plait::models
