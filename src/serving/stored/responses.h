// SPDX-License-Identifier: Apache-2.0
//
// /v1/responses of OpenAI's API: answers that are kept, so that the next question needs to bring only itself.
//
// Asking is a dialect of the API (responses_dialect.cc); this keeps what was answered. An answer that says it is kept
// is on the disk before the client sees its end. A response holds its own input and output and the id of the one before
// it; a conversation is put together by following these.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "serving/dialect.h"
#include "serving/stored/desk.h"
#include "store/objects.h"
#include "text/json.h"

namespace plait::serving {

struct ResponsesOptions {
  base::Bytes bytes_max = base::Bytes{256} << 20U;          ///< Of one owner; the oldest go.
  std::int64_t seconds_max = std::int64_t{30} * 24 * 3600;  ///< Older ones go.
  std::function<std::int64_t()> now = now_seconds;
};

/// Any thread.
class Responses {
 public:
  using Done = std::function<void(const std::optional<Refusal>& refusal)>;

  /// The table must outlive it.
  Responses(store::Objects& objects, ResponsesOptions options) : objects_(objects), options_(std::move(options)) {}

  /// GET and DELETE /v1/responses/{id}; GET /v1/responses/{id}/input_items; POST /v1/responses/{id}/cancel.
  void add_routes(HttpRouter& router, Desk& desk);

  /// All items of a response and of those before it, the oldest first. Refused (400) if one of them is not there, or
  /// they are too long to be read.
  [[nodiscard]] Accepted<text::Json> conversation(const std::string& owner, const std::string& id) const;
  /// `done` is called, on another thread, when the response is durable or cannot be kept. `shown` is the response,
  /// `input` the list of its own input items.
  void keep(const std::string& owner, const text::Json& shown, const text::Json& input, Done done);

 private:
  [[nodiscard]] Accepted<store::Object> find(const std::string& owner, std::string_view id) const;
  [[nodiscard]] Accepted<store::Object> asked_for(const HttpRequest& request) const;
  [[nodiscard]] Accepted<HttpReply> remove(const HttpRequest& request);
  [[nodiscard]] Accepted<HttpReply> input_items(const HttpRequest& request) const;

  store::Objects& objects_;
  const ResponsesOptions options_;
};

/// POST /v1/responses. `kept`: null if nothing is kept here; else it must outlive what the dialect makes.
[[nodiscard]] Dialect responses_dialect(Responses* kept);

}  // namespace plait::serving
