// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "base/result.h"
#include "cli/generation.h"
#include "cli/model_session.h"
#include "text/json.h"

namespace plait::cli {

/// A dialogue with one model: its messages and what is computed of them. One thread at a time.
class Conversation {
 public:
  explicit Conversation(std::string system) : system_(std::move(system)) { reset(); }

  /// What one turn gave.
  struct Turn {
    Generation generation;
    std::size_t turns_dropped = 0;  ///< Oldest turns that no longer fit into the context.
  };

  /// Sends `text` and streams the answer to `show`. An error leaves the dialogue as it was before.
  base::Result<Turn> say(const std::string& text, const LoadedModel& loaded, Generator& generator,
                         const GenerationOptions& options, const std::function<void(std::string_view)>& show,
                         const std::function<bool()>& interrupted);

  void reset();                       ///< Forgets everything but the system message.
  void set_system(std::string text);  ///< Replaces the system message and forgets the rest.
  [[nodiscard]] const text::Json& messages() const { return messages_; }  ///< OpenAI shape.

 private:
  [[nodiscard]] bool drop_oldest_turn(text::Json& messages) const;

  std::string system_;
  text::Json messages_;
};

}  // namespace plait::cli
