// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/result.h"
#include "models/model.h"
#include "parallel/team.h"

namespace plait::engine {

/// What computes: a model with its threads, or a script that tests follow. One thread at a time.
class Runner {
 public:
  virtual ~Runner() = default;
  [[nodiscard]] virtual const models::KvLayout& layout() const = 0;
  [[nodiscard]] virtual std::size_t vocabulary() const = 0;
  [[nodiscard]] virtual std::size_t context() const = 0;  ///< Most tokens of a view.
  /// Floats of a hidden state; 0: it gives none (Rows::hidden).
  [[nodiscard]] virtual std::size_t width() const { return 0; }
  /// What the logits of a row cost, in rows of a prompt without logits.
  [[nodiscard]] virtual double logits_work() const { return 0; }
  /// As Model::forward(). Requires: at most models::kStepRows rows.
  [[nodiscard]] virtual base::Result<void> forward(std::span<const models::Rows> batch, std::span<float> logits) = 0;
  /// f(i) for all i < count, on any threads in any order; returns when all are done.
  virtual void for_each(std::size_t count, const std::function<void(std::size_t)>& f) = 0;
};

/// Runs a model on a team. Both must outlive it, and nobody else may use the team meanwhile.
class ModelRunner final : public Runner {
 public:
  ModelRunner(const models::Model& model, parallel::Team& team) : model_(model), team_(team), workspace_(model, team) {}

  [[nodiscard]] const models::KvLayout& layout() const override { return model_.kv_layout(); }
  [[nodiscard]] std::size_t vocabulary() const override { return model_.vocabulary(); }
  [[nodiscard]] std::size_t context() const override { return model_.context(); }
  [[nodiscard]] std::size_t width() const override { return model_.width(); }
  [[nodiscard]] double logits_work() const override {
    return model_.operations_per_logits() / (model_.operations_per_token() - model_.operations_per_logits());
  }
  [[nodiscard]] base::Result<void> forward(std::span<const models::Rows> batch, std::span<float> logits) override {
    return model_.forward(batch, workspace_, logits);
  }
  void for_each(std::size_t count, const std::function<void(std::size_t)>& f) override;
  /// Adds up where the time goes; see Workspace::measure().
  void measure(models::StepClock* clock) { workspace_.measure(clock); }

 private:
  const models::Model& model_;
  parallel::Team& team_;
  models::Workspace workspace_;
};

}  // namespace plait::engine
