// SPDX-License-Identifier: Apache-2.0
#include "models/description.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace plait::models {
namespace {

std::vector<TypeShare> shares_of(std::span<const TensorInfo> tensors) {
  std::vector<TypeShare> shares;
  for (const TensorInfo& tensor : tensors) {
    auto share = std::ranges::find(shares, tensor.type, &TypeShare::type);
    if (share == shares.end()) share = shares.insert(share, {.type = tensor.type});
    ++share->tensors;
    share->elements += tensor.elements();
    share->bytes += tensor.bytes;
  }
  std::ranges::stable_sort(shares, std::ranges::greater{}, &TypeShare::bytes);
  return shares;
}

// Some architectures state a number for each layer; the largest stands for all.
base::Result<std::uint64_t> number(const GgufFile& file, const std::string& key) {
  const GgufEntry* entry = file.entry(key);
  if (entry == nullptr || entry->kind != GgufKind::array) return file.get_or<std::uint64_t>(key, 0);
  PLAIT_TRY(const std::vector<std::uint64_t> values, file.numbers<std::uint64_t>(key));
  return values.empty() ? 0 : std::ranges::max(values);
}

}  // namespace

base::Result<ModelDescription> describe(const GgufFile& file) {
  ModelDescription out;
  PLAIT_TRY(out.architecture, file.require<std::string_view>("general.architecture"));
  for (const auto& [member, key] : {std::pair{&ModelDescription::name, "general.name"},
                                    {&ModelDescription::size_label, "general.size_label"},
                                    {&ModelDescription::licence, "general.license"},
                                    {&ModelDescription::tokenizer, "tokenizer.ggml.model"},
                                    {&ModelDescription::pre_tokenizer, "tokenizer.ggml.pre"},
                                    {&ModelDescription::chat_template, "tokenizer.chat_template"}}) {
    PLAIT_TRY(out.*member, file.get_or<std::string_view>(key, ""));
  }
  for (const auto& [member, key] : {std::pair{&ModelDescription::context_length, ".context_length"},
                                    {&ModelDescription::layers, ".block_count"},
                                    {&ModelDescription::width, ".embedding_length"},
                                    {&ModelDescription::feed_forward, ".feed_forward_length"},
                                    {&ModelDescription::heads, ".attention.head_count"},
                                    {&ModelDescription::kv_heads, ".attention.head_count_kv"}}) {
    PLAIT_TRY(out.*member, number(file, out.architecture + key));
  }
  if (out.kv_heads == 0) out.kv_heads = out.heads;
  const GgufEntry* tokens = file.entry("tokenizer.ggml.tokens");
  if (tokens != nullptr && tokens->kind == GgufKind::array) out.vocabulary = tokens->count;
  out.types = shares_of(file.tensors());
  for (const TypeShare& share : out.types) out.parameters += share.elements;
  out.gguf_version = file.version();
  out.files = file.part_count();
  out.file_bytes = file.file_bytes();
  return out;
}

}  // namespace plait::models
