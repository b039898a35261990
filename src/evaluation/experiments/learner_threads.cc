// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/learner_threads.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "evaluation/experiments/learner_arms.h"
#include "reasoning/best_of.h"
#include "reasoning/outline_grammar.h"
#include "reasoning/thinking.h"
#include "reasoning/thread_weaver.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::Strategy;
using reasoning::ThinkOptions;
using reasoning::Thought;

constexpr std::uint64_t kVoteSeed = 1325;
constexpr double kVoteTemperature = 0.6;

bool answers(std::string_view text, std::int64_t answer) { return text.ends_with(fmt::format("\nAnswer: {}", answer)); }

/// Runs the forms of a set of problems and counts what they come to.
class Products {
 public:
  Products(ModelThinking& learner, std::span<const ThreadTaskOptions> problems)
      : learner_(learner),
        problems_(problems),
        plain_(reasoning::make_best_of({.n = 1})),
        weaver_(reasoning::make_thread_weaver({})) {
    for (const ThreadTaskOptions& problem : problems) tasks_.push_back(product_task(problem, ProductForm::threads));
  }

  Result<ProductArm> run(ProductForm form) {
    std::vector<ThinkOptions> questions;
    for (const ThreadTask& task : tasks_) questions.push_back(ask_greedily(product_prompt(task, form), learner_));
    const double begin = base::steady_clock().now();
    PLAIT_TRY(const std::vector<Thought> thoughts, learner_.think(strategy(form), std::move(questions)));
    ProductArm arm;
    arm.seconds = base::steady_clock().now() - begin;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      add(thoughts[i], thoughts[i].paths.back().text, tasks_[i], arm);
    }
    if (form == ProductForm::threads) keep_threads(thoughts);
    return arm;
  }

  Result<ProductArm> vote();
  Result<void> run_replaced(ProductFigures& figures);
  [[nodiscard]] Proportion by_rules() const { return by_rules_; }
  Result<void> run_alone(std::size_t count, ProductFigures& figures);
  void add_ideal(ProductFigures& figures) const;

 private:
  const Strategy& strategy(ProductForm form) const { return form == ProductForm::sequential ? *plain_ : *weaver_; }

  void add(const Thought& thought, const std::string& text, const ThreadTask& task, ProductArm& arm) const {
    const auto count = count_trajectory(learner_.tokenizer(), text);
    arm.right.push_back(answers(text, task.answer));
    arm.total.add(static_cast<double>(count.total));
    arm.critical.add(static_cast<double>(count.critical()));
    arm.waits.push_back(static_cast<double>(count.critical()));
    arm.ledger.add(static_cast<double>(thought.spending().critical_path_tokens));
    arm.eta.add(count.eta());
  }

  void keep_threads(const std::vector<Thought>& thoughts);

  ModelThinking& learner_;
  std::span<const ThreadTaskOptions> problems_;
  std::vector<ThreadTask> tasks_;
  std::unique_ptr<Strategy> plain_;
  std::unique_ptr<Strategy> weaver_;
  std::vector<std::vector<std::string>> threads_;  // [problem][thread]: what the learner said
  Proportion by_rules_ = {};
};

void Products::keep_threads(const std::vector<Thought>& thoughts) {
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    std::vector<std::string>& threads = threads_.emplace_back();
    const auto& paths = thoughts[i].paths;
    for (std::size_t path = 0; path + 1 < paths.size(); ++path) threads.push_back(paths[path].text);
    by_rules_.add(reasoning::check_trajectory(paths.back().text).has_value() &&
                  threads.size() == tasks_[i].threads.size());
  }
}

Result<ProductArm> Products::vote() {
  ProductArm arm;
  arm.right.resize(tasks_.size());
  std::map<std::size_t, std::vector<std::size_t>> by_products;
  for (std::size_t i = 0; i < tasks_.size(); ++i) by_products[problems_[i].products].push_back(i);
  const double begin = base::steady_clock().now();
  for (const auto& [products, places] : by_products) {
    std::vector<ThinkOptions> questions;
    for (const std::size_t i : places) {
      ThinkOptions question = ask_greedily(product_prompt(tasks_[i], ProductForm::sequential), learner_);
      question.sampler = {.temperature = kVoteTemperature, .seed = base::child_seed(kVoteSeed, i)};
      questions.push_back(std::move(question));
    }
    const auto strategy = reasoning::make_best_of({.n = products});
    PLAIT_TRY(const std::vector<Thought> thoughts, learner_.think(*strategy, std::move(questions)));
    for (std::size_t place = 0; place < places.size(); ++place) {
      double total = 0;
      double longest = 0;
      for (const auto& path : thoughts[place].paths) {
        if (path.chosen) arm.right[places[place]] = answers(path.text, tasks_[places[place]].answer);
        const auto tokens = static_cast<double>(count_tokens(learner_.tokenizer(), path.text));
        total += tokens;
        longest = std::max(longest, tokens);
      }
      arm.total.add(total);
      arm.critical.add(longest);
      arm.ledger.add(static_cast<double>(thoughts[place].spending().critical_path_tokens));
    }
  }
  arm.seconds = base::steady_clock().now() - begin;
  return arm;
}

