// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/trace_command.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "base/random.h"
#include "evaluation/countdown.h"
#include "evaluation/experiments/learner_drafts.h"
#include "evaluation/experiments/model_thinking.h"
#include "evaluation/experiments/product_texts.h"
#include "evaluation/training_texts.h"
#include "text/json.h"

namespace plait::evaluation {
namespace {

struct TraceArguments {
  std::string kind = {};
  std::filesystem::path learners = {};
  std::uint64_t count = 0;
  std::uint64_t numbers = 3;
  std::uint64_t products = 0;
  std::uint64_t seed = 1;
  std::uint64_t context = 1024;
  CountdownPart part = CountdownPart::training;
};

base::Result<void> read_number(std::string_view name, std::string_view word, std::uint64_t most,
                               std::uint64_t& number) {
  const auto end = std::from_chars(word.data(), word.data() + word.size(), number);
  if (end.ec == std::errc{} && end.ptr == word.data() + word.size() && number <= most) return {};
  return base::fail(base::ErrorCode::invalid_argument,
                    std::string(name) + " is a whole number from 0 to " + std::to_string(most));
}

base::Result<CountdownPart> read_part(std::string_view word) {
  if (word == "training") return CountdownPart::training;
  if (word == "validation") return CountdownPart::validation;
  if (word == "test") return CountdownPart::test;
  return base::fail(base::ErrorCode::invalid_argument, "--part is training, validation or test");
}

base::Result<TraceArguments> parse(const std::vector<std::string>& words) {
  TraceArguments arguments;
  if (words.size() < 2 || (!training_kind(words[0]) && words[0] != "refined" && words[0] != "products")) {
    return base::fail(base::ErrorCode::invalid_argument,
                      "traces: KIND COUNT; KIND is direct, depth-first, spawned, refined or products");
  }
  arguments.kind = words[0];
  PLAIT_TRY_VOID(read_number("COUNT", words[1], 10'000'000, arguments.count));
  const std::map<std::string_view, std::pair<std::uint64_t*, std::uint64_t>> numbers = {
      {"--numbers", {&arguments.numbers, 6}},
      {"--products", {&arguments.products, 9}},
      {"--seed", {&arguments.seed, UINT64_MAX}},
      {"--context", {&arguments.context, 1'000'000}}};
  for (std::size_t i = 2; i < words.size(); i += 2) {
    if (i + 1 == words.size()) return base::fail(base::ErrorCode::invalid_argument, words[i] + " needs a value");
    if (const auto number = numbers.find(words[i]); number != numbers.end()) {
      PLAIT_TRY_VOID(read_number(words[i], words[i + 1], number->second.second, *number->second.first));
    } else if (words[i] == "--part") {
      PLAIT_TRY(arguments.part, read_part(words[i + 1]));
    } else if (words[i] == "--learners") {
      arguments.learners = words[i + 1];
    } else {
      return base::fail(base::ErrorCode::invalid_argument, "unexpected `" + words[i] + "`");
    }
  }
  return arguments;
}

}  // namespace

base::Result<void> write_traces(const std::vector<std::string>& words,
                                const std::function<void(std::string_view)>& write) {
  PLAIT_TRY(const TraceArguments arguments, parse(words));
  const auto count = static_cast<std::size_t>(arguments.count);
  const auto write_one = [&](const TrainingText& one) {
    write(text::dump_json({{"prompt", one.prompt}, {"text", one.text}}) + "\n");
  };
  if (arguments.kind == "products") {
    const auto products = static_cast<std::size_t>(arguments.products);
    for (const ThreadTaskOptions& problem :
         product_problems({.products = products, .part = arguments.part, .seed = arguments.seed}, count)) {
      write_one(product_text(problem));
    }
    return {};
  }
  PLAIT_TRY(const auto problems, countdown_problems({.numbers = static_cast<std::size_t>(arguments.numbers),
                                                     .part = arguments.part,
                                                     .seed = arguments.seed},
                                                    count));
  const auto kind = training_kind(arguments.kind);
  if (!kind) {  // drafts of a learner
    if (arguments.learners.empty()) {
      return base::fail(base::ErrorCode::invalid_argument, "refined: --learners names the folder of direct.gguf");
    }
    PLAIT_TRY(const auto direct, ModelThinking::load({.model = arguments.learners / "direct.gguf"}));
    PLAIT_TRY(const auto texts, refining_texts(*direct, problems, arguments.seed));
    std::ranges::for_each(texts, write_one);
    return {};
  }
  for (std::uint64_t number = 0; const CountdownProblem& problem : problems) {
    std::ranges::for_each(training_texts(problem, *kind,
                                         {.context_tokens = static_cast<std::size_t>(arguments.context),
                                          .seed = base::child_seed(arguments.seed, number++)}),
                          write_one);
  }
  return {};
}

}  // namespace plait::evaluation
