// SPDX-License-Identifier: Apache-2.0
#include "testing/tiny_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "base/random.h"

namespace plait::testing {
namespace {

using tensor::Type;

constexpr std::size_t kLayers = 2;
constexpr std::size_t kWidth = 256;
constexpr std::size_t kFfn = 512;
constexpr std::size_t kHeads = 4;
constexpr std::size_t kExperts = 6;
constexpr std::size_t kExpertsUsed = 2;
constexpr std::size_t kExpertFfn = 256;

/// A little-endian GGUF file under construction.
class Writer {
 public:
  template <class T>
  void raw(T value) {
    const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
    out_.append(bytes.data(), bytes.size());
  }
  void text(std::string_view value) {
    raw<std::uint64_t>(value.size());
    out_.append(value);
  }
  void append(std::string_view bytes) { out_.append(bytes); }
  void align() { out_.resize((out_.size() + 31) / 32 * 32); }
  [[nodiscard]] const std::string& str() const { return out_; }

 private:
  std::string out_;
};

class Metadata {
 public:
  void number(std::string_view key, std::uint32_t value) {
    start(key, 4);
    writer_.raw(value);
  }
  void real(std::string_view key, float value) {
    start(key, 6);
    writer_.raw(value);
  }
  void flag(std::string_view key, bool value) {
    start(key, 7);
    writer_.raw<std::uint8_t>(value ? 1 : 0);
  }
  void text(std::string_view key, std::string_view value) {
    start(key, 8);
    writer_.text(value);
  }
  void texts(std::string_view key, std::span<const std::string> values) {
    start_array(key, 8, values.size());
    for (const std::string& value : values) writer_.text(value);
  }
  void numbers(std::string_view key, std::span<const std::int32_t> values) {
    start_array(key, 5, values.size());
    for (const std::int32_t value : values) writer_.raw(value);
  }
  void flags(std::string_view key, std::span<const std::uint8_t> values) {
    start_array(key, 7, values.size());
    for (const std::uint8_t value : values) writer_.raw(value);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] const std::string& bytes() const { return writer_.str(); }

