// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/scripted_thinking.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

#include "models/token_kind.h"
#include "text/json.h"
#include "text/utf8.h"

namespace plait::evaluation {
namespace {

using base::Result;
using base::TokenId;
using engine::StoryRunner;

constexpr std::string_view kEnd = "<|end|>";
constexpr double kStepSeconds = 0.010;

/// The character that stands for a byte in byte-level vocabularies: those that print are themselves, the others are
/// U+0100, U+0101 … in order.
std::vector<std::string> byte_words() {
  std::vector<std::string> words;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    words.emplace_back();
    text::append(words.back(), prints ? byte : next++);
  }
  return words;
}

std::size_t index(TokenId token) { return static_cast<std::size_t>(token.value()); }

/// The bytes of tokens, names of control tokens included.
std::string text_of(const models::Tokenizer& tokenizer, std::span<const TokenId> tokens) {
  std::string text;
  for (const TokenId token : tokens) text += tokenizer.piece(token);
  return text;
}

}  // namespace

std::unique_ptr<models::Tokenizer> make_unit_tokenizer(const std::vector<std::string>& units) {
  std::vector<std::string> words = byte_words();
  std::vector<std::int32_t> kinds(words.size(), static_cast<std::int32_t>(models::TokenKind::normal));
  for (const std::string& unit : units) {
    words.push_back(unit);
    kinds.push_back(static_cast<std::int32_t>(models::TokenKind::user_defined));
  }
  for (const std::string_view mark : {kAnswerMark, kEnd}) {
    words.emplace_back(mark);
    kinds.push_back(static_cast<std::int32_t>(models::TokenKind::control));
  }
  models::TokenizerSource source{.pre = "gpt-2"};
  source.tokens.assign(words.begin(), words.end());
  source.kinds = kinds;
  source.eos = static_cast<std::int64_t>(words.size()) - 1;
  source.add_bos = false;
  return models::Tokenizer::make(source).value();
}

std::vector<std::string> search_units() {
  constexpr std::array kWords{"Current",   "state",   "from",      "operations", "Exploring", "operation",
                              "resulting", "numbers", "Generated", "node",       "Moving",    "to",
                              "Goal",      "reached", "is",        "No",         "solution",  "not",
                              "Calling",   "Sub",     "Searches",  "End",        "at"};
  std::vector<std::string> units;
  for (const std::string_view word : kWords) {
    units.emplace_back(word);
    units.push_back(' ' + std::string(word));
  }
  for (const char c : std::string_view("0123456789[]#+-*/=:,<>")) units.push_back({' ', c});
  return units;
}

void ContextScripts::add(std::string_view text) { add(tokenizer_.encode(text, {.parse_special = false})); }

TokenId ContextScripts::next(std::span<const TokenId> seen) const {
  for (const std::vector<TokenId>& script : scripts_) {
    if (seen.empty() || script.size() <= seen.size() || script[seen.size() - 1] != seen.back()) continue;
    if (std::ranges::equal(seen, std::span(script).first(seen.size()))) return script[seen.size()];
  }
  return tokenizer_.eos();
}

StoryRunner::Policy ContextScripts::policy() const {
  return [this](std::span<const TokenId> seen, std::span<float> logits) { logits[index(next(seen))] = 0; };
}

StoryRunner::Policy speaking(const models::Tokenizer& tokenizer, Speaker speaker) {
  const TokenId mark = tokenizer.find(kAnswerMark);
  return [&tokenizer, mark, speaker = std::move(speaker)](std::span<const TokenId> seen, std::span<float> logits) {
    std::vector<Continuation> all;
    std::size_t behind = seen.size();
    while (behind > 0 && seen[behind - 1] != mark) --behind;
    if (behind > 0) {
      all = speaker(text_of(tokenizer, seen.first(behind - 1)), text_of(tokenizer, seen.subspan(behind)));
    }
    if (all.empty()) all.push_back({});
    std::vector<std::pair<TokenId, double>> weights;
    for (const Continuation& one : all) {
      // No unit is longer than that, and a continuation may be long.
      const auto begin = tokenizer.encode(one.text.substr(0, 64), {.add_special = false, .parse_special = false});
      const TokenId token = begin.empty() ? tokenizer.eos() : begin.front();
      const auto at = std::ranges::find(weights, token, &std::pair<TokenId, double>::first);
      if (at == weights.end()) {
        weights.emplace_back(token, one.weight);
      } else {
        at->second += one.weight;
      }
    }
    for (const auto& [token, weight] : weights) logits[index(token)] = static_cast<float>(std::log(weight));
  };
}

