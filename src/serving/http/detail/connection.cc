// SPDX-License-Identifier: Apache-2.0
//
// All callbacks run on the server's thread, one after the other, inside guarded(): what throws (memory runs out) costs
// this connection and no other.
#include "serving/http/detail/connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/clock.h"
#include "serving/http/detail/gates.h"
#include "serving/http/detail/listen_socket.h"
#include "serving/http/detail/response_head.h"

namespace plait::serving::detail {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kIdleBytesMax = 4096;                     // a buffer that a silent connection may keep
constexpr std::size_t kLingerBytesMax = std::size_t{4} << 20U;  // then a refused client's connection is reset

// Notices the client's end behind bytes that nobody reads, if the system's buffer has room for all of them.
bool hung_up(int descriptor) {
  pollfd state{.fd = descriptor, .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) == 1;
}

double now() { return base::steady_clock().now(); }

}  // namespace

Connection::Connection(Hub& hub, Socket socket)
    : hub_(hub),
      wire_(std::move(socket)),
      address_(peer_address(wire_.descriptor())),
      address_group_(address_group(address_)),
      reached_(own_address(wire_.descriptor())),
      policy_(hub.policy()) {}

template <class Call>
void Connection::guarded(const Call& call) {
  if (phase_ == Phase::closed) return;
  try {
    call();
  } catch (...) {
    drop();
  }
}

void Connection::start() {
  guarded([&] {
    ++hub_.connections_of[address_group_];
    hub_.connections.insert(shared_from_this());
    hub_.count([](HttpCounters& all) { ++all.connections, ++all.connections_open; });
    if (policy_->tls && address_ != "unix") return begin_handshake();
    begin_request();
    read();
  });
}

void Connection::begin_handshake() {
  enter(Phase::handshake);
  wire_.handshake(*policy_->tls, [self = shared_from_this()](Wire::Handshake outcome) {
    self->guarded([&] { self->on_handshake(outcome); });
  });
}

void Connection::on_handshake(Wire::Handshake outcome) {
  if (outcome == Wire::Handshake::failed) {
    if (wire_.secure()) hub_.count_refusal(HttpRefusal::handshake);  // else the client has said nothing
    return drop();
  }
  begin_request();
  if (outcome == Wire::Handshake::plain) return refuse(HttpRefusal::tls);
  read();
}

void Connection::drop() {
  if (phase_ == Phase::closed) return;
  const auto self = shared_from_this();
  const bool answering = phase_ == Phase::answer;
  phase_ = Phase::closed;
  wire_.close();
  hub_.bodies_bytes -= std::exchange(body_noted_, 0);
  if (hub_.connections.erase(self) != 0) {
    if (const auto at = hub_.connections_of.find(address_group_); --at->second == 0) hub_.connections_of.erase(at);
    hub_.count([](HttpCounters& all) { --all.connections_open; });
  }
  if (!answering) return;
  if (writing_) answer_.record.bytes += out_taken_;
  log_answer(true);
  const Answer answer = std::exchange(answer_, {});
  try {
    if (answer.outbox) answer.outbox->detach();
  } catch (...) {  // from a function of on_gone: nobody is left who could hear of it
    return;
  }
}

void Connection::tick(double at) {
  guarded([&] {
    const HttpTimeouts& limits = policy_->timeouts;
    const double waited = at - phase_since_;
    switch (phase_) {
      case Phase::idle:
        if (waited > limits.idle) drop();
        break;
      case Phase::handshake:
        if (waited > limits.header) on_handshake(Wire::Handshake::failed);
        break;
      case Phase::head:
        if (waited > limits.header) in_.empty() ? drop() : refuse(HttpRefusal::header_slow);
        break;
      case Phase::body:
        if (waited > limits.body ||
            (waited > limits.body_grace && static_cast<double>(parser_->body_bytes()) < waited * limits.body_rate)) {
          refuse(HttpRefusal::body_slow);
        }
        break;
      case Phase::answer:
        if (!reading_ && !input_over_ && hung_up(wire_.descriptor())) return drop();
        if (!writing_ && limits.ping > 0 && at - progress_at_ >= limits.ping) ping();
        if (!writing_ || at - progress_at_ <= limits.write_stall) break;
        hub_.count_refusal(HttpRefusal::slow_reader);
        drop();
        break;
      case Phase::linger:
        if (waited > limits.linger) drop();
        break;
      case Phase::closed:
        break;
    }
  });
}

