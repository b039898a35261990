// SPDX-License-Identifier: Apache-2.0
#include "cli/think.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/engine_settings.h"
#include "cli/model_session.h"
#include "cli/text_input.h"
#include "os/file.h"
#include "os/interrupt.h"
#include "reasoning/prompts.h"
#include "reasoning/state.h"
#include "reasoning/strategy.h"
#include "reasoning/thinking.h"
#include "serving/thought_reply.h"
#include "text/json.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using text::Json;

/// Options of strategies that have a flag of their own; the others are given by --option.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kFlags{{
    {"--workers", "workers"},
    {"--thinkers", "thinkers"},
    {"--layout", "layout"},
    {"-n", "n"},
    {"--select", "select"},
    {"--aggregate", "aggregate"},
    {"--verifier", "verifier"},
    {"--rounds", "rounds"},
    {"--keep", "keep"},
    {"--distill", "distill"},
    {"--children", "children"},
    {"--budget", "budget"},
}};

struct ThinkFlags {
  std::string question = {};
  std::string system = {};
  std::string strategy = "best-of";
  std::map<std::string, std::string> options = {};
  std::vector<std::string> set = {};
  std::string prompts = {};
  std::size_t tokens_all = 0;
  double seconds = 0;
  bool raw = false;
  bool explain = false;
  bool list = false;
  bool show = false;
  SamplingFlags sampling = {};
};

/// "4" is a number, "16,8,4" a list of numbers, "true" a flag, anything else a text.
Json option_value(const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  const bool numbers = !text.empty() && text.find_first_not_of("0123456789,") == std::string::npos;
  if (!numbers || text.size() > 200) return text;
  auto parsed = text::parse_json(text.find(',') == std::string::npos ? text : "[" + text + "]");
  return parsed ? *std::move(parsed) : Json(text);
}

Result<Json> strategy_options(const ThinkFlags& flags) {
  Json options = Json::object();
  for (const auto& [name, value] : flags.options) {
    if (!value.empty()) options[name] = option_value(value);
  }
  for (const std::string& one : flags.set) {
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::invalid_argument, fmt::format("--option {}: write NAME=VALUE", one));
    }
    options[one.substr(0, equals)] = option_value(one.substr(equals + 1));
  }
  return options;
}

Result<reasoning::Prompts> load_prompts(const std::string& folder) {
  reasoning::Prompts prompts = reasoning::Prompts::built_in();
  if (folder.empty()) return prompts;
  bool any = false;
  for (const std::string& name : prompts.names()) {
    const std::filesystem::path file = std::filesystem::path(folder) / (name + ".txt");
    std::error_code error;
    if (!std::filesystem::exists(file, error)) continue;
    PLAIT_TRY(const std::string source, os::read_file(file, std::size_t{1} << 20U));
    if (auto replaced = prompts.replace(name, source); !replaced) {
      return fail(std::move(replaced).error(), "in " + file.string());
    }
    any = true;
  }
  if (any) return prompts;
  return fail(ErrorCode::not_found, fmt::format("{} has none of the prompts: {}.txt, …", folder, prompts.names()[0]));
}

void list_strategies(const Session& session) {
  const reasoning::StrategyRegistry strategies = reasoning::all_strategies();
  if (session.json) {
    Json all = Json::array();
    for (const auto& one : strategies.all()) {
      all.push_back({{"name", one.name}, {"about", one.about}, {"options", one.options}});
    }
    return print("{}\n", all.dump());
  }
  for (const auto& one : strategies.all()) print("{:<12} {}\n{:<12} {}\n", one.name, one.about, "", one.options);
}

/// Shows what happens while it does: a line for each call, or their texts as they come.
class Watcher {
 public:
  Watcher(const Session& session, bool show) : session_(session), show_(show) {}