std::vector<Continuation> draw_digits(std::string_view said) {
  std::vector<Continuation> digits;
  for (char digit = '0'; digit <= '9' && said.size() < kDrawDigits; ++digit) digits.push_back({.text = {digit}});
  return digits;
}

std::uint64_t drawn(std::string_view said) {
  std::uint64_t number = 0;
  const std::string_view digits = said.substr(0, kDrawDigits);
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

Result<std::unique_ptr<ScriptedThinking>> ScriptedThinking::make(const models::Tokenizer& tokenizer,
                                                                 StoryRunner::Policy policy,
                                                                 const ScriptedOptions& options) {
  std::unique_ptr<ScriptedThinking> model(new ScriptedThinking(tokenizer, std::move(policy), options));
  PLAIT_TRY_VOID(model->open(tokenizer, options));
  return model;
}

ScriptedThinking::ScriptedThinking(const models::Tokenizer& tokenizer, StoryRunner::Policy policy,
                                   const ScriptedOptions& options)
    : prompts_(reasoning::Prompts::built_in()),
      runner_({.vocabulary = tokenizer.size(), .context = options.context}, std::move(policy)) {}

Result<void> ScriptedThinking::open(const models::Tokenizer& tokenizer, const ScriptedOptions& options) {
  const std::string chat = "{% for m in messages %}{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}" +
                           std::string(kAnswerMark) + "{% endif %}";
  PLAIT_TRY(chat_, models::ChatTemplate::make(chat, models::special_texts(tokenizer)));
  const engine::EngineOptions engine_options{.kv_bytes = options.pages * runner_.page_bytes(),
                                             .rows_max = options.rows_max,
                                             .share_prefixes = options.share_prefixes};
  PLAIT_TRY(engine_, engine::Engine::make(runner_, engine_options, clock_));
  strands_ = std::make_unique<reasoning::Strands>(
      *engine_,
      reasoning::StrandModel{
          .tokenizer = &tokenizer, .chat = &*chat_, .context = options.context, .vocabulary = tokenizer.size()});
  return {};
}

Result<reasoning::Thought> ScriptedThinking::think(const reasoning::Strategy& strategy,
                                                   reasoning::ThinkOptions options) {
  reasoning::Thinking thinking(*strands_, *engine_, clock_, prompts_, std::move(options));
  const reasoning::Value<reasoning::Thought> thought = thinking.run(strategy);
  while (!thought.ready() && engine_->step()) clock_.advance(kStepSeconds);
  if (!thought.ready()) return base::fail(base::ErrorCode::internal, "nothing runs that a thought would come of");
  return thought.result();
}

Result<std::vector<TokenId>> ScriptedThinking::prompt(const reasoning::ThinkOptions& options, std::string_view name) {
  const reasoning::Thinking thinking(*strands_, *engine_, clock_, prompts_, options);
  PLAIT_TRY(reasoning::Piece piece, thinking.piece(name));
  return std::move(piece.tokens);
}

Result<reasoning::Capture> ScriptedThinking::alone(std::vector<TokenId> tokens, reasoning::GenOptions options) {
  PLAIT_TRY(const reasoning::State strand, strands_->create({.heal = false}));
  static_cast<void>(strand.append(reasoning::token_piece(std::move(tokens))));
  const auto capture = strand.gen("alone", std::move(options));
  return strands_->read(capture);
}

reasoning::ThinkOptions ask(std::string question) {
  return {.messages = text::Json::array({{{"role", "user"}, {"content", std::move(question)}}})};
}

}  // namespace plait::evaluation
