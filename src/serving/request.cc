// SPDX-License-Identifier: Apache-2.0
#include "serving/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "serving/prompt.h"
#include "serving/thought_request.h"

namespace plait::serving {
namespace {

using base::TokenId;
using text::Json;

constexpr std::int64_t kAnyWhole = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kChoicesMax = 128;      // of one prompt, as OpenAI's API has it
constexpr std::size_t kGenerationsMax = 1024;  // of one request
constexpr std::size_t kInputsMax = 2048;       // of one request for embeddings, as OpenAI's API has it
constexpr std::int64_t kLogprobsMax = 20;
constexpr std::size_t kLogprobsOfPrompts = std::size_t{1} << 20U;  // in one reply: some 40 MB
constexpr std::size_t kCompletionTokens = 16;  // of /v1/completions without max_tokens, as its documentation says

Accepted<void> read_penalties(Fields& fields, models::SamplerOptions& sampler) {
  PLAIT_TRY(const auto repetition, fields.number("repetition_penalty", {0.01, 100}));
  PLAIT_TRY(const auto presence, fields.number("presence_penalty", {-2, 2}));
  PLAIT_TRY(const auto frequency, fields.number("frequency_penalty", {-2, 2}));
  sampler.repetition_penalty = repetition.value_or(1);
  sampler.presence_penalty = presence.value_or(0);
  sampler.frequency_penalty = frequency.value_or(0);
  return {};
}

Accepted<void> read_logit_bias(Fields& fields, std::size_t vocabulary, models::SamplerOptions& sampler) {
  PLAIT_TRY(const Json* biases, fields.object("logit_bias"));
  if (biases == nullptr) return {};
  for (const auto& [name, value] : biases->items()) {
    std::int32_t id = -1;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), id);
    const bool whole = parsed.ec == std::errc() && parsed.ptr == name.data() + name.size();
    if (!whole || id < 0 || std::cmp_greater_equal(id, vocabulary)) {
      return bad_value("logit_bias", fmt::format("must have token ids below {} as keys", vocabulary));
    }
    const double bias = value.is_number() ? value.get<double>() : std::nan("");
    if (!(bias >= -100 && bias <= 100)) return bad_value("logit_bias", "must have numbers from -100 to 100 as values");
    sampler.logit_bias.emplace_back(TokenId(id), bias);
  }
  return {};
}

Accepted<models::SamplerOptions> read_sampler(Fields& fields, std::size_t vocabulary, std::uint64_t seed) {
  models::SamplerOptions sampler;
  PLAIT_TRY(const auto temperature, fields.number("temperature", {0, 2}));
  PLAIT_TRY(const auto top_p, fields.number("top_p", {0, 1, true}));
  PLAIT_TRY(const auto top_k, fields.whole("top_k", -1, std::numeric_limits<int>::max()));
  PLAIT_TRY(const auto min_p, fields.number("min_p", {0, 1}));
  PLAIT_TRY(const auto given_seed, fields.whole("seed", std::numeric_limits<std::int64_t>::min(), kAnyWhole));
  sampler.temperature = temperature.value_or(1);
  sampler.top_p = top_p.value_or(1);
  sampler.top_k = static_cast<int>(std::max<std::int64_t>(0, top_k.value_or(0)));  // -1 is how some write "all"
  sampler.min_p = min_p.value_or(0);
  sampler.seed = given_seed ? static_cast<std::uint64_t>(*given_seed) : seed;
  PLAIT_TRY_VOID(read_penalties(fields, sampler));
  PLAIT_TRY_VOID(read_logit_bias(fields, vocabulary, sampler));
  return sampler;
}

Accepted<void> read_stop_item(const Json& item, std::size_t vocabulary, models::StopOptions& stop) {
  if (item.is_string()) {
    stop.strings.push_back(item.get<std::string>());
    return {};
  }
  const bool whole = item.is_number_integer() && !item.is_number_unsigned();
  const std::int64_t id = whole ? item.get<std::int64_t>() : -1;
  if (id < 0 || std::cmp_greater_equal(id, vocabulary)) {
    return bad_value("stop", "must be a string, or a list of strings and token ids");
  }
  stop.ids.emplace_back(static_cast<std::int32_t>(id));
  return {};
}

