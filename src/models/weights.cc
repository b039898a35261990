// SPDX-License-Identifier: Apache-2.0
#include "models/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
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
    PLAIT_TRY(const TensorInfo* info, tensor(name, {size}));
    return floats(*info);
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

  /// The same once for each of `count` experts, whose matrices lie one after another in one tensor.
  Result<std::vector<Linear>> experts(const std::string& prefix,
                                      std::initializer_list<std::pair<std::string_view, std::size_t>> names,
                                      std::size_t inputs, std::size_t count, std::vector<const TensorInfo*>& tensors) {
    std::vector<Linear> linears(count);
    for (const auto& [suffix, outputs] : names) {
      PLAIT_TRY(const TensorInfo* info, tensor(fmt::format("{}{}.weight", prefix, suffix), {inputs, outputs, count}));
      tensors.push_back(info);
      const tensor::MatrixView all = file_.matrix(*info);
      const std::size_t bytes = outputs * tensor::row_bytes(all.type, all.columns);
      for (std::size_t i = 0; i < count; ++i) {
        linears[i].parts.push_back({all.type, outputs, inputs, all.bytes.subspan(i * bytes, bytes)});
        linears[i].inputs = inputs;
        linears[i].outputs += outputs;
      }
      PLAIT_TRY_VOID(expert_biases(fmt::format("{}{}.bias", prefix, suffix), outputs, linears));
    }
    for (Linear& linear : linears) {
      if (!linear.bias.empty()) linear.bias.resize(linear.outputs);
    }
    return linears;
  }

  /// Appends each expert's row of the tensor [count, outputs], if it is there.
  Result<void> expert_biases(const std::string& name, std::size_t outputs, std::vector<Linear>& linears) {
    if (file_.find(name) == nullptr) return {};
    PLAIT_TRY(const TensorInfo* info, tensor(name, {outputs, linears.size()}));
    PLAIT_TRY(const std::vector<float> values, floats(*info));
    for (std::size_t i = 0; i < linears.size(); ++i) {
      const auto row = values.begin() + static_cast<std::ptrdiff_t>(i * outputs);
      std::vector<float>& bias = linears[i].bias;
      bias.resize(linears[i].outputs - outputs);  // absent ones before count as zeros
      bias.insert(bias.end(), row, row + static_cast<std::ptrdiff_t>(outputs));
    }
    return {};
  }

  /// One output is a vector in files.
  Result<const TensorInfo*> matrix(const std::string& name, std::size_t rows, std::size_t columns) {
    return rows == 1 ? tensor(name, {columns}) : tensor(name, {columns, rows});
  }

  Result<const TensorInfo*> tensor(const std::string& name, std::initializer_list<std::size_t> dims) {
    const TensorInfo* info = file_.find(name);
    if (info == nullptr) return fail(ErrorCode::not_found, fmt::format("the file has no tensor {}", name));
    const std::span<const std::uint64_t> found(info->dims.data(), static_cast<std::size_t>(info->dim_count));
    if (!std::ranges::equal(found, dims)) return wrong_shape(*info, fmt::format("[{}]", fmt::join(dims, ", ")));
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
  Result<std::vector<float>> floats(const TensorInfo& info) {
    std::vector<float> values(info.elements());
    tensor::dequantise(info.type, file_.matrix(info).bytes, values);
    for (const float value : values) {
      if (!std::isfinite(value)) {
        return fail(ErrorCode::invalid_data, fmt::format("tensor {} holds {}", info.name, value));
      }
    }
    return values;
  }

  static std::unexpected<base::Error> wrong_shape(const TensorInfo& info, const std::string& wanted) {
    const std::span<const std::uint64_t> found(info.dims.data(), static_cast<std::size_t>(info.dim_count));
    return fail(ErrorCode::invalid_data,
                fmt::format("tensor {} is [{}]; the metadata asks for {}", info.name, fmt::join(found, ", "), wanted));
  }

  const GgufFile& file_;
  std::unordered_set<std::string_view> taken_;
};

