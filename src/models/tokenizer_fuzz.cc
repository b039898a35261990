// SPDX-License-Identifier: Apache-2.0
//
// Vocabulary and text from the same bytes. Fields end with 0xFF, list entries with 0xFE, which no UTF-8 text contains:
//   options (family and pre-tokenizer, flags, special ids), tokens, kinds, scores, merges, text.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "models/tokenizer.h"
#include "text/utf8.h"

namespace plait::models {
namespace {

std::string_view take(std::string_view& rest, char end) {
  const std::size_t at = rest.find(end);
  const std::string_view out = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return out;
}

std::vector<std::string_view> entries(std::string_view field) {
  std::vector<std::string_view> out;
  while (!field.empty()) out.push_back(take(field, '\xFE'));
  return out;
}

int small_number(std::string_view bytes, std::size_t i) {
  return i < bytes.size() ? static_cast<signed char>(bytes[i]) : -1;
}

float score(char byte) {
  if (byte == 'N') return std::numeric_limits<float>::quiet_NaN();
  if (byte == 'I') return std::numeric_limits<float>::infinity();
  return static_cast<float>(byte) / 4.0f;
}

TokenizerSource source_of(std::string_view& rest) {
  static constexpr std::string_view kPre[] = {"", "default", "gpt-2", "llama-bpe", "qwen2", "smollm", "other"};
  TokenizerSource source;
  const std::string_view options = take(rest, '\xFF');
  const int kind = small_number(options, 0) & 7;
  source.model = kind == 7 ? "llama" : "gpt2";
  source.pre = kPre[kind % 7];
  const int flags = small_number(options, 1);
  source.add_bos = (flags & 1) != 0;
  source.add_eos = (flags & 2) != 0;
  source.add_space_prefix = (flags & 4) != 0;
  source.bos = small_number(options, 2);
  source.eos = small_number(options, 3);
  source.unk = small_number(options, 4);
  source.eot = small_number(options, 5);
  source.fim_pad = small_number(options, 6);
  source.tokens = entries(take(rest, '\xFF'));
  for (const char kind_of_token : take(rest, '\xFF')) source.kinds.push_back(kind_of_token - '0');
  for (const char byte : take(rest, '\xFF')) source.scores.push_back(score(byte));
  source.merges = entries(take(rest, '\xFF'));
  return source;
}

void check(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool parse_special : {true, false}) {
    const auto ids = tokenizer.encode(text, {.add_special = parse_special, .parse_special = parse_special});
    Detokenizer stream(tokenizer, true);
    std::string whole;
    for (const base::TokenId id : ids) {
      PLAIT_CHECK(id.value() >= 0 && static_cast<std::size_t>(id.value()) < tokenizer.size(), id.value());
      whole += stream.push(id);
    }
    whole += stream.flush();
    PLAIT_CHECK(text::is_valid(whole));
    PLAIT_CHECK(whole == tokenizer.decode(ids, true));
    PLAIT_CHECK(ids == tokenizer.encode(text::sanitize(text), {parse_special, parse_special}));
  }
  for (std::int32_t id = -1; id <= static_cast<std::int32_t>(tokenizer.size()); ++id) {
    static_cast<void>(tokenizer.piece(base::TokenId(id)));
    static_cast<void>(tokenizer.is_end_of_generation(base::TokenId(id)));
  }
}

}  // namespace
}  // namespace plait::models

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto source = plait::models::source_of(rest);
  const auto tokenizer = plait::models::Tokenizer::make(source);
  if (tokenizer.has_value()) plait::models::check(**tokenizer, rest);
  return 0;
}
