// SPDX-License-Identifier: Apache-2.0
#include "models/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "base/check.h"
#include "models/bpe.h"
#include "models/sentencepiece.h"
#include "models/tokenizer_special.h"
#include "models/tokenizer_vocabulary.h"
#include "text/utf8.h"

namespace plait::models {

using base::TokenId;

struct Tokenizer::State {
  Vocabulary vocabulary;
  std::string model_name, pre_name;
  SpecialTokens every_special;     // with parse_special
  SpecialTokens user_defined;      // without
  std::unique_ptr<const Bpe> bpe;  // one of the two
  std::unique_ptr<const SentencePiece> pieces;
};

namespace {

/// Ill-formed texts are left out: they could only be found inside a character, and cut it in two. Well-formed ones
/// begin and end where characters do.
SpecialTokens special_tokens(const Vocabulary& vocabulary, bool every) {
  std::vector<SpecialTokens::Entry> entries;
  for (std::size_t id = 0; id < vocabulary.kinds.size(); ++id) {
    const TokenKind kind = vocabulary.kinds[id];
    if (!text::is_valid(vocabulary.texts[id])) continue;
    if (kind == TokenKind::user_defined || (every && is_special(kind))) {
      entries.push_back({vocabulary.texts[id], TokenId(static_cast<std::int32_t>(id)), vocabulary.guarded[id]});
    }
  }
  return SpecialTokens(std::move(entries));
}

/// Cuts `text` at its special tokens and hands each piece between them to `encode(piece, behind_special)`.
template <class Encode>
void encode_between(std::string_view text, const SpecialTokens& special, const ControlPlaces& control_at,
                    std::vector<TokenId>& out, const Encode& encode) {
  std::size_t at = 0;
  bool behind_special = true;  // the beginning counts as one
  const auto piece = [&](std::size_t end) {
    if (end == at) return;
    encode(text.substr(at, end - at), behind_special);
    behind_special = false;
  };
  for (const SpecialTokens::Match& match : special.find(text, control_at)) {
    piece(match.begin);
    out.push_back(match.id);
    behind_special = true;
    at = match.end;
  }
  piece(text.size());
}

/// Some vocabularies have control tokens that merging makes: "</s>", an ordinary word of the one that named it. Behind
/// `begin` they are spelt out, character by character. A character that is a control token all by itself is left out.
template <class Encode>
void spell_out_control(const Vocabulary& vocabulary, std::size_t begin, std::vector<TokenId>& out,
                       const Encode& encode) {
  const auto is_control = [&](TokenId id) {
    const auto at = static_cast<std::size_t>(id.value());
    return vocabulary.guarded[at] && vocabulary.kinds[at] != TokenKind::unknown;  // that is what has no token at all
  };
  const auto from = out.begin() + static_cast<std::ptrdiff_t>(begin);
  if (std::none_of(from, out.end(), is_control)) return;
  const std::vector<TokenId> made(from, out.end());
  out.erase(from, out.end());
  for (const TokenId id : made) {
    if (!is_control(id)) {
      out.push_back(id);
      continue;
    }
    const std::string_view text = vocabulary.pieces[static_cast<std::size_t>(id.value())];
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t character = at;
      at += text::decode(text.substr(at)).length;
      const std::size_t before = out.size();
      encode(text.substr(character, at - character));
      out.erase(std::remove_if(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), is_control), out.end());
    }
  }
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;

base::Result<std::unique_ptr<Tokenizer>> Tokenizer::make(const TokenizerSource& source) {
  const auto rule = pre_tokenizer_rule(source.pre);
  const bool byte_level = source.model == "gpt2";
  if (byte_level && !rule) {
    return base::fail(base::ErrorCode::unsupported,
                      fmt::format("pre-tokenizer '{}' (plait has default, gpt-2, llama-bpe, qwen2, smollm)",
                                  text::sanitize(source.pre.substr(0, 60))));
  }
  const bool llama_bpe = byte_level && *rule == PreTokenizerRule::llama_bpe;
  auto state = std::make_unique<State>();
  PLAIT_TRY(state->vocabulary, Vocabulary::make(source, llama_bpe));
  const Vocabulary& vocabulary = state->vocabulary;
  state->model_name = source.model;
  if (byte_level) {
    state->pre_name = source.pre.empty() ? "default" : source.pre;
    state->bpe = std::make_unique<const Bpe>(vocabulary.texts, source.merges, Bpe::Rules{*rule, llama_bpe});
  } else {
    state->pieces =
        std::make_unique<const SentencePiece>(vocabulary.texts, vocabulary.index, vocabulary.scores, vocabulary.unk);
  }
  state->every_special = special_tokens(vocabulary, true);
  state->user_defined = special_tokens(vocabulary, false);
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(state)));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  const Vocabulary& vocabulary = state_->vocabulary;
  std::string repaired;
  if (!text::is_valid(text)) {
    PLAIT_CHECK(!options.control_at || options.control_at->empty());  // places would no longer fit
    repaired = text::sanitize(text);
    text = repaired;
  }
  std::vector<TokenId> out;
  out.reserve(text.size() / 3 + 8);
  if (options.add_special && vocabulary.add_bos && vocabulary.bos != base::kNoToken) out.push_back(vocabulary.bos);
  const SpecialTokens& special = options.parse_special ? state_->every_special : state_->user_defined;
  if (state_->bpe != nullptr) {
    Bpe::Scratch scratch;
    scratch.repeats.start(text.size());
    encode_between(text, special, options.control_at, out, [&](std::string_view piece, bool) {
      const std::size_t begin = out.size();
      const auto encode = [&](std::string_view part) { state_->bpe->encode(part, scratch, out); };
      encode(piece);
      if (options.control_at) spell_out_control(vocabulary, begin, out, encode);
    });
  } else {
    SentencePiece::Scratch scratch;
    scratch.repeats.start(text.size());
    std::deque<std::string> prefixed;  // stays in memory: the scratch remembers words by their place
    encode_between(text, special, options.control_at, out, [&](std::string_view piece, bool behind_special) {
      if (vocabulary.add_space_prefix && behind_special) {
        prefixed.emplace_back(1, ' ').append(piece);
        piece = prefixed.back();
      }
      const std::size_t begin = out.size();
      const auto encode = [&](std::string_view part) { state_->pieces->encode(part, scratch, out); };
      encode(piece);
      if (options.control_at) spell_out_control(vocabulary, begin, out, encode);
    });
  }
  if (options.add_special && vocabulary.add_eos && vocabulary.eos != base::kNoToken) out.push_back(vocabulary.eos);
  return out;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool keep_special) const {
  Detokenizer stream(*this, keep_special);
  std::string out;
  for (const TokenId id : ids) out += stream.push(id);
  return out + stream.flush();
}

