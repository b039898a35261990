// SPDX-License-Identifier: Apache-2.0
#include "reasoning/best_of.h"

#include <fmt/format.h>

#include <utility>

#include "reasoning/aggregate.h"
#include "reasoning/option_reader.h"

namespace plait::reasoning {
namespace {

using base::Result;

class BestOf final : public Strategy {
 public:
  explicit BestOf(BestOfOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::string_view name() const override { return "best-of"; }
  [[nodiscard]] Bound bound(std::size_t question, std::size_t call) const override {
    const std::size_t judge = options_.select.calls();
    return {.calls = options_.n + judge,
            .rows = options_.n,
            .generated_tokens = options_.n * call + judge * call,
            .critical_path_tokens = call + judge * call,
            .prompt_tokens = question + judge * (question + options_.n * call)};
  }
  [[nodiscard]] Program<Thought> think(Thinking& thinking) const override;

 private:
  BestOfOptions options_;
};

Program<Thought> BestOf::think(Thinking& thinking) const {
  PLAIT_CO_TRY(const State root, thinking.open(""));
  const Program<Said> committing = thinking.commit(root, "prompt");
  PLAIT_CO_TRY(const Said prompt, co_await committing);
  const std::size_t tokens = thinking.share(options_.n + options_.select.calls());
  const std::vector<State> forks = root.fork(options_.n);
  std::vector<Program<Said>> samples;
  for (std::size_t i = 0; i < options_.n; ++i) {
    Call call{.role = CallRole::draft,
              .label = fmt::format("sample {}", i + 1),
              .tokens = tokens,
              .seed = thinking.seed(0, i),
              .logprobs = true,
              .parent = prompt.call};
    samples.push_back(thinking.call(forks[i], std::move(call)));
  }
  std::vector<ThoughtPath> paths;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Result<Said> said = co_await samples[i];
    if (!said) {
      thinking.count("failed_samples");
      if (i + 1 == samples.size() && paths.empty()) co_return std::unexpected(said.error());
      continue;
    }
    paths.push_back({.label = fmt::format("sample {}", i + 1),
                     .text = said->text,
                     .answer = final_answer(said->text),
                     .mean_logprob = said->mean_logprob});
    thinking.reach(paths.back());
  }
  const Program<Thought> choosing = choose(thinking, std::move(paths), options_.select);
  co_return co_await choosing;
}

}  // namespace

std::unique_ptr<Strategy> make_best_of(BestOfOptions options) { return std::make_unique<BestOf>(std::move(options)); }

StrategyEntry best_of_strategy() {
  return {.name = "best-of",
          .about = "several answers, of which one is chosen",
          .options = "n=8 select=majority|verifier|likelihood|judge verifier=equals:…|countdown:…|json",
          .make = [](const text::Json& json) -> Result<std::unique_ptr<Strategy>> {
            OptionReader reader(json);
            BestOfOptions options;
            options.n = reader.whole("n", options.n, 1, 256);
            PLAIT_TRY(options.select, read_select(reader, "select"));
            PLAIT_TRY_VOID(reader.done());
            return make_best_of(std::move(options));
          }};
}

}  // namespace plait::reasoning
