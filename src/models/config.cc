// SPDX-License-Identifier: Apache-2.0
#include "models/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "models/gguf.h"
#include "tensor/dequantise.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::array<std::pair<Architecture, std::string_view>, 7> kArchitectures{{
    {Architecture::llama, "llama"},
    {Architecture::qwen2, "qwen2"},
    {Architecture::qwen3, "qwen3"},
    {Architecture::gemma3, "gemma3"},
    {Architecture::qwen2moe, "qwen2moe"},
    {Architecture::qwen3moe, "qwen3moe"},
    {Architecture::gpt_oss, "gpt-oss"},
}};

// Far above every published model, and small enough that no product of a few of them overflows.
constexpr std::size_t kLayersMax = 1024;
constexpr std::size_t kHeadsMax = 1024;
constexpr std::size_t kHeadDimMax = 1024;
constexpr std::size_t kWidthMax = std::size_t{1} << 17;
constexpr std::size_t kFfnMax = std::size_t{1} << 20;
constexpr std::size_t kExpertsMax = 1024;
constexpr std::size_t kVocabularyMax = std::size_t{1} << 24;
constexpr std::size_t kContextMax = std::size_t{1} << 26;

Result<Architecture> read_architecture(const GgufFile& file) {
  PLAIT_TRY(const std::string_view found, file.require<std::string_view>("general.architecture"));
  for (const auto& [architecture, text] : kArchitectures) {
    if (text == found) return architecture;
  }
  return fail(
      ErrorCode::unsupported,
      fmt::format("general.architecture is \"{}\"; plait computes llama, qwen2, qwen3, gemma3, qwen2moe and qwen3moe",
                  found));
}

/// Reads keys below the architecture's name and checks their ranges.
class Reader {
 public:
  Reader(const GgufFile& file, Architecture architecture) : file_(file), prefix_(name(architecture)) {}

  [[nodiscard]] std::string key(std::string_view suffix) const { return fmt::format("{}.{}", prefix_, suffix); }
  [[nodiscard]] bool has(std::string_view suffix) const { return file_.has(key(suffix)); }

  [[nodiscard]] Result<std::size_t> count(std::string_view suffix, std::size_t most) const {
    PLAIT_TRY(const std::int64_t value, file_.require<std::int64_t>(key(suffix)));
    if (value < 1 || std::cmp_greater(value, most))
      return bad(suffix, fmt::to_string(value), fmt::format("1 to {}", most));
    return static_cast<std::size_t>(value);
  }
  [[nodiscard]] Result<std::size_t> count_or(std::string_view suffix, std::size_t most, std::size_t otherwise) const {
    return has(suffix) ? count(suffix, most) : Result<std::size_t>(otherwise);
  }

  [[nodiscard]] Result<float> number(std::string_view suffix, double least, double most) const {
    PLAIT_TRY(const double value, file_.require<double>(key(suffix)));
    if (!(value >= least && value <= most))
      return bad(suffix, fmt::to_string(value), fmt::format("{} to {}", least, most));
    return static_cast<float>(value);
  }
  [[nodiscard]] Result<float> number_or(std::string_view suffix, double least, double most, float otherwise) const {
    return has(suffix) ? number(suffix, least, most) : Result<float>(otherwise);
  }

  [[nodiscard]] Result<std::string> text_or(std::string_view suffix, std::string otherwise) const {
    if (!has(suffix)) return otherwise;
    PLAIT_TRY(const std::string_view value, file_.require<std::string_view>(key(suffix)));
    return std::string(value);
  }

  [[nodiscard]] std::unexpected<base::Error> bad(std::string_view suffix, std::string_view found,
                                                 std::string_view wanted) const {
    return fail(ErrorCode::invalid_data, fmt::format("{} is {}; expected {}", key(suffix), found, wanted));
  }

  [[nodiscard]] const GgufFile& file() const { return file_; }

 private:
  const GgufFile& file_;
  std::string_view prefix_;
};

