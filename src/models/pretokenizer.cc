// SPDX-License-Identifier: Apache-2.0
#include "models/pretokenizer.h"

#include <array>
#include <utility>

#include "text/unicode_class.h"
#include "text/utf8.h"

namespace plait::models {
namespace {

using text::CharClass;

/// A character and where it ends; `end` == begin at the end of the text.
struct Char {
  char32_t code = 0;
  CharClass kind = CharClass::other;
  std::size_t end = 0;
};

/// What the patterns see of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[nodiscard]] bool done(std::size_t at) const { return at >= text_.size(); }

  [[nodiscard]] Char peek(std::size_t at) const {
    if (done(at)) return {0, CharClass::other, at};
    const auto byte = static_cast<unsigned char>(text_[at]);
    if (byte < 0x80) return {byte, ascii_[byte], at + 1};
    Char out;
    out.end = at;
    out.code = text::next_valid(text_, out.end);
    out.kind = classes_(out.code);
    return out;
  }

  /// Behind the run of characters for which `wanted` holds.
  template <class Wanted>
  [[nodiscard]] std::size_t skip(std::size_t at, const Wanted& wanted) const {
    while (!done(at)) {
      const Char c = peek(at);
      if (!wanted(c)) break;
      at = c.end;
    }
    return at;
  }
  [[nodiscard]] std::size_t skip_kind(std::size_t at, CharClass kind) const {
    return skip(at, [kind](const Char& c) { return c.kind == kind; });
  }

