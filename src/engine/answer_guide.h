// SPDX-License-Identifier: Apache-2.0
//
// Keeps one answer in shape: a thought that ends within its budget, then free text, or what a grammar says, or free
// text up to the opening of a call and from there on what the grammar of calls says.
//
//   AnswerGuide guide(table, &masks, {.grammar_at = GrammarAt::opening, .opening = opening_of(format)}, 100);
//   engine.submit({.prompt = prompt, .generate = {.tokens_max = 100, .stop = ends, .guide = &guide}});
//
// Free text costs nothing but a look at its bytes. A token that would finish the opening and go on in a way that the
// grammar refuses is forbidden, and so is the opening when the tokens that are left do not suffice for a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "engine/grammar_guide.h"
#include "models/token_mask.h"
#include "models/tool_format.h"

namespace plait::engine {

/// Finds one text in others that come byte by byte. The text has its first byte only once.
class TextWatch {  // a value
 public:
  TextWatch() = default;  ///< Finds nothing.
  /// `at_start`: only where nothing but space stands before it, and with any space between its marks.
  TextWatch(std::string_view text, bool at_start) : text_(text), at_start_(at_start), alive_(!text.empty()) {}

  /// True with the text's last byte. Then begins anew.
  bool push(char byte);
  /// What is still to come of it, in the shortest way.
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  [[nodiscard]] bool begun() const { return at_ > 0; }
  /// It may still come.
  [[nodiscard]] bool alive() const { return alive_; }

 private:
  std::string_view text_ = {};
  bool at_start_ = false;
  bool alive_ = false;
  std::size_t at_ = 0;
};

enum class GrammarAt : std::uint8_t {
  never,
  start,    ///< From the first token behind the thought, if there is one.
  opening,  ///< From where the opening was written.
};

struct AnswerGuideOptions {
  GrammarAt grammar_at = GrammarAt::never;
  models::ToolOpening opening = {};                    ///< With GrammarAt::opening: the grammar's texts begin with it.
  bool may_think = false;                              ///< The answer may begin with the opening of a thought.
  bool thinks = false;                                 ///< It begins within a thought.
  std::optional<std::size_t> thought_tokens_max = {};  ///< Then the thought is closed.
};

class AnswerGuide final : public Guide {  // for one generation; the engine's thread
 public:
  /// `masks` may be null with GrammarAt::never. `tokens_max` as in GrammarGuide. Both must outlive it.
  AnswerGuide(const models::TokenMaskTable& table, models::MaskCache* masks, const AnswerGuideOptions& options,
              std::size_t tokens_max);

  /// Tokens of the shortest answer that GrammarAt::start allows, its end not counted; else 0. Before the first token.
  [[nodiscard]] std::size_t tokens_min() const;

  /// Errors: those of GrammarGuide::mask().
  [[nodiscard]] base::Result<std::span<const std::uint64_t>> mask() override;
  [[nodiscard]] std::span<const base::TokenId> accept(base::TokenId token) override;

 private:
  enum class Phase : std::uint8_t { thought, free, grammar };

  [[nodiscard]] base::Result<std::span<const std::uint64_t>> grammar_mask();
  [[nodiscard]] std::span<const std::uint64_t> thought_mask();
  [[nodiscard]] std::span<const std::uint64_t> free_mask();
  /// The tokens that begin with `rest` and go on in a way that does not fit.
  template <class Fits>
  [[nodiscard]] std::vector<base::TokenId> unfit(std::string_view rest, Fits fits) const;
  void allow_all();
  void forbid(base::TokenId token);
  [[nodiscard]] std::span<const std::uint64_t> only(base::TokenId token);
  std::span<const base::TokenId> thought_bytes(std::string_view bytes);
  std::span<const base::TokenId> free_bytes(std::string_view bytes);
  void begin_thought();
  void end_thought();
  [[nodiscard]] bool thought_is_over() const;
  std::span<const base::TokenId> close_thought();
  [[nodiscard]] models::GrammarState state_behind(std::string_view bytes, models::GrammarState state);
  [[nodiscard]] bool has_left(std::size_t tokens) const { return !limited_ || left_ > tokens; }

  const models::TokenMaskTable& table_;
  models::MaskCache* masks_;
  AnswerGuideOptions options_;
  bool limited_;
  std::size_t left_;  // tokens
  Phase phase_ = Phase::free;
  TextWatch thought_opening_, thought_closing_, call_opening_;
  std::size_t thought_tokens_ = 0;
  std::vector<base::TokenId> closing_ = {};  // of a thought
  std::size_t least_ = 0;                    // tokens of the shortest text of the grammar, and the end
  std::string character_ = {};               // the bytes of one that is not whole yet
  std::optional<GrammarGuide> grammar_ = {};
  bool first_ = true;
  std::vector<std::uint64_t> mask_ = {};
  std::vector<base::TokenId> forced_ = {};
};

}  // namespace plait::engine
