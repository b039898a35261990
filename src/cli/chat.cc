// SPDX-License-Identifier: Apache-2.0
#include "cli/chat.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>

#include "cli/conversation.h"
#include "cli/engine_settings.h"
#include "cli/line_reader.h"
#include "cli/model_session.h"
#include "os/file.h"
#include "os/interrupt.h"
#include "os/memory.h"
#include "os/terminal.h"

namespace plait::cli {
namespace {

constexpr auto kHelp =
    "/reset          forget the dialogue\n"
    "/system TEXT    begin anew with another system message\n"
    "/save FILE      write the dialogue as JSON\n"
    "/model NAME     go on with another model\n"
    "/stats          tokens and seconds of the last answer\n"
    "/help           this list\n"
    "/quit           leave, as Ctrl-D does\n"
    "Ctrl-C stops an answer; at the prompt it empties the line, and twice in a row it leaves.";

struct ChatOptions {
  std::string system = {};
  bool statistics = false;
  SamplingFlags sampling = {};
};

// One chat from start to end.
class Chat {
 public:
  Chat(const ChatOptions& options, const Session& session)
      : options_(options), session_(session), conversation_(options.system) {}

  base::Result<void> run() {
    const os::InterruptGuard guard;
    PLAIT_TRY_VOID(use_model({}));
    LineReader reader("> ");
    if (os::is_terminal(os::StandardStream::input)) note(session_, loaded_.name + "; /help shows what you can do");
    bool leaving = false;
    while (const auto line = reader.read()) {
      if (line->interrupted) {
        os::clear_interrupt();
        if (leaving) break;
        leaving = true;
        continue;
      }
      leaving = false;
      if (line->text.empty()) continue;
      if (line->text == "/quit" || line->text == "/exit") break;
      if (auto done = line->text.starts_with('/') ? command(line->text) : answer(line->text); !done) {
        note_error(done.error());
      }
    }
    return {};
  }

 private:
  // A mistake in one turn is told and the chat goes on: later lines may still be fine.
  void note_error(const base::Error& error) { note(session_, error.text()); }

  base::Result<void> use_model(const std::string& name) {
    PLAIT_TRY(auto loaded, load_model(session_, name));
    PLAIT_TRY(auto generation, generation_options(options_.sampling, *loaded.tokenizer));
    generator_.reset();
    loaded_ = std::move(loaded);
    generation_ = std::move(generation);
    if (loaded_.chat->is_plain()) note(session_, loaded_.name + " has no chat template: turns go in as plain text");
    generator_.emplace(*loaded_.model, *loaded_.tokenizer, *loaded_.team, kv_setting(session_.config));
    return {};
  }

  base::Result<void> answer(const std::string& text) {
    const auto show = [&](std::string_view piece) {
      if (session_.json) return;
      print(piece);
      std::fflush(stdout);
    };
    auto turn = conversation_.say(text, loaded_, *generator_, generation_, show, os::interrupt_requested);
    os::clear_interrupt();
    if (!turn) return std::unexpected(turn.error());
    const Generation& generation = turn->generation;
    if (session_.json) {
      const text::Json report{{"text", generation.text}, {"finish_reason", name(generation.reason)}};
      print("{}\n", report.dump());
    } else {
      print("\n");
    }
    std::fflush(stdout);
    statistics_ = generation.statistics();
    if (turn->turns_dropped > 0) {
      note(session_, fmt::format("the context is full: the oldest {} turns were dropped", turn->turns_dropped));
    }
    if (generation.reason == FinishReason::length) note(session_, "the answer was cut; --max-tokens allows more");
    if (options_.statistics) note(session_, statistics_);
    return {};
  }

  base::Result<void> command(const std::string& line) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string verb = line.substr(0, space);
    const std::string rest = space < line.size() ? line.substr(space + 1) : "";
    if (verb == "/reset") {
      conversation_.reset();
    } else if (verb == "/system") {
      conversation_.set_system(rest);
    } else if (verb == "/save") {
      return save(rest);
    } else if (verb == "/model") {
      if (!rest.empty()) PLAIT_TRY_VOID(use_model(rest));
      note(session_, loaded_.name);
    } else if (verb == "/stats") {
      note(session_, statistics_.empty() ? "no answer yet" : statistics_);
      note(session_, fmt::format("{} of memory in use", base::human_bytes(os::resident_bytes())));
    } else if (verb == "/help") {
      note(session_, kHelp);
    } else {
      return base::fail(base::ErrorCode::invalid_argument, verb + " is no command; /help lists them");
    }
    return {};
  }

  base::Result<void> save(const std::string& path) {
    if (path.empty()) return base::fail(base::ErrorCode::invalid_argument, "/save needs a file name");
    const text::Json document{{"model", loaded_.name}, {"messages", conversation_.messages()}};
    PLAIT_TRY_VOID(os::write_file_atomically(path, document.dump(2) + "\n"));
    note(session_, "written to " + path);
    return {};
  }

  const ChatOptions& options_;
  const Session& session_;
  LoadedModel loaded_ = {};
  GenerationOptions generation_ = {};
  std::optional<Generator> generator_ = {};  // refers to loaded_
  Conversation conversation_;
  std::string statistics_ = {};
};

}  // namespace

void add_chat(CLI::App& app, Session& session) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App* verb = app.add_subcommand("chat", "Talk with a model, turn by turn");
  verb->add_option("-s,--system", options->system, "What the model is told first");
  verb->add_flag("--stats", options->statistics, "Show tokens and seconds after every answer");
  add_model_options(*verb, session);
  add_engine_options(*verb, session, false);
  add_sampling_options(*verb, options->sampling);
  verb->footer("Example: plait chat --system \"Answer in one sentence.\"");
  verb->callback(
      [&session, options] { session.action = [&session, options] { return Chat(*options, session).run(); }; });
}

}  // namespace plait::cli
