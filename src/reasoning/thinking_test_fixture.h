// SPDX-License-Identifier: Apache-2.0
//
// Strategies on a scripted model that knows a story: what it says follows from the end of what a row sees. Its
// vocabulary is single characters. Only for tests of this area.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/story_runner.h"
#include "models/tokenizer.h"
#include "reasoning/prompts.h"
#include "reasoning/state.h"
#include "reasoning/strategy.h"
#include "reasoning/thinking.h"
#include "testing/scripted_runner.h"

namespace plait::reasoning {

class ThinkingTest : public ::testing::Test {
 protected:
  ThinkingTest() {
    std::vector<std::string> words{"Ġ", "Ċ"};  // the space and the line feed of byte-level vocabularies
    for (char c = '!'; c <= '~'; ++c) words.emplace_back(1, c);
    words.insert(words.end(), {"<|begin|>", "<|end|>"});
    std::vector<std::int32_t> kinds(words.size(), 1);
    kinds[kinds.size() - 1] = kinds[kinds.size() - 2] = 3;
    models::TokenizerSource source;
    source.tokens.assign(words.begin(), words.end());
    source.kinds = kinds;
    source.bos = static_cast<std::int64_t>(words.size()) - 2;
    source.eos = static_cast<std::int64_t>(words.size()) - 1;
    source.add_bos = false;
    tokenizer_ = models::Tokenizer::make(source).value();
    chat_.emplace(*models::ChatTemplate::make(
        "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}{% if add_generation_prompt %}[A]{% endif %}",
        {}));
    open({});
  }
  ~ThinkingTest() override {
    thinking_.reset();
    engine_->check_invariants();
    EXPECT_EQ(engine_->counters().sequences, 0U);  // nothing leaks, however a run ends
  }

  struct Model {
    std::size_t context = 4096;
    bool hashed = false;  ///< Any text (testing/scripted_runner.h), not a story.
  };
  void open(const Model& options, std::size_t pages = 2000) {
    thinking_.reset();
    strands_.reset();
    engine_.reset();
    story_.emplace(
        engine::StoryOptions{.vocabulary = tokenizer_->size(), .context = options.context},
        [this](std::span<const base::TokenId> tokens) { return next(tokens); }, tokenizer_->eos());
    hashed_.emplace(testing::ScriptOptions{.vocabulary = tokenizer_->size(), .context = options.context}, clock_);
    engine::Runner& runner = options.hashed ? static_cast<engine::Runner&>(*hashed_) : *story_;
    const base::Bytes page = runner.layout().page_bytes(0) + runner.layout().page_bytes(1);
    engine_ = engine::Engine::make(runner, {.kv_bytes = pages * page}, clock_).value();
    strands_ = std::make_unique<Strands>(*engine_, StrandModel{.tokenizer = tokenizer_.get(),
                                                               .chat = &*chat_,
                                                               .context = options.context,
                                                               .vocabulary = tokenizer_->size()});
  }

  /// Whatever ends with `end` goes on with `text`, and then the model's text ends.
  void say(std::string end, std::string text) { lines_.emplace_back(std::move(end), std::move(text)); }
  /// Asked first: what follows a text, or nothing. "": its end.
  std::function<std::optional<std::string>(std::string_view)> speak_ = {};

  [[nodiscard]] ThinkOptions question(std::string text) {
    return {.messages = text::Json::array({{{"role", "user"}, {"content", std::move(text)}}}),
            .events = [this](const ThoughtEvent& event) { events_.push_back(event.kind); }};
  }
  [[nodiscard]] Value<Thought> start(const Strategy& strategy, ThinkOptions options) {
    thinking_ = std::make_unique<Thinking>(*strands_, *engine_, clock_, prompts_, std::move(options));
    return thinking_->run(strategy);
  }
  [[nodiscard]] base::Result<Thought> think(const Strategy& strategy, ThinkOptions options) {
    const Value<Thought> thought = start(strategy, std::move(options));
    while (!thought.ready() && step()) engine_->check_invariants();
    EXPECT_TRUE(thought.ready());
    return thought.ready() ? thought.result() : base::fail(base::ErrorCode::internal, "it hangs");
  }
  /// A step takes 10 ms.
  bool step() {
    clock_.advance(0.010);
    return engine_->step();
  }
  [[nodiscard]] static std::unique_ptr<Strategy> make(std::string_view name, const text::Json& options = {}) {
    return all_strategies().make(name, options).value();
  }
  [[nodiscard]] static base::ErrorCode code(const base::Result<Thought>& result) {
    return result ? base::ErrorCode::internal : result.error().code;
  }

  testing::VirtualClock clock_;
  Prompts prompts_ = Prompts::built_in();
  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::optional<models::ChatTemplate> chat_;
  std::optional<engine::StoryRunner> story_;
  std::optional<testing::ScriptedRunner> hashed_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<Strands> strands_;
  std::unique_ptr<Thinking> thinking_;
  std::vector<ThoughtEvent::Kind> events_;

 private:
  [[nodiscard]] std::optional<base::TokenId> next(std::span<const base::TokenId> tokens) const {
    const std::string text = tokenizer_->decode({tokens.begin(), tokens.end()}, true);
    std::optional<std::string> goes_on = speak_ ? speak_(text) : std::nullopt;
    std::size_t latest = 0;
    for (const auto& [end, line] : lines_) {
      const std::size_t at = text.rfind(end);
      if (goes_on || at == std::string::npos || at + end.size() < latest) continue;
      const std::string_view said = std::string_view(text).substr(at + end.size());
      if (!line.starts_with(said)) continue;
      latest = at + end.size();
      found_ = line.substr(said.size());
    }
    if (latest > 0) goes_on = found_;
    if (!goes_on) return tokenizer_->eos();
    if (goes_on->empty()) return tokenizer_->eos();
    return tokenizer_->encode(goes_on->substr(0, 1)).front();
  }

  std::vector<std::pair<std::string, std::string>> lines_;
  mutable std::string found_;
};

}  // namespace plait::reasoning