Result<void> read_sizes(const Reader& reader, Config& config) {
  PLAIT_TRY(config.layers, reader.count("block_count", kLayersMax));
  PLAIT_TRY(config.width, reader.count("embedding_length", kWidthMax));
  PLAIT_TRY(config.context, reader.count("context_length", kContextMax));
  PLAIT_TRY(config.heads, reader.count("attention.head_count", kHeadsMax));
  PLAIT_TRY(config.kv_heads, reader.count_or("attention.head_count_kv", kHeadsMax, config.heads));
  if (config.heads % config.kv_heads != 0) {
    return reader.bad("attention.head_count_kv", fmt::to_string(config.kv_heads),
                      fmt::format("a divisor of the {} heads", config.heads));
  }
  if (!reader.has("attention.key_length") && config.width % config.heads != 0) {
    return reader.bad("attention.head_count", fmt::to_string(config.heads),
                      fmt::format("a divisor of the width {}, as there is no attention.key_length", config.width));
  }
  PLAIT_TRY(config.head_dim, reader.count_or("attention.key_length", kHeadDimMax, config.width / config.heads));
  PLAIT_TRY(const std::size_t value_dim, reader.count_or("attention.value_length", kHeadDimMax, config.head_dim));
  if (value_dim != config.head_dim) {
    return fail(ErrorCode::unsupported, fmt::format("{} is {} and keys have {}; plait computes equal lengths only",
                                                    reader.key("attention.value_length"), value_dim, config.head_dim));
  }
  if (config.head_dim > kHeadDimMax || config.head_dim % 16 != 0) {
    return reader.bad("attention.key_length", fmt::to_string(config.head_dim),
                      fmt::format("a multiple of 16 to {}", kHeadDimMax));
  }
  return {};
}

Result<void> read_feed_forward(const Reader& reader, Config& config) {
  const bool shared = config.architecture == Architecture::qwen2moe;
  const bool gpt_oss = config.architecture == Architecture::gpt_oss;
  if (!shared && !gpt_oss && config.architecture != Architecture::qwen3moe) {
    PLAIT_TRY(const auto experts, reader.file().get_or<std::int64_t>(reader.key("expert_count"), 0));
    if (experts != 0) {
      return fail(ErrorCode::unsupported, fmt::format("{} is {}; plait does not compute mixtures of experts of {}",
                                                      reader.key("expert_count"), experts, name(config.architecture)));
    }
    PLAIT_TRY(config.ffn, reader.count("feed_forward_length", kFfnMax));
    return {};
  }
  PLAIT_TRY(config.mixture.experts, reader.count("expert_count", kExpertsMax));
  PLAIT_TRY(config.mixture.used, reader.count("expert_used_count", config.mixture.experts));
  PLAIT_TRY(config.ffn, reader.count("expert_feed_forward_length", kFfnMax));
  config.mixture.normalised = !shared;
  if (gpt_oss) config.activation = Activation::clamped_swiglu;
  if (shared) {
    PLAIT_TRY(config.mixture.shared_ffn, reader.count("expert_shared_feed_forward_length", kFfnMax));
  }
  return {};
}

Result<void> read_vocabulary(const GgufFile& file, Config& config) {
  const TensorInfo* embedding = file.find("token_embd.weight");
  if (embedding == nullptr) return fail(ErrorCode::not_found, "the file has no tensor token_embd.weight");
  if (embedding->dim_count != 2 || embedding->dims[0] != config.width || embedding->dims[1] < 1 ||
      embedding->dims[1] > kVocabularyMax) {
    return fail(ErrorCode::invalid_data,
                fmt::format("token_embd.weight has the wrong shape for embedding_length {}", config.width));
  }
  config.vocabulary = embedding->dims[1];
  return {};
}

