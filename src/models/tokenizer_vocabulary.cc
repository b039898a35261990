// SPDX-License-Identifier: Apache-2.0
#include "models/tokenizer_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "models/bpe.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::TokenId;

// Names that mark the end of a turn in the vocabularies of well-known models. The first one present is the end of turn
// if the file names none. (The order among several is ours.)
constexpr std::string_view kEndOfTurn[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",         "<|endoftext|>",      "<|end_of_text|>",
    "<EOT>",      "_<EOT>",     "[EOT]",   "<｜end▁of▁sentence｜>", "<end_of_utterance>",
};
// Names whose tokens end a generation in any case.
constexpr std::string_view kEndOfGeneration[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
};
// Names of the marks for filling in the middle, by role. Padding, repository and separator end a generation.
constexpr std::string_view kFillPrefix[] = {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",    "<｜fim▁begin｜>",
                                            "<PRE>",          "▁<PRE>",       "<|code_prefix|>", "<|prefix|>"};
constexpr std::string_view kFillSuffix[] = {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",    "<｜fim▁hole｜>",
                                            "<SUF>",          "▁<SUF>",       "<|code_suffix|>", "<|suffix|>"};
constexpr std::string_view kFillMiddle[] = {"<|fim_middle|>", "<fim-middle>", "<fim_middle>",    "<｜fim▁end｜>",
                                            "<MID>",          "▁<MID>",       "<|code_middle|>", "<|middle|>"};
constexpr std::string_view kFillPadding[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr std::string_view kFillRepository[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"};
constexpr std::string_view kFillSeparator[] = {"<|file_sep|>"};
constexpr std::string_view kEndOfMessage[] = {"<|eom_id|>"};
// Tokens that a reader should see though files call them control tokens.
constexpr std::string_view kAlwaysShown[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};

std::optional<std::size_t> find(const Vocabulary& v, std::string_view name) {
  const std::uint32_t id = v.index.find(v.texts, name);
  return id == TextIndex::kNone ? std::nullopt : std::optional<std::size_t>(id);
}

std::optional<std::size_t> find_first(const Vocabulary& v, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto id = find(v, name)) return id;
  }
  return std::nullopt;
}

std::optional<std::size_t> checked(std::optional<std::int64_t> id, std::size_t size) {
  if (!id || *id < 0 || static_cast<std::uint64_t>(*id) >= size) return std::nullopt;
  return static_cast<std::size_t>(*id);
}

TokenId token(std::optional<std::size_t> id) { return id ? TokenId(static_cast<std::int32_t>(*id)) : base::kNoToken; }

/// Finds the ends of a generation, and makes control tokens of what is called like one.
void complete_special_tokens(const TokenizerSource& source, Vocabulary& v) {
  std::vector<bool> ends(v.texts.size());
  const auto end_here = [&](std::optional<std::size_t> id) {
    if (id) ends[*id] = true;
  };
  const auto named_or_first = [&](std::optional<std::int64_t> named, std::span<const std::string_view> candidates) {
    if (const auto id = checked(named, v.texts.size())) return id;
    const auto found = find_first(v, candidates);
    if (found) v.kinds[*found] = TokenKind::control;
    return found;
  };
  end_here(named_or_first(source.eot, kEndOfTurn));
  end_here(named_or_first(source.eom, kEndOfMessage));
  named_or_first(source.fim_prefix, kFillPrefix);
  named_or_first(source.fim_suffix, kFillSuffix);
  named_or_first(source.fim_middle, kFillMiddle);
  end_here(named_or_first(source.fim_pad, kFillPadding));
  end_here(named_or_first(source.fim_repository, kFillRepository));
  end_here(named_or_first(source.fim_separator, kFillSeparator));
  for (const std::string_view name : kEndOfGeneration) {
    const auto id = find(v, name);
    if (!id) continue;
    ends[*id] = true;
    v.kinds[*id] = TokenKind::control;
  }
  for (const std::string_view name : kAlwaysShown) {
    if (const auto id = find(v, name)) v.kinds[*id] = TokenKind::user_defined;
  }
  if (v.eos != base::kNoToken) ends[static_cast<std::size_t>(v.eos.value())] = true;

  const auto ends_with = [&](std::string_view name) {
    const auto id = find(v, name);
    return id && ends[*id];
  };
  // Where calls and returns have marks of their own, <|end|> only closes a part; where tool responses have one, </s> is
  // text.
  if ((ends_with("<|return|>") && (ends_with("<|call|>") || ends_with("<|calls|>"))) ||
      (ends_with("<|flush|>") && (ends_with("<|call|>") || ends_with("<|calls|>")))) {
    if (const auto id = find(v, "<|end|>"); id && ends[*id]) {
      ends[*id] = false;
      v.kinds[*id] = TokenKind::user_defined;
    }
  }
  if (ends_with("<|tool_response>") || ends_with("<|plamo:eos|>")) {
    if (const auto id = find(v, "</s>"); id && ends[*id]) {
      ends[*id] = false;
      v.kinds[*id] = TokenKind::normal;
    }
  }
  for (std::size_t id = 0; id < ends.size(); ++id) {
    if (ends[id]) v.end_of_generation.emplace_back(static_cast<std::int32_t>(id));
  }
}

