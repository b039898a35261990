// SPDX-License-Identifier: Apache-2.0
#include "cli/embed.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/engine_settings.h"
#include "cli/line_file.h"
#include "cli/model_session.h"
#include "engine/engine.h"
#include "os/interrupt.h"
#include "os/terminal.h"
#include "serving/exchange.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using text::Json;

constexpr std::size_t kRows = 64;    // as `plait batch` has it
constexpr std::size_t kAtOnce = 64;  // texts that are computed together; their vectors come then
constexpr std::size_t kLineBytesMax = std::size_t{64} << 20U;

struct EmbedFlags {
  std::vector<std::string> texts = {};
  std::string file = {};
  std::string pooling = {};
  std::size_t dimensions = 0;
};

/// Texts, one after the other: those of the command line, else lines that are not blank.
class Texts {
 public:
  static Result<Texts> open(const EmbedFlags& flags) {
    Texts texts;
    texts.given_ = flags.texts;
    if (!texts.given_.empty()) return texts;
    if (flags.file.empty() && os::is_terminal(os::StandardStream::input)) {
      return fail(ErrorCode::invalid_argument, "no text given; try: plait embed \"Hello\"");
    }
    PLAIT_TRY(texts.lines_, LineFile::open(flags.file.empty() ? "-" : flags.file));
    return texts;
  }

  /// The next ones, at most `count`; none at the end.
  Result<Json> next(std::size_t count) {
    Json list = Json::array();
    while (list.size() < count && at_ < given_.size()) list.push_back(given_[at_++]);
    while (lines_ && list.size() < count) {
      PLAIT_TRY(auto line, lines_->next(kLineBytesMax));
      if (!line) break;
      if (line->size() > kLineBytesMax) return fail(ErrorCode::out_of_resources, "a line has more than 64 MiB");
      if (line->ends_with('\r')) line->pop_back();
      if (line->find_first_not_of(" \t") != std::string::npos) list.push_back(*std::move(line));
    }
    return list;
  }

 private:
  std::vector<std::string> given_;
  std::size_t at_ = 0;
  std::optional<LineFile> lines_;
};

/// A server's answer to these texts.
Result<Json> vectors_of(Json texts, const EmbedFlags& flags, engine::Engine& engine, const serving::Target& target) {
  Json body{{"input", std::move(texts)}};
  if (!flags.pooling.empty()) body["plait"]["pooling"] = flags.pooling;
  if (flags.dimensions > 0) body["dimensions"] = flags.dimensions;
  const auto refused = [](const serving::Refusal& refusal) {
    return fail(refusal.status >= 500 ? ErrorCode::internal : ErrorCode::invalid_argument, refusal.message);
  };
  auto request = serving::read_request(serving::Endpoint::embeddings, body, target, 0);
  if (!request) return refused(request.error());
  const auto exchange = serving::Exchange::start(engine, target, *std::move(request), {});
  if (!exchange) return refused(exchange.error());
  while (!(*exchange)->done()) {
    if (os::interrupt_requested()) return fail(ErrorCode::interrupted, "interrupted");
    engine.step();
  }
  if (const auto refusal = (*exchange)->refusal()) return refused(*refusal);
  return (*exchange)->reply({.model = target.model}).body["data"];
}

Result<void> embed(const EmbedFlags& flags, const Session& session) {
  PLAIT_TRY_VOID(check_engine_settings(session.config));
  PLAIT_TRY(Texts texts, Texts::open(flags));
  const os::InterruptGuard guard;
  PLAIT_TRY(const LoadedModel loaded, load_model(session));
  engine::ModelRunner runner(*loaded.model, *loaded.team);
  PLAIT_TRY(const EngineSettings settings, EngineSettings::make(session.config, runner, {.sequences = kRows}));
  engine::EngineOptions options = settings.options();
  options.rows_max = kRows;
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, options));
  serving::Grammars grammars(*loaded.tokenizer);
  const serving::Target target = target_of(loaded, *engine, grammars);
  for (std::size_t index = 0;;) {
    PLAIT_TRY(Json some, texts.next(kAtOnce));
    if (some.empty()) return {};
    PLAIT_TRY(const Json vectors, vectors_of(std::move(some), flags, *engine, target));
    for (const Json& one : vectors) {
      print("{}\n", Json{{"index", index++}, {"embedding", one["embedding"]}}.dump());
    }
  }
}

}  // namespace

void add_embed(CLI::App& app, Session& session) {
  auto flags = std::make_shared<EmbedFlags>();
  CLI::App* verb = app.add_subcommand("embed", "Make a vector of each text, one line of JSON each");
  auto* texts = verb->add_option("texts", flags->texts, "The texts; without them, lines of standard input");
  verb->add_option("-f,--file", flags->file, "Read them from a file, one a line (- for standard input)")
      ->excludes(texts);
  verb->add_option("--pooling", flags->pooling,
                   "mean of all tokens' hidden states, or the last token's; else what the model's file says")
      ->check(CLI::IsMember({"mean", "last"}));
  verb->add_option("--dimensions", flags->dimensions, "Only the first so many numbers, made to length 1 again")
      ->check(CLI::PositiveNumber);
  add_engine_options(*verb, session, false);
  add_model_options(*verb, session);
  verb->footer("Example: plait embed \"The sky is blue.\" \"Grass is green.\" --pooling mean");
  verb->callback([&session, flags] { session.action = [&session, flags] { return embed(*flags, session); }; });
}

}  // namespace plait::cli