Result<void> read_windows(const Reader& reader, Config& config) {
  config.layer_windowed.assign(config.layers, false);
  const bool gpt_oss = config.architecture == Architecture::gpt_oss;
  if (!gpt_oss && config.architecture != Architecture::gemma3) return {};
  if (!reader.has("attention.sliding_window")) return {};
  PLAIT_TRY(const auto window, reader.file().require<std::int64_t>(reader.key("attention.sliding_window")));
  if (window < 0 || std::cmp_greater(window, kContextMax)) {
    return reader.bad("attention.sliding_window", fmt::to_string(window), fmt::format("0 to {}", kContextMax));
  }
  if (window == 0) return {};
  config.window = static_cast<std::size_t>(window);
  const GgufEntry* pattern = reader.file().entry(reader.key("attention.sliding_window_pattern"));
  if (pattern != nullptr && pattern->kind == GgufKind::array) {
    if (pattern->element != GgufKind::boolean || pattern->count != config.layers) {
      return reader.bad("attention.sliding_window_pattern", pattern->text(),
                        fmt::format("a number, or one flag for each of {} layers", config.layers));
    }
    for (std::size_t layer = 0; layer < config.layers; ++layer) {
      config.layer_windowed[layer] = pattern->payload[layer] != std::byte{0};
    }
    return {};
  }
  // Every sixth layer of Gemma 3 and every other one of gpt-oss sees everything; files say so only when they differ.
  PLAIT_TRY(const std::size_t period, reader.count_or("attention.sliding_window_pattern", kLayersMax, gpt_oss ? 2 : 6));
  for (std::size_t layer = 0; layer < config.layers; ++layer)
    config.layer_windowed[layer] = layer % period + 1 < period;
  return {};
}