 private:
  void start(std::string_view key, std::uint32_t kind) {
    writer_.text(key);
    writer_.raw(kind);
    ++count_;
  }
  void start_array(std::string_view key, std::uint32_t kind, std::size_t count) {
    start(key, 9);
    writer_.raw(kind);
    writer_.raw<std::uint64_t>(count);
  }
  Writer writer_;
  std::uint64_t count_ = 0;
};

/// Where a block keeps its half-precision scales, and their exponent: chosen so that weights come out near 1/16.
struct ScaleField {
  std::size_t offset;
  std::uint32_t exponent;
  bool negated;  ///< Opposite in sign to the field before: a minimum that centres the block.
};

std::vector<ScaleField> scale_fields(Type type) {
  switch (type) {
    case Type::q4_0:
      return {{0, 9, false}};
    case Type::q4_1:
      return {{0, 9, false}, {2, 12, true}};
    case Type::q5_0:
      return {{0, 8, false}};
    case Type::q5_1:
      return {{0, 8, false}, {2, 12, true}};
    case Type::q8_0:
      return {{0, 5, false}};
    case Type::q2_k:
      return {{80, 8, false}, {82, 8, false}};
    case Type::q3_k:
      return {{108, 5, false}};
    case Type::q4_k:
      return {{0, 4, false}, {2, 7, false}};
    case Type::q5_k:
      return {{0, 3, false}, {2, 7, false}};
    case Type::q6_k:
      return {{208, 1, false}};
    case Type::iq4_nl:
      return {{0, 5, false}};
    case Type::iq4_xs:
      return {{0, 1, false}};
    case Type::mxfp4:  // one byte, see random_blocks()
    case Type::f32:
    case Type::f16:
    case Type::bf16:
      return {};
  }
  return {};
}

/// Random sign and mantissa, exponent one of three from `low`.
std::uint32_t random_float(std::uint64_t word, int mantissa_bits, int exponent_bits, std::uint32_t low, bool positive) {
  const auto mantissa = static_cast<std::uint32_t>(word & ((1ULL << mantissa_bits) - 1));
  const auto exponent = low + static_cast<std::uint32_t>((word >> 32) % 3);
  const std::uint32_t sign = positive ? 0 : static_cast<std::uint32_t>(word >> 63);
  return (sign << (mantissa_bits + exponent_bits)) | (exponent << mantissa_bits) | mantissa;
}

template <class T>
void put(std::string& out, std::size_t at, T value) {
  std::memcpy(out.data() + at, &value, sizeof(value));
}

std::string random_blocks(Type type, std::size_t elements, std::uint64_t seed) {
  const tensor::TypeInfo& info = tensor::info(type);
  const std::size_t blocks = elements / info.block_elements;
  std::string out(blocks * info.block_bytes, '\0');
  if (type == Type::f32) {
    for (std::size_t i = 0; i < elements; ++i)
      put(out, 4 * i, random_float(base::random_u64(seed, i), 23, 8, 121, false));
    return out;
  }
  if (type == Type::f16 || type == Type::bf16) {
    const bool half = type == Type::f16;
    for (std::size_t i = 0; i < elements; ++i) {
      const std::uint64_t word = base::random_u64(seed, i);
      const std::uint32_t bits = half ? random_float(word, 10, 5, 9, false) : random_float(word, 7, 8, 121, false);
      put(out, 2 * i, static_cast<std::uint16_t>(bits));
    }
    return out;
  }
  for (std::size_t at = 0; at < out.size(); at += 8) {
    const std::uint64_t word = base::random_u64(seed, at / 8);
    std::memcpy(out.data() + at, &word, std::min<std::size_t>(8, out.size() - at));
  }
  const std::vector<ScaleField> fields = scale_fields(type);
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::uint64_t word = base::random_u64(~seed, block);
    if (type == Type::mxfp4) out[block * info.block_bytes] = static_cast<char>(120 + word % 3);
    std::uint32_t sign = static_cast<std::uint32_t>(word >> 63);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].negated) sign ^= 1;
      const auto mantissa = static_cast<std::uint32_t>((word >> (10 * i)) & 0x3FF);
      put(out, block * info.block_bytes + fields[i].offset,
          static_cast<std::uint16_t>((sign << 15) | (fields[i].exponent << 10) | mantissa));
    }
  }
  return out;
}

struct Tensor {
  std::string name;
  Type type;
  std::vector<std::uint64_t> dims;
  std::string bytes;
};

class Builder {
 public:
  explicit Builder(const TinyModel& model)
      : model_(model),
        gpt_oss_(model.architecture == "gpt-oss"),
        mixture_(gpt_oss_ || model.architecture.ends_with("moe")),
        large_heads_(model.architecture.starts_with("qwen3") || model.architecture == "gemma3"),
        head_dim_(large_heads_ ? 128 : 64),
        kv_heads_(model.architecture == "gemma3" ? 1 : 2) {}

