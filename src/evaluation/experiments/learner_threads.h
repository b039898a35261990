// SPDX-License-Identifier: Apache-2.0
//
// Sums of products by a learner that writes them line by line or in threads (evaluation/experiments/product_texts.h):
// the gate of "ThreadWeaver" (arXiv 2512.07843), as many right answers in fewer tokens that wait for each other.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "evaluation/experiments/learner_parts.h"
#include "evaluation/experiments/model_thinking.h"
#include "evaluation/experiments/product_texts.h"
#include "evaluation/proportion.h"

namespace plait::evaluation {

/// One form over all problems.
struct ProductArm {
  std::vector<bool> right = {};    ///< [problem]
  Mean total = {};                 ///< Tokens of the text, or of all samples,
  Mean critical = {};              ///< and of those that wait for each other: reasoning::TrajectoryCount.
  Mean ledger = {};                ///< The longest chain that calls generated: without what the runtime writes itself.
  Mean eta = {};                   ///< 1 - critical / total.
  std::vector<double> waits = {};  ///< [problem]: critical.
  double seconds = 0;              ///< Of all problems, many at a time.
  [[nodiscard]] Proportion solved() const { return proportion_of(right); }
};

struct ProductFigures {
  ProductArm sequential;
  ProductArm threads;
  ProductArm one_thread;       ///< Control: one outline, of all products.
  ProductArm vote;             ///< Baseline: the answer of most of as many sequential texts as there are products.
  Proportion replaced = {};    ///< Control: right where another problem's threads stand in place of its own;
  Proportion of_other = {};    ///< of these: the answer is the other problem's.
  Proportion by_rules = {};    ///< Texts in threads that keep to the grammar, with a thread for each product.
  Mean ideal_sequential = {};  ///< Tokens of the generator's own texts.
  Mean ideal_critical = {};
  Mean ratios = {};  ///< sequential / critical of each problem.
  /// Seconds of one problem that has the engine for itself.
  Mean alone_sequential = {};
  Mean alone_threads = {};

  [[nodiscard]] double ideal() const { return ideal_sequential.value() / ideal_critical.value(); }
  [[nodiscard]] double gain(const ProductArm& arm) const { return sequential.total.value() / arm.critical.value(); }
};
/// `alone` problems run by themselves, too.
[[nodiscard]] base::Result<ProductFigures> run_products(ModelThinking& learner,
                                                        std::span<const ThreadTaskOptions> problems, std::size_t alone);

/// Card 13, on `count` problems that no learner was trained on.
[[nodiscard]] base::Result<void> add_products(ModelThinking& learner, std::size_t count, std::size_t alone,
                                              LearnerParts& parts);

}  // namespace plait::evaluation
