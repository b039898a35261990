// SPDX-License-Identifier: Apache-2.0
//
// Strands on a scripted model (testing/scripted_runner.h) with a vocabulary of single characters and a few words that
// begin alike. Only for tests of this area.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/tokenizer.h"
#include "reasoning/state.h"
#include "testing/scripted_runner.h"

namespace plait::reasoning {

class StateTest : public ::testing::Test {
 protected:
  StateTest() {
    std::vector<std::string> words;
    for (char c = '!'; c <= '~'; ++c) words.emplace_back(1, c);
    words.insert(words.end(), {"tr", "tru", "true", "ab", "abc", "<|begin|>", "<|end|>"});
    std::vector<std::int32_t> kinds(words.size(), 1);
    kinds[kinds.size() - 1] = kinds[kinds.size() - 2] = 3;
    models::TokenizerSource source;
    source.tokens.assign(words.begin(), words.end());
    source.kinds = kinds;
    source.merges = {"t r", "tr u", "tru e", "a b", "ab c"};
    source.bos = static_cast<std::int64_t>(words.size()) - 2;
    source.eos = static_cast<std::int64_t>(words.size()) - 1;
    source.add_bos = false;
    tokenizer_ = models::Tokenizer::make(source).value();
    words_ = std::make_shared<const models::TokenMaskTable>(*tokenizer_);
    chat_.emplace(*models::ChatTemplate::make(
        "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}{% if add_generation_prompt %}[A]{% endif %}",
        {}));
    open({});
  }
  ~StateTest() override {
    if (!engine_) return;
    engine_->check_invariants();
    EXPECT_EQ(engine_->counters().sequences, 0U);  // whoever closes a strand closes its sequences
  }

  void open(const testing::ScriptOptions& options, std::size_t pages = 400) {
    strands_.reset();
    engine_.reset();
    runner_.emplace(testing::ScriptOptions{.vocabulary = tokenizer_->size(), .context = options.context}, clock_);
    const base::Bytes page = runner_->layout().page_bytes(0) + runner_->layout().page_bytes(1);
    engine_ = engine::Engine::make(*runner_, {.kv_bytes = pages * page}, clock_).value();
    strands_ = std::make_unique<Strands>(*engine_, StrandModel{.tokenizer = tokenizer_.get(),
                                                               .chat = &*chat_,
                                                               .context = options.context,
                                                               .vocabulary = tokenizer_->size(),
                                                               .words = [this] { return words_; }});
  }

  [[nodiscard]] State create(std::uint64_t seed = 7, bool heal = true) {
    return strands_->create({.seed = seed, .heal = heal, .events = [this](const StrandEvent& event) { note(event); }})
        .value();
  }
  [[nodiscard]] Piece piece(std::string text) const { return text_piece(*tokenizer_, std::move(text)); }
  /// Any text at temperature 1.
  [[nodiscard]] models::SamplerOptions sampler(std::uint64_t seed = 0) const {
    return {.temperature = 1, .logit_bias = {{tokenizer_->bos(), -100}, {tokenizer_->eos(), -100}}, .seed = seed};
  }
  [[nodiscard]] GenOptions tokens(std::size_t count) const {
    return {.generate = {.sampler = sampler(), .tokens_max = count}, .ignore_end = true};
  }
  template <class T>
  T get(const Value<T>& value) {
    auto result = strands_->read(value);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result ? *result : T();
  }
  template <class T>
  base::ErrorCode error_of(const Value<T>& value) {
    const auto result = strands_->read(value);
    EXPECT_FALSE(result);
    return result ? base::ErrorCode::internal : result.error().code;
  }
  void run() {
    while (engine_->step()) engine_->check_invariants();
  }
  /// What the engine alone makes of these tokens.
  [[nodiscard]] std::vector<base::TokenId> alone(std::vector<base::TokenId> prompt, std::size_t count,
                                                 std::uint64_t seed) const {
    auto chooser = models::Sampler::make(sampler(seed));
    const std::size_t length = prompt.size();
    for (std::size_t i = 0; i < count; ++i) {
      prompt.push_back(chooser->sample(runner_->logits(prompt), {.tokens = prompt, .prompt_length = length})->token);
    }
    prompt.erase(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(length));
    return prompt;
  }

  std::vector<StrandEvent::Kind> kinds_;
  std::string told_;  ///< Texts of all events.

  testing::VirtualClock clock_;
  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::shared_ptr<const models::TokenMaskTable> words_;
  std::optional<models::ChatTemplate> chat_;
  std::optional<testing::ScriptedRunner> runner_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<Strands> strands_;

 private:
  void note(const StrandEvent& event) {
    kinds_.push_back(event.kind);
    told_ += event.text;
  }
};

}  // namespace plait::reasoning