  std::vector<std::byte> file() {
    sizes();
    rope();
    tokenizer();
    tensors();
    Writer writer;
    writer.append("GGUF");
    writer.raw<std::uint32_t>(3);
    writer.raw<std::uint64_t>(tensors_.size());
    writer.raw<std::uint64_t>(metadata_.count());
    writer.append(metadata_.bytes());
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
      writer.text(tensor.name);
      writer.raw(static_cast<std::uint32_t>(tensor.dims.size()));
      for (const std::uint64_t dim : tensor.dims) writer.raw(dim);
      writer.raw(static_cast<std::uint32_t>(tensor.type));
      writer.raw(offset);
      offset += (tensor.bytes.size() + 31) / 32 * 32;
    }
    writer.align();
    for (const Tensor& tensor : tensors_) {
      writer.append(tensor.bytes);
      writer.align();
    }
    const auto bytes = std::as_bytes(std::span(writer.str()));
    return {bytes.begin(), bytes.end()};
  }

 private:
  [[nodiscard]] std::string key(std::string_view suffix) const {
    return model_.architecture + "." + std::string(suffix);
  }

  void sizes() {
    metadata_.text("general.architecture", model_.architecture);
    metadata_.text("general.name", "tiny " + model_.name());
    metadata_.number(key("block_count"), kLayers);
    metadata_.number(key("context_length"), 512);
    metadata_.number(key("embedding_length"), kWidth);
    metadata_.number(key("feed_forward_length"), kFfn);
    metadata_.number(key("attention.head_count"), kHeads);
    metadata_.number(key("attention.head_count_kv"), static_cast<std::uint32_t>(kv_heads_));
    metadata_.real(key("attention.layer_norm_rms_epsilon"), 0x1p-17F);
    if (mixture_) {
      metadata_.number(key("expert_count"), kExperts);
      metadata_.number(key("expert_used_count"), kExpertsUsed);
      metadata_.number(key("expert_feed_forward_length"), kExpertFfn);
    }
    if (model_.architecture == "qwen2moe") metadata_.number(key("expert_shared_feed_forward_length"), kFfn);
    if (large_heads_) {
      metadata_.number(key("attention.key_length"), static_cast<std::uint32_t>(head_dim_));
      metadata_.number(key("attention.value_length"), static_cast<std::uint32_t>(head_dim_));
    }
    if (gpt_oss_) metadata_.number(key("attention.sliding_window"), 8);
    if (model_.architecture == "gemma3") {
      metadata_.number(key("attention.sliding_window"), 8);
      if (model_.variant == "flags") {
        metadata_.flags(key("attention.sliding_window_pattern"), std::array<std::uint8_t, 2>{0, 1});
      } else {
        metadata_.number(key("attention.sliding_window_pattern"), 2);
      }
    }
    if (model_.variant == "caps") {
      metadata_.real(key("attn_logit_softcapping"), 2);
      metadata_.real(key("final_logit_softcapping"), 4);
    }
  }

  void rope() {
    metadata_.real(key("rope.freq_base"), model_.architecture == "llama" ? 10000.0F : 1000000.0F);
    if (model_.variant == "partial") {
      metadata_.number(key("rope.dimension_count"), static_cast<std::uint32_t>(head_dim_ / 2));
    }
    const bool yarn = gpt_oss_ || model_.variant == "yarn";
    if (yarn || model_.variant == "linear") {
      metadata_.text(key("rope.scaling.type"), yarn ? "yarn" : "linear");
      metadata_.real(key("rope.scaling.factor"), 4);
    }
    if (yarn) metadata_.number(key("rope.scaling.original_context_length"), 128);
  }

  void tokenizer() {
    std::vector<std::string> tokens = byte_tokens();
    std::vector<std::int32_t> kinds(256, 1);
    for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
      tokens.emplace_back(special);
      kinds.push_back(3);
    }
    // "\u0120" stands for the space in byte-level vocabularies.
    const std::array<std::pair<std::string, std::string>, 29> merges{
        {{"t", "h"},          {"th", "e"},       {"i", "n"},        {"e", "r"},         {"a", "n"},
         {"o", "n"},          {"r", "e"},        {"e", "n"},        {"a", "t"},         {"o", "r"},
         {"i", "s"},          {"e", "s"},        {"i", "t"},        {"o", "u"},         {"a", "l"},
         {"s", "t"},          {"a", "r"},        {"in", "g"},       {"i", "on"},        {"an", "d"},
         {"\xC4\xA0", "the"}, {"\xC4\xA0", "a"}, {"\xC4\xA0", "s"}, {"\xC4\xA0", "w"},  {"\xC4\xA0", "o"},
         {"\xC4\xA0", "c"},   {"\xC4\xA0", "b"}, {"\xC4\xA0", "f"}, {"\xC4\xA0", "and"}}};
    std::vector<std::string> merge_lines;
    for (const auto& [left, right] : merges) {
      tokens.push_back(left + right);
      kinds.push_back(1);
      merge_lines.push_back(left + " " + right);
    }
    metadata_.text("tokenizer.ggml.model", "gpt2");
    metadata_.text("tokenizer.ggml.pre", "smollm");
    metadata_.texts("tokenizer.ggml.tokens", tokens);
    metadata_.numbers("tokenizer.ggml.token_type", kinds);
    metadata_.texts("tokenizer.ggml.merges", merge_lines);
    metadata_.number("tokenizer.ggml.bos_token_id", 256);
    metadata_.number("tokenizer.ggml.eos_token_id", 258);
    metadata_.flag("tokenizer.ggml.add_bos_token", false);
    metadata_.text(
        "tokenizer.chat_template",
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
        "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
  }

  /// The 256 bytes as byte-level vocabularies write them: printable ones as themselves, the others from U+0100 on.
  static std::vector<std::string> byte_tokens() {
    std::vector<std::string> tokens;
    std::uint32_t next = 0x100;
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const std::uint32_t point = printable ? byte : next++;
      if (point < 0x80) {
        tokens.emplace_back(1, static_cast<char>(point));
      } else {
        tokens.push_back({static_cast<char>(0xC0 | (point >> 6)), static_cast<char>(0x80 | (point & 0x3F))});
      }
    }
    return tokens;
  }

  void add(const std::string& name, Type type, std::vector<std::uint64_t> dims, std::string bytes) {
    tensors_.push_back({name, type, std::move(dims), std::move(bytes)});
  }

  [[nodiscard]] std::uint64_t seed(const std::string& name) const {
    return base::random_u64(hash_bytes(model_.name()), hash_bytes(name));
  }

  /// `count`: so many of them in one tensor of three dimensions; 0: one of two.
  void matrix(const std::string& name, std::size_t columns, std::size_t rows, std::size_t count = 0) {
    Type type = model_.type;
    if (model_.variant == "mixed") {
      const auto types = tensor::all_types();
      type = types[hash_bytes(name) % types.size()].type;
    }
    std::vector<std::uint64_t> dims{columns, rows};
    if (count != 0) dims.push_back(count);
    add(name, type, std::move(dims), random_blocks(type, columns * rows * std::max<std::size_t>(count, 1), seed(name)));
  }

  void bias(const std::string& name, std::size_t size) { floats(name, {size}); }

  void floats(const std::string& name, std::vector<std::uint64_t> dims) {
    std::size_t size = 1;
    for (const std::uint64_t dim : dims) size *= dim;
    add(name, Type::f32, std::move(dims), random_blocks(Type::f32, size, seed(name)));
  }

  /// Positive numbers from 2^(low - 127) up to eight times that.
  void positives(const std::string& name, std::size_t size, std::uint32_t low) {
    std::string bytes(4 * size, '\0');
    for (std::size_t i = 0; i < size; ++i)
      put(bytes, 4 * i, random_float(base::random_u64(seed(name), i), 23, 8, low, true));
    add(name, Type::f32, {size}, std::move(bytes));
  }

  void tensors() {
    matrix("token_embd.weight", kWidth, kTinyVocabulary);
    if (!model_.tied) matrix("output.weight", kWidth, kTinyVocabulary);
    positives("output_norm.weight", kWidth, 125);
    if (model_.variant == "llama3") positives("rope_freqs.weight", head_dim_ / 2, 127);
    for (std::size_t layer = 0; layer < kLayers; ++layer) add_layer("blk." + std::to_string(layer) + ".");
  }

  void add_layer(const std::string& prefix) {
    const std::size_t query = kHeads * head_dim_;
    const std::size_t kv = kv_heads_ * head_dim_;
    const bool all_biases = gpt_oss_ || model_.variant == "bias";
    positives(prefix + "attn_norm.weight", kWidth, 125);
    for (const auto& [name, outputs] : {std::pair("attn_q", query), std::pair("attn_k", kv), std::pair("attn_v", kv)}) {
      matrix(prefix + name + ".weight", kWidth, outputs);
      if (all_biases || model_.architecture.starts_with("qwen2")) bias(prefix + name + ".bias", outputs);
    }
    if (large_heads_) {
      positives(prefix + "attn_q_norm.weight", head_dim_, 126);
      positives(prefix + "attn_k_norm.weight", head_dim_, 126);
    }
    matrix(prefix + "attn_output.weight", query, kWidth);
    if (all_biases) bias(prefix + "attn_output.bias", kWidth);
    if (model_.architecture == "gemma3") positives(prefix + "post_attention_norm.weight", kWidth, 125);
    if (gpt_oss_ && model_.variant != "sinkless") bias(prefix + "attn_sinks.weight", kHeads);
    // Large enough that gates reach gpt-oss's clamps.
    positives(prefix + (gpt_oss_ ? "post_attention_norm.weight" : "ffn_norm.weight"), kWidth, gpt_oss_ ? 128 : 125);
    if (mixture_) return add_experts(prefix);
    for (const char* name : {"ffn_gate", "ffn_up"}) {
      matrix(prefix + name + ".weight", kWidth, kFfn);
      if (all_biases) bias(prefix + name + ".bias", kFfn);
    }
    matrix(prefix + "ffn_down.weight", kFfn, kWidth);
    if (all_biases) bias(prefix + "ffn_down.bias", kWidth);
    if (model_.architecture == "gemma3") positives(prefix + "post_ffw_norm.weight", kWidth, 125);
  }

  void add_experts(const std::string& prefix) {
    floats(prefix + "ffn_gate_inp.weight", {kWidth, kExperts});
    matrix(prefix + "ffn_gate_exps.weight", kWidth, kExpertFfn, kExperts);
    matrix(prefix + "ffn_up_exps.weight", kWidth, kExpertFfn, kExperts);
    matrix(prefix + "ffn_down_exps.weight", kExpertFfn, kWidth, kExperts);
    if (gpt_oss_) {
      bias(prefix + "ffn_gate_inp.bias", kExperts);
      floats(prefix + "ffn_gate_exps.bias", {kExpertFfn, kExperts});
      floats(prefix + "ffn_up_exps.bias", {kExpertFfn, kExperts});
      floats(prefix + "ffn_down_exps.bias", {kWidth, kExperts});
    }
    if (model_.architecture != "qwen2moe") return;
    floats(prefix + "ffn_gate_inp_shexp.weight", {kWidth});
    matrix(prefix + "ffn_gate_shexp.weight", kWidth, kFfn);
    matrix(prefix + "ffn_up_shexp.weight", kWidth, kFfn);
    matrix(prefix + "ffn_down_shexp.weight", kFfn, kWidth);
  }

  const TinyModel& model_;
  bool gpt_oss_;
  bool mixture_;
  bool large_heads_;
  std::size_t head_dim_;
  std::size_t kv_heads_;
  Metadata metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace

