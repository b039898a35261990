// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/letter_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/random.h"
#include "engine/engine.h"
#include "engine/story_runner.h"

namespace plait::evaluation {
namespace {

using base::Result;
using base::TokenId;
using engine::SequenceId;

constexpr std::int32_t kLetters = 26;
constexpr std::int32_t kMarker = 30;  // and the following ones: a row's first token
constexpr std::int32_t kEnd = 60;
constexpr std::int32_t kPrompt = 61;
constexpr std::size_t kBudget = 80;

/// What a row says next: any of the letters that it sees nowhere. Its own tokens come last in its view.
TokenId next_letter(std::span<const TokenId> seen, std::uint64_t seed) {
  std::array<bool, kLetters> named = {};
  std::uint64_t row = 0;
  std::uint64_t said = 0;
  for (const TokenId token : seen) {
    if (token.value() < kLetters) named[static_cast<std::size_t>(token.value())] = true;
    ++said;
    if (token.value() < kMarker || token.value() >= kEnd) continue;
    row = static_cast<std::uint64_t>(token.value());
    said = 0;
  }
  std::vector<std::int32_t> left;
  for (std::int32_t letter = 0; letter < kLetters; ++letter) {
    if (!named[static_cast<std::size_t>(letter)]) left.push_back(letter);
  }
  if (left.empty()) return TokenId(kEnd);
  return TokenId(left[base::random_u64(base::child_seed(seed, row), said) % left.size()]);
}

class Names final : public engine::Listener {
 public:
  bool on_token(SequenceId sequence, const models::Sample& sample) override {
    tokens[sequence].push_back(sample.token.value());
    return true;
  }
  void on_end(SequenceId /*sequence*/, const engine::Ending& ending) override {
    if (ending.error) error = ending.error;
  }
  std::map<SequenceId, std::vector<std::int32_t>> tokens = {};
  std::optional<base::Error> error = {};
};

struct List {
  Coverage coverage = {};
  double steps = 0;
  double repeats = 0;
};

List count(const Names& names) {
  List list;
  std::array<std::size_t, kLetters> times = {};
  std::size_t distinct = 0;
  for (std::size_t step = 0; step < kBudget; ++step) {
    for (const auto& [row, tokens] : names.tokens) {
      if (step < tokens.size() && times[static_cast<std::size_t>(tokens[step])]++ == 0) ++distinct;
    }
    list.coverage.push_back(static_cast<double>(distinct) / kLetters);
    if (distinct == kLetters && list.steps == 0) list.steps = static_cast<double>(step + 1);
  }
  if (list.steps == 0) list.steps = kBudget;
  for (const std::size_t n : times) list.repeats += n > 1 ? static_cast<double>(n - 1) : 0;
  return list;
}

Result<List> name_letters(std::size_t rows, bool together, std::uint64_t seed) {
  engine::StoryRunner runner(
      {.vocabulary = 64}, [seed](std::span<const TokenId> seen) { return next_letter(seen, seed); }, TokenId(kEnd));
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, {.kv_bytes = 64 * runner.page_bytes()}));
  Names names;
  std::vector<SequenceId> all;
  for (std::size_t i = 0; i < rows; ++i) {
    PLAIT_TRY(const SequenceId row, engine->create({}));
    all.push_back(row);
    if (together && i == 0) {
      PLAIT_TRY(const SequenceId prompt, engine->create({}));
      PLAIT_TRY_VOID(engine->append(prompt, std::array{TokenId(kPrompt)}));
      PLAIT_TRY_VOID(engine->generate(prompt, {.prompt_only = true, .listener = &names}));
      while (engine->step()) {
      }
      all.push_back(prompt);
    }
    if (together) {
      PLAIT_TRY_VOID(engine->join(row, all[1], 0));
    } else {
      PLAIT_TRY_VOID(engine->append(row, std::array{TokenId(kPrompt)}));
    }
    PLAIT_TRY_VOID(engine->append(row, std::array{TokenId(kMarker + static_cast<std::int32_t>(i))}));
  }
  std::vector<SequenceId> thinkers = all;
  if (together) thinkers.erase(thinkers.begin() + 1);
  const auto slot = [](std::size_t i) { return static_cast<std::ptrdiff_t>(1 + i * (kBudget + 1)); };
  for (std::size_t i = 0; together && i < rows; ++i) {
    for (std::size_t other = 0; other < rows; ++other) {
      if (other == i) continue;
      PLAIT_TRY_VOID(
          engine->watch(thinkers[i], thinkers[other], {.other_position = slot(other), .own_position = slot(i)}));
    }
  }
  for (const SequenceId row : thinkers) {
    engine::GenerateOptions options;
    options.tokens_max = kBudget;
    options.stop.push_back(TokenId(kEnd));
    options.listener = &names;
    PLAIT_TRY_VOID(engine->generate(row, options));
  }
  while (engine->step()) {
  }
  for (const SequenceId one : all) engine->close(one);
  if (names.error) return std::unexpected(*names.error);
  return count(names);
}

}  // namespace

