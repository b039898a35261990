// SPDX-License-Identifier: Apache-2.0
//
// The text of a generation as it comes: whole UTF-8, up to a stop string.
//
//   PLAIT_TRY(auto answer, TextAnswer::make(tokenizer, {.strings = {"\nUser:"}}, show));
//   engine.submit({.prompt = prompt, .generate = {.stop = answer.stop_ids(), .listener = &answer}});
//   while (!answer.ending()) engine.step();
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "models/stop.h"
#include "models/tokenizer.h"

namespace plait::engine {

/// Listens to one generation. Must stay where it is until that has ended.
class TextAnswer final : public Listener {
 public:
  using Show = std::function<void(std::string_view)>;

  /// `show` gets each piece of text that may be shown, never part of a stop string; may be empty. `ignore_end`: the
  /// model's own ends of text are tokens like others. `marks`: control tokens that are text here, by their names. The
  /// tokenizer must outlive it. Errors: those of StopStream::make.
  [[nodiscard]] static base::Result<TextAnswer> make(const models::Tokenizer& tokenizer, models::StopOptions stop,
                                                     Show show, bool ignore_end = false,
                                                     std::vector<base::TokenId> marks = {});

  /// For GenerateOptions::stop.
  [[nodiscard]] std::vector<base::TokenId> stop_ids() const { return stop_ids_; }

  /// The first bytes of the text are not shown: they stood there before. Requires: no token yet.
  void leave_out(std::size_t bytes) { left_out_ = bytes; }

  bool on_token(SequenceId sequence, const models::Sample& sample) override;
  void on_end(SequenceId sequence, const Ending& ending) override;

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::vector<base::TokenId>& tokens() const { return tokens_; }
  /// One for each token, if they were asked for; 0 for a token that was forced.
  [[nodiscard]] const std::vector<models::Logprobs>& logprobs() const { return logprobs_; }
  /// Which stop string ended it, if one did: an index into StopOptions::strings.
  [[nodiscard]] std::optional<std::size_t> stop_string() const { return stop_string_; }
  /// There once the generation is over.
  [[nodiscard]] const std::optional<Ending>& ending() const { return ending_; }

 private:
  struct Key {};

 public:
  /// For make().
  TextAnswer(Key /*key*/, const models::Tokenizer& tokenizer, models::StopStream stop, Show show,
             std::vector<base::TokenId> stop_ids, std::vector<base::TokenId> marks)
      : tokenizer_(&tokenizer),
        detokenizer_(tokenizer),
        stop_(std::move(stop)),
        show_(std::move(show)),
        stop_ids_(std::move(stop_ids)),
        marks_(std::move(marks)) {}

 private:
  bool give(const models::StopStream::Piece& piece);
  std::string text_of(base::TokenId token);

  const models::Tokenizer* tokenizer_;
  models::Detokenizer detokenizer_;
  models::StopStream stop_;
  Show show_;
  std::vector<base::TokenId> stop_ids_;
  std::vector<base::TokenId> marks_;
  std::size_t left_out_ = 0;
  std::string text_;
  std::vector<base::TokenId> tokens_;
  std::vector<models::Logprobs> logprobs_;
  std::optional<std::size_t> stop_string_;
  std::optional<Ending> ending_;
};

}  // namespace plait::engine
