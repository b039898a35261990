// SPDX-License-Identifier: Apache-2.0
//
// Cuts text into the words inside which byte-level BPE merges. The rules are regular expressions; those are stated in
// pretokenizer_reference.h, which runs them with PCRE2. These are hand-written scanners with the same meaning, for
// speed: `models_bench --benchmark_filter=words` compares. pretokenizer_test.cc holds the two equal on random Unicode.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace plait::models {

enum class PreTokenizerRule {
  standard,   ///< `default`: punctuation apart, digits in threes
  gpt2,       ///< `gpt-2`
  llama_bpe,  ///< `llama-bpe`: Llama 3; digits in up to threes
  qwen2,      ///< `qwen2`: each digit alone
  smollm,     ///< `smollm`: each digit alone, then gpt2 between them
};

/// The rule of a `tokenizer.ggml.pre` value, or nothing. The empty name is `default`.
[[nodiscard]] std::optional<PreTokenizerRule> pre_tokenizer_rule(std::string_view name);

/// The end of the word that begins at `at`. Every byte belongs to exactly one word. Cost: the length of the word, and
/// of the white space behind it. Requires: text is valid UTF-8, `at` < text.size() is a character border that a word
/// ended at.
[[nodiscard]] std::size_t next_word_end(PreTokenizerRule rule, std::string_view text, std::size_t at);

}  // namespace plait::models