/// The byte of `<0x41>`, or nothing if the text is no such entry (`<0x-1>`, `<0xZZ>`, `<0x>`).
std::optional<char> byte_of(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  if (digit(text[3]) < 0 || digit(text[4]) < 0) return std::nullopt;
  return static_cast<char>(digit(text[3]) * 16 + digit(text[4]));
}

std::string unescape_spaces(std::string_view text) {
  constexpr std::string_view kMark = "\xE2\x96\x81";
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(kMark)) {
      out += ' ';
      at += kMark.size();
    } else {
      out += text[at++];
    }
  }
  return out;
}

void make_pieces(Vocabulary& v) {
  std::string bytes;
  for (std::size_t id = 0; id < v.texts.size(); ++id) {
    const std::string_view text = v.texts[id];
    switch (v.kinds[id]) {
      case TokenKind::normal:
        if (v.family == TokenizerFamily::sentencepiece) {
          v.pieces.add(unescape_spaces(text));
        } else {
          v.pieces.add(bytes_of_byte_level(text, bytes) ? std::string_view(bytes) : text);
        }
        break;
      case TokenKind::control:
      case TokenKind::unknown:
      case TokenKind::user_defined:
        v.pieces.add(text);
        break;
      case TokenKind::byte: {
        const auto byte = byte_of(text);
        v.pieces.add(byte ? std::string_view(&*byte, 1) : std::string_view());
        break;
      }
      case TokenKind::undefined:
      case TokenKind::unused:
        v.pieces.add({});
        break;
    }
  }
}

base::Result<void> copy_arrays(const TokenizerSource& source, Vocabulary& v) {
  const std::size_t size = source.tokens.size();
  if (size == 0) return base::fail(ErrorCode::invalid_data, "tokenizer.ggml.tokens is empty");
  if (size > 0x7FFFFFFF)
    return base::fail(ErrorCode::invalid_data, "tokenizer.ggml.tokens has more than 2^31 - 1 entries");
  const auto check = [&](std::string_view key, std::size_t found) -> base::Result<void> {
    if (found == 0 || found >= size) return {};
    return base::fail(ErrorCode::invalid_data,
                      fmt::format("tokenizer.ggml.{} has {} entries for {} tokens", key, found, size));
  };
  PLAIT_TRY_VOID(check("scores", source.scores.size()));
  PLAIT_TRY_VOID(check("token_type", source.kinds.size()));
  std::size_t bytes = 0;
  for (const std::string_view token : source.tokens) bytes += token.size();
  v.texts.reserve(size, bytes);
  v.pieces.reserve(size, bytes);
  for (const std::string_view token : source.tokens) v.texts.add(token);
  v.index.build(v.texts, [&](std::size_t id) { return !v.texts[id].empty(); });
  v.scores = source.scores;
  v.scores.resize(size, 0.0f);
  v.kinds.assign(size, TokenKind::normal);
  for (std::size_t id = 0; id < size && id < source.kinds.size(); ++id) {
    const std::int32_t kind = source.kinds[id];
    v.kinds[id] = kind >= 0 && kind <= 6 ? static_cast<TokenKind>(kind) : TokenKind::undefined;
  }
  return {};
}

}  // namespace

base::Result<Vocabulary> Vocabulary::make(const TokenizerSource& source, bool pre_tokenizer_adds_bos) {
  Vocabulary v;
  if (source.model == "llama") {
    v.family = TokenizerFamily::sentencepiece;
  } else if (source.model != "gpt2") {
    return base::fail(ErrorCode::unsupported,
                      fmt::format("tokenizer model '{}' (plait reads gpt2 and llama)", source.model.substr(0, 60)));
  }
  PLAIT_TRY_VOID(copy_arrays(source, v));
  const bool pieces = v.family == TokenizerFamily::sentencepiece;
  const auto id_or = [&](std::optional<std::int64_t> named, std::optional<std::int64_t> habit) {
    const auto id = checked(named, v.texts.size());
    return token(id || !pieces ? id : checked(habit, v.texts.size()));
  };
  v.bos = id_or(source.bos, 1);
  v.eos = id_or(source.eos, 2);
  v.unk = id_or(source.unk, 0);
  v.pad = id_or(source.pad, std::nullopt);
  v.add_bos = source.add_bos.value_or(pieces || pre_tokenizer_adds_bos);
  v.add_eos = source.add_eos.value_or(false);
  v.add_space_prefix = pieces && source.add_space_prefix.value_or(true);
  const std::vector<TokenKind> said = v.kinds;
  complete_special_tokens(source, v);
  for (std::size_t id = 0; id < said.size(); ++id) {
    const bool shown = v.kinds[id] == TokenKind::user_defined && is_special(said[id]);
    v.guarded.push_back(is_special(v.kinds[id]) || shown);
  }
  make_pieces(v);
  return v;
}

}  // namespace plait::models
