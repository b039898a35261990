// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/product_texts.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/random.h"

namespace plait::evaluation {
namespace {

constexpr std::uint64_t kFormDraw = 1'000;  // beyond the draws of products

CountdownPart part_of_products(std::vector<std::string> products) {
  std::ranges::sort(products);
  std::uint64_t hash = 0;
  for (const std::string& product : products) {
    for (const char letter : product + "+") hash = base::mix64(hash + static_cast<unsigned char>(letter));
  }
  return part_of_hash(hash);
}

std::string_view form_line(ProductForm form) {
  switch (form) {
    case ProductForm::sequential:
      return "Sequential:\n";
    case ProductForm::threads:
      return "Threads:\n";
    case ProductForm::one_thread:
      return "One thread:\n";
  }
  std::unreachable();
}

ProductForm drawn_form(std::uint64_t seed) {
  const std::uint64_t draw = base::random_u64(seed, kFormDraw) % 20;
  if (draw < 2) return ProductForm::one_thread;
  return draw < 11 ? ProductForm::threads : ProductForm::sequential;
}

}  // namespace

std::vector<ThreadTaskOptions> product_problems(const ProductOptions& options, std::size_t count) {
  std::vector<ThreadTaskOptions> problems;
  for (std::uint64_t draw = 0; problems.size() < count; ++draw) {
    ThreadTaskOptions problem{.products = options.products, .in_steps = true};
    problem.seed = base::child_seed(options.seed, draw);
    if (problem.products == 0) {
      constexpr std::size_t kNumbers = kProductsMost - kProductsLeast + 1;
      problem.products = kProductsLeast + base::random_u64(problem.seed, 0) % kNumbers;
    }
    if (part_of_products(sum_of_products(problem).outlines) == options.part) problems.push_back(problem);
  }
  return problems;
}

ThreadTask product_task(const ThreadTaskOptions& problem, ProductForm form) {
  ThreadTaskOptions options = problem;
  options.one_thread = form == ProductForm::one_thread;
  return sum_of_products(options);
}

std::string product_prompt(const ThreadTask& task, ProductForm form) {
  return task.question + "\n" + std::string(form_line(form));
}

TrainingText product_text(const ThreadTaskOptions& problem) {
  const ProductForm form = drawn_form(problem.seed);
  const ThreadTask task = product_task(problem, form);
  return {product_prompt(task, form), form == ProductForm::sequential ? task.sequential() : task.whole()};
}

}  // namespace plait::evaluation
