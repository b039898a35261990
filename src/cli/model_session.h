// SPDX-License-Identifier: Apache-2.0
//
// What every verb that runs a model shares: its options, and the model made ready.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "cli/generation.h"
#include "models/chat_template.h"
#include "models/model.h"
#include "models/tokenizer.h"
#include "parallel/team.h"
#include "text/json.h"

namespace plait::cli {

/// Options of a generation as the command line gives them.
struct SamplingFlags {
  GenerationOptions generation = {};
  std::vector<std::string> logit_bias = {};  ///< "ID=VALUE" or "TEXT=VALUE", VALUE a number or -inf.
};

/// --model, --threads, --context, --isa, --weights, --attention, --kv-type: settings (see config.h) under short names.
void add_model_options(CLI::App& verb, Session& session);
/// --temperature, --top-k, … --max-tokens (under this name), --stop, --seed.
void add_sampling_options(CLI::App& verb, SamplingFlags& flags, const char* max_tokens = "-n,--max-tokens");

/// A model in memory with its threads. Members are in the order in which they depend on each other.
struct LoadedModel {
  std::string name;
  std::unique_ptr<parallel::Team> team;
  std::unique_ptr<models::Model> model;
  std::unique_ptr<models::Tokenizer> tokenizer;
  std::optional<models::ChatTemplate> chat;  ///< Always there after load_model().
  double load_seconds = 0;
};

/// Threads as the setting says: 0 means every core this process may use.
[[nodiscard]] int thread_count(const Session& session);
/// A team of that many threads. Errors: out_of_resources.
base::Result<std::unique_ptr<parallel::Team>> start_team(int threads);
/// The instruction set as the setting says. Errors: invalid_argument if the machine lacks it.
base::Result<kernels::Isa> chosen_isa(const Session& session);

/// Attention and its cache as kernels.attention and kv.type say. Errors: invalid_argument if they do not go together.
base::Result<kernels::AttentionArithmetic> chosen_attention(const Config& config);

/// How a model's weights and arithmetic are chosen.
enum class LoadAs {
  settings,   ///< kernels.weights, kernels.attention, kv.type and kernels.isa say.
  exact,      ///< The production path with the file's own weights, exact attention and keys and values in f16.
  reference,  ///< Plain floats all through.
};

/// Loads the model of the setting `model`, or `name_or_path` if not empty.
base::Result<LoadedModel> load_model(const Session& session, const std::string& name_or_path = {},
                                     LoadAs as = LoadAs::settings);

/// Completes the flags that need a vocabulary. Errors: invalid_argument naming the option.
base::Result<GenerationOptions> generation_options(const SamplingFlags& flags, const models::Tokenizer& tokenizer);

/// The messages (OpenAI shape) as the model wants to read them; plain text if loaded.chat->is_plain().
base::Result<std::vector<base::TokenId>> chat_prompt(const LoadedModel& loaded, const text::Json& messages);

}  // namespace plait::cli
