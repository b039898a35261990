// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/threadweaver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evaluation/experiments/claim_table.h"
#include "evaluation/experiments/product_threads.h"
#include "evaluation/experiments/scripted_thinking.h"
#include "evaluation/proportion.h"
#include "reasoning/outline_grammar.h"
#include "reasoning/thread_weaver.h"

namespace plait::evaluation {
namespace {

using base::Result;
using base::TokenId;
using reasoning::CallRecord;
using reasoning::CallRole;
using reasoning::Thought;

constexpr std::uint64_t kSeed = 13;
constexpr std::array<std::size_t, 3> kProducts{3, 4, 6};
constexpr std::size_t kChecksMost = 8;
constexpr const char* kThreadEnd = "</Thread>";

/// Tokens of the texts, over tasks of one size.
struct Sizes {
  Mean sequential;  ///< Of the text without threads,
  Mean total;       ///< of the one with them,
  Mean critical;    ///< and of that those that wait for each other.
  Mean ratio;       ///< sequential / critical, of each task.
  Mean eta;
  Mean steps;  ///< Forward passes with one call at a time / with all at once.
  [[nodiscard]] double gain() const { return sequential.value() / critical.value(); }
};

struct Figures {
  std::map<std::size_t, Sizes> sizes;
  Sizes one_thread;
  Proportion texts;     ///< The text is the expected one, keeps to the grammar, and its answer is right.
  Proportion isolated;  ///< A thread says what it says alone.
  Proportion critical;  ///< What the ledger counts is what the text says.
  Proportion any_order;
  Proportion crossed;  ///< Threads end in another order than they began.
  std::size_t prompt_tokens = 0;
  std::size_t cached_tokens = 0;  ///< Of those.
  double join_excess = -1e9;      ///< Tokens computed after a join beyond what is allowed: the most.
};

class Weaving {
 public:
  Weaving()
      : tokenizer_(make_unit_tokenizer(thread_tags())),
        scripts_(*tokenizer_),
        strategy_(reasoning::make_thread_weaver({.threads_max = 9})) {}

  Result<void> open() {
    PLAIT_TRY(wide_, ScriptedThinking::make(*tokenizer_, scripts_.policy(), {}));
    PLAIT_TRY(narrow_, ScriptedThinking::make(*tokenizer_, scripts_.policy(), {.rows_max = 2}));
    PLAIT_TRY(single_, ScriptedThinking::make(*tokenizer_, scripts_.policy(), {.rows_max = 1}));
    PLAIT_TRY(alone_, ScriptedThinking::make(*tokenizer_, scripts_.policy(), {.share_prefixes = false}));
    return {};
  }

  /// Runs a task in all ways. Its sizes go to `sizes`, if there is one.
  Result<void> run(const ThreadTask& task, Figures& figures, Sizes* sizes) {
    PLAIT_TRY(const std::vector<TokenId> prompt, wide_->prompt(ask(task.question), "threads.start"));
    learn(task, prompt);
    const std::size_t before = wide_->steps();
    PLAIT_TRY(const Thought thought, wide_->think(*strategy_, ask(task.question)));
    const std::size_t steps = wide_->steps() - before;
    PLAIT_TRY_VOID(compare_orders(task, thought, steps, figures, sizes));
    check_text(task, thought, figures);
    check_ledger(task, thought, figures);
    PLAIT_TRY_VOID(compare_isolated(task, prompt, thought, figures));
    if (sizes != nullptr) add_sizes(task, *sizes);
    return {};
  }

 private:
  void learn(const ThreadTask& task, const std::vector<TokenId>& prompt);
  void check_text(const ThreadTask& task, const Thought& thought, Figures& figures) const;
  void check_ledger(const ThreadTask& task, const Thought& thought, Figures& figures) const;
  Result<void> compare_orders(const ThreadTask& task, const Thought& thought, std::size_t steps, Figures& figures,
                              Sizes* sizes);
  Result<void> compare_isolated(const ThreadTask& task, const std::vector<TokenId>& prompt, const Thought& thought,
                                Figures& figures);
  void add_sizes(const ThreadTask& task, Sizes& sizes) const;
  [[nodiscard]] std::vector<TokenId> behind(std::vector<TokenId> prompt, const std::string& text) const;

