// SPDX-License-Identifier: Apache-2.0
#include "cli/perplexity.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "cli/model_session.h"
#include "cli/progress.h"
#include "cli/text_input.h"
#include "models/perplexity.h"
#include "os/file.h"
#include "os/interrupt.h"
#include "text/json.h"

namespace plait::cli {
namespace {

struct PerplexityOptions {
  std::string file = {};
  std::string against = {};
  std::string positions = {};
  std::size_t window = 512;
  std::size_t windows_max = 0;
};

text::Json estimate_json(const models::Estimate& estimate) {
  return {{"value", estimate.value}, {"standard_error", estimate.error}};
}

void print_summary(const models::ScoreSummary& summary, const LoadedModel& loaded, const PerplexityOptions& options,
                   bool json) {
  const bool compared = !options.against.empty();
  if (json) {
    text::Json report{{"model", loaded.name},
                      {"window", options.window},
                      {"positions", summary.positions},
                      {"perplexity", estimate_json(summary.perplexity)}};
    if (compared) {
      report["against"] = {{"model", options.against},
                           {"perplexity", estimate_json(summary.base_perplexity)},
                           {"kl_divergence", estimate_json(summary.divergence)},
                           {"same_top_token", estimate_json(summary.same_top)},
                           {"margin_max", summary.margin_max}};
    }
    print("{}\n", report.dump());
    return;
  }
  print("positions        {} (windows of {} tokens, second halves)\n", summary.positions, options.window);
  print("perplexity       {:.4f} ± {:.4f}\n", summary.perplexity.value, summary.perplexity.error);
  if (!compared) return;
  print("against          {}: perplexity {:.4f} ± {:.4f}, ratio {:.4f}\n", options.against,
        summary.base_perplexity.value, summary.base_perplexity.error,
        summary.perplexity.value / summary.base_perplexity.value);
  print("KL divergence    {:.6f} ± {:.6f} nats\n", summary.divergence.value, summary.divergence.error);
  print("same top token   {:.2f} ± {:.2f} %\n", summary.same_top.value * 100, summary.same_top.error * 100);
  print("largest margin   {:.4f} logits, where the top tokens differ\n", summary.margin_max);
}

// One line per position, for scripts that compare position by position.
base::Result<void> write_positions(const std::string& path, const std::vector<models::PositionScore>& scores,
                                   bool compared) {
  std::string text = compared ? "index\ttoken\ttop\tlog_probability\tbase_log_probability\tdivergence\tbase_top\n"
                              : "index\ttoken\ttop\tlog_probability\n";
  for (const auto& score : scores) {
    text +=
        fmt::format("{}\t{}\t{}\t{:.9g}", score.index, score.token.value(), score.top.value(), score.log_probability);
    if (compared) {
      text += fmt::format("\t{:.9g}\t{:.9g}\t", score.base_log_probability, score.divergence);
      for (const auto& candidate : score.base_top)
        text += fmt::format("{}:{:.6g} ", candidate.token.value(), candidate.logit);
      text.pop_back();
    }
    text += '\n';
  }
  return os::write_file_atomically(path, text);
}

// The model to compare with: another one, or the same with the file's weights, exact attention and keys and values in
// f16 ("exact") or in plain floats.
base::Result<std::optional<LoadedModel>> load_base(const PerplexityOptions& options, const Session& session) {
  if (options.against.empty()) return std::nullopt;
  if (options.against == "reference") {
    PLAIT_TRY(auto loaded, load_model(session, {}, LoadAs::reference));
    return loaded;
  }
  if (options.against == "exact") {
    PLAIT_TRY(auto loaded, load_model(session, {}, LoadAs::exact));
    return loaded;
  }
  PLAIT_TRY(auto loaded, load_model(session, options.against));
  return loaded;
}

base::Result<void> perplexity(const PerplexityOptions& options, const Session& session) {
  PLAIT_TRY(const std::string text, read_text(options.file));
  PLAIT_TRY(const LoadedModel loaded, load_model(session));
  PLAIT_TRY(const auto other, load_base(options, session));
  const auto tokens = loaded.tokenizer->encode(text, {.add_special = false, .parse_special = false});
  const os::InterruptGuard guard;
  ProgressBar bar(session.progress, ProgressUnit::pieces);
  models::ScoreOptions score{.window = options.window, .windows_max = options.windows_max};
  if (loaded.tokenizer->add_bos()) score.first_token = loaded.tokenizer->bos();
  score.progress = [&](std::size_t done, std::size_t total) {
    bar.update("windows", done, total);
    return !os::interrupt_requested();
  };
  const models::Model* base_model = other ? other->model.get() : nullptr;
  PLAIT_TRY(const auto scores, models::score_text(*loaded.model, base_model, tokens, score, *loaded.team));
  bar.clear();
  if (!options.positions.empty()) {
    PLAIT_TRY_VOID(write_positions(options.positions, scores, base_model != nullptr));
  }
  print_summary(models::summarise(scores), loaded, options, session.json);
  return {};
}

}  // namespace

void add_perplexity(CLI::App& app, Session& session) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App* verb = app.add_subcommand("perplexity", "Measure how well a model predicts a text");
  verb->add_option("file", options->file, "A text file; - for standard input")->required();
  verb->add_option("--against", options->against,
                   "Compare with another model, with `reference`: the same in plain floats, or with `exact`: the same "
                   "without --weights, --attention and --kv-type");
  verb->add_option("--window", options->window, "Tokens read together; their second half is scored")
      ->capture_default_str();
  verb->add_option("--windows", options->windows_max, "Most windows to read; 0: the whole text")->capture_default_str();
  verb->add_option("--positions", options->positions, "Write one line per scored position to this file");
  add_model_options(*verb, session);
  verb->footer(
      "Example: plait perplexity README.md --against reference\n"
      "         plait perplexity README.md --weights int8 --against exact\n"
      "         plait perplexity README.md --attention bf16 --against exact\n"
      "         plait perplexity README.md --kv-type int8 --against exact");
  verb->callback(
      [&session, options] { session.action = [&session, options] { return perplexity(*options, session); }; });
}

}  // namespace plait::cli