// One read is under way at all times, so that the client's end is noticed, unless it has sent too much ahead.
void Connection::read() {
  if (reading_ || input_over_ || phase_ == Phase::closed) return;
  if (phase_ == Phase::answer && in_.size() >= policy_->limits.pipelined_bytes) return;
  reading_ = true;
  wire_.receive(hub_.incoming, [self = shared_from_this()](std::size_t bytes) {
    self->guarded([&] {
      self->reading_ = false;
      bytes == 0 ? self->on_input_end() : self->on_input(bytes);
    });
  });
}

void Connection::on_input(std::size_t bytes) {
  hub_.count([&](HttpCounters& all) { all.bytes_in += bytes; });
  if (phase_ == Phase::linger) {
    lingered_ += bytes;
    if (lingered_ > kLingerBytesMax) return drop();
  } else {
    in_.append(hub_.incoming.data(), bytes);
    advance();
  }
  read();
}

void Connection::on_input_end() {
  input_over_ = true;
  if (phase_ == Phase::answer) pump();
  // Half a request stays without answer. A whole answer still goes out.
  if (phase_ != Phase::answer || !answer_.ended) return drop();
  answer_.close = true;
}

// The connection's begin, or the first byte after an answer.
void Connection::begin_request() {
  policy_ = hub_.policy();
  parser_ = std::make_unique<RequestParser>(policy_->limits);
  client_ = {};
  answer_ = {};
  enter(Phase::head);
  answer_.record.time = std::chrono::system_clock::now();
  began_ = phase_since_;
}

void Connection::enter(Phase phase) {
  phase_ = phase;
  phase_since_ = now();
}

void Connection::advance() {
  if (phase_ == Phase::idle && !in_.empty()) begin_request();
  while ((phase_ == Phase::head || phase_ == Phase::body) && !in_.empty()) {
    in_.erase(0, parser_->feed(in_));
    switch (parser_->state()) {
      case RequestParser::State::gate:
        if (!pass_gates()) return;
        if (parser_->state() == RequestParser::State::done) return dispatch();
        break;
      case RequestParser::State::done:
        return dispatch();
      case RequestParser::State::refused:
        return refuse(parser_->refusal());
      case RequestParser::State::head:
        return;
      case RequestParser::State::body:
        return note_body();
    }
  }
}

// After the header. False if the request was answered.
bool Connection::pass_gates() {
  const HttpRequest& request = parser_->request();
  if (const auto reason = check_gates()) {
    // Without a body the connection is still in step and can go on.
    parser_->admit_body(0);
    refuse(*reason, *reason == HttpRefusal::wrong_keys ? hub_.guesses.wait_seconds(address_group_, now()) : 1);
    return false;
  }
  if (request.method == HttpMethod::options && !answer_.cors_origin.empty() &&
      request.headers.find("access-control-request-method")) {
    HttpReply reply = preflight_reply(request.headers);
    parser_->admit_body(0);
    answer_at_once(std::move(reply));
    return false;
  }
  parser_->admit_body(policy_->limits.body_bytes);
  if (parser_->state() == RequestParser::State::refused) {
    refuse(parser_->refusal());
    return false;
  }
  enter(Phase::body);
  if (parser_->state() == RequestParser::State::body && parser_->expects_continue() && in_.empty()) {
    ready_ += "HTTP/1.1 100 Continue\r\n\r\n";
    write();
  }
  return true;
}