/// The next problem of as many products takes its place: behind the outlines stands what its threads have said.
Result<void> Products::run_replaced(ProductFigures& figures) {
  std::vector<ThinkOptions> questions;
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    std::size_t other = i;
    do {
      other = (other + 1) % tasks_.size();
    } while (problems_[other].products != problems_[i].products);
    others.push_back(other);
    ThreadTask mixed = tasks_[i];
    mixed.threads = threads_[other];
    questions.push_back(
        ask_greedily(product_prompt(mixed, ProductForm::threads) + mixed.opening() + mixed.joined(), learner_));
  }
  PLAIT_TRY(const std::vector<Thought> thoughts, learner_.think(*plain_, std::move(questions)));
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (others[i] == i) continue;  // no other one
    const std::string& text = thoughts[i].paths.back().text;
    figures.replaced.add(answers(text, tasks_[i].answer));
    figures.of_other.add(answers(text, tasks_[others[i]].answer));
  }
  return {};
}

Result<void> Products::run_alone(std::size_t count, ProductFigures& figures) {
  for (std::size_t i = 0; i < std::min(count, tasks_.size()); ++i) {
    for (const ProductForm form : {ProductForm::sequential, ProductForm::threads}) {
      const double begin = base::steady_clock().now();
      PLAIT_TRY([[maybe_unused]] const std::vector<Thought> thoughts,
                learner_.think(strategy(form), {ask_greedily(product_prompt(tasks_[i], form), learner_)}));
      Mean& seconds = form == ProductForm::threads ? figures.alone_threads : figures.alone_sequential;
      seconds.add(base::steady_clock().now() - begin);
    }
  }
  return {};
}

void Products::add_ideal(ProductFigures& figures) const {
  for (const ThreadTask& task : tasks_) {
    const auto count = count_trajectory(learner_.tokenizer(), task.whole());
    figures.ideal_sequential.add(static_cast<double>(count_tokens(learner_.tokenizer(), task.sequential())));
    figures.ideal_critical.add(static_cast<double>(count.critical()));
  }
}

constexpr const char* kCritical = "tokens that wait for each other, sequential / threads";

void add_claims(const ProductFigures& figures, const Discordant& discordant, LearnerParts& parts) {
  const auto add_mean = [&](std::string what, std::string paper, const Mean& ours, std::string baseline) {
    parts.table.add({.what = std::move(what),
                     .paper = std::move(paper),
                     .ours = ours.value(),
                     .baseline = std::move(baseline),
                     .n = ours.n,
                     .error = ours.standard_error()});
  };
  const double sequential = figures.sequential.solved().value();
  parts.table.add("sums of products in threads, solved", "71.9 % beside 72.2 %", figures.threads.solved(),
                  fmt::format("{:.3f}, sequential; p = {:.2g}", sequential, discordant.p()));
  parts.table.add({.what = fmt::format("{}, ratio of means", kCritical),
                   .paper = "1.14; >= 1.25 (card)",
                   .ours = figures.gain(figures.threads),
                   .baseline = fmt::format("{:.3f}, the generator's texts", figures.ideal()),
                   .n = figures.ratios.n});
  add_mean(fmt::format("{}, mean of ratios", kCritical), "1.22", figures.ratios,
           fmt::format("{:.3f}, one thread", figures.gain(figures.one_thread)));
  add_mean("1 - critical / total of texts in threads", "-", figures.threads.eta, "0, no threads");
  parts.table.add("one thread (control), solved", "-", figures.one_thread.solved());
  parts.table.add("threads of another problem (control), solved", "falls (card)", figures.replaced,
                  fmt::format("{:.3f}, its own; {:.3f} give the other's answer", figures.threads.solved().value(),
                              figures.of_other.value()));
  parts.table.add("vote of as many sequential texts as products", "-", figures.vote.solved(),
                  fmt::format("{:.3f}, one greedy text", sequential));
}

text::Json arm_json(const ProductArm& arm) {
  return {{"solved", arm.solved().value()},
          {"n", arm.right.size()},
          {"total", arm.total.value()},
          {"critical", arm.critical.value()},
          {"ledger_critical", arm.ledger.value()},
          {"eta", arm.eta.value()},
          {"seconds", arm.seconds}};
}