  std::unique_ptr<models::Tokenizer> tokenizer_;
  ContextScripts scripts_;
  std::unique_ptr<reasoning::Strategy> strategy_;
  std::unique_ptr<ScriptedThinking> wide_;
  std::unique_ptr<ScriptedThinking> narrow_;
  std::unique_ptr<ScriptedThinking> single_;
  std::unique_ptr<ScriptedThinking> alone_;
};

std::vector<TokenId> Weaving::behind(std::vector<TokenId> prompt, const std::string& text) const {
  const std::vector<TokenId> more = tokenizer_->encode(text, {.add_special = false, .parse_special = false});
  prompt.insert(prompt.end(), more.begin(), more.end());
  return prompt;
}

void Weaving::learn(const ThreadTask& task, const std::vector<TokenId>& prompt) {
  scripts_.clear();
  scripts_.add(behind(prompt, task.opening()));
  for (std::size_t i = 0; i < task.threads.size(); ++i) {
    scripts_.add(behind(prompt, task.opening() + task.header(i, true) + task.threads[i] + kThreadEnd));
  }
  scripts_.add(behind(prompt, task.whole()));
}

void Weaving::check_text(const ThreadTask& task, const Thought& thought, Figures& figures) const {
  const std::string& text = thought.paths.back().text;
  figures.texts.add(text == task.whole() && reasoning::check_trajectory(text).has_value() &&
                    thought.answer.ends_with(fmt::format("\nAnswer: {}", task.answer)));
}

/// Tokens that no call has generated: the first line feed, the threads' tags, numbers with their line feed and colon,
/// and the last line feed. A thread's end tag is generated by its thread and stands in the text once more as a tag.
void Weaving::check_ledger(const ThreadTask& task, const Thought& thought, Figures& figures) const {
  const std::size_t k = task.threads.size();
  constexpr std::size_t kNumber = 3;
  const auto count = count_trajectory(*tokenizer_, thought.paths.back().text);
  const reasoning::Spending spent = thought.spending();
  const std::size_t tags = 2 + 2 * k;
  figures.critical.add(count.critical() == spent.critical_path_tokens + tags + kNumber - 1 &&
                       count.total == spent.generated_tokens + tags + k * kNumber - k);
  for (const CallRecord& call : thought.calls) {
    if (call.role != CallRole::child) continue;
    figures.prompt_tokens += call.prompt_tokens;
    figures.cached_tokens += call.cached_tokens;
  }
  double allowed = 2 * static_cast<double>(k);
  for (std::size_t i = 1; i < k && !count.threads.empty(); ++i) {
    allowed += static_cast<double>(count.threads.front()[i]);
  }
  const double computed = static_cast<double>(thought.calls.back().prefilled_tokens);
  figures.join_excess = std::max(figures.join_excess, computed - allowed);
}

Result<void> Weaving::compare_orders(const ThreadTask& task, const Thought& thought, std::size_t steps,
                                     Figures& figures, Sizes* sizes) {
  for (ScriptedThinking* other : {narrow_.get(), single_.get()}) {
    const std::size_t before = other->steps();
    PLAIT_TRY(const Thought again, other->think(*strategy_, ask(task.question)));
    const reasoning::Spending a = thought.spending();
    const reasoning::Spending b = again.spending();
    figures.any_order.add(again.answer == thought.answer && again.paths.back().text == thought.paths.back().text &&
                          again.counts == thought.counts && a.generated_tokens == b.generated_tokens &&
                          a.critical_path_tokens == b.critical_path_tokens);
    if (sizes == nullptr || other != single_.get()) continue;
    sizes->steps.add(static_cast<double>(other->steps() - before) / static_cast<double>(steps));
  }
  std::vector<double> ends;
  for (const CallRecord& call : thought.calls) {
    if (call.role == CallRole::child) ends.push_back(call.end);
  }
  if (ends.size() > 1) figures.crossed.add(!std::ranges::is_sorted(ends));
  return {};
}

Result<void> Weaving::compare_isolated(const ThreadTask& task, const std::vector<TokenId>& prompt,
                                       const Thought& thought, Figures& figures) {
  std::size_t i = 0;
  for (const CallRecord& call : thought.calls) {
    if (call.role != CallRole::child) continue;
    reasoning::GenOptions options;
    options.generate.tokens_max = 512;
    options.stop.strings = {kThreadEnd};
    const std::string text = task.opening() + task.header(i, true);
    PLAIT_TRY(const reasoning::Capture alone, alone_->alone(behind(prompt, text), std::move(options)));
    figures.isolated.add(alone.text == thought.paths[i].text && alone.tokens.size() == call.generated_tokens);
    ++i;
  }
  return {};
}

void Weaving::add_sizes(const ThreadTask& task, Sizes& sizes) const {
  const auto count = count_trajectory(*tokenizer_, task.whole());
  const auto sequential = static_cast<double>(count_tokens(*tokenizer_, task.sequential()));
  const auto critical = static_cast<double>(count.critical());
  sizes.sequential.add(sequential);
  sizes.total.add(static_cast<double>(count.total));
  sizes.critical.add(critical);
  sizes.ratio.add(sequential / critical);
  sizes.eta.add(count.eta());
}

Result<Figures> run_tasks(std::size_t tasks) {
  Weaving weaving;
  PLAIT_TRY_VOID(weaving.open());
  Figures figures;
  for (const std::size_t products : kProducts) {
    for (std::size_t i = 0; i < tasks; ++i) {
      ThreadTaskOptions options{.products = products, .seed = base::child_seed(kSeed, 100 * i + products)};
      PLAIT_TRY_VOID(weaving.run(sum_of_products(options), figures, &figures.sizes[products]));
      options.checks_most = kChecksMost;
      PLAIT_TRY_VOID(weaving.run(sum_of_products(options), figures, nullptr));
      options.checks_most = 0;
      options.one_thread = true;
      PLAIT_TRY_VOID(weaving.run(sum_of_products(options), figures, &figures.one_thread));
    }
  }
  return figures;
}

double ratio(std::size_t part, std::size_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

void add_claims(const Figures& figures, ClaimTable& table) {
  table.add("threads' text: the expected one, by the rules, right answer", "-", figures.texts);
  table.add("a thread says what it says alone behind the same prefix", "1 (card)", figures.isolated);
  table.add("critical path of the ledger = of the text", "1 (card)", figures.critical);
  table.add("the same with 1 or 2 calls at a time", "1 (card)", figures.any_order);
  table.add("threads end in another order than they began", "-", figures.crossed);
  table.add({.what = "prompt tokens of threads found computed",
             .paper = ">= 0.95 (card)",
             .ours = ratio(figures.cached_tokens, figures.prompt_tokens),
             .baseline = "0, each prompt by itself",
             .n = figures.isolated.n});
  for (const auto& [products, sizes] : figures.sizes) {
    const char* prototype = products == 3 ? "1.51" : products == 4 ? "1.69" : "1.92";
    table.add({.what = fmt::format("{} products: sequential / critical, ratio of means", products),
               .paper = fmt::format("{} (prototype); AIME24 1.14", prototype),
               .ours = sizes.gain(),
               .baseline = fmt::format("{:.3f}, one thread", figures.one_thread.gain()),
               .n = sizes.ratio.n});
    table.add({.what = fmt::format("{} products: mean of ratios", products),
               .paper = "1.22 (six sets)",
               .ours = sizes.ratio.value(),
               .baseline = fmt::format("{:.3f}, one thread", figures.one_thread.ratio.value()),
               .n = sizes.ratio.n,
               .error = sizes.ratio.standard_error()});
    table.add({.what = fmt::format("{} products: 1 - critical / total of the same text", products),
               .ours = sizes.eta.value(),
               .baseline = "0, no threads",
               .n = sizes.eta.n,
               .error = sizes.eta.standard_error()});
    table.add({.what = fmt::format("{} products: forward passes one at a time / at once", products),
               .ours = sizes.steps.value(),
               .baseline = "1, the same text one call at a time",
               .n = sizes.steps.n,
               .error = sizes.steps.standard_error()});
  }
}

std::vector<Gate> gates_of(const Figures& figures) {
  std::vector<Gate> gates{
      {"texts that are the expected ones", figures.texts.value(), 1, false, true},
      {"threads that say what they say alone", figures.isolated.value(), 1, false, true},
      {"ledgers whose critical path is the text's", figures.critical.value(), 1, false, true},
      {"runs that are the same in another order", figures.any_order.value(), 1, false, true},
      {"of these: threads that end in another order than they began", static_cast<double>(figures.crossed.hits), 1,
       false, true},
      {"prompt tokens of threads found computed", ratio(figures.cached_tokens, figures.prompt_tokens), 0.95, false,
       true},
      {"tokens computed after a join beyond threads 2 to n and 2 each", figures.join_excess, 0, true, true},
      {"one thread (control): sequential / critical", figures.one_thread.gain(), 1, true, true}};
  for (const auto& [products, sizes] : figures.sizes) {
    gates.push_back({fmt::format("{} products: sequential / critical, by construction", products), sizes.gain(), 1.35,
                     false, true});
  }
  return gates;
}

Chart chart_of(const Figures& figures) {
  ChartPanel tokens{.title = "Tokens, by products",
                    .series = {{.name = "text without threads", .x = {}, .y = {}},
                               {.name = "text with threads", .x = {}, .y = {}},
                               {.name = "its critical path", .x = {}, .y = {}}}};
  ChartPanel gain{.title = "Text without threads / critical path",
                  .series = {{.name = "tokens", .x = {}, .y = {}}, {.name = "forward passes", .x = {}, .y = {}}}};
  const auto add = [](ChartSeries& series, std::size_t x, double y) {
    series.x.push_back(static_cast<double>(x));
    series.y.push_back(y);
  };
  for (const auto& [products, sizes] : figures.sizes) {
    add(tokens.series[0], products, sizes.sequential.value());
    add(tokens.series[1], products, sizes.total.value());
    add(tokens.series[2], products, sizes.critical.value());
    add(gain.series[0], products, sizes.gain());
    add(gain.series[1], products, sizes.steps.value());
  }
  return {.title = "Sums of products in threads",
          .x_label = "products",
          .y_label = "tokens; ratio",
          .panels = {tokens, gain},
          .columns = 2};
}

Result<ExperimentReport> run_threadweaver(const ExperimentOptions& options) {
  const auto tasks = options.quick ? 2U : static_cast<std::size_t>(std::max(1.0, std::round(70 * options.scale)));
  PLAIT_TRY(const Figures figures, run_tasks(tasks));
  ClaimTable table(kSeed);
  add_claims(figures, table);
  ExperimentReport report;
  report.gates = gates_of(figures);
  PLAIT_TRY_VOID(add_pace(options,
                          {.what = "4 threads: time one after another / together",
                           .paper = "1.14 (50 MATH500 problems)",
                           .width = 4,
                           .limit = 1.10,
                           .serial_over_batch = true},
                          table, report.gates));
  report.text = fmt::format(
      "Sums of {} products in threads, and each with longer lines and in one thread; a scripted model\n"
      "Critical path: what calls generate, and of what the runtime writes the tags and the longest thread's "
      "number\n\n{}",
      fmt::join(kProducts, ", "), table.text());
  report.json = {{"experiment", "threadweaver"}, {"claims", table.json()}, {"gates", gates_json(report.gates)}};
  report.chart = chart_of(figures);
  return report;
}

}  // namespace

Experiment threadweaver_experiment() {
  return {.name = "threadweaver",
          .about = "Texts worked out in threads: the same in any order, and what waits for what",
          .run = run_threadweaver};
}

}  // namespace plait::evaluation
