// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/product_threads.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace plait::evaluation {
namespace {

struct Product {
  std::int64_t left = 0;
  std::int64_t right = 0;
  [[nodiscard]] std::int64_t value() const { return left * right; }
  [[nodiscard]] std::string text() const { return fmt::format("{}*{}", left, right); }
};

Product draw_product(std::uint64_t seed) {
  const auto two_digits = [&](std::uint64_t n) {
    return static_cast<std::int64_t>(11 + base::random_u64(seed, n) % 89);  // 11 to 99
  };
  return {two_digits(0), two_digits(1)};
}

/// `23*45=23*40+23*5, 23*40=920, 23*5=115, 920+115=1035`
std::string line_of(const Product& product, std::size_t checks) {
  const std::int64_t ones = product.right % 10;
  const std::int64_t tens = product.right - ones;
  std::string line = fmt::format("{0}*{1}={0}*{2}+{0}*{3}, {0}*{2}={4}, {0}*{3}={5}, {4}+{5}={6}", product.left,
                                 product.right, tens, ones, product.left * tens, product.left * ones, product.value());
  for (std::size_t i = 0; i < checks; ++i) line += fmt::format(", again {}={}", product.text(), product.value());
  return line;
}

/// `1035+920=1955, 1955+115=2070`; of one value itself.
std::string running_sums(const std::vector<std::int64_t>& values) {
  std::vector<std::string> steps;
  std::int64_t sum = values.front();
  for (std::size_t i = 1; i < values.size(); ++i) {
    steps.push_back(fmt::format("{}+{}={}", sum, values[i], sum + values[i]));
    sum += values[i];
  }
  return steps.empty() ? std::to_string(sum) : fmt::format("{}", fmt::join(steps, ", "));
}

}  // namespace

std::string ThreadTask::opening() const {
  std::string text = "<Parallel>\n<Outlines>\n";
  for (std::size_t i = 0; i < outlines.size(); ++i) {
    text += fmt::format("<Outline>{}: {}</Outline>\n", i + 1, outlines[i]);
  }
  return text + "</Outlines>";
}

std::string ThreadTask::header(std::size_t i, bool first) const {
  return fmt::format("{}<Thread>\n{}:", first ? "\n" : "", i + 1);
}

std::string ThreadTask::joined() const {
  std::string text;
  for (std::size_t i = 0; i < threads.size(); ++i) text += header(i, i == 0) + threads[i] + "</Thread>";
  return text + "\n";
}

std::string ThreadTask::closing() const { return "</Parallel>\n" + conclusion; }

std::string ThreadTask::sequential() const { return fmt::format("{}\n{}", fmt::join(threads, "\n"), conclusion); }

ThreadTask sum_of_products(const ThreadTaskOptions& options) {
  PLAIT_CHECK(options.products >= 1 && options.products <= 9, options.products);
  ThreadTask task;
  std::vector<std::string> factors;
  std::vector<std::int64_t> values;
  for (std::size_t i = 0; i < options.products; ++i) {
    const std::uint64_t seed = base::child_seed(options.seed, i);
    const Product product = draw_product(seed);
    factors.push_back(product.text());
    values.push_back(product.value());
    task.threads.push_back((options.in_steps ? "" : " ") +
                           line_of(product, base::random_u64(seed, 2) % (options.checks_most + 1)));
    task.answer += product.value();
  }
  task.outlines = factors;
  if (options.one_thread) {
    task.outlines = {fmt::format("{}", fmt::join(factors, ", "))};
    task.threads = {fmt::format("{}", fmt::join(task.threads, "\n"))};
  }
  task.question = fmt::format("What is {}?", fmt::join(factors, "+"));
  const std::string sum =
      options.in_steps ? running_sums(values) : fmt::format("{}={}", fmt::join(values, "+"), task.answer);
  task.conclusion = fmt::format("{}\nAnswer: {}", sum, task.answer);
  return task;
}

std::vector<std::string> thread_tags() {
  return {"<Parallel>", "</Parallel>", "<Outlines>", "</Outlines>", "<Outline>", "</Outline>", "<Thread>", "</Thread>"};
}

reasoning::TrajectoryCount count_trajectory(const models::Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::string_view> pieces;
  for (const base::TokenId token : tokenizer.encode(text, {.parse_special = false})) {
    pieces.push_back(tokenizer.piece(token));
  }
  return reasoning::account_trajectory(pieces);
}

std::size_t count_tokens(const models::Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.encode(text, {.parse_special = false}).size();
}

}  // namespace plait::evaluation