Result<Experts> find_experts(Finder& finder, const Config& config, const std::string& prefix) {
  const std::size_t count = config.mixture.experts;
  const std::size_t shared = config.mixture.shared_ffn;
  Experts experts;
  PLAIT_TRY(experts.router, finder.linear(prefix, {{"ffn_gate_inp", count}}, config.width));
  PLAIT_TRY(experts.gate_up, finder.experts(prefix, {{"ffn_gate_exps", config.ffn}, {"ffn_up_exps", config.ffn}},
                                            config.width, count, experts.tensors));
  PLAIT_TRY(experts.down,
            finder.experts(prefix, {{"ffn_down_exps", config.width}}, config.ffn, count, experts.tensors));
  if (shared == 0) return experts;
  PLAIT_TRY(experts.shared_gate, finder.linear(prefix, {{"ffn_gate_inp_shexp", 1}}, config.width));
  PLAIT_TRY(experts.shared_gate_up,
            finder.linear(prefix, {{"ffn_gate_shexp", shared}, {"ffn_up_shexp", shared}}, config.width));
  PLAIT_TRY(experts.shared_down, finder.linear(prefix, {{"ffn_down_shexp", config.width}}, shared));
  return experts;
}

Result<Layer> find_layer(Finder& finder, const Config& config, std::size_t index) {
  const std::string prefix = fmt::format("blk.{}.", index);
  const std::size_t query = config.heads * config.head_dim;
  const std::size_t kv = config.kv_heads * config.head_dim;
  Layer layer;
  PLAIT_TRY(layer.attention_norm, finder.vector(prefix + "attn_norm.weight", config.width));
  PLAIT_TRY(layer.query_key_value,
            finder.linear(prefix, {{"attn_q", query}, {"attn_k", kv}, {"attn_v", kv}}, config.width));
  PLAIT_TRY(layer.attention_output, finder.linear(prefix, {{"attn_output", config.width}}, query));
  const bool gpt_oss = config.architecture == Architecture::gpt_oss;
  PLAIT_TRY(layer.ffn_norm,
            finder.vector(prefix + (gpt_oss ? "post_attention_norm.weight" : "ffn_norm.weight"), config.width));
  if (gpt_oss) {
    PLAIT_TRY(layer.sinks, finder.vector_or_none(prefix + "attn_sinks.weight", config.heads));
  }
  if (config.mixture.experts != 0) {
    PLAIT_TRY(layer.experts, find_experts(finder, config, prefix));
  } else {
    PLAIT_TRY(layer.gate_up, finder.linear(prefix, {{"ffn_gate", config.ffn}, {"ffn_up", config.ffn}}, config.width));
    PLAIT_TRY(layer.down, finder.linear(prefix, {{"ffn_down", config.width}}, config.ffn));
  }
  const Architecture architecture = config.architecture;
  if (architecture == Architecture::qwen3 || architecture == Architecture::qwen3moe ||
      architecture == Architecture::gemma3) {
    PLAIT_TRY(layer.query_norm, finder.vector(prefix + "attn_q_norm.weight", config.head_dim));
    PLAIT_TRY(layer.key_norm, finder.vector(prefix + "attn_k_norm.weight", config.head_dim));
  }
  if (config.architecture == Architecture::gemma3) {
    PLAIT_TRY(layer.attention_post_norm, finder.vector(prefix + "post_attention_norm.weight", config.width));
    PLAIT_TRY(layer.ffn_post_norm, finder.vector(prefix + "post_ffw_norm.weight", config.width));
  }
  return layer;
}

