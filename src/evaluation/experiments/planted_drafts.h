// SPDX-License-Identifier: Apache-2.0
//
// A scripted model that drafts answers to CountDown: how often a draft is right depends on what the notes in its prompt
// hold, as planted here. So it shows whether notes reach the calls they are for, and what a schedule makes of a model
// that is like this; it shows nothing of what models are like.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "evaluation/countdown.h"
#include "evaluation/experiments/scripted_thinking.h"
#include "reasoning/arithmetic.h"

namespace plait::evaluation {

/// What the notes of a prompt hold, by the answers in them.
enum class Notes { none, wrong, mixed, right };
/// "no notes", "wrong", …
[[nodiscard]] std::string_view name(Notes notes);

struct PlantedOptions {
  double right_alone = 0.30;  ///< Without notes,
  double right_wrong = 0.15;  ///< with wrong ones (anchoring),
  double right_mixed = 0.60;
  double right_right = 0.90;
  std::size_t draft_tokens = 60;  ///< Exactly, unless the answer alone is longer.
  std::size_t digest_tokens = 160;
  double breaks_first = 0;  ///< How often the model breaks down in a draft without notes,
  double breaks_later = 0;  ///< and in one with notes.
  [[nodiscard]] double right(Notes notes) const;
};

/// Of one question at a time. Must stay where it is while its speaker is used.
class PlantedDrafts {
 public:
  PlantedDrafts() = default;
  PlantedDrafts(const PlantedDrafts&) = delete;
  PlantedDrafts& operator=(const PlantedDrafts&) = delete;

  void set(const CountdownProblem& problem, const PlantedOptions& options);
  [[nodiscard]] Speaker speaker();
  [[nodiscard]] std::string question() const;
  /// Whether a text's answer is right.
  [[nodiscard]] bool is_right(std::string_view answer) const;

  // What its prompts were since set().
  [[nodiscard]] std::size_t workspace_tokens_max() const { return workspace_tokens_max_; }
  [[nodiscard]] const std::string& draft_workspace() const { return draft_workspace_; }    ///< Of the last draft,
  [[nodiscard]] const std::string& answer_workspace() const { return answer_workspace_; }  ///< and of the last call.
  [[nodiscard]] Notes answer_notes() const { return answer_notes_; }

 private:
  [[nodiscard]] std::vector<Continuation> speak(std::string_view prompt, std::string_view said);
  void look_at(std::string_view prompt);
  [[nodiscard]] Notes notes_in(std::string_view prompt) const;
  [[nodiscard]] std::string draft(std::string_view prompt, std::uint64_t draw) const;
  [[nodiscard]] std::string digest(std::string_view prompt) const;
  [[nodiscard]] bool breaks(std::string_view prompt, std::uint64_t draw) const;

  CountdownProblem problem_;
  PlantedOptions options_;
  std::string right_answer_;
  std::unordered_map<std::string, std::string> texts_;  // by prompt and draw
  std::size_t workspace_tokens_max_ = 0;
  std::string draft_workspace_;
  std::string answer_workspace_;
  Notes answer_notes_ = Notes::none;
};

/// `3*5=15, 15+9=24`: steps as an answer.
[[nodiscard]] std::string steps_answer(const std::vector<reasoning::Step>& steps);
/// The question of a problem.
[[nodiscard]] std::string countdown_question(const CountdownProblem& problem);

}  // namespace plait::evaluation