Accepted<void> read_stop(Fields& fields, std::size_t vocabulary, models::StopOptions& stop) {
  const Json* value = fields.find("stop");
  if (value == nullptr) return {};
  if (value->is_array()) {
    for (const Json& item : *value) PLAIT_TRY_VOID(read_stop_item(item, vocabulary, stop));
  } else {
    PLAIT_TRY_VOID(read_stop_item(*value, vocabulary, stop));
  }
  if (const auto stream = models::StopStream::make(stop); !stream) {
    return std::unexpected(Refusal{.message = stream.error().message, .param = "stop", .code = "invalid_value"});
  }
  return {};
}

Accepted<void> read_logprobs(Fields& fields, Request& request, models::SamplerOptions& sampler) {
  if (request.reply.endpoint == Endpoint::completions) {
    PLAIT_TRY(const auto count, fields.whole("logprobs", 0, kLogprobsMax));
    if (count) sampler.top_logprobs = static_cast<int>(*count);
  } else {
    PLAIT_TRY(const auto wanted, fields.flag("logprobs"));
    PLAIT_TRY(const auto count, fields.whole("top_logprobs", 0, kLogprobsMax));
    if (count && !wanted.value_or(false)) return bad_value("top_logprobs", "needs logprobs to be true");
    if (wanted.value_or(false)) sampler.top_logprobs = static_cast<int>(count.value_or(0));
  }
  request.reply.logprobs = sampler.top_logprobs.has_value();
  return {};
}

// What is there to be used later, and has no effect here.
Accepted<void> read_without_effect(Fields& fields, ReplyShape& reply) {
  PLAIT_TRY(const auto stream, fields.flag("stream"));
  reply.stream = stream.value_or(false);
  PLAIT_TRY(const Json* options, fields.object("stream_options"));
  if (options != nullptr) {
    Fields inner(*options, "stream_options.");
    PLAIT_TRY(const auto usage, inner.flag("include_usage"));
    reply.stream_usage = usage.value_or(false);
  }
  PLAIT_TRY_VOID(fields.text("service_tier"));
  return {};
}

// What plait will do one day and does not do yet must not be passed over in silence.
Accepted<void> refuse_unbuilt(Fields& fields, Endpoint endpoint) {
  if (endpoint == Endpoint::chat_completions) {
    const Json* modalities = fields.find("modalities");
    if (modalities != nullptr && *modalities != Json::array({"text"})) {
      return not_supported("modalities", "plait writes text only");
    }
    return {};
  }
  PLAIT_TRY(const auto suffix, fields.text("suffix"));
  if (suffix && !suffix->empty()) return not_supported("suffix", "insertion is not built yet");
  return {};
}

// How many answers to each prompt are made, and how many of those the client gets.
Accepted<std::size_t> read_samples(Fields& fields, ReplyShape& reply) {
  PLAIT_TRY(const auto given, fields.whole("n", 1, kChoicesMax));
  const std::int64_t choices = given.value_or(1);
  if (reply.endpoint != Endpoint::completions) return static_cast<std::size_t>(choices);
  PLAIT_TRY(const auto best_of, fields.whole("best_of", 1, kChoicesMax));
  const std::int64_t made = best_of.value_or(choices);
  if (made < choices) return bad_value("best_of", fmt::format("must be at least n, which is {}", choices));
  if (made > choices && reply.stream) {
    return bad_value("best_of", "must be n in a stream: the best are known when all have ended");
  }
  if (made > choices) reply.best = static_cast<std::size_t>(choices);
  return static_cast<std::size_t>(made);
}

// They become header fields, of which clients take only so many.
void warn(const std::vector<std::string>& unknown, std::vector<std::string>& warnings) {
  constexpr std::size_t kNamed = 16;
  for (std::size_t i = 0; i < std::min(unknown.size(), kNamed); ++i) {
    warnings.push_back("unknown field ignored: " + unknown[i]);
  }
  if (unknown.size() > kNamed)
    warnings.push_back(fmt::format("{} more unknown fields ignored", unknown.size() - kNamed));
}

