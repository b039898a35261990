// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "serving/batch.h"
#include "serving/models.h"

namespace plait::serving {

/// Answers the requests of a batch on the engine of a server, beside what else runs there.
class LoopAnswers final : public BatchAnswers {
 public:
  /// `generations_max` is asked each time.
  LoopAnswers(ModelLease model, std::function<std::size_t()> generations_max);
  /// Waits until the engine's thread has dropped what runs.
  ~LoopAnswers() override;

  [[nodiscard]] bool has_room(std::size_t generations) const override { return generations < generations_max_(); }
  void start(std::size_t order, Request request) override;
  /// Waits a twentieth of a second at most.
  [[nodiscard]] std::vector<Answer> advance() override;

 private:
  struct Flights;
  const std::function<std::size_t()> generations_max_;
  const std::shared_ptr<Flights> flights_;  // shared with what is posted to the loop
};

}  // namespace plait::serving