std::string_view Tokenizer::piece(TokenId id) const {
  const bool inside = id.value() >= 0 && static_cast<std::size_t>(id.value()) < size();
  return inside ? state_->vocabulary.pieces[static_cast<std::size_t>(id.value())] : std::string_view();
}

TokenKind Tokenizer::kind(TokenId id) const {
  const bool inside = id.value() >= 0 && static_cast<std::size_t>(id.value()) < size();
  return inside ? state_->vocabulary.kinds[static_cast<std::size_t>(id.value())] : TokenKind::undefined;
}

std::vector<std::string_view> Tokenizer::control_texts() const {
  std::vector<std::string_view> texts;
  for (std::size_t id = 0; id < size(); ++id) {
    const std::string_view text = state_->vocabulary.texts[id];
    if (state_->vocabulary.guarded[id] && !text.empty() && text::is_valid(text)) texts.push_back(text);
  }
  return texts;
}

TokenId Tokenizer::find(std::string_view name) const {
  const std::uint32_t id = state_->vocabulary.index.find(state_->vocabulary.texts, name);
  return id == TextIndex::kNone ? base::kNoToken : TokenId(static_cast<std::int32_t>(id));
}

std::size_t Tokenizer::size() const { return state_->vocabulary.texts.size(); }
TokenId Tokenizer::bos() const { return state_->vocabulary.bos; }
TokenId Tokenizer::eos() const { return state_->vocabulary.eos; }
TokenId Tokenizer::unk() const { return state_->vocabulary.unk; }
TokenId Tokenizer::pad() const { return state_->vocabulary.pad; }
bool Tokenizer::add_bos() const { return state_->vocabulary.add_bos && bos() != base::kNoToken; }
bool Tokenizer::add_eos() const { return state_->vocabulary.add_eos && eos() != base::kNoToken; }
bool Tokenizer::add_space_prefix() const { return state_->vocabulary.add_space_prefix; }
std::span<const TokenId> Tokenizer::end_of_generation() const { return state_->vocabulary.end_of_generation; }
bool Tokenizer::is_end_of_generation(TokenId id) const {
  return std::ranges::binary_search(state_->vocabulary.end_of_generation, id);
}
std::string_view Tokenizer::model_name() const { return state_->model_name; }
std::string_view Tokenizer::pre_name() const { return state_->pre_name; }

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool keep_special)
    : tokenizer_(&tokenizer), keep_special_(keep_special) {}

std::string Detokenizer::push(TokenId id) {
  const TokenKind kind = tokenizer_->kind(id);
  if (!keep_special_ && is_special(kind)) return {};
  std::string_view piece = tokenizer_->piece(id);
  if (piece.empty()) return {};
  if (at_start_ && tokenizer_->add_space_prefix() && kind == TokenKind::normal && piece.front() == ' ') {
    piece.remove_prefix(1);
  }
  at_start_ = false;
  pending_ += piece;
  return text::take_complete(pending_);
}

std::string Detokenizer::flush() {
  at_start_ = true;
  return text::sanitize(std::exchange(pending_, {}));
}

}  // namespace plait::models
