// SPDX-License-Identifier: Apache-2.0
//
// The words of a tokenizer: their texts in the model file, what they are for, and which of them end a generation.
#pragma once

#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "models/tokenizer.h"
#include "models/tokenizer_words.h"

namespace plait::models {

enum class TokenizerFamily { byte_level_bpe, sentencepiece };

/// Checked and completed TokenizerSource. Model files often name too few special tokens; as llama.cpp does, well-known
/// names
/// ("<|eot_id|>", "</s>" …) make a token a control token and, where they say so, the end of a generation.
struct Vocabulary {
  TokenizerFamily family = TokenizerFamily::byte_level_bpe;
  TextList texts = {};                ///< [token]: as in the file.
  TextIndex index = {};               ///< Of `texts`, empty ones left out.
  TextList pieces = {};               ///< [token]: the bytes it stands for; of special tokens their text.
  std::vector<TokenKind> kinds = {};  ///< [token]
  /// [token]: special, or a control token of the file that only counts as user-defined to be shown ("<|channel|>").
  /// Nothing that a client writes in a conversation may become one.
  std::vector<bool> guarded = {};
  std::vector<float> scores = {};  ///< [token]
  base::TokenId bos = base::kNoToken, eos = base::kNoToken, unk = base::kNoToken, pad = base::kNoToken;
  std::vector<base::TokenId> end_of_generation = {};  ///< Ascending.
  bool add_bos = false, add_eos = false, add_space_prefix = false;

  /// Errors: unsupported (family), invalid_data (no tokens, more than 2^31 - 1 of them, arrays of wrong length).
  [[nodiscard]] static base::Result<Vocabulary> make(const TokenizerSource& source, bool pre_tokenizer_adds_bos);
};

}  // namespace plait::models