Accepted<std::shared_ptr<AnswerGrammar>> read_format(Fields& fields, const Target& target, bool ignores_end) {
  PLAIT_TRY(const Json* format, fields.object("response_format"));
  if (format == nullptr) return nullptr;
  if (target.grammars == nullptr) {
    if (format->value("type", Json()) == "text") return nullptr;
    return not_supported("response_format", "only the type `text` is known here");
  }
  PLAIT_TRY(auto grammar, target.grammars->of_format(*format));
  if (grammar && ignores_end) return bad_value("ignore_eos", "cannot be true where response_format says when to end");
  return grammar;
}

// Members of the object `plait`.
struct Additions {
  engine::SequenceOptions sequence = {};
  bool returns = false;
  bool token_ids = false;
  bool include_stop = false;
  std::optional<std::size_t> thinking_budget = {};
  const Json* prompt_ids = nullptr;
  std::optional<models::Pooling> pooling = {};
  std::optional<std::string> strategy = {};
  Json strategy_options = nullptr;
};

Accepted<std::optional<models::Pooling>> read_pooling(Fields& fields) {
  PLAIT_TRY(const auto given, fields.text("pooling"));
  const std::string name = given.value_or("");
  if (name == "mean") return models::Pooling::mean;
  if (name == "last") return models::Pooling::last;
  if (given) return bad_value(fields.full_name("pooling"), "must be \"mean\" or \"last\"");
  return std::nullopt;
}

Accepted<Additions> read_additions(Fields& outer, Endpoint endpoint, std::vector<std::string>& unknown) {
  Additions additions;
  PLAIT_TRY(const Json* object, outer.object("plait"));
  if (object == nullptr) return additions;
  Fields fields(*object, "plait.");
  PLAIT_TRY(const auto salt, fields.text("cache_salt"));
  PLAIT_TRY(const auto hinted, fields.text("cache_hint"));
  const std::string hint = hinted.value_or("");  // a copy: GCC 12 sees the text of an empty optional compared
  if (hinted && hint != "return" && hint != "done") {
    return bad_value("plait.cache_hint", "must be \"return\" or \"done\"");
  }
  PLAIT_TRY(const auto token_ids, fields.flag("return_token_ids"));
  PLAIT_TRY(const auto include_stop, fields.flag("stop_include"));
  PLAIT_TRY(const auto priority, fields.whole("priority", 0, engine::Fairness::kLevels - 1));
  PLAIT_TRY(const auto budget, fields.whole("thinking_budget", 0, kAnyWhole));
  if (budget) additions.thinking_budget = static_cast<std::size_t>(*budget);
  PLAIT_TRY_VOID(fields.text("rollout_id"));  // no answers are cached that it could keep apart
  if (fields.find("parent") != nullptr) return not_supported("plait.parent", "is not built yet");
  PLAIT_TRY(additions.strategy, fields.text("strategy"));
  PLAIT_TRY(const Json* strategy_options, fields.object("strategy_options"));
  if (strategy_options != nullptr) additions.strategy_options = *strategy_options;
  if (strategy_options != nullptr && !additions.strategy) {
    return bad_value("plait.strategy_options", "needs plait.strategy");
  }
  if (additions.strategy && endpoint != Endpoint::chat_completions) {
    return not_supported("plait.strategy", "is for /v1/chat/completions");
  }
  if (endpoint == Endpoint::embeddings) {
    PLAIT_TRY(additions.pooling, read_pooling(fields));
  } else {
    additions.prompt_ids = fields.find("prompt_token_ids");
  }
  additions.sequence.salt = salt.value_or("");
  additions.sequence.level = static_cast<int>(priority.value_or(0));
  additions.returns = hint == "return";
  additions.token_ids = token_ids.value_or(false);
  additions.include_stop = include_stop.value_or(false);
  std::ranges::move(fields.unknown(), std::back_inserter(unknown));
  return additions;
}

Accepted<std::optional<std::size_t>> read_tokens_max(Fields& fields, Endpoint endpoint) {
  const std::int64_t least = endpoint == Endpoint::completions ? 0 : 1;
  PLAIT_TRY(const auto old_name, fields.whole("max_tokens", least, kAnyWhole));
  PLAIT_TRY(const auto new_name, fields.whole("max_completion_tokens", least, kAnyWhole));
  const auto given = new_name ? new_name : old_name;
  if (!given) return std::nullopt;
  return static_cast<std::size_t>(*given);
}

