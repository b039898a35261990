// SPDX-License-Identifier: Apache-2.0
//
// One client's connection: requests in, answers out, one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "serving/http/access_log.h"
#include "serving/http/counters.h"
#include "serving/http/detail/hub.h"
#include "serving/http/detail/outbox.h"
#include "serving/http/detail/request_parser.h"
#include "serving/http/detail/wire.h"
#include "serving/http/policy.h"

namespace plait::serving::detail {

/// Belongs to the server's thread. It stays in Hub::connections until it is dropped.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// The hub must outlive it.
  Connection(Hub& hub, Socket socket);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// Looks at the deadlines. `now` in seconds of base::steady_clock().
  void tick(double now);
  /// Closes the socket and forgets the connection; again: nothing.
  void drop();

 private:
  // What is waited for.
  enum class Phase : std::uint8_t {
    idle,       // the first byte of a request
    handshake,  // TLS
    head,       // the end of the request's header
    body,       // the end of its body
    answer,     // the answer, and that the client takes it
    linger,     // the client's end: closing at once would reset what it has not read yet
    closed,
  };

  // The answer under way.
  struct Answer {
    std::shared_ptr<Outbox> outbox;  // null for the gates' own
    std::shared_ptr<void> work;      // its place in Admission
    AccessRecord record;
    bool head_only = false;
    bool http_1_1 = true;
    bool chunked = false;
    bool close = false;
    bool ended = false;   // all of it is in ready_
    bool events = false;  // a stream of server-sent events
    std::string cors_origin;
  };

  template <class Call>
  void guarded(const Call& call);
  void begin_handshake();
  void on_handshake(Wire::Handshake outcome);
  void read();
  void on_input(std::size_t bytes);
  void on_input_end();
  void begin_request();
  void enter(Phase phase);
  void advance();
  [[nodiscard]] bool pass_gates();
  [[nodiscard]] std::optional<HttpRefusal> check_gates();
  void note_body();
  void dispatch();
  void refuse(HttpRefusal reason, int retry_after_s = 1);
  void answer_at_once(HttpReply reply);
  void pump();
  void put_head(const HttpReply& reply, bool stream);
  void put_piece(std::string_view bytes);
  void ping();
  void write();
  void send_rest();
  void on_sent(std::size_t bytes);
  void on_written();
  void finish();
  void log_answer(bool gone);
  void linger();

  Hub& hub_;
  Wire wire_;
  const std::string address_;        // of the client
  const std::string address_group_;  // for HttpLimits::connections_per_address
  const std::string reached_;        // our own
  std::shared_ptr<const HttpPolicy> policy_;
  Phase phase_ = Phase::idle;
  double phase_since_ = 0;

  std::string in_;  // read and not yet parsed
  bool reading_ = false;
  bool input_over_ = false;
  std::unique_ptr<RequestParser> parser_;
  HttpClient client_;
  std::size_t body_noted_ = 0;  // our part of Hub::bodies_bytes
  std::size_t lingered_ = 0;

  Answer answer_;
  double began_ = 0;
  std::string ready_;            // to be written after out_
  std::string out_;              // being written
  std::size_t ready_share_ = 0;  // of the outbox's bytes
  std::size_t out_share_ = 0;
  bool writing_ = false;
  std::size_t out_taken_ = 0;
  double progress_at_ = 0;  // when the client was last sent something, or took some of it
};

}  // namespace plait::serving::detail