/// function(linear, share), share being the part of the rows that go through it when every expert is as likely.
template <class Function>
void for_each_linear(const Weights& weights, Function&& function) {
  for (const Layer& layer : weights.layers) {
    function(layer.query_key_value, 1.0);
    function(layer.attention_output, 1.0);
    if (!layer.experts) {
      function(layer.gate_up, 1.0);
      function(layer.down, 1.0);
      continue;
    }
    const Experts& experts = *layer.experts;
    for (const Linear* linear :
         {&experts.router, &experts.shared_gate, &experts.shared_gate_up, &experts.shared_down}) {
      function(*linear, 1.0);
    }
    for (const Linear& linear : experts.gate_up) function(linear, weights.expert_share);
    for (const Linear& linear : experts.down) function(linear, weights.expert_share);
  }
  function(weights.output, 1.0);
}

Result<void> pack(const GgufFile& file, Linear& linear, kernels::Weights form, kernels::WeightMemory& memory,
                  parallel::Team& team) {
  if (linear.parts.empty()) return {};
  PLAIT_TRY(linear.packed, kernels::PackedMatrix::pack(linear.parts, team, form, &memory));
  for (const TensorInfo* info : linear.tensors) file.drop_pages(*info);
  return {};
}

Result<void> pack(const GgufFile& file, Experts& experts, kernels::Weights form, kernels::WeightMemory& memory,
                  parallel::Team& team) {
  const kernels::Weights choosing = form == kernels::Weights::f32 ? form : kernels::Weights::exact;
  PLAIT_TRY_VOID(pack(file, experts.router, choosing, memory, team));
  PLAIT_TRY_VOID(pack(file, experts.shared_gate, choosing, memory, team));
  PLAIT_TRY_VOID(pack(file, experts.shared_gate_up, form, memory, team));
  PLAIT_TRY_VOID(pack(file, experts.shared_down, form, memory, team));
  for (std::size_t i = 0; i < experts.gate_up.size(); ++i) {
    PLAIT_TRY_VOID(pack(file, experts.gate_up[i], form, memory, team));
    PLAIT_TRY_VOID(pack(file, experts.down[i], form, memory, team));
  }
  for (const TensorInfo* info : experts.tensors) file.drop_pages(*info);
  return {};
}

/// Whether weights have another size in memory than in the file.
bool made_at_load(kernels::RowForm form) { return form == kernels::RowForm::wide || form == kernels::RowForm::pairs; }

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
  if (config.mixture.experts != 0) {
    weights.expert_share = static_cast<double>(config.mixture.used) / static_cast<double>(config.mixture.experts);
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
    if (layer.experts) {
      PLAIT_TRY_VOID(pack(file, *layer.experts, form, memory, team));
    }
    PLAIT_TRY_VOID(pack(file, layer.gate_up, form, memory, team));
    PLAIT_TRY_VOID(pack(file, layer.down, form, memory, team));
  }
  PLAIT_TRY_VOID(pack(file, weights.output, form, memory, team));
  return file.check();
}

base::Bytes Weights::packed_bytes() const {
  base::Bytes bytes = 0;
  for_each_linear(*this, [&](const Linear& linear, double) { bytes += linear.packed ? linear.packed->bytes() : 0; });
  return bytes;
}

base::Bytes Weights::bytes_per_step() const {
  auto bytes = static_cast<double>(tensor::row_bytes(embedding.type, embedding.columns));
  for_each_linear(*this, [&](const Linear& linear, double share) {
    if (linear.packed && made_at_load(linear.packed->row_form())) {
      bytes += share * static_cast<double>(linear.packed->bytes());
      return;
    }
    for (const tensor::MatrixView& part : linear.parts) bytes += share * static_cast<double>(part.bytes.size());
  });
  return static_cast<base::Bytes>(std::llround(bytes));
}

double Weights::operations_per_token() const {
  double operations = 0;
  for_each_linear(*this, [&](const Linear& linear, double share) {
    operations += 2 * share * static_cast<double>(linear.inputs) * static_cast<double>(linear.outputs);
  });
  return operations;
}

}  // namespace plait::models