// The limits of a generation whose prompt is known.
Accepted<void> set_limits(const Target& target, Endpoint endpoint, std::optional<std::size_t> wanted,
                          engine::Request& request) {
  const std::size_t prompt = request.prompt.size();
  const char* param = endpoint == Endpoint::embeddings    ? "input"
                      : endpoint == Endpoint::completions ? "prompt"
                                                          : "messages";
  const std::size_t least = wanted.value_or(1);
  const bool answers = endpoint != Endpoint::embeddings;
  if (prompt > target.context || least > target.context - prompt) {
    const std::string answer = wanted && answers ? fmt::format(" and max_tokens is {}", *wanted) : "";
    return std::unexpected(Refusal{
        .message = fmt::format("the prompt has {} tokens{}: the context holds {}", prompt, answer, target.context),
        .param = param,
        .code = "context_length_exceeded"});
  }
  const std::size_t held = target.kv_tokens == 0 ? target.context : std::min(target.context, target.kv_tokens);
  if (prompt >= held || least > held - prompt) {
    if (held < target.context) {
      return std::unexpected(Refusal{
          .message = fmt::format("the prompt has {} tokens and the answer up to {}: the memory of keys and values "
                                 "holds {}; the setting kv.bytes raises it",
                                 prompt, least, held),
          .param = param,
          .code = "kv_memory_exceeded"});
    }
  }
  const std::size_t room = held - std::min(held, prompt);
  const std::size_t usual = endpoint == Endpoint::completions ? kCompletionTokens : room;
  const std::size_t tokens = wanted.value_or(std::min(usual, room));
  request.generate.prompt_only = tokens == 0;
  request.generate.tokens_max = tokens;
  return {};
}

Accepted<std::vector<Prompt>> read_prompts(Fields& fields, const Json* prompt_ids, const Target& target,
                                           Endpoint endpoint, const ToolSet& tools) {
  auto prompts = endpoint == Endpoint::completions ? completion_prompts(fields, target, prompt_ids != nullptr)
                                                   : chat_prompts(fields, target, prompt_ids != nullptr, tools);
  if (!prompts || prompt_ids == nullptr) return prompts;
  PLAIT_TRY(auto tokens, token_list(*prompt_ids, target.vocabulary, "plait.prompt_token_ids"));
  if (tokens.empty()) return bad_value("plait.prompt_token_ids", "must not be empty");
  std::string text = target.tokenizer->decode(tokens, true);
  std::vector<Prompt> one;
  one.push_back({.tokens = std::move(tokens), .text = std::move(text)});
  return one;
}

Accepted<void> read_echo(Fields& fields, const std::vector<Prompt>& prompts, ReplyShape& reply) {
  if (reply.endpoint != Endpoint::completions) return {};
  PLAIT_TRY(const auto echo, fields.flag("echo"));
  if (!echo.value_or(false)) return {};
  for (const Prompt& prompt : prompts) reply.echo.push_back(prompt.text);
  return {};
}

bool ends_with(std::string_view prompt, std::string_view mark) {
  const std::size_t end = prompt.find_last_not_of(" \n");
  return end != std::string_view::npos && prompt.substr(0, end + 1).ends_with(mark);
}