 private:
  static std::array<CharClass, 128> ascii_table() {
    std::array<CharClass, 128> out = {};
    for (char32_t c = 0; c < out.size(); ++c) out[c] = text::UnicodeClasses::get()(c);
    return out;
  }
  static inline const std::array<CharClass, 128> ascii_ = ascii_table();
  static inline const text::UnicodeClasses& classes_ = text::UnicodeClasses::get();
  std::string_view text_;
};

bool is_word_or_space(const Char& c) {
  return c.kind == CharClass::letter || c.kind == CharClass::number || c.kind == CharClass::space;
}

/// Length of 's 't 'm 'd 're 've 'll at the start of `rest`, or 0.
std::size_t contraction(std::string_view rest, bool any_case) {
  if (rest.size() < 2 || rest[0] != '\'') return 0;
  const auto low = [&](std::size_t i) {
    const char c = i < rest.size() ? rest[i] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = low(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const char second = low(2);
  return ((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l') ? 3 : 0;
}

/// The white space run at `at`: all of it at the end of the piece, else all but its last character, which belongs to
/// the next word; one character in any case.
template <class Stops>
std::size_t white_space(const Scanner& scanner, std::size_t at, const Stops& stops) {
  std::size_t before_last = at;
  std::size_t end = at;
  while (!scanner.done(end)) {
    const Char c = scanner.peek(end);
    if (c.kind != CharClass::space) break;
    before_last = end;
    end = c.end;
  }
  const bool piece_ends = scanner.done(end) || stops(scanner.peek(end));
  return piece_ends || before_last == at ? end : before_last;
}

/// GPT-2's pattern on the piece from `at` up to the first character for which `stops` holds.
/// Requires: the first character is none of those.
template <class Stops>
std::size_t gpt2(const Scanner& scanner, std::string_view text, std::size_t at, const Stops& stops) {
  if (const std::size_t length = contraction(text.substr(at), false); length > 0) return at + length;
  Char c = scanner.peek(at);
  if (c.code == ' ' && !scanner.done(c.end)) {  // a space belongs to the word behind it
    const Char next = scanner.peek(c.end);
    if (stops(next)) return c.end;
    if (next.kind != CharClass::space) c = next;
  }
  switch (c.kind) {
    case CharClass::letter:
    case CharClass::number:
      return scanner.skip_kind(c.end, c.kind);
    case CharClass::space:
      return white_space(scanner, at, stops);
    default:
      return scanner.skip(c.end, [&](const Char& d) { return !is_word_or_space(d) && !stops(d); });
  }
}

/// Llama 3's pattern, with at most `digits` numbers in a word. Qwen 2 is the same with one.
std::size_t llama_bpe(const Scanner& scanner, std::string_view text, std::size_t at, int digits) {
  if (const std::size_t length = contraction(text.substr(at), true); length > 0) return at + length;
  const auto is_break = [](const Char& c) { return c.code == '\r' || c.code == '\n'; };
  const Char c = scanner.peek(at);
  if (c.kind == CharClass::number) {
    std::size_t end = c.end;
    for (int i = 1; i < digits && !scanner.done(end); ++i) {
      const Char next = scanner.peek(end);
      if (next.kind != CharClass::number) break;
      end = next.end;
    }
    return end;
  }
  const Char next = scanner.peek(c.end);
  const bool next_is_letter = next.end != c.end && next.kind == CharClass::letter;
  if (!is_break(c) && (c.kind == CharClass::letter || next_is_letter)) {
    return scanner.skip_kind(c.end, CharClass::letter);
  }
  const bool space_first = c.code == ' ' && next.end != c.end;
  if (!is_word_or_space(space_first ? next : c)) {
    const std::size_t end = scanner.skip(c.end, [](const Char& d) { return !is_word_or_space(d); });
    return scanner.skip(end, is_break);
  }
  std::size_t behind_break = 0;  // white space up to its last line break is one word
  for (Char d = c; d.kind == CharClass::space; d = scanner.peek(d.end)) {
    if (is_break(d)) behind_break = d.end;
  }
  return behind_break > 0 ? behind_break : white_space(scanner, at, [](const Char&) { return false; });
}

bool is_standard_punctuation(const Char& c) {
  if (c.kind == CharClass::punctuation) return true;
  return c.code < 0x80 && std::string_view("$+<=>^~|").find(static_cast<char>(c.code)) != std::string_view::npos &&
         c.code != 0;
}

/// Numbers from `at`: three ASCII digits, or what comes before the first three.
std::size_t digit_groups(const Scanner& scanner, std::size_t at) {
  std::size_t end = at;
  int digits = 0;
  while (!scanner.done(end)) {
    const Char c = scanner.peek(end);
    if (c.kind != CharClass::number) break;
    end = c.end;
    digits = c.code < 0x80 ? digits + 1 : 0;
    if (digits == 3) return end - 3 == at ? end : end - 3;
  }
  return end;
}

std::size_t standard(const Scanner& scanner, std::string_view text, std::size_t at) {
  const Char c = scanner.peek(at);
  if (is_standard_punctuation(c)) return scanner.skip(c.end, is_standard_punctuation);
  if (c.kind == CharClass::number) return digit_groups(scanner, at);
  if (c.code == ' ' && !scanner.done(c.end) && scanner.peek(c.end).kind == CharClass::number) return c.end;
  return gpt2(scanner, text, at, is_standard_punctuation);
}

}  // namespace

std::optional<PreTokenizerRule> pre_tokenizer_rule(std::string_view name) {
  using enum PreTokenizerRule;
  static constexpr std::pair<std::string_view, PreTokenizerRule> kRules[] = {
      {"", standard},           {"default", standard},       {"gpt-2", gpt2},
      {"llama-bpe", llama_bpe}, {"llama3", llama_bpe},       {"llama-v3", llama_bpe},
      {"qwen2", qwen2},         {"deepseek-r1-qwen", qwen2}, {"smollm", smollm},
  };
  for (const auto& [known, rule] : kRules) {
    if (known == name) return rule;
  }
  return std::nullopt;
}

std::size_t next_word_end(PreTokenizerRule rule, std::string_view text, std::size_t at) {
  const Scanner scanner(text);
  switch (rule) {
    case PreTokenizerRule::standard:
      return standard(scanner, text, at);
    case PreTokenizerRule::gpt2:
      return gpt2(scanner, text, at, [](const Char&) { return false; });
    case PreTokenizerRule::llama_bpe:
      return llama_bpe(scanner, text, at, 3);
    case PreTokenizerRule::qwen2:
      return llama_bpe(scanner, text, at, 1);
    case PreTokenizerRule::smollm:
      break;
  }
  const auto is_number = [](const Char& c) { return c.kind == CharClass::number; };
  const Char c = scanner.peek(at);
  return is_number(c) ? c.end : gpt2(scanner, text, at, is_number);
}

}  // namespace plait::models
