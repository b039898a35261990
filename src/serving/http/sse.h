// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "serving/http/responder.h"

namespace plait::serving {

/// Server-sent events (HTML Living Standard, 9.2) over a responder. Any thread, one at a time.
class SseStream {
 public:
  /// Begins the stream.
  explicit SseStream(Responder responder, HttpHeaders headers = {});

  /// Line breaks in `data` are kept: every line gets its own field.
  void event(std::string_view data) const { event({}, data); }
  /// Line breaks in `name` become spaces.
  void event(std::string_view name, std::string_view data) const { event(name, data, {}); }
  /// `id`: from where a client that lost its connection asks to go on (`last-event-id`). As `name`.
  void event(std::string_view name, std::string_view data, std::string_view id) const;
  /// A line that clients skip; it keeps proxies from closing a silent connection.
  void comment(std::string_view text = "keep-alive") const;
  /// "data: [DONE]", as OpenAI's streams end, and the end of the stream.
  void done() const;
  /// The end without "[DONE]", as Anthropic's streams have it.
  void end() const { responder_.end(); }
  [[nodiscard]] const Responder& responder() const { return responder_; }

 private:
  Responder responder_;
};

}  // namespace plait::serving
