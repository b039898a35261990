// SPDX-License-Identifier: Apache-2.0
//
// One answer at a time: prompt in, text out as it comes, for the verbs that talk to a model.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/units.h"
#include "engine/engine.h"
#include "engine/runner.h"
#include "models/model.h"
#include "models/sampler.h"
#include "models/stop.h"
#include "models/tokenizer.h"

namespace plait::cli {

struct GenerationOptions {
  models::SamplerOptions sampler = {};
  std::size_t tokens_max = 1024;  ///< Most tokens to generate; 0: until the context is full.
  std::vector<std::string> stop = {};
  bool ignore_eos = false;  ///< Go on after the model's own end of text.
};

enum class FinishReason { stop, length, interrupted };
/// "stop", "length", "interrupted".
[[nodiscard]] std::string_view name(FinishReason reason);

struct Generation {
  std::string text = {};
  std::vector<base::TokenId> tokens = {};       ///< Those generated, without the one that ended it.
  std::vector<models::Logprobs> logprobs = {};  ///< One per token, if asked for.
  FinishReason reason = FinishReason::stop;
  std::size_t prompt_tokens = 0;
  std::size_t cached_tokens = 0;  ///< Of the prompt, found already computed.
  double prompt_seconds = 0;      ///< Until the first logits.
  double decode_seconds = 0;      ///< From there to the end.

  /// "37 prompt tokens in 0.05 s (740/s), 120 tokens in 0.9 s (133/s)".
  [[nodiscard]] std::string statistics() const;
};

/// Generates with one model and keeps what it computed: a next prompt that begins alike costs only the rest (in whole
/// pages of 16 tokens).
/// One thread at a time; model, tokenizer and team must outlive it.
class Generator {
 public:
  /// `kv_setting`: the setting kv.bytes, see cli/engine_settings.h.
  Generator(const models::Model& model, const models::Tokenizer& tokenizer, parallel::Team& team,
            base::Bytes kv_setting = 0);

  /// `show` gets the text as it comes, whole UTF-8, never part of a stop string. `interrupted` is asked before every
  /// token and ends the run.
  /// Errors: invalid_argument (a prompt beyond the context, with both numbers; sampler options); out_of_resources (no
  /// memory for its keys and values, with the numbers); what the generation failed with.
  base::Result<Generation> run(std::span<const base::TokenId> prompt, const GenerationOptions& options,
                               const std::function<void(std::string_view)>& show,
                               const std::function<bool()>& interrupted);

  [[nodiscard]] const models::Model& model() const { return *model_; }
  [[nodiscard]] const models::Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  base::Result<engine::Engine*> engine();

  const models::Model* model_;
  const models::Tokenizer* tokenizer_;
  base::Bytes kv_setting_;
  engine::ModelRunner runner_;
  std::unique_ptr<engine::Engine> engine_;  ///< Made with the first run.
};

}  // namespace plait::cli
