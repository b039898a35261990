// SPDX-License-Identifier: Apache-2.0
#include "cli/conversation.h"

#include <algorithm>
#include <utility>

namespace plait::cli {
namespace {

// Tokens kept free for the answer: what is asked for, but at most a quarter of the context.
std::size_t answer_room(const GenerationOptions& options, std::size_t context) {
  const std::size_t quarter = context / 4;
  return options.tokens_max == 0 ? quarter : std::min(options.tokens_max, quarter);
}

}  // namespace

void Conversation::reset() {
  messages_ = text::Json::array();
  if (!system_.empty()) messages_.push_back({{"role", "system"}, {"content", system_}});
}

void Conversation::set_system(std::string text) {
  system_ = std::move(text);
  reset();
}

// A turn is a user's message and all that follows it up to the next one. The last one stays.
bool Conversation::drop_oldest_turn(text::Json& messages) const {
  const auto is_user = [](const text::Json& message) { return message.at("role") == "user"; };
  const auto first = std::find_if(messages.begin(), messages.end(), is_user);
  if (first == messages.end()) return false;
  const auto second = std::find_if(first + 1, messages.end(), is_user);
  if (second == messages.end()) return false;
  messages.erase(first, second);
  return true;
}

base::Result<Conversation::Turn> Conversation::say(const std::string& text, const LoadedModel& loaded,
                                                   Generator& generator, const GenerationOptions& options,
                                                   const std::function<void(std::string_view)>& show,
                                                   const std::function<bool()>& interrupted) {
  Turn turn;
  text::Json messages = messages_;
  messages.push_back({{"role", "user"}, {"content", text}});
  const std::size_t context = loaded.model->context();
  PLAIT_TRY(auto prompt, chat_prompt(loaded, messages));
  while (prompt.size() + answer_room(options, context) > context && drop_oldest_turn(messages)) {
    ++turn.turns_dropped;
    PLAIT_TRY(prompt, chat_prompt(loaded, messages));
  }
  PLAIT_TRY(turn.generation, generator.run(prompt, options, show, interrupted));
  messages.push_back({{"role", "assistant"}, {"content", turn.generation.text}});
  messages_ = std::move(messages);
  return turn;
}

}  // namespace plait::cli