  void operator()(const reasoning::ThoughtEvent& event) {
    const reasoning::CallRecord& call = *event.call;
    switch (event.kind) {
      case reasoning::ThoughtEvent::Kind::opened:
        return;
      case reasoning::ThoughtEvent::Kind::text:
        return add(call, event.text);
      case reasoning::ThoughtEvent::Kind::closed:
        if (show_) flush(call);
        return note(session_,
                    fmt::format("{}: {} tokens in {:.2f} s ({} of {} prompt tokens were there)", call.label,
                                call.generated_tokens, call.end - call.start, call.cached_tokens, call.prompt_tokens));
      case reasoning::ThoughtEvent::Kind::failed:
        return note(session_, fmt::format("{}: {}", call.label, event.text));
    }
  }

 private:
  void add(const reasoning::CallRecord& call, std::string_view text) {
    if (!show_) return;
    std::string& line = lines_[call.id];
    line += text;
    for (std::size_t end = line.find('\n'); end != std::string::npos; end = line.find('\n')) {
      note(session_, fmt::format("[{}] {}", call.label, line.substr(0, end)));
      line.erase(0, end + 1);
    }
  }
  void flush(const reasoning::CallRecord& call) {
    const auto line = lines_.extract(call.id);
    if (!line.empty() && !line.mapped().empty()) note(session_, fmt::format("[{}] {}", call.label, line.mapped()));
  }

  const Session& session_;
  bool show_;
  std::map<std::uint64_t, std::string> lines_;  // unfinished ones, by call
};

void explain(const Session& session, const reasoning::Strategy& strategy, const reasoning::Bound& bound,
             const ThinkFlags& flags) {
  const std::size_t budget =
      flags.tokens_all > 0 ? std::min(flags.tokens_all, bound.generated_tokens) : bound.generated_tokens;
  if (session.json) {
    Json json = serving::bound_json(bound);
    json["strategy"] = strategy.name();
    json["budget"] = budget;
    return print("{}\n", json.dump());
  }
  print(
      "{} takes at most\n  {} rows at the same time\n  {} generated tokens, {} of them one after another\n"
      "  {} tokens of prompts, those found computed included\n",
      strategy.name(), bound.rows, budget, std::min(bound.critical_path_tokens, budget), bound.prompt_tokens);
}

void report(const Session& session, const reasoning::Thought& thought) {
  if (session.json) {
    Json json = serving::thought_json(thought);
    json["answer"] = thought.answer;
    return print("{}\n", text::dump_json(json));
  }
  print("{}\n", thought.answer);
  const reasoning::Spending spent = thought.spending();
  std::string line = fmt::format("{} calls, {} tokens, {} of them one after another", spent.calls,
                                 spent.generated_tokens, spent.critical_path_tokens);
  if (!thought.selector.empty()) line += "; chosen by " + thought.selector;
  for (const auto& [name, times] : thought.counts) line += fmt::format("; {} {}", name, times);
  note(session, line);
}