std::string TinyModel::name() const {
  return architecture + "/" + std::string(tensor::info(type).name) + (tied ? "/tied/" : "/separate/") + variant;
}

std::vector<std::byte> make_tiny_model(const TinyModel& model) { return Builder(model).file(); }

std::vector<TinyModel> tiny_model_zoo() {
  std::vector<TinyModel> zoo;
  bool tied = false;
  for (const char* architecture : {"llama", "qwen2", "qwen3", "gemma3"}) {
    for (const tensor::TypeInfo& info : tensor::all_types()) {
      tied = !tied;
      zoo.push_back({architecture, info.type, tied, "plain"});
    }
  }
  const std::array<std::pair<const char*, const char*>, 14> variants{{
      {"llama", "linear"},
      {"llama", "llama3"},
      {"llama", "yarn"},
      {"llama", "bias"},
      {"llama", "mixed"},
      {"qwen2", "yarn"},
      {"qwen2", "partial"},
      {"qwen2", "mixed"},
      {"qwen3", "yarn"},
      {"qwen3", "linear"},
      {"gemma3", "linear"},
      {"gemma3", "flags"},
      {"gemma3", "caps"},
      {"gemma3", "mixed"},
  }};
  for (const auto& [architecture, variant] : variants) {
    tied = !tied;
    zoo.push_back({architecture, Type::q8_0, tied, variant});
  }
  for (const char* architecture : {"qwen2moe", "qwen3moe", "gpt-oss"}) {
    for (const Type type : {Type::f16, Type::q8_0, Type::q4_k, Type::mxfp4}) {
      tied = !tied;
      zoo.push_back({architecture, type, tied, type == Type::q8_0 ? "mixed" : "plain"});
    }
  }
  zoo.push_back({"gpt-oss", Type::mxfp4, true, "sinkless"});
  return zoo;
}

std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace plait::testing
