// SPDX-License-Identifier: Apache-2.0
//
// What a learner of threads is trained on: sums of products (evaluation/experiments/product_threads.h), written line by
// line or in threads. One learner knows both forms; the prompt says which one it is to write, so that what it can
// compute is the same in both. "ThreadWeaver" (arXiv 2512.07843) compares two models. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "evaluation/countdown.h"
#include "evaluation/experiments/product_threads.h"
#include "evaluation/training_texts.h"

namespace plait::evaluation {

/// Products of a sum whose number is drawn.
inline constexpr std::size_t kProductsLeast = 3;
inline constexpr std::size_t kProductsMost = 5;

struct ProductOptions {
  std::size_t products = 0;  ///< 1 to 9; 0: drawn from kProductsLeast to kProductsMost.
  CountdownPart part = CountdownPart::training;
  std::uint64_t seed = 0;
};
/// `count` sums of one part: no two parts have one with the same products in any order. A prefix of what more of them
/// would be.
[[nodiscard]] std::vector<ThreadTaskOptions> product_problems(const ProductOptions& options, std::size_t count);

enum class ProductForm {
  sequential,  ///< Line after line: the baseline.
  threads,     ///< A thread for each product.
  one_thread,  ///< All lines in a single thread: the control.
};
[[nodiscard]] ThreadTask product_task(const ThreadTaskOptions& problem, ProductForm form);
/// The question, and a line that says in which form it is to be answered.
[[nodiscard]] std::string product_prompt(const ThreadTask& task, ProductForm form);

/// One text of a problem, in a form that is drawn: of 20 texts some 9 are sequential, 9 in threads, 2 in one thread.
[[nodiscard]] TrainingText product_text(const ThreadTaskOptions& problem);

}  // namespace plait::evaluation