Result<void> think(const ThinkFlags& flags, const Session& session) {
  if (flags.list) {
    list_strategies(session);
    return {};
  }
  PLAIT_TRY(const Json json, strategy_options(flags));
  PLAIT_TRY(const auto strategy, reasoning::all_strategies().make(flags.strategy, json));
  PLAIT_TRY(const reasoning::Prompts prompts, load_prompts(flags.prompts));
  std::string question = flags.question;
  if (question.empty()) {
    PLAIT_TRY(question, read_standard_input("plait think \"Which is larger, 9.9 or 9.11?\""));
  }
  PLAIT_TRY(const LoadedModel loaded, load_model(session));
  PLAIT_TRY(const GenerationOptions generation, generation_options(flags.sampling, *loaded.tokenizer));
  reasoning::ThinkOptions options{.sampler = generation.sampler,
                                  .call_tokens = std::max<std::size_t>(1, generation.tokens_max),
                                  .tokens_max = flags.tokens_all};
  if (flags.raw) {
    options.raw = question;
  } else {
    if (!flags.system.empty()) options.messages.push_back({{"role", "system"}, {"content", flags.system}});
    options.messages.push_back({{"role", "user"}, {"content", question}});
  }
  const base::Clock& clock = base::steady_clock();
  if (flags.seconds > 0) options.deadline = clock.now() + flags.seconds;
  Watcher watcher(session, flags.show && !session.json);
  options.events = std::ref(watcher);

  const reasoning::StrandModel model{.tokenizer = loaded.tokenizer.get(),
                                     .chat = &*loaded.chat,
                                     .context = loaded.model->context(),
                                     .vocabulary = loaded.model->vocabulary()};
  const reasoning::Piece plain = reasoning::text_piece(*loaded.tokenizer, question);
  const reasoning::Bound bound = strategy->bound(plain.tokens.size(), options.call_tokens);
  if (flags.explain) {
    explain(session, *strategy, bound, flags);
    return {};
  }
  engine::ModelRunner runner(*loaded.model, *loaded.team);
  PLAIT_TRY(const EngineSettings settings,
            EngineSettings::make(session.config, runner, {.sequences = std::max<std::size_t>(bound.rows, 1) + 1}));
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, settings.options()));
  reasoning::Strands strands(*engine, model);
  reasoning::Thinking thinking(strands, *engine, clock, prompts, std::move(options));
  const os::InterruptGuard guard;
  const reasoning::Value<reasoning::Thought> value = thinking.run(*strategy);
  while (!value.ready()) {
    if (os::interrupt_requested()) {
      thinking.cancel();
    } else if (!engine->step()) {
      break;
    }
  }
  if (!value.ready()) return fail(ErrorCode::internal, "nothing runs that the answer would come of");
  PLAIT_TRY(const reasoning::Thought thought, value.result());
  report(session, thought);
  if (thought.reason == engine::EndReason::cancelled) {
    return fail(ErrorCode::interrupted, "interrupted; what was reached is above");
  }
  if (thought.reason != engine::EndReason::stop) {
    note(session, fmt::format("ended early ({}): what was reached is above", name(thought.reason)));
  }
  return {};
}

}  // namespace

void add_think(CLI::App& app, Session& session) {
  auto flags = std::make_shared<ThinkFlags>();
  flags->sampling.generation.sampler.temperature = 0.7;
  flags->sampling.generation.tokens_max = 512;
  CLI::App* verb = app.add_subcommand("think", "Think about one question with several strands");
  verb->add_option("question", flags->question, "The question; without it, standard input is read");
  verb->add_option("-s,--system", flags->system, "What the model is told before the question");
  verb->add_option("--strategy", flags->strategy, "How: a name that --list shows")->capture_default_str();
  for (const auto& [flag, name] : kFlags) {
    verb->add_option(std::string(flag), flags->options[std::string(name)],
                     fmt::format("The strategy's option {}", name));
  }
  verb->add_option("-o,--option", flags->set, "Any option of the strategy: NAME=VALUE; may be given several times")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  verb->add_option("--tokens-all", flags->tokens_all, "Most tokens of all strands together; 0: what --explain says");
  verb->add_option("--seconds", flags->seconds, "End after so long, with what is reached; 0: never")
      ->check(CLI::Range(0.0, 1e6));
  verb->add_option("--prompts", flags->prompts, "A folder of NAME.txt that replace what strategies say to the model");
  verb->add_flag("--raw", flags->raw, "The question is the text that the model goes on from, without chat template");
  verb->add_flag("--show", flags->show, "Show what each strand writes, on standard error");
  verb->add_flag("--explain", flags->explain, "Say what it takes at most, and do nothing");
  verb->add_flag("--list", flags->list, "The strategies and their options");
  add_model_options(*verb, session);
  add_engine_options(*verb, session, true);
  add_sampling_options(*verb, flags->sampling, "--max-tokens");
  verb->footer("Example: plait think --strategy best-of -n 8 \"What is 17 times 24?\"");
  verb->callback([&session, flags] { session.action = [&session, flags] { return think(*flags, session); }; });
}

}  // namespace plait::cli
