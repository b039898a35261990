// SPDX-License-Identifier: Apache-2.0
#include "reasoning/outline_paths.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "reasoning/aggregate.h"
#include "reasoning/normal_form.h"
#include "reasoning/option_reader.h"
#include "reasoning/outline_grammar.h"

namespace plait::reasoning {
namespace {

using base::Result;
using text::Json;

class OutlinePaths final : public Strategy {
 public:
  explicit OutlinePaths(OutlinePathsOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::string_view name() const override { return "outlines"; }
  [[nodiscard]] Bound bound(std::size_t question, std::size_t call) const override {
    const std::size_t last = last_calls();
    return {.calls = options_.n + 1 + last,
            .rows = options_.n,
            .generated_tokens = (options_.n + 2 + last) * call,
            .critical_path_tokens = (3 + last) * call,
            .prompt_tokens = (2 + options_.n) * question + options_.n * call};
  }
  [[nodiscard]] Program<Thought> think(Thinking& thinking) const override;

 private:
  [[nodiscard]] std::size_t last_calls() const { return options_.synthesize ? 1 : options_.select.calls(); }
  [[nodiscard]] Program<std::vector<std::string>> plan(Thinking& thinking) const;
  [[nodiscard]] Program<std::vector<ThoughtPath>> follow(Thinking& thinking, std::vector<std::string> outlines) const;
  [[nodiscard]] Program<Thought> synthesize(Thinking& thinking, std::vector<ThoughtPath> paths) const;

  OutlinePathsOptions options_;
};

/// The ways, at most n; asks once more for those that are missing.
Program<std::vector<std::string>> OutlinePaths::plan(Thinking& thinking) const {
  std::vector<std::string> outlines;
  for (std::size_t asked = 0; asked < 2 && outlines.size() < options_.n; ++asked) {
    const std::size_t missing = options_.n - outlines.size();
    PLAIT_CO_TRY(const State strand, thinking.open("outlines.plan", {{"n", missing}, {"known", outlines}}));
    Call call{.role = CallRole::planner,
              .label = fmt::format("plan {}", asked + 1),
              .tokens = thinking.share(options_.n + 2 + last_calls() - asked),
              .seed = thinking.seed(500, asked)};
    const Program<Said> planning = thinking.call(strand, std::move(call));
    const Result<Said> said = co_await planning;
    if (!said && thinking.over()) co_return std::unexpected(said.error());
    if (!said) {
      thinking.count("failed_plans");
      continue;
    }
    const Plan plan = parse_plan(said->text);
    thinking.count("empty_outlines", plan.empty);
    thinking.count("repeated_outlines", plan.repeated);
    for (const std::string& outline : plan.outlines) {
      const auto same = [&](const std::string& known) { return normal_answer(known) == normal_answer(outline); };
      if (std::ranges::any_of(outlines, same)) {
        thinking.count("repeated_outlines");
      } else if (outlines.size() < options_.n) {
        outlines.push_back(outline);
      }
    }
  }
  co_return outlines;
}

Program<Thought> OutlinePaths::think(Thinking& thinking) const {
  const Program<std::vector<std::string>> planning = plan(thinking);
  PLAIT_CO_TRY(std::vector<std::string> outlines, co_await planning);
  thinking.count("fallback_paths", options_.n - outlines.size());
  const Program<std::vector<ThoughtPath>> following = follow(thinking, std::move(outlines));
  PLAIT_CO_TRY(std::vector<ThoughtPath> paths, co_await following);
  if (options_.synthesize) {
    const Program<Thought> synthesizing = synthesize(thinking, std::move(paths));
    co_return co_await synthesizing;
  }
  const Program<Thought> choosing = choose(thinking, std::move(paths), options_.select);
  co_return co_await choosing;
}

Program<std::vector<ThoughtPath>> OutlinePaths::follow(Thinking& thinking, std::vector<std::string> outlines) const {
  const Json others = options_.show_all ? Json(outlines) : Json::array();
  const std::size_t tokens = thinking.share(options_.n + last_calls());
  std::vector<std::string> labels;
  std::vector<Program<Said>> calls;
  for (std::size_t i = 0; i < options_.n; ++i) {
    const std::string outline = i < outlines.size() ? outlines[i] : "";
    PLAIT_CO_TRY(const State strand, thinking.open("outlines.path", {{"outline", outline}, {"others", others}}));
    labels.push_back(fmt::format("path {}{}", i + 1, outline.empty() ? "" : ": " + outline));
    Call call{.role = CallRole::child,
              .label = labels.back(),
              .tokens = tokens,
              .seed = thinking.seed(0, i),
              .logprobs = true};
    calls.push_back(thinking.call(strand, std::move(call)));
  }
  std::vector<ThoughtPath> paths;
  std::optional<base::Error> error;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Result<Said> said = co_await calls[i];
    if (!said) {
      thinking.count("failed_paths");
      error = said.error();
      continue;
    }
    ThoughtPath path{
        .label = labels[i], .text = said->text, .answer = final_answer(said->text), .mean_logprob = said->mean_logprob};
    path.abstains = lowered(said->text).find("leads nowhere") != std::string::npos;
    paths.push_back(std::move(path));
    thinking.reach(paths.back());
  }
  if (paths.empty() || thinking.over()) {
    co_return std::unexpected(error.value_or(base::Error{base::ErrorCode::interrupted, "the run is over"}));
  }
  co_return paths;
}

Program<Thought> OutlinePaths::synthesize(Thinking& thinking, std::vector<ThoughtPath> paths) const {
  Json answers = Json::array();
  for (const ThoughtPath& path : paths) {
    if (!path.abstains) answers.push_back(path.answer);
  }
  PLAIT_CO_TRY(const State strand, thinking.open("outlines.synthesize", {{"answers", answers}}));
  Call call{.label = "synthesis", .tokens = thinking.share(), .seed = thinking.seed(600)};
  const Program<Said> saying = thinking.call(strand, std::move(call));
  PLAIT_CO_TRY(const Said said, co_await saying);
  co_return Thought{.answer = said.text, .selector = "synthesis", .paths = std::move(paths)};
}

}  // namespace

std::unique_ptr<Strategy> make_outline_paths(OutlinePathsOptions options) {
  return std::make_unique<OutlinePaths>(std::move(options));
}

StrategyEntry outlines_strategy() {
  return {.name = "outlines",
          .about = "different ways to go about it first, then an answer by each",
          .options = "n=4 aggregate=vote|verifier|likelihood|judge|synthesize verifier=… show_all=false",
          .make = [](const Json& json) -> Result<std::unique_ptr<Strategy>> {
            OptionReader reader(json);
            OutlinePathsOptions options;
            options.n = reader.whole("n", options.n, 1, 64);
            options.show_all = reader.flag("show_all", options.show_all);
            if (json.is_object() && json.contains("aggregate") && json["aggregate"] == "synthesize") {
              options.synthesize = true;
              static_cast<void>(reader.text("aggregate", ""));
            } else {
              PLAIT_TRY(options.select, read_select(reader, "aggregate"));
            }
            PLAIT_TRY_VOID(reader.done());
            return make_outline_paths(std::move(options));
          }};
}

}  // namespace plait::reasoning
