// SPDX-License-Identifier: Apache-2.0
//
// From the bytes of a connection to requests, one after the other, with a stop between header and body for the gates.
// Stricter than HTTP asks for wherever two readers could see different requests in the same bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "serving/http/counters.h"
#include "serving/http/message.h"
#include "serving/http/policy.h"

namespace plait::serving::detail {

/// Of one request. One thread.
class RequestParser {
 public:
  enum class State : std::uint8_t {
    head,     ///< feed() more.
    gate,     ///< The header is there: look at request(), then admit_body().
    body,     ///< feed() more.
    done,     ///< Take the request.
    refused,  ///< See refusal(). The connection's bytes have no meaning any more.
  };

  explicit RequestParser(const HttpLimits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Takes bytes in state head or body and says how many. The rest must come again, with more bytes behind it.
  [[nodiscard]] std::size_t feed(std::string_view bytes);
  /// Goes on to the body, to done if there is none, or to refused if it is announced with more than `bytes_max`.
  /// Requires: state gate.
  void admit_body(std::size_t bytes_max);

  [[nodiscard]] State state() const { return state_; }
  /// Requires: state refused.
  [[nodiscard]] HttpRefusal refusal() const { return refusal_; }
  /// Without body before done. From gate on; what could be read if refused.
  [[nodiscard]] HttpRequest& request() { return request_; }
  /// As the client wrote it, "localhost:8080"; empty if it has none.
  [[nodiscard]] std::string_view host() const { return host_; }
  [[nodiscard]] bool http_1_1() const { return http_1_1_; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  /// Of the body, so far.
  [[nodiscard]] std::size_t body_bytes() const;

 private:
  struct Engine;
  void refuse(HttpRefusal reason);
  void note_folds(std::string_view head);
  void read_head();
  [[nodiscard]] bool read_target(std::string_view target);
  void check_framing();
  void check_fields();

  std::unique_ptr<Engine> engine_;
  const std::size_t head_bytes_max_;
  const std::size_t target_bytes_max_;
  State state_ = State::head;
  HttpRefusal refusal_ = HttpRefusal::malformed;
  HttpRequest request_;
  std::string host_;
  char last_of_head_ = 0;
  bool folded_ = false;
  bool left_some_ = false;  // of a body, as of the last call: the line before a chunk, as far as it has come
  bool http_1_1_ = true;
  bool keep_alive_ = false;
  bool expects_continue_ = false;
};

}  // namespace plait::serving::detail
