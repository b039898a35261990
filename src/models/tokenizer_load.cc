// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <string>
#include <utility>

#include "models/gguf.h"
#include "models/tokenizer.h"

namespace plait::models {
namespace {

std::string full_key(std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); }

/// The array if the key is there; an error if it is there with another shape.
template <class T>
base::Result<std::vector<T>> optional_numbers(const GgufFile& file, std::string_view name) {
  if (!file.has(full_key(name))) return std::vector<T>{};
  return file.numbers<T>(full_key(name));
}

}  // namespace

base::Result<TokenizerSource> TokenizerSource::read(const GgufFile& file) {
  TokenizerSource source;
  PLAIT_TRY(source.model, file.require<std::string_view>(full_key("model")));
  PLAIT_TRY(source.pre, file.get_or<std::string_view>(full_key("pre"), {}));
  PLAIT_TRY(source.tokens, file.strings(full_key("tokens")));
  PLAIT_TRY(source.scores, optional_numbers<float>(file, "scores"));
  PLAIT_TRY(source.kinds, optional_numbers<std::int32_t>(file, "token_type"));
  if (source.model == "gpt2") {
    PLAIT_TRY(source.merges, file.strings(full_key("merges")));
  }
  const std::pair<std::string_view, std::optional<std::int64_t>*> ids[] = {
      {"bos_token_id", &source.bos},
      {"eos_token_id", &source.eos},
      {"unknown_token_id", &source.unk},
      {"padding_token_id", &source.pad},
      {"eot_token_id", &source.eot},
      {"eom_token_id", &source.eom},
      {"prefix_token_id", &source.fim_prefix},  // the older names first, so that the newer ones win
      {"suffix_token_id", &source.fim_suffix},
      {"middle_token_id", &source.fim_middle},
      {"fim_pre_token_id", &source.fim_prefix},
      {"fim_suf_token_id", &source.fim_suffix},
      {"fim_mid_token_id", &source.fim_middle},
      {"fim_pad_token_id", &source.fim_pad},
      {"fim_rep_token_id", &source.fim_repository},
      {"fim_sep_token_id", &source.fim_separator},
  };
  for (const auto& [name, id] : ids) {
    if (const auto value = file.get<std::int64_t>(full_key(name))) *id = value;
  }
  source.add_bos = file.get<bool>(full_key("add_bos_token"));
  source.add_eos = file.get<bool>(full_key("add_eos_token"));
  source.add_space_prefix = file.get<bool>(full_key("add_space_prefix"));
  return source;
}

base::Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const GgufFile& file) {
  PLAIT_TRY(const TokenizerSource source, TokenizerSource::read(file));
  return make(source);
}

}  // namespace plait::models
