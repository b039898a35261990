// SPDX-License-Identifier: Apache-2.0
//
// Strategies on a model with an engine of its own: many questions are thought about at the same time, each as it would
// be alone.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/runner.h"
#include "evaluation/experiments/lab_model.h"
#include "models/chat_template.h"
#include "models/tokenizer.h"
#include "reasoning/mac_count.h"
#include "reasoning/prompts.h"
#include "reasoning/state.h"
#include "reasoning/strategy.h"
#include "reasoning/thinking.h"

namespace plait::evaluation {

class ModelThinking {
 public:
  /// Errors: those of Model::load(), Tokenizer::load() and Engine::make(); invalid_data (no chat template).
  [[nodiscard]] static base::Result<std::unique_ptr<ModelThinking>> load(const ExperimentOptions& options);
  ModelThinking(const ModelThinking&) = delete;
  ModelThinking& operator=(const ModelThinking&) = delete;

  /// One thought for each question, in their order. Errors: the first one's.
  [[nodiscard]] base::Result<std::vector<reasoning::Thought>> think(const reasoning::Strategy& strategy,
                                                                    std::vector<reasoning::ThinkOptions> questions);
  [[nodiscard]] std::size_t count_tokens(std::string_view text) const { return tokenizer_->encode(text).size(); }
  [[nodiscard]] const models::Tokenizer& tokenizer() const { return *tokenizer_; }
  [[nodiscard]] std::size_t context() const { return lab_.model->context(); }
  [[nodiscard]] reasoning::MacShape shape() const;
  [[nodiscard]] const std::string& name() const { return lab_.name; }  ///< Of the model's file.

 private:
  explicit ModelThinking(LabModel lab);

  LabModel lab_;
  reasoning::Prompts prompts_;
  engine::ModelRunner runner_;
  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::optional<models::ChatTemplate> chat_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<reasoning::Strands> strands_;
};

}  // namespace plait::evaluation
