// SPDX-License-Identifier: Apache-2.0
#include "cli/ask.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/engine_settings.h"
#include "cli/model_session.h"
#include "cli/text_input.h"
#include "os/interrupt.h"
#include "os/terminal.h"
#include "text/json.h"

namespace plait::cli {
namespace {

struct AskOptions {
  std::string question = {};
  std::string system = {};
  bool raw = false;
  bool statistics = false;
  SamplingFlags sampling = {};
};

text::Json logprobs_json(const Generation& generation, const models::Tokenizer& tokenizer) {
  const auto entry = [&](base::TokenId token, float logprob) {
    const std::vector<base::TokenId> one{token};
    return text::Json{{"id", token.value()}, {"token", tokenizer.decode(one, true)}, {"logprob", logprob}};
  };
  auto list = text::Json::array();
  for (std::size_t i = 0; i < generation.logprobs.size(); ++i) {
    text::Json item = entry(generation.tokens[i], generation.logprobs[i].chosen);
    item["top"] = text::Json::array();
    for (const auto& other : generation.logprobs[i].top) item["top"].push_back(entry(other.token, other.logprob));
    list.push_back(std::move(item));
  }
  return list;
}

void print_json(const Generation& generation, const LoadedModel& loaded) {
  text::Json report{
      {"model", loaded.name},
      {"text", generation.text},
      {"finish_reason", name(generation.reason)},
      {"usage", {{"prompt_tokens", generation.prompt_tokens}, {"completion_tokens", generation.tokens.size()}}},
      {"seconds",
       {{"load", loaded.load_seconds}, {"prompt", generation.prompt_seconds}, {"decode", generation.decode_seconds}}},
  };
  if (!generation.logprobs.empty()) report["logprobs"] = logprobs_json(generation, *loaded.tokenizer);
  print("{}\n", report.dump());
}

base::Result<std::vector<base::TokenId>> prompt_tokens(const AskOptions& options, const std::string& question,
                                                       const LoadedModel& loaded, const Session& session) {
  if (options.raw) return loaded.tokenizer->encode(question);
  auto messages = text::Json::array();
  if (!options.system.empty()) messages.push_back({{"role", "system"}, {"content", options.system}});
  messages.push_back({{"role", "user"}, {"content", question}});
  if (loaded.chat->is_plain()) note(session, loaded.name + " has no chat template: the question goes in as plain text");
  return chat_prompt(loaded, messages);
}

// The shell expects a line break after the answer; a pipe gets the text as it is, and one line break.
void end_line(const Generation& generation) {
  if (generation.text.empty() || generation.text.back() != '\n') print("\n");
}

base::Result<void> ask(const AskOptions& options, const Session& session) {
  std::string question = options.question;
  if (question.empty()) {
    PLAIT_TRY(question, read_standard_input("plait ask \"Why is the sky blue?\""));
  }
  PLAIT_TRY(const LoadedModel loaded, load_model(session));
  PLAIT_TRY(const GenerationOptions generation_flags, generation_options(options.sampling, *loaded.tokenizer));
  PLAIT_TRY(const auto prompt, prompt_tokens(options, question, loaded, session));
  Generator generator(*loaded.model, *loaded.tokenizer, *loaded.team, kv_setting(session.config));
  const os::InterruptGuard guard;
  const auto show = [&](std::string_view text) {
    if (session.json) return;
    print(text);
    std::fflush(stdout);
  };
  PLAIT_TRY(const Generation generation, generator.run(prompt, generation_flags, show, os::interrupt_requested));
  if (session.json) {
    print_json(generation, loaded);
  } else {
    end_line(generation);
  }
  if (options.statistics) {
    note(session, fmt::format("{}: loaded in {:.2f} s; {}", loaded.name, loaded.load_seconds, generation.statistics()));
  }
  if (generation.reason == FinishReason::interrupted) {
    return base::fail(base::ErrorCode::interrupted, "interrupted; what came so far is above");
  }
  if (generation.reason == FinishReason::length) {
    note(session, fmt::format("stopped after {} tokens; --max-tokens allows more", generation.tokens.size()));
  }
  return {};
}

}  // namespace

void add_ask(CLI::App& app, Session& session) {
  auto options = std::make_shared<AskOptions>();
  CLI::App* verb = app.add_subcommand("ask", "Answer one question");
  verb->add_option("question", options->question, "The question; without it, standard input is read");
  verb->add_option("-s,--system", options->system, "What the model is told before the question");
  verb->add_flag("--raw", options->raw, "Continue the text as it is, without chat template");
  verb->add_flag("--stats", options->statistics, "Show tokens and seconds on standard error");
  add_model_options(*verb, session);
  add_engine_options(*verb, session, false);
  add_sampling_options(*verb, options->sampling);
  verb->footer("Example: plait ask \"Why is the sky blue?\" --stats");
  verb->callback([&session, options] { session.action = [&session, options] { return ask(*options, session); }; });
}

}  // namespace plait::cli