// How answers are read, and what keeps them in shape.
Accepted<void> plan_answer(const ToolSet& tools, std::optional<std::size_t> thinking_budget, std::string_view prompt,
                           const Target& target, Request& request) {
  const bool calls = tools.choice != ToolChoice::none;
  models::AnswerSyntax& syntax = request.syntax;
  engine::AnswerGuideOptions& guide = request.guide;
  syntax.thinks = thinks(target);
  syntax.thought_open = syntax.thinks && ends_with(prompt, models::kThoughtOpening);
  guide = {.may_think = syntax.thinks && !syntax.thought_open && !ends_with(prompt, models::kThoughtClosing),
           .thinks = syntax.thought_open,
           .thought_tokens_max = thinking_budget};
  if (request.grammar) guide.grammar_at = engine::GrammarAt::start;
  if (calls) {
    const models::ToolFormat format = format_for(target.chat->traits());
    syntax.tools = format;
    for (const models::ToolSchema& tool : tools.callable) syntax.names.push_back(tool.name);
    if (request.grammar) return not_supported("response_format", "not together with tools");
    if (request.ignore_eos) return bad_value("ignore_eos", "cannot be true where calls end an answer");
    const bool required = tools.choice == ToolChoice::required;
    if (target.grammars == nullptr) {
      return required ? Accepted<void>(not_supported("tool_choice", "nothing can be required here")) : Accepted<void>();
    }
    PLAIT_TRY(request.grammar, target.grammars->of_tools(format, tools.callable,
                                                         {.several = tools.several, .behind_thought = syntax.thinks}));
    guide.grammar_at = required ? engine::GrammarAt::start : engine::GrammarAt::opening;
    guide.opening = models::opening_of(format);
  }
  const bool closes_thoughts = syntax.thinks && thinking_budget;
  if ((request.grammar || closes_thoughts) && target.grammars != nullptr)
    request.table = target.grammars->marked_table();
  return {};
}

// An echo with log-probabilities has those of the prompt, and of the token that ends the answer.
Accepted<void> ask_prompt_logprobs(const std::vector<Prompt>& prompts, engine::Request& base) {
  const int top = base.generate.sampler.top_logprobs.value_or(0);
  std::size_t values = 0;
  for (const Prompt& prompt : prompts) values += prompt.tokens.size();
  values *= base.samples * static_cast<std::size_t>(1 + top);
  if (values > kLogprobsOfPrompts) {
    return bad_value(
        "logprobs", fmt::format("asks for {} log-probabilities of prompts, of at most {}", values, kLogprobsOfPrompts));
  }
  base.generate.prompt_logprobs = {.first = 1, .top = top};
  base.generate.tell_stop = true;
  return {};
}

Accepted<EmbeddingShape> read_embedding_shape(Fields& fields, const Target& target) {
  EmbeddingShape shape;
  PLAIT_TRY(const auto dimensions, fields.whole("dimensions", 1, static_cast<std::int64_t>(target.width)));
  shape.dimensions = static_cast<std::size_t>(dimensions.value_or(0));
  PLAIT_TRY(const auto format, fields.text("encoding_format"));
  const std::string name = format.value_or("float");
  if (name != "float" && name != "base64") return bad_value("encoding_format", "must be \"float\" or \"base64\"");
  shape.base64 = name == "base64";
  return shape;
}

Accepted<Request> read_embeddings(Fields& fields, const Target& target) {
  Request request;
  request.reply.endpoint = Endpoint::embeddings;
  if (target.width == 0) return not_supported("model", "this model gives no embeddings");
  PLAIT_TRY(const auto model, fields.text("model"));
  request.model_asked = model.value_or("");
  PLAIT_TRY(request.reply.embedding, read_embedding_shape(fields, target));
  std::vector<std::string> unknown;
  PLAIT_TRY(const Additions additions, read_additions(fields, Endpoint::embeddings, unknown));
  PLAIT_TRY(const auto user, fields.text("user"));
  PLAIT_TRY(auto inputs, completion_prompts(fields, target, false, "input"));
  if (inputs.size() > kInputsMax) {
    return bad_value("input", fmt::format("has {} texts, of at most {}", inputs.size(), kInputsMax));
  }
  for (Prompt& input : inputs) {
    engine::Request& one = request.prompts.emplace_back();
    one.options = additions.sequence;
    one.options.client = user.value_or("").substr(0, 256);
    one.prompt = std::move(input.tokens);
    one.generate.returns = additions.returns;
    one.generate.pooling = additions.pooling.value_or(target.pooling);
    PLAIT_TRY_VOID(set_limits(target, Endpoint::embeddings, 0, one));
  }
  std::ranges::move(fields.unknown(), std::back_inserter(unknown));
  warn(unknown, request.reply.warnings);
  return request;
}

}  // namespace

std::string_view path_of(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::chat_completions:
      return "/v1/chat/completions";
    case Endpoint::completions:
      return "/v1/completions";
    case Endpoint::embeddings:
      return "/v1/embeddings";
  }
  return {};
}

