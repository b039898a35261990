// SPDX-License-Identifier: Apache-2.0
#include "serving/strand_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "serving/prompt.h"

namespace plait::serving {
namespace {

using text::Json;

constexpr std::size_t kNameBytes = 200;
constexpr std::size_t kOptionsMax = 256;
constexpr std::size_t kOptionsBytes = std::size_t{64} << 10U;  // of all together: the engine's thread tokenises them
constexpr std::size_t kChildrenMax = 1024;
constexpr std::size_t kSeparatorBytes = 4096;
constexpr std::size_t kGenTokens = 256;  // of a gen without max_tokens

Accepted<void> check_object(const Json& body) {
  if (body.is_object()) return {};
  return std::unexpected(Refusal{.message = "the body must be a JSON object"});
}

Accepted<std::string> short_text(Fields& fields, std::string_view name, std::size_t bytes_max) {
  PLAIT_TRY(const auto text, fields.text(name));
  if (text && text->size() > bytes_max) {
    return bad_value(fields.full_name(name), fmt::format("must have at most {} bytes", bytes_max));
  }
  return text.value_or("");
}

Accepted<std::vector<std::string>> text_list(Fields& fields, std::string_view name, std::size_t most) {
  std::vector<std::string> texts;
  const Json* list = fields.find(name);
  if (list == nullptr) return texts;
  if (!list->is_array() || list->size() > most) {
    return bad_value(fields.full_name(name), fmt::format("must be a list of at most {} strings", most));
  }
  for (const Json& item : *list) {
    if (!item.is_string()) {
      return bad_value(fmt::format("{}[{}]", fields.full_name(name), texts.size()), "must be a string");
    }
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

// Reads `wait`, and what nobody has asked for.
Accepted<StrandAnswer> answer_of(Fields& fields) {
  StrandAnswer answer;
  PLAIT_TRY(const auto wait, fields.flag("wait"));
  answer.wait = wait.value_or(true);
  for (const std::string& name : fields.unknown()) {
    if (answer.warnings.size() < 16) answer.warnings.push_back("unknown field ignored: " + name);
  }
  return answer;
}

// What /v1/completions makes of the fields that it shares with strands; those in `own` are read elsewhere. Its prompt
// is any token: the real one is in the strand.
Accepted<Request> read_shared(Json body, std::initializer_list<const char*> own, const Target& target,
                              std::uint64_t seed) {
  for (const char* name : own) body.erase(name);
  for (const char* name : {"prompt", "echo", "suffix", "n", "best_of"}) {
    if (body.contains(name) && !body[name].is_null()) return not_supported(name, "has no meaning for strands");
  }
  if (!body.contains("plait") || body["plait"].is_null()) body["plait"] = Json::object();
  if (body["plait"].is_object()) body["plait"]["prompt_token_ids"] = Json::array({0});
  if (!body.contains("max_tokens") && !body.contains("max_completion_tokens")) {
    const std::size_t held = target.kv_tokens == 0 ? target.context : std::min(target.context, target.kv_tokens);
    body["max_tokens"] = std::clamp<std::size_t>(kGenTokens, 1, std::max<std::size_t>(held, 2) - 1);
  }
  return read_request(Endpoint::completions, body, target, seed);
}

Accepted<reasoning::Piece> messages_piece(const Json& body, Fields& fields, const Target& target) {
  Json adapted = body;
  if (adapted["messages"].is_array()) {
    for (Json& message : adapted["messages"]) {
      // The newer name of the same role, which templates do not know.
      if (message.is_object() && message.value("role", Json()) == "developer") message["role"] = "system";
    }
  }
  Fields inner(adapted);
  PLAIT_TRY(auto prompts, chat_prompts(inner, target, false, {}));
  PLAIT_TRY(const Json* kwargs, fields.object("chat_template_kwargs"));
  PLAIT_TRY(const auto effort, fields.text("reasoning_effort"));
  reasoning::Piece piece{.kind = reasoning::Piece::Kind::messages,
                         .text = std::move(prompts.front().text),
                         .tokens = std::move(prompts.front().tokens),
                         .messages = std::move(adapted["messages"])};
  if (kwargs != nullptr) piece.options.kwargs = *kwargs;
  if (effort) piece.options.kwargs["reasoning_effort"] = *effort;
  return piece;
}

Accepted<std::optional<reasoning::Piece>> read_piece(const Json& body, Fields& fields, const Target& target) {
  const Json* messages = fields.find("messages");
  const Json* ids = fields.find("token_ids");
  PLAIT_TRY(auto text, fields.text("text"));
  PLAIT_TRY(const auto special, fields.flag("parse_special"));
  if ((messages != nullptr ? 1 : 0) + (ids != nullptr ? 1 : 0) + (text ? 1 : 0) > 1) {
    return bad_value("text", "must not stand beside messages or token_ids: append one after the other");
  }
  std::optional<reasoning::Piece> piece;
  if (text) piece = reasoning::text_piece(*target.tokenizer, *std::move(text), special.value_or(true));
  if (messages != nullptr) {
    PLAIT_TRY(piece, messages_piece(body, fields, target));
  }
  if (ids != nullptr) {
    PLAIT_TRY(auto tokens, token_list(*ids, target.vocabulary, "token_ids"));
    piece = reasoning::token_piece(std::move(tokens));
  }
  if (piece && piece->tokens.size() > target.context) {
    return std::unexpected(
        Refusal{.message = fmt::format("{} tokens are beyond the context of {}", piece->tokens.size(), target.context),
                .param = text ? "text" : (ids != nullptr ? "token_ids" : "messages"),
                .code = "context_length_exceeded"});
  }
  return piece;
}

}  // namespace

reasoning::StrandModel strand_model(const Target& target) {
  reasoning::StrandModel model{.tokenizer = target.tokenizer,
                               .chat = target.chat,
                               .context = target.context,
                               .vocabulary = completed(target).vocabulary};
  if (target.grammars != nullptr) model.words = [grammars = target.grammars] { return grammars->plain_table(); };
  return model;
}

Accepted<CreateRequest> read_create(const Json& body, const Target& given, std::uint64_t seed) {
  const Target target = completed(given);
  PLAIT_TRY_VOID(check_object(body));
  PLAIT_TRY(Request shared, read_shared(body,
                                        {"text", "messages", "token_ids", "parse_special", "heal", "wait",
                                         "chat_template_kwargs", "reasoning_effort"},
                                        target, seed));
  Fields fields(body);
  CreateRequest request;
  PLAIT_TRY(request.piece, read_piece(body, fields, target));
  PLAIT_TRY(const auto heal, fields.flag("heal"));
  request.options.heal = heal.value_or(true);
  request.options.sequence = shared.prompts.front().options;
  request.options.seed = shared.prompts.front().generate.sampler.seed;
  request.answer.warnings = std::move(shared.reply.warnings);
  return request;
}

Accepted<AppendRequest> read_append(const Json& body, const Target& given) {
  const Target target = completed(given);
  PLAIT_TRY_VOID(check_object(body));
  Fields fields(body);
  AppendRequest request;
  PLAIT_TRY(auto piece, read_piece(body, fields, target));
  if (!piece) {
    return std::unexpected(Refusal{.message = "one of text, messages and token_ids is missing",
                                   .param = "text",
                                   .code = "missing_required_parameter"});
  }
  request.piece = *std::move(piece);
  PLAIT_TRY(request.answer, answer_of(fields));
  return request;
}

Accepted<GenRequest> read_gen(const Json& body, const Target& given) {
  const Target target = completed(given);
  PLAIT_TRY_VOID(check_object(body));
  if (const auto messages = body.find("messages"); messages != body.end() && !messages->is_null()) {
    return not_supported("messages", "append them first");
  }
  PLAIT_TRY(Request shared, read_shared(body, {"name", "wait"}, target, 0));
  Fields fields(body);
  GenRequest request;
  PLAIT_TRY(request.name, short_text(fields, "name", kNameBytes));
  PLAIT_TRY(const auto wait, fields.flag("wait"));
  const auto& generate = shared.prompts.front().generate;
  request.options.generate = {.sampler = generate.sampler,
                              .tokens_max = generate.tokens_max,
                              .prompt_only = generate.prompt_only,
                              .returns = generate.returns,
                              .patient = !shared.reply.stream};
  request.options.seeded = fields.find("seed") != nullptr;
  request.options.stop = std::move(shared.stop);
  request.options.ignore_end = shared.ignore_eos;
  if (shared.grammar) request.options.grammar = [grammar = shared.grammar] { return grammar->masks(); };
  request.answer = {.wait = wait.value_or(true),
                    .stream = shared.reply.stream,
                    .logprobs = shared.reply.logprobs,
                    .token_ids = shared.reply.token_ids,
                    .warnings = std::move(shared.reply.warnings)};
  return request;
}

Accepted<SelectRequest> read_select(const Json& body) {
  PLAIT_TRY_VOID(check_object(body));
  Fields fields(body);
  SelectRequest request;
  PLAIT_TRY(request.name, short_text(fields, "name", kNameBytes));
  PLAIT_TRY(request.options, text_list(fields, "options", kOptionsMax));
  if (request.options.empty())
    return bad_value("options", fmt::format("must be a list of 1 to {} strings", kOptionsMax));
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < request.options.size(); ++i) {
    if (request.options[i].empty()) return bad_value(fmt::format("options[{}]", i), "must not be empty");
    bytes += request.options[i].size();
  }
  if (bytes > kOptionsBytes)
    return bad_value("options", fmt::format("must have at most {} bytes in all", kOptionsBytes));
  PLAIT_TRY(const auto rule, fields.text("rule"));
  const auto known = reasoning::find_rule(rule.value_or("mean"));
  if (!known) return bad_value("rule", "must be \"mean\", \"sum\" or \"unconditional\"");
  request.rule = *known;
  PLAIT_TRY(request.answer, answer_of(fields));
  return request;
}

Accepted<ForkRequest> read_fork(const Json& body, std::size_t most) {
  PLAIT_TRY_VOID(check_object(body));
  Fields fields(body);
  ForkRequest request;
  PLAIT_TRY(const auto count, fields.whole("n", 1, static_cast<std::int64_t>(most)));
  request.count = static_cast<std::size_t>(count.value_or(1));
  PLAIT_TRY(request.answer, answer_of(fields));
  return request;
}

Accepted<JoinRequest> read_join(const Json& body) {
  PLAIT_TRY_VOID(check_object(body));
  Fields fields(body);
  JoinRequest request;
  PLAIT_TRY(request.children, text_list(fields, "children", kChildrenMax));
  PLAIT_TRY(const auto how, fields.text("how"));
  const auto known = reasoning::find_how(how.value_or("text"));
  if (!known) return bad_value("how", "must be \"text\", \"variables\" or \"spans\"");
  request.options.how = *known;
  PLAIT_TRY(request.options.capture, short_text(fields, "capture", kNameBytes));
  PLAIT_TRY(request.options.separator, short_text(fields, "separator", kSeparatorBytes));
  PLAIT_TRY(const auto skip, fields.flag("skip_failed"));
  request.options.skip_failed = skip.value_or(false);
  PLAIT_TRY(request.answer, answer_of(fields));
  return request;
}

}  // namespace plait::serving
