// SPDX-License-Identifier: Apache-2.0
#include "cli/tokenize.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>

#include "cli/model_verbs.h"
#include "cli/text_input.h"
#include "models/gguf.h"
#include "models/tokenizer.h"
#include "text/json.h"

namespace plait::cli {
namespace {

struct TokenizeOptions {
  std::string text = {};
  std::string file = {};
  bool ids = false;
  bool count = false;
  bool decode = false;
  bool no_special = false;
  bool no_parse = false;
};

base::Result<std::vector<base::TokenId>> parse_ids(std::string_view text, const models::Tokenizer& tokenizer) {
  std::vector<base::TokenId> ids;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    while (at != end && std::string_view(" \t\r\n,[]").contains(*at)) ++at;
    if (at == end) return ids;
    std::int32_t id = 0;
    const auto parsed = std::from_chars(at, end, id);
    if (parsed.ec != std::errc() || id < 0 || static_cast<std::size_t>(id) >= tokenizer.size()) {
      return base::fail(base::ErrorCode::invalid_argument,
                        fmt::format("`{}` is no token id; ids are 0 to {}",
                                    std::string_view(at, std::min<std::size_t>(20, static_cast<std::size_t>(end - at))),
                                    tokenizer.size() - 1));
    }
    ids.emplace_back(id);
    at = parsed.ptr;
  }
}

void print_tokens(const std::vector<base::TokenId>& ids, const models::Tokenizer& tokenizer,
                  const TokenizeOptions& options, bool json) {
  if (json) {
    auto list = text::Json::array();
    for (const auto id : ids) list.push_back(id.value());
    print("{}\n", text::Json{{"count", ids.size()}, {"ids", list}}.dump());
  } else if (options.count) {
    print("{}\n", ids.size());
  } else if (options.ids) {
    for (std::size_t i = 0; i < ids.size(); ++i) print("{}{}", i == 0 ? "" : " ", ids[i].value());
    print("\n");
  } else {
    for (const auto id : ids) {
      const auto piece = text::Json(std::string(tokenizer.piece(id)));
      print("{:>8}  {}\n", id.value(), piece.dump(-1, ' ', false, text::Json::error_handler_t::replace));
    }
  }
}

base::Result<void> tokenize(const TokenizeOptions& options, const Session& session) {
  std::string text = options.text;
  if (!options.file.empty()) {
    PLAIT_TRY(text, read_text(options.file));
  } else if (text.empty()) {
    PLAIT_TRY(text, read_standard_input("plait tokenize \"Hello\""));
  }
  PLAIT_TRY(const auto path, resolve_model(session.config));
  PLAIT_TRY(const auto file, models::GgufFile::open(path));
  PLAIT_TRY(const auto tokenizer, models::Tokenizer::load(file));
  if (options.decode) {
    PLAIT_TRY(const auto ids, parse_ids(text, *tokenizer));
    const std::string decoded = tokenizer->decode(ids, true);
    print("{}\n", session.json ? text::Json{{"text", decoded}}.dump() : decoded);
    return {};
  }
  const models::EncodeOptions how{.add_special = !options.no_special, .parse_special = !options.no_parse};
  print_tokens(tokenizer->encode(text, how), *tokenizer, options, session.json);
  return {};
}

}  // namespace

void add_tokenize(CLI::App& app, Session& session) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* verb = app.add_subcommand("tokenize", "Show the tokens of a text");
  verb->add_option("text", options->text, "The text; without it, standard input is read");
  verb->add_option("-f,--file", options->file, "Read the text from a file (- for standard input)");
  auto* ids = verb->add_flag("--ids", options->ids, "Only the ids, in one line");
  verb->add_flag("--count", options->count, "Only how many there are")->excludes(ids);
  verb->add_flag("--decode", options->decode, "The other way: token ids in, text out");
  verb->add_flag("--no-special", options->no_special, "Without the tokens that begin and end a text");
  verb->add_flag("--no-parse-special", options->no_parse, "Take `<|im_end|>` and its like as ordinary text");
  add_setting(*verb, session, "-m,--model", "model");
  verb->footer("Example: plait tokenize \"Hello, world\"");
  verb->callback([&session, options] { session.action = [&session, options] { return tokenize(*options, session); }; });
}

}  // namespace plait::cli
