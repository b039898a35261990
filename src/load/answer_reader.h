// SPDX-License-Identifier: Apache-2.0
//
// What a streamed answer of OpenAI's completions or chat completions says, event by event.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace plait::load {

/// What the server counted. Servers that do not tell leave it out.
struct AnswerUsage {
  std::size_t prompt_tokens = 0;
  std::size_t cached_tokens = 0;  ///< Of those, found computed.
  std::size_t generated_tokens = 0;
};

/// One answer of n choices. Never throws; an event that is no JSON object is an error, fields of other types count as
/// absent.
class AnswerReader {
 public:
  /// Called for each piece of text that is not empty; thoughts count as text.
  using OnText = std::function<void(std::size_t choice, std::string_view text)>;

  void event(std::string_view data, const OnText& on_text);

  /// The server has said that this is all: "[DONE]".
  [[nodiscard]] bool done() const { return done_; }
  /// The first thing that was wrong: an error of the server in its stream, or what came is no answer.
  [[nodiscard]] const std::optional<std::string>& error() const { return error_; }
  [[nodiscard]] const std::optional<AnswerUsage>& usage() const { return usage_; }

 private:
  bool done_ = false;
  std::optional<std::string> error_ = {};
  std::optional<AnswerUsage> usage_ = {};
};

/// The message of an answer that is an error, in the shape of OpenAI or a bare text; at most 200 bytes, one line.
[[nodiscard]] std::string error_message(std::string_view body);

}  // namespace plait::load