std::optional<Endpoint> find_endpoint(std::string_view path) {
  for (const Endpoint endpoint : {Endpoint::chat_completions, Endpoint::completions, Endpoint::embeddings}) {
    if (path == path_of(endpoint)) return endpoint;
  }
  return std::nullopt;
}

Target completed(Target target) {
  if (target.vocabulary == 0) target.vocabulary = target.tokenizer->size();
  return target;
}

bool thinks(const Target& target) {
  return target.chat->traits().thinks || target.tokenizer->find(models::kThoughtOpening) != base::kNoToken;
}

Accepted<Request> read_request(Endpoint endpoint, const Json& body, const Target& given, std::uint64_t seed) {
  PLAIT_CHECK(given.tokenizer != nullptr && given.chat != nullptr);
  const Target target = completed(given);
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  Fields fields(body);
  if (endpoint == Endpoint::embeddings) return read_embeddings(fields, target);
  Request request;
  request.reply.endpoint = endpoint;
  PLAIT_TRY(const auto model, fields.text("model"));
  request.model_asked = model.value_or("");
  engine::Request base;
  PLAIT_TRY(base.generate.sampler, read_sampler(fields, target.vocabulary, seed));
  PLAIT_TRY_VOID(read_stop(fields, target.vocabulary, request.stop));
  PLAIT_TRY_VOID(read_logprobs(fields, request, base.generate.sampler));
  PLAIT_TRY_VOID(read_without_effect(fields, request.reply));
  PLAIT_TRY(base.samples, read_samples(fields, request.reply));
  if (request.reply.best > 0 && !request.reply.logprobs) base.generate.sampler.top_logprobs = 0;
  PLAIT_TRY_VOID(refuse_unbuilt(fields, endpoint));
  PLAIT_TRY(const auto ignore_eos, fields.flag("ignore_eos"));
  request.ignore_eos = ignore_eos.value_or(false);
  PLAIT_TRY(request.grammar, read_format(fields, target, request.ignore_eos));
  if (request.grammar) request.guide.grammar_at = engine::GrammarAt::start;
  std::vector<std::string> faults;
  ToolSet tools;
  if (endpoint == Endpoint::chat_completions) {
    PLAIT_TRY(tools, read_tools(fields, faults));
  }
  PLAIT_TRY(const auto tokens_max, read_tokens_max(fields, endpoint));
  std::vector<std::string> unknown;
  PLAIT_TRY(const Additions additions, read_additions(fields, endpoint, unknown));
  PLAIT_TRY(const auto user, fields.text("user"));
  base.options = additions.sequence;
  base.options.client = user.value_or("").substr(0, 256);
  base.generate.returns = additions.returns;
  request.stop.include_text = additions.include_stop;
  request.reply.token_ids = additions.token_ids;
  PLAIT_TRY(auto prompts, read_prompts(fields, additions.prompt_ids, target, endpoint, tools));
  if (endpoint == Endpoint::chat_completions) {
    PLAIT_TRY_VOID(plan_answer(tools, additions.thinking_budget, prompts.front().text, target, request));
  }
  PLAIT_TRY_VOID(read_echo(fields, prompts, request.reply));
  if (request.reply.logprobs && !request.reply.echo.empty()) PLAIT_TRY_VOID(ask_prompt_logprobs(prompts, base));
  if (prompts.size() * base.samples > kGenerationsMax) {
    return bad_value(
        request.reply.best > 0 ? "best_of" : "n",
        fmt::format("asks for {} answers in all, of at most {}", prompts.size() * base.samples, kGenerationsMax));
  }
  for (Prompt& prompt : prompts) {
    engine::Request& one = request.prompts.emplace_back(base);
    one.prompt = std::move(prompt.tokens);
    PLAIT_TRY_VOID(set_limits(target, endpoint, tokens_max, one));
  }
  if (additions.strategy) {
    PLAIT_TRY(request.thought,
              read_thought(*additions.strategy, additions.strategy_options, body, request, tokens_max));
  }
  std::ranges::move(fields.unknown(), std::back_inserter(unknown));
  warn(unknown, request.reply.warnings);
  std::ranges::move(faults, std::back_inserter(request.reply.warnings));
  return request;
}

}  // namespace plait::serving