Result<kernels::RopeScaling> read_scaling(const Reader& reader, const Config& config) {
  using Kind = kernels::RopeScaling::Kind;
  kernels::RopeScaling scaling;
  PLAIT_TRY(const std::string kind, reader.text_or("rope.scaling.type", "linear"));
  if (kind == "none") return scaling;
  if (kind != "yarn" && kind != "linear") {
    return fail(ErrorCode::unsupported, fmt::format("{} is \"{}\"; plait computes none, linear and yarn",
                                                    reader.key("rope.scaling.type"), kind));
  }
  scaling.kind = kind == "yarn" ? Kind::yarn : Kind::linear;
  // 0 means "not set" in files; the second key is the older name of the first.
  const std::string_view key = reader.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  PLAIT_TRY(scaling.factor, reader.number_or(key, 0, 1e6, 0));
  if (scaling.factor == 0) scaling.factor = 1;
  PLAIT_TRY(scaling.attention_factor, reader.number_or("rope.scaling.attn_factor", 1e-3, 1e3, 1));
  if (scaling.kind != Kind::yarn) return scaling;
  PLAIT_TRY(const std::size_t context,
            reader.count_or("rope.scaling.original_context_length", kContextMax, config.context));
  scaling.original_context = static_cast<double>(context);
  PLAIT_TRY(scaling.extrapolation, reader.number_or("rope.scaling.yarn_ext_factor", 0, 1, 1));
  PLAIT_TRY(scaling.beta_fast, reader.number_or("rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32));
  PLAIT_TRY(scaling.beta_slow, reader.number_or("rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1));
  // Some models were trained with another growth of the magnitude, 1 + 0.1 m ln(factor), which divides the usual one;
  // and a shrunk context leaves the magnitude alone.
  PLAIT_TRY(const double multiplier, reader.number_or("rope.scaling.yarn_log_multiplier", -10, 10, 0));
  scaling.whole_pairs = config.architecture != Architecture::gpt_oss;
  const double growth = 0.1 * std::log(scaling.factor);
  scaling.attention_factor /= 1 + (scaling.factor > 1 ? multiplier : 1.0) * growth;
  return scaling;
}

/// Llama 3's slowing of the low frequencies comes as a tensor of divisors, [rotated / 2]; empty when there is none.
Result<std::vector<float>> read_rope_factors(const GgufFile& file, std::size_t rotated) {
  const TensorInfo* info = file.find("rope_freqs.weight");
  if (info == nullptr) return std::vector<float>{};
  if (info->dim_count != 1 || info->dims[0] != rotated / 2 || info->type != tensor::Type::f32) {
    return fail(ErrorCode::invalid_data, fmt::format("rope_freqs.weight is not {} numbers of F32", rotated / 2));
  }
  std::vector<float> factors(rotated / 2);
  tensor::dequantise(info->type, file.matrix(*info).bytes, factors);
  for (const float factor : factors) {
    if (!(factor > 1e-6F && factor < 1e6F)) {
      return fail(ErrorCode::invalid_data, fmt::format("rope_freqs.weight holds {}", factor));
    }
  }
  return factors;
}

Result<void> read_rope(const Reader& reader, Config& config) {
  PLAIT_TRY(config.rotated, reader.count_or("rope.dimension_count", kHeadDimMax, config.head_dim));
  if (config.rotated > config.head_dim || config.rotated % 2 != 0) {
    return reader.bad("rope.dimension_count", fmt::to_string(config.rotated),
                      fmt::format("an even number up to the head's {}", config.head_dim));
  }
  config.rope_interleaved = config.architecture == Architecture::llama;
  PLAIT_TRY(const float base, reader.number_or("rope.freq_base", 1.5, 1e12, 10000));
  PLAIT_TRY(const kernels::RopeScaling scaling, read_scaling(reader, config));
  std::vector<float> factors;
  if (config.architecture == Architecture::llama) {
    PLAIT_TRY(factors, read_rope_factors(reader.file(), config.rotated));
  }
  config.rope = kernels::rope_frequencies(config.rotated, static_cast<double>(base), scaling, factors);
  if (config.window == 0) return {};
  if (config.architecture == Architecture::gpt_oss) {
    config.rope_window = config.rope;
    return {};
  }
  // Windowed layers of Gemma 3 have their own base and are never stretched.
  PLAIT_TRY(const float window_base, reader.number_or("rope.freq_base_swa", 1.5, 1e12, 10000));
  kernels::RopeScaling unscaled = scaling;
  unscaled.factor = 1;
  config.rope_window = kernels::rope_frequencies(config.rotated, static_cast<double>(window_base), unscaled);
  return {};
}

Result<void> read_scales(const Reader& reader, Config& config) {
  PLAIT_TRY(config.norm_epsilon, reader.number("attention.layer_norm_rms_epsilon", 0, 1));
  const auto dim = static_cast<double>(config.head_dim);
  double scale = 1 / std::sqrt(dim);
  if (config.architecture == Architecture::gemma3) {
    // The largest Gemma 3 scales by its width per head instead; its 62 layers tell it apart.
    if (config.layers == 62) scale = 1 / std::sqrt(static_cast<double>(config.width / config.heads));
    config.embedding_scale = std::sqrt(static_cast<float>(config.width));
    config.activation = Activation::gelu;
  }
  PLAIT_TRY(config.attention_scale, reader.number_or("attention.scale", 0, 1e3, 0));
  if (config.attention_scale == 0) config.attention_scale = static_cast<float>(scale);
  PLAIT_TRY(config.attention_soft_cap, reader.number_or("attn_logit_softcapping", 0, 1e6, 0));
  PLAIT_TRY(config.logit_soft_cap, reader.number_or("final_logit_softcapping", 0, 1e6, 0));
  return {};
}

/// Kinds that plait does not compute say nothing about text that is generated.
std::optional<Pooling> read_pooling(const Reader& reader) {
  constexpr int kMean = 1;
  constexpr int kLast = 3;
  const auto kind = reader.file().get<std::int64_t>(reader.key("pooling_type"));
  if (kind == kMean) return Pooling::mean;
  if (kind == kLast) return Pooling::last;
  return std::nullopt;
}

}  // namespace

std::string_view name(Architecture architecture) {
  for (const auto& [known, text] : kArchitectures) {
    if (known == architecture) return text;
  }
  return "unknown";
}

Result<Config> read_config(const GgufFile& file) {
  Config config;
  PLAIT_TRY(config.architecture, read_architecture(file));
  if (const auto title = file.get<std::string_view>("general.name")) config.name = *title;
  const Reader reader(file, config.architecture);
  PLAIT_TRY_VOID(read_sizes(reader, config));
  PLAIT_TRY_VOID(read_feed_forward(reader, config));
  PLAIT_TRY_VOID(read_vocabulary(file, config));
  PLAIT_TRY_VOID(read_windows(reader, config));
  PLAIT_TRY_VOID(read_rope(reader, config));
  PLAIT_TRY_VOID(read_scales(reader, config));
  config.pooling = read_pooling(reader);
  return config;
}

}  // namespace plait::models
