// SPDX-License-Identifier: Apache-2.0
#include "models/pretokenizer_reference.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <string>
#include <utility>

#include "text/utf8.h"

namespace plait::models {
namespace {

// White_Space, to stand inside brackets.
constexpr std::string_view kSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

std::string gpt2_pattern() {
  return fmt::format(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+| ?[^{0}\p{{L}}\p{{N}}]+|[{0}]+(?![^{0}])|[{0}]+)",
                     kSpace);
}

std::string llama_pattern(std::string_view numbers) {
  return fmt::format(R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{1}|)"
                     R"( ?[^{0}\p{{L}}\p{{N}}]+[\r\n]*|[{0}]*[\r\n]+|[{0}]+(?![^{0}])|[{0}]+)",
                     kSpace, numbers);
}

std::vector<std::string> patterns(PreTokenizerRule rule) {
  switch (rule) {
    case PreTokenizerRule::standard:
      return {R"([\p{P}$+<=>^~|]+)", gpt2_pattern(), R"(\p{N}+)", "[0-9][0-9][0-9]"};
    case PreTokenizerRule::gpt2:
      return {gpt2_pattern()};
    case PreTokenizerRule::llama_bpe:
      return {llama_pattern(R"(\p{N}{1,3})")};
    case PreTokenizerRule::qwen2:
      return {llama_pattern(R"(\p{N})")};
    case PreTokenizerRule::smollm:
      return {R"(\p{N})", gpt2_pattern()};
  }
  return {};
}

}  // namespace

/// One pattern: cuts a piece into its matches and what lies between them.
struct PatternPreTokenizer::Stage {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;

  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage() {
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }

  base::Result<void> compile(const std::string& pattern) {
    int error = 0;
    PCRE2_SIZE where = 0;
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP, &error,
                         &where, nullptr);
    if (code == nullptr) {
      return base::fail(base::ErrorCode::internal, fmt::format("PCRE2 error {} at {} of {}", error, where, pattern));
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without JIT it is only slower
    match = pcre2_match_data_create_from_pattern(code, nullptr);
    if (match == nullptr) return base::fail(base::ErrorCode::out_of_resources, "no memory for PCRE2");
    return {};
  }

  base::Result<void> cut(std::string_view piece, std::size_t offset, std::vector<std::size_t>& ends) const {
    std::size_t at = 0;
    while (at < piece.size()) {
      const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(), at,
                                    PCRE2_NO_UTF_CHECK, match, nullptr);
      if (found == PCRE2_ERROR_NOMATCH) break;
      if (found < 0) return base::fail(base::ErrorCode::invalid_data, fmt::format("PCRE2 match error {}", found));
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match);
      if (range[0] > at) ends.push_back(offset + range[0]);
      ends.push_back(offset + range[1]);
      at = range[1];
    }
    if (at < piece.size()) ends.push_back(offset + piece.size());
    return {};
  }
};

PatternPreTokenizer::PatternPreTokenizer() = default;
PatternPreTokenizer::~PatternPreTokenizer() = default;
PatternPreTokenizer::PatternPreTokenizer(PatternPreTokenizer&&) noexcept = default;
PatternPreTokenizer& PatternPreTokenizer::operator=(PatternPreTokenizer&&) noexcept = default;

base::Result<PatternPreTokenizer> PatternPreTokenizer::make(PreTokenizerRule rule) {
  PatternPreTokenizer out;
  for (const std::string& pattern : patterns(rule)) {
    out.stages_.push_back(std::make_unique<Stage>());
    PLAIT_TRY_VOID(out.stages_.back()->compile(pattern));
  }
  return out;
}

base::Result<std::vector<std::size_t>> PatternPreTokenizer::word_ends(std::string_view text) const {
  if (!text::is_valid(text)) return base::fail(base::ErrorCode::invalid_data, "not UTF-8");
  std::vector<std::size_t> ends;
  if (!text.empty()) ends.push_back(text.size());
  for (const auto& stage : stages_) {
    std::vector<std::size_t> finer;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      PLAIT_TRY_VOID(stage->cut(text.substr(begin, end - begin), begin, finer));
      begin = end;
    }
    ends = std::move(finer);
  }
  return ends;
}

}  // namespace plait::models