double LetterFigures::steps_ratio(std::size_t rows) const { return steps_together.at(rows) / steps_together.at(1); }

Result<LetterFigures> run_letter_lists(const LetterOptions& options) {
  LetterFigures figures;
  const auto lists = static_cast<double>(options.lists);
  for (const std::size_t rows : options.rows) {
    for (const bool together : {true, false}) {
      Coverage& coverage = (together ? figures.together : figures.independent)[rows];
      double& steps = (together ? figures.steps_together : figures.steps_independent)[rows];
      double& repeats = (together ? figures.repeats_together : figures.repeats_independent)[rows];
      coverage.assign(kBudget, 0);
      for (std::uint64_t seed = 0; seed < options.lists; ++seed) {
        PLAIT_TRY(const List list, name_letters(rows, together, seed));
        for (std::size_t i = 0; i < kBudget; ++i) coverage[i] += list.coverage[i] / lists;
        steps += list.steps / lists;
        repeats += list.repeats / lists;
      }
    }
  }
  return figures;
}

std::string letters_text(const LetterFigures& figures) {
  std::string text =
      "Scripted rows that name 26 letters, each any that it sees nowhere: tokens of each until all are named\n"
      "  rows   seeing each other   repeats   independent   repeats\n";
  for (const auto& [rows, steps] : figures.steps_together) {
    text += fmt::format("  {:>4}   {:>17.1f}   {:>7.1f}   {:>11.1f}   {:>7.1f}\n", rows, steps,
                        figures.repeats_together.at(rows), figures.steps_independent.at(rows),
                        figures.repeats_independent.at(rows));
  }
  return text;
}

text::Json letters_json(const LetterFigures& figures) {
  text::Json json = text::Json::array();
  for (const auto& [rows, steps] : figures.steps_together) {
    json.push_back({{"rows", rows},
                    {"steps_together", steps},
                    {"steps_independent", figures.steps_independent.at(rows)},
                    {"repeats_together", figures.repeats_together.at(rows)},
                    {"repeats_independent", figures.repeats_independent.at(rows)},
                    {"coverage_together", figures.together.at(rows)},
                    {"coverage_independent", figures.independent.at(rows)}});
  }
  return json;
}

ChartPanel letters_panel(const LetterFigures& figures) {
  ChartPanel panel{.title = "Letters named, of all", .series = {}};
  const auto add = [&](std::string name, const Coverage& coverage) {
    ChartSeries series{.name = std::move(name), .x = {}, .y = {}};
    for (std::size_t i = 0; i < coverage.size(); ++i) {
      series.x.push_back(static_cast<double>(i + 1));
      series.y.push_back(coverage[i]);
    }
    panel.series.push_back(std::move(series));
  };
  for (const auto& [rows, coverage] : figures.together) add(fmt::format("{} seeing each other", rows), coverage);
  for (const auto& [rows, coverage] : figures.independent) {
    if (rows > 1) add(fmt::format("{} independent", rows), coverage);
  }
  return panel;
}

}  // namespace plait::evaluation
