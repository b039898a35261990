// SPDX-License-Identifier: Apache-2.0
//
// Text to token ids and back, with the vocabulary a model file carries.
//
//   PLAIT_TRY(const auto tokenizer, Tokenizer::load(file));
//   std::vector<base::TokenId> prompt = tokenizer->encode("Why is the sky blue?");
//   Detokenizer text(*tokenizer);
//   for (base::TokenId id : answer) show(text.push(id));     // whole UTF-8 only
//   show(text.flush());
//
// Two families: byte-level BPE with a pre-tokenizer (`tokenizer.ggml.model` = gpt2) and SentencePiece with scores and
// byte fallback (llama). Ids are those of llama.cpp on the same file, for every valid UTF-8 text; docs/tokenizers.md
// lists where other packages differ. Text that is not UTF-8 never fails: each maximal ill-formed part becomes U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "models/gguf.h"
#include "models/token_kind.h"
#include "models/tokenizer_special.h"

namespace plait::models {

/// What a model file says about its tokenizer. Views are read during Tokenizer::make only.
struct TokenizerSource {
  /// The tokenizer.ggml.* keys; views point into `file`. Errors: not_found, invalid_data (an array of another kind).
  [[nodiscard]] static base::Result<TokenizerSource> read(const GgufFile& file);

  std::string_view model = "gpt2";  ///< gpt2 | llama
  std::string_view pre = {};        ///< Pre-tokenizer of gpt2; empty: default.
  std::vector<std::string_view> tokens = {};
  std::vector<float> scores = {};             ///< Per token, or empty: all 0.
  std::vector<std::int32_t> kinds = {};       ///< TokenKind per token, or empty: all normal.
  std::vector<std::string_view> merges = {};  ///< "left right", best first; gpt2 only.
  // Ids outside the vocabulary are ignored.
  std::optional<std::int64_t> bos = {}, eos = {}, unk = {}, pad = {}, eot = {}, eom = {};
  std::optional<std::int64_t> fim_prefix = {}, fim_suffix = {}, fim_middle = {};
  std::optional<std::int64_t> fim_pad = {}, fim_repository = {}, fim_separator = {};
  std::optional<bool> add_bos = {}, add_eos = {}, add_space_prefix = {};  ///< Absent: the family's habit.
};

struct EncodeOptions {
  bool add_special = true;    ///< Begin- and end-of-text tokens where the model wants them.
  bool parse_special = true;  ///< `<|im_end|>` in the text is that token. False for text from strangers.
  /// With parse_special, in a text of which only a part is from strangers: the places of the control tokens, ascending;
  /// elsewhere their text is text. Nothing: they are wherever their text is.
  ControlPlaces control_at = {};
};

class Tokenizer {  // immutable; every method may be called from any thread
 public:
  /// make() of what the file says. Copies what it needs: the file may be closed. Errors: not_found, invalid_data (a
  /// missing or ill-shaped key), and those of make().
  [[nodiscard]] static base::Result<std::unique_ptr<Tokenizer>> load(const GgufFile& file);
  /// Duplicate tokens, merges of unknown tokens, wrong `<0x..>` entries and ids out of range are harmless. Errors:
  /// unsupported (another family or pre-tokenizer, by name); invalid_data (no tokens, an array shorter than them).
  [[nodiscard]] static base::Result<std::unique_ptr<Tokenizer>> make(const TokenizerSource& source);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Never fails. O(n log n) in the bytes of `text`, whatever they are. With `control_at`, no other control tokens come
  /// out but those of add_special, also where merging would make one. Requires: then, `text` is UTF-8.
  [[nodiscard]] std::vector<base::TokenId> encode(std::string_view text, EncodeOptions options = {}) const;

  /// The text of `ids`, as UTF-8 (ill-formed byte sequences become U+FFFD). Control and unknown tokens are left out
  /// unless `keep_special`; ids outside the vocabulary are. decode(encode(x)) == x for UTF-8 without special tokens
  /// and, in SentencePiece, without U+2581.
  [[nodiscard]] std::string decode(std::span<const base::TokenId> ids, bool keep_special = false) const;

  /// The token's own bytes, perhaps only a part of a character; of a control token its name. Empty if `id` has none or
  /// is outside the vocabulary. Valid as long as the tokenizer.
  [[nodiscard]] std::string_view piece(base::TokenId id) const;
  /// `undefined` outside the vocabulary.
  [[nodiscard]] TokenKind kind(base::TokenId id) const;
  /// The texts of control tokens, shown ones too (see Vocabulary::guarded). Valid as long as the tokenizer.
  [[nodiscard]] std::vector<std::string_view> control_texts() const;
  /// The token whose text in the model file is exactly `name`: find("<|im_end|>"). kNoToken if there is none.
  [[nodiscard]] base::TokenId find(std::string_view name) const;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] base::TokenId bos() const;  ///< Or kNoToken, as the next ones.
  [[nodiscard]] base::TokenId eos() const;
  [[nodiscard]] base::TokenId unk() const;
  [[nodiscard]] base::TokenId pad() const;
  [[nodiscard]] bool add_bos() const;
  [[nodiscard]] bool add_eos() const;
  /// A space is put before a text (SentencePiece; not Gemma); the decoder takes it away again.
  [[nodiscard]] bool add_space_prefix() const;
  /// eos, end of turn, end of message and their like: generation stops here.
  [[nodiscard]] bool is_end_of_generation(base::TokenId id) const;
  /// All of them, ascending.
  [[nodiscard]] std::span<const base::TokenId> end_of_generation() const;

  /// "gpt2" or "llama", and the pre-tokenizer's name ("" for llama).
  [[nodiscard]] std::string_view model_name() const;
  [[nodiscard]] std::string_view pre_name() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

class Detokenizer {  // for one stream, one thread; the tokenizer must outlive it
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, bool keep_special = false);
  /// The text that `id` completes: whole UTF-8, perhaps empty. The pieces of a stream and its flush() are together
  /// decode() of its ids.
  [[nodiscard]] std::string push(base::TokenId id);
  /// The rest: bytes of a character that never ended become U+FFFD. The detokenizer is then as new.
  [[nodiscard]] std::string flush();

 private:
  const Tokenizer* tokenizer_;
  bool keep_special_;
  bool at_start_ = true;
  std::string pending_;  // bytes of an unfinished character, at most 3
};

}  // namespace plait::models