std::optional<HttpRefusal> Connection::check_gates() {
  const HttpRequest& request = parser_->request();
  const bool local = address_ == "unix";
  const bool nameless = !parser_->http_1_1() && parser_->host().empty();
  if (!local && !nameless && !host_allowed(policy_->access, parser_->host(), reached_)) return HttpRefusal::host;

  const Origin origin = origin_of(policy_->access, request.headers, parser_->host());
  const bool reads = request.method == HttpMethod::get || request.method == HttpMethod::head;
  if (origin == Origin::foreign && !reads) return HttpRefusal::origin;
  if (origin == Origin::allowed) answer_.cors_origin = request.headers.find("origin").value_or("");

  client_ = {.address = address_, .key_name = {}, .limits = policy_->anyone};
  const bool preflight = request.method == HttpMethod::options && origin == Origin::allowed &&
                         request.headers.find("access-control-request-method");
  const bool open = reads && std::ranges::find(policy_->open_paths, request.path) != policy_->open_paths.end();
  if (policy_->keys.empty() || preflight || open) return std::nullopt;  // a preflight carries no key
  const auto presented = presented_key(request.headers);
  const HttpKey* key = presented ? policy_->keys.find(*presented) : nullptr;
  const std::string_view owner = key == nullptr ? std::string_view() : std::string_view(key->name);
  if (presented && !hub_.guesses.hears(address_group_, owner, policy_->limits.wrong_keys_per_minute, now())) {
    return HttpRefusal::wrong_keys;
  }
  if (key == nullptr) return HttpRefusal::key;
  client_.key_name = key->name;
  client_.limits = key->limits;
  return std::nullopt;
}

void Connection::note_body() {
  const std::size_t bytes = parser_->body_bytes();
  hub_.bodies_bytes += bytes - body_noted_;
  body_noted_ = bytes;
  if (hub_.bodies_bytes > policy_->limits.bodies_bytes) refuse(HttpRefusal::memory);
}

void Connection::dispatch() {
  if (hub_.draining) return refuse(HttpRefusal::draining);
  const std::string quota = client_.key_name.empty() ? address_group_ : "key " + client_.key_name;
  auto place = hub_.admission->enter(quota, client_.limits, policy_->limits.in_flight, now());
  if (!place) return refuse(place.error().reason, place.error().retry_after_s);

  HttpRequest request = std::move(parser_->request());
  phase_ = Phase::answer;
  hub_.bodies_bytes -= std::exchange(body_noted_, 0);
  answer_.record.id = hub_.next_id();
  answer_.record.client = client_.name();
  answer_.record.method = name(request.method);
  answer_.record.path = request.path;
  answer_.head_only = request.method == HttpMethod::head;
  answer_.http_1_1 = parser_->http_1_1();
  answer_.close = !parser_->keep_alive();
  answer_.work = *place;
  request.client = client_;
  request.id = answer_.record.id;
  // The outbox is detached before the hub dies.
  auto wake = [&hub = hub_, weak = weak_from_this()] {
    asio::post(hub.io, [weak] {
      if (const auto self = weak.lock()) self->guarded([&] { self->pump(); });
    });
  };
  answer_.outbox = std::make_shared<Outbox>(policy_->limits.queue_bytes, std::move(wake), *std::move(place));
  const Responder responder(std::make_shared<WireExchange>(answer_.outbox));
  try {
    hub_.handler(std::move(request), responder);
  } catch (...) {
    responder.refuse({.status = 500, .message = "the request's handler failed", .code = "internal_error"});
  }
}

void Connection::refuse(HttpRefusal reason, int retry_after_s) {
  hub_.count_refusal(reason);
  HttpReply reply = reply_of(refusal_of(reason));
  if (reply.status == 429 || reply.status == 503) reply.headers.set("retry-after", fmt::format("{}", retry_after_s));
  if (reply.status == 401) reply.headers.add("www-authenticate", "Bearer");
  answer_.close = reason == HttpRefusal::draining;
  answer_at_once(std::move(reply));
}

// The gates' own answer. The connection goes on only if it is certain where the next request begins.
void Connection::answer_at_once(HttpReply reply) {
  const bool in_step = parser_->state() == RequestParser::State::done;
  const HttpRequest& request = parser_->request();
  phase_ = Phase::answer;
  hub_.bodies_bytes -= std::exchange(body_noted_, 0);
  answer_.record.id = hub_.next_id();
  answer_.record.client = client_.name().empty() ? address_ : client_.name();
  if (!request.path.empty()) {
    answer_.record.method = name(request.method);
    answer_.record.path = request.path;
  }
  answer_.head_only = request.method == HttpMethod::head;
  answer_.http_1_1 = parser_->http_1_1();
  answer_.close = answer_.close || !in_step || !parser_->keep_alive();
  answer_.ended = true;
  put_head(reply, false);
  write();
}

