// SPDX-License-Identifier: Apache-2.0
#include "cli/model_session.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <limits>
#include <system_error>

#include "cli/model_verbs.h"
#include "os/cpu.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;

// "ID=VALUE"; ID is a number, or the exact text of one token.
base::Result<std::pair<base::TokenId, double>> parse_bias(const std::string& text, const models::Tokenizer& tokenizer) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument, fmt::format("--logit-bias {}: {}", text, why));
  };
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) return bad("write it as ID=VALUE or TEXT=VALUE");
  double value = 0;
  const std::string_view number = std::string_view(text).substr(equals + 1);
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != number.data() + number.size()) return bad("the value is no number");
  std::int32_t id = 0;
  const auto whole = std::from_chars(text.data(), text.data() + equals, id);
  if (whole.ec == std::errc() && whole.ptr == text.data() + equals) {
    if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.size()) return bad("there is no such token id");
    return std::pair(base::TokenId(id), value);
  }
  const auto tokens = tokenizer.encode(text.substr(0, equals), {.add_special = false});
  if (tokens.size() != 1) return bad(fmt::format("the text is {} tokens, not one", tokens.size()));
  return std::pair(tokens.front(), value);
}

}  // namespace

void add_model_options(CLI::App& verb, Session& session) {
  add_setting(verb, session, "-m,--model", "model");
  add_setting(verb, session, "-t,--threads", "threads");
  add_setting(verb, session, "-c,--context", "context");
  add_setting(verb, session, "--isa", "kernels.isa");
  add_setting(verb, session, "--weights", "kernels.weights");
  add_setting(verb, session, "--attention", "kernels.attention");
  add_setting(verb, session, "--kv-type", "kv.type");
}

void add_sampling_options(CLI::App& verb, SamplingFlags& flags, const char* max_tokens) {
  models::SamplerOptions& sampler = flags.generation.sampler;
  const auto add = [&verb](const char* names, auto& value, const char* about) {
    verb.add_option(names, value, about)->capture_default_str()->group("Sampling");
  };
  add(max_tokens, flags.generation.tokens_max, "Most tokens to generate; 0: until the context is full");
  add("--temperature", sampler.temperature, "0: always the likeliest token; 0.7 to 1: livelier");
  add("--top-k", sampler.top_k, "Choose among the k likeliest tokens; 0: all");
  add("--top-p", sampler.top_p, "Choose among the likeliest tokens that hold this share");
  add("--min-p", sampler.min_p, "Leave out tokens less likely than this share of the likeliest");
  add("--typical-p", sampler.typical_p, "Choose among the most typical tokens that hold this share");
  add("--repetition-penalty", sampler.repetition_penalty, "Make tokens of the text so far less likely; 1: off");
  add("--presence-penalty", sampler.presence_penalty, "Subtracted once from tokens already generated");
  add("--frequency-penalty", sampler.frequency_penalty, "Subtracted for every time a token was generated");
  add("--penalty-window", sampler.penalty_window, "How many of the last tokens the penalties see; 0: all");
  add("--seed", sampler.seed, "The same seed gives the same text");
  verb.add_option("--stop", flags.generation.stop, "End before this text; may be given several times")
      ->expected(1)
      ->take_all()
      ->group("Sampling");
  verb.add_option("--logit-bias", flags.logit_bias, "ID=VALUE or TEXT=VALUE, added to a token's logit; -inf forbids it")
      ->expected(1)
      ->take_all()
      ->group("Sampling");
  verb.add_option("--logprobs", sampler.top_logprobs, "With --json: log-probabilities and this many alternatives")
      ->group("Sampling");
  verb.add_flag("--ignore-eos", flags.generation.ignore_eos, "Go on after the model's own end of text")
      ->group("Sampling");
}

