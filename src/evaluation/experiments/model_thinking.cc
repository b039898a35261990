// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/model_thinking.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/units.h"

namespace plait::evaluation {

using base::Result;

namespace {

constexpr base::Bytes kKvBytes = base::Bytes{512} << 20U;
constexpr std::size_t kAtATime = 128;  // questions: as many rows as a step of a small model takes well

}  // namespace

ModelThinking::ModelThinking(LabModel lab)
    : lab_(std::move(lab)), prompts_(reasoning::Prompts::built_in()), runner_(*lab_.model, *lab_.team) {}

Result<std::unique_ptr<ModelThinking>> ModelThinking::load(const ExperimentOptions& options) {
  PLAIT_TRY(LabModel lab, load_lab_model(options));
  std::unique_ptr<ModelThinking> learner(new ModelThinking(std::move(lab)));
  const models::Model& model = *learner->lab_.model;
  PLAIT_TRY(learner->tokenizer_, models::Tokenizer::load(model.file()));
  const auto chat = model.file().get<std::string_view>("tokenizer.chat_template");
  PLAIT_TRY(learner->chat_, models::ChatTemplate::make(chat, models::special_texts(*learner->tokenizer_)));
  PLAIT_TRY(learner->engine_, engine::Engine::make(learner->runner_, {.kv_bytes = kKvBytes}));
  learner->strands_ = std::make_unique<reasoning::Strands>(
      *learner->engine_, reasoning::StrandModel{.tokenizer = learner->tokenizer_.get(),
                                                .chat = &*learner->chat_,
                                                .context = model.context(),
                                                .vocabulary = model.vocabulary()});
  return learner;
}

Result<std::vector<reasoning::Thought>> ModelThinking::think(const reasoning::Strategy& strategy,
                                                             std::vector<reasoning::ThinkOptions> questions) {
  std::vector<reasoning::Thought> thoughts;
  for (std::size_t first = 0; first < questions.size(); first += kAtATime) {
    std::vector<std::unique_ptr<reasoning::Thinking>> running;
    std::vector<reasoning::Value<reasoning::Thought>> values;
    for (std::size_t i = first; i < std::min(questions.size(), first + kAtATime); ++i) {
      running.push_back(std::make_unique<reasoning::Thinking>(*strands_, *engine_, base::steady_clock(), prompts_,
                                                              std::move(questions[i])));
      values.push_back(running.back()->run(strategy));
    }
    for (const auto& value : values) {
      PLAIT_TRY(reasoning::Thought thought, strands_->read(value));
      thoughts.push_back(std::move(thought));
    }
  }
  return thoughts;
}

reasoning::MacShape ModelThinking::shape() const {
  const models::Config& config = lab_.model->config();
  return {.layers = config.layers,
          .width = config.width,
          .kv_width = config.kv_heads * config.head_dim,
          .feed_forward = config.ffn};
}

}  // namespace plait::evaluation