// Takes from the outbox what is there.
void Connection::pump() {
  if (phase_ != Phase::answer || !answer_.outbox || answer_.ended) return;
  Outbox::Taken taken = answer_.outbox->take();
  if (taken.overflow) {
    hub_.count_refusal(HttpRefusal::slow_reader);
    return drop();
  }
  if (taken.head) {
    ready_share_ += taken.head->body.size();
    put_head(*taken.head, taken.stream);
    answer_.events = taken.stream && taken.head->content_type.starts_with("text/event-stream");
  }
  ready_share_ += taken.bytes.size();
  put_piece(taken.bytes);
  answer_.ended = taken.ended;
  if (taken.cut) answer_.close = true;
  if (taken.ended && !taken.cut && answer_.chunked) ready_ += "0\r\n\r\n";
  write();
  if (answer_.ended && !writing_) finish();
}

void Connection::put_head(const HttpReply& reply, bool stream) {
  const bool empty = answer_.head_only || bodiless(reply.status);
  if (hub_.draining) answer_.close = true;
  if (stream && !answer_.http_1_1) answer_.close = true;
  answer_.record.status = reply.status;
  answer_.chunked = stream && answer_.http_1_1 && !empty;
  HeadFacts facts{.http_1_1 = answer_.http_1_1,
                  .close = answer_.close,
                  .id = answer_.record.id,
                  .cors_origin = answer_.cors_origin};
  if (!stream) facts.length = reply.body.size();
  answer_.head_only = empty;
  ready_ += response_head(reply, facts);
  if (!empty && !stream) ready_ += reply.body;
}

void Connection::put_piece(std::string_view bytes) {
  if (bytes.empty() || answer_.head_only) return;
  if (answer_.chunked) ready_ += fmt::format("{:x}\r\n", bytes.size());
  ready_ += bytes;
  if (answer_.chunked) ready_ += "\r\n";
}

// A line that readers of events skip. Proxies take a stream on which nothing comes for dead.
void Connection::ping() {
  if (!answer_.events || answer_.ended) return;
  put_piece(": ping\n\n");
  write();
}

void Connection::write() {
  if (writing_ || ready_.empty()) return;
  writing_ = true;
  out_.swap(ready_);
  out_share_ = std::exchange(ready_share_, 0);
  out_taken_ = 0;
  progress_at_ = now();
  send_rest();
}

void Connection::send_rest() {
  wire_.send(std::string_view(out_).substr(out_taken_),
             [self = shared_from_this()](std::size_t bytes) { self->guarded([&] { self->on_sent(bytes); }); });
}

void Connection::on_sent(std::size_t bytes) {
  hub_.count([&](HttpCounters& all) { all.bytes_out += bytes; });
  if (bytes == 0) return drop();
  out_taken_ += bytes;
  progress_at_ = now();
  out_taken_ == out_.size() ? on_written() : send_rest();
}

void Connection::on_written() {
  writing_ = false;
  if (phase_ == Phase::answer) answer_.record.bytes += out_.size();
  if (answer_.outbox) answer_.outbox->sent(out_share_);
  out_.clear();
  if (out_.capacity() > kIdleBytesMax) out_ = {};
  if (!ready_.empty()) return write();
  if (phase_ == Phase::answer && answer_.ended) finish();
}

// The answer is with the operating system.
void Connection::finish() {
  log_answer(false);
  if (answer_.outbox) answer_.outbox->detach();
  if (answer_.close) return linger();
  parser_.reset();
  answer_ = {};
  enter(Phase::idle);
  if (in_.empty() && in_.capacity() > kIdleBytesMax) in_ = {};
  advance();
  read();
}

void Connection::log_answer(bool gone) {
  AccessRecord& record = answer_.record;
  record.seconds = now() - began_;
  record.gone = gone;
  hub_.count([&](HttpCounters& all) {
    const auto kind = static_cast<std::size_t>(record.status) / 100;
    ++all.answers[kind < all.answers.size() ? kind : 0];
    if (gone) ++all.clients_gone;
  });
  if (!hub_.log) return;
  try {
    hub_.log(access_log_line(record));
  } catch (...) {  // a line is lost, the answer is not
    return;
  }
}

void Connection::linger() {
  if (input_over_) return drop();
  answer_ = {};
  enter(Phase::linger);
  in_ = {};
  parser_.reset();
  wire_.end_sending();
  read();
}

}  // namespace plait::serving::detail