base::Result<std::unique_ptr<parallel::Team>> start_team(int threads) try {
  return std::make_unique<parallel::Team>(threads);
} catch (const std::system_error&) {
  return fail(ErrorCode::out_of_resources,
              fmt::format("the machine refuses {} threads; --threads sets a smaller number", threads));
}

int thread_count(const Session& session) {
  const auto wanted = static_cast<int>(session.config.number("threads"));
  return wanted > 0 ? wanted : os::usable_cores();
}

base::Result<kernels::Isa> chosen_isa(const Session& session) {
  const std::string& text = session.config.text("kernels.isa");
  return kernels::parse_isa(text == "reference" ? "auto" : text);
}

base::Result<kernels::AttentionArithmetic> chosen_attention(const Config& config) {
  const bool bf16 = config.text("kernels.attention") == "bf16";
  if (config.text("kv.type") != "int8") {
    return bf16 ? kernels::AttentionArithmetic::bf16 : kernels::AttentionArithmetic::exact;
  }
  if (!bf16) return kernels::AttentionArithmetic::int8;
  return fail(ErrorCode::invalid_argument,
              "attention in bf16 reads keys and values in bf16, not in int8; leave out --attention or --kv-type");
}

base::Result<LoadedModel> load_model(const Session& session, const std::string& name_or_path, LoadAs as) {
  const auto start = std::chrono::steady_clock::now();
  PLAIT_TRY(const auto attention, chosen_attention(session.config));
  LoadedModel loaded;
  loaded.name = name_or_path.empty() ? session.config.text("model") : name_or_path;
  PLAIT_TRY(const auto path, resolve_model(session.config, name_or_path));
  PLAIT_TRY(const auto isa, chosen_isa(session));
  PLAIT_TRY(loaded.team, start_team(thread_count(session)));
  models::LoadOptions options{.isa = isa, .context = static_cast<std::size_t>(session.config.number("context"))};
  if (as == LoadAs::reference) {
    options.arithmetic = models::Arithmetic::reference;
    options.weights = kernels::Weights::f32;
  } else if (as == LoadAs::settings) {
    if (session.config.text("kernels.isa") == "reference") options.arithmetic = models::Arithmetic::reference;
    for (const kernels::Weights weights : {kernels::Weights::int8, kernels::Weights::bf16}) {
      if (session.config.text("kernels.weights") == kernels::name(weights)) options.weights = weights;
    }
    options.attention = attention;
  }
  PLAIT_TRY(loaded.model, models::Model::load(path, options, *loaded.team));
  PLAIT_TRY(loaded.tokenizer, models::Tokenizer::load(loaded.model->file()));
  if (loaded.tokenizer->size() > loaded.model->vocabulary()) {
    return fail(ErrorCode::invalid_data,
                fmt::format("{}: the tokenizer has {} tokens and the model knows {}", path.string(),
                            loaded.tokenizer->size(), loaded.model->vocabulary()));
  }
  const auto source = loaded.model->file().get<std::string_view>("tokenizer.chat_template");
  PLAIT_TRY(loaded.chat, models::ChatTemplate::make(source, models::special_texts(*loaded.tokenizer)));
  loaded.load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return loaded;
}

base::Result<GenerationOptions> generation_options(const SamplingFlags& flags, const models::Tokenizer& tokenizer) {
  GenerationOptions options = flags.generation;
  for (const std::string& text : flags.logit_bias) {
    PLAIT_TRY(const auto bias, parse_bias(text, tokenizer));
    options.sampler.logit_bias.push_back(bias);
  }
  PLAIT_TRY_VOID(models::Sampler::make(options.sampler));
  PLAIT_TRY_VOID(models::StopStream::make({.strings = options.stop}));
  return options;
}

base::Result<std::vector<base::TokenId>> chat_prompt(const LoadedModel& loaded, const text::Json& messages) {
  PLAIT_TRY(const models::ChatPrompt prompt, loaded.chat->prompt(messages));
  return models::chat_tokens(prompt, *loaded.tokenizer);
}

}  // namespace plait::cli