void add_text(const ProductFigures& figures, std::size_t alone, LearnerParts& parts) {
  parts.text +=
      "\nSums of products: solved, tokens of the text, of those that wait for each other, of these generated by calls, "
      "1 - critical / total, seconds of all\n";
  const std::array<std::pair<std::string_view, const ProductArm*>, 4> arms{{{"sequential", &figures.sequential},
                                                                            {"threads", &figures.threads},
                                                                            {"one thread", &figures.one_thread},
                                                                            {"vote", &figures.vote}}};
  text::Json& json = parts.json["threads"];
  for (const auto& [name, arm] : arms) {
    parts.text +=
        fmt::format("  {:<10}  {:.3f}  {:>6.1f}  {:>6.1f}  {:>6.1f}  {:.3f}  {:>6.2f}\n", name, arm->solved().value(),
                    arm->total.value(), arm->critical.value(), arm->ledger.value(), arm->eta.value(), arm->seconds);
    json[name] = arm_json(*arm);
  }
  parts.text += fmt::format(
      "  by construction {:.1f} / {:.1f} = {:.3f}; texts in threads by the rules {:.3f}; one problem by itself "
      "{:.1f} ms sequential, {:.1f} ms in threads (the first {})\n",
      figures.ideal_sequential.value(), figures.ideal_critical.value(), figures.ideal(), figures.by_rules.value(),
      1e3 * figures.alone_sequential.value(), 1e3 * figures.alone_threads.value(), alone);
  json["ideal"] = figures.ideal();
  json["ratio_of_means"] = figures.gain(figures.threads);
  json["mean_of_ratios"] = figures.ratios.value();
  json["by_rules"] = figures.by_rules.value();
  json["replaced"] = figures.replaced.value();
  json["of_other"] = figures.of_other.value();
  json["alone_seconds"] = {{"sequential", figures.alone_sequential.value()},
                           {"threads", figures.alone_threads.value()}};
}

void add_gates(const ProductFigures& figures, const Discordant& discordant, LearnerParts& parts) {
  const auto at_least = [&](std::string what, double value, double limit) {
    parts.gates.push_back({.what = std::move(what), .value = value, .limit = limit, .at_most = false});
  };
  at_least("threads: sequential / critical, by construction", figures.ideal(), 1.35);
  at_least("threads: sequential / critical, ratio of means", figures.gain(figures.threads), 1.25);
  at_least("threads: p of the difference in right answers", discordant.p(), 0.05);
  parts.gates.push_back(
      {.what = "one thread (control): sequential / critical", .value = figures.gain(figures.one_thread), .limit = 1});
  parts.gates.push_back(
      {.what = "another problem's threads (control): right answers", .value = figures.replaced.value(), .limit = 0.05});
}

ChartPanel panel_of(const ProductFigures& figures, std::span<const ThreadTaskOptions> problems) {
  ChartPanel panel{.title = "Sums of products: tokens that wait for each other, by products",
                   .series = {{.name = "sequential", .x = {}, .y = {}}, {.name = "threads", .x = {}, .y = {}}}};
  std::map<std::size_t, std::array<Mean, 2>> by_products;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    auto& [sequential, threads] = by_products[problems[i].products];
    sequential.add(figures.sequential.waits[i]);
    threads.add(figures.threads.waits[i]);
  }
  for (const auto& [products, means] : by_products) {
    for (std::size_t form = 0; form < means.size(); ++form) {
      panel.series[form].x.push_back(static_cast<double>(products));
      panel.series[form].y.push_back(means[form].value());
    }
  }
  return panel;
}

}  // namespace

Result<ProductFigures> run_products(ModelThinking& learner, std::span<const ThreadTaskOptions> problems,
                                    std::size_t alone) {
  Products products(learner, problems);
  ProductFigures figures;
  products.add_ideal(figures);
  PLAIT_TRY(figures.sequential, products.run(ProductForm::sequential));
  PLAIT_TRY(figures.threads, products.run(ProductForm::threads));
  PLAIT_TRY(figures.one_thread, products.run(ProductForm::one_thread));
  PLAIT_TRY(figures.vote, products.vote());
  PLAIT_TRY_VOID(products.run_replaced(figures));
  PLAIT_TRY_VOID(products.run_alone(alone, figures));
  figures.by_rules = products.by_rules();
  for (std::size_t i = 0; i < problems.size(); ++i) {
    figures.ratios.add(figures.sequential.waits[i] / std::max(1.0, figures.threads.waits[i]));
  }
  return figures;
}

Result<void> add_products(ModelThinking& learner, std::size_t count, std::size_t alone, LearnerParts& parts) {
  const auto problems = product_problems({.part = CountdownPart::test, .seed = parts.seed}, count);
  PLAIT_TRY(const ProductFigures figures, run_products(learner, problems, alone));
  const Discordant discordant = discordant_of(figures.threads.right, figures.sequential.right);
  add_claims(figures, discordant, parts);
  add_text(figures, std::min(alone, count), parts);
  add_gates(figures, discordant, parts);
  parts.json["threads"]["p"] = discordant.p();
  parts.panels.push_back(panel_of(figures, problems));
  return {};
}

}  // namespace plait::evaluation
