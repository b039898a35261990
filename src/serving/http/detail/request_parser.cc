// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/request_parser.h"

#include <algorithm>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/parser.hpp>
#include <limits>
#include <utility>

#include "base/check.h"

namespace plait::serving::detail {
namespace {

namespace http = boost::beast::http;

// A string that grows with what has come, not with what is announced.
struct Body {
  using value_type = std::string;

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(http::header<is_request, Fields>& /*head*/, value_type& body) : body_(body) {}

    void init(const boost::optional<std::uint64_t>& /*length*/, boost::beast::error_code& error) { error = {}; }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::beast::error_code& error) {
      error = {};
      std::size_t taken = 0;
      for (const boost::asio::const_buffer buffer : boost::beast::buffers_range_ref(buffers)) {
        body_.append(static_cast<const char*>(buffer.data()), buffer.size());
        taken += buffer.size();
      }
      return taken;
    }
    void finish(boost::beast::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

HttpRefusal refusal_of(const boost::beast::error_code& error) {
  if (error == http::error::header_limit) return HttpRefusal::header_large;
  if (error == http::error::body_limit) return HttpRefusal::body_large;
  if (error == http::error::bad_version) return HttpRefusal::version;
  return HttpRefusal::malformed;
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

// Once it has seen the line of the last chunk and left it, the parser takes it for granted that it is given that line
// and two bytes more; no body ends before these.
bool is_part_of_last_chunk(std::string_view left) {
  return left.size() < 5 && (left.starts_with("0\r\n") || left == "00\r\n");
}

}  // namespace

struct RequestParser::Engine {
  http::request_parser<Body> parser;
};

RequestParser::RequestParser(const HttpLimits& limits)
    : engine_(std::make_unique<Engine>()),
      head_bytes_max_(limits.header_bytes),
      target_bytes_max_(limits.target_bytes) {
  auto& parser = engine_->parser;
  parser.eager(false);
  parser.header_limit(static_cast<std::uint32_t>(
      std::min<std::size_t>(limits.header_bytes, std::numeric_limits<std::uint32_t>::max())));
  // The gates come first; see admit_body().
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
}

RequestParser::~RequestParser() = default;

void RequestParser::refuse(HttpRefusal reason) {
  state_ = State::refused;
  refusal_ = reason;
}

// A field that goes on in the next line (RFC 9112, 5.2, obsolete): some readers take that line for a field of its own.
void RequestParser::note_folds(std::string_view head) {
  for (const char byte : head) {
    folded_ = folded_ || (last_of_head_ == '\n' && (byte == ' ' || byte == '\t'));
    last_of_head_ = byte;
  }
}

std::size_t RequestParser::feed(std::string_view bytes) {
  PLAIT_ASSERT(state_ == State::head || state_ == State::body);
  auto& parser = engine_->parser;
  std::size_t taken = 0;
  if (!parser.got_some()) {
    while (bytes.substr(taken).starts_with("\r\n")) taken += 2;  // RFC 9112, 2.2: empty lines before a request
    if (bytes.substr(taken) == "\r") return taken;
  }
  while (taken < bytes.size()) {
    if (left_some_ && is_part_of_last_chunk(bytes.substr(taken))) break;
    boost::beast::error_code error;
    const std::size_t before = taken;
    taken += parser.put(boost::asio::buffer(bytes.data() + taken, bytes.size() - taken), error);
    if (state_ == State::head) note_folds(bytes.substr(before, taken - before));
    if (error == http::error::need_more) break;
    if (error) {
      refuse(refusal_of(error));
      return taken;
    }
    if (state_ == State::head && parser.is_header_done()) {
      read_head();
      if (state_ == State::gate && folded_) refuse(HttpRefusal::malformed);
      return taken;
    }
    if (parser.is_done()) {
      state_ = State::done;
      request_.body = std::move(parser.get().body());
      return taken;
    }
  }
  left_some_ = state_ == State::body && taken < bytes.size();
  // In a body, what is left is the line before a chunk, or the fields after the last.
  if (state_ == State::body && bytes.size() - taken > head_bytes_max_) refuse(HttpRefusal::malformed);
  return taken;
}

void RequestParser::read_head() {
  const auto& head = engine_->parser.get();
  state_ = State::gate;
  http_1_1_ = head.version() == 11;
  keep_alive_ = head.keep_alive();
  for (const auto& field : head) {
    request_.headers.add(std::string(view(field.name_string())), std::string(view(field.value())));
  }
  if (head.target().size() > target_bytes_max_) return refuse(HttpRefusal::target_long);
  const auto method = http_method(view(head.method_string()));
  if (method) request_.method = *method;
  if (!read_target(view(head.target()))) return refuse(HttpRefusal::malformed);
  check_framing();
  if (state_ == State::gate && !method) return refuse(HttpRefusal::method);
  if (state_ == State::gate) check_fields();
}

// Shapes in which a proxy before us and we could see different requests.
void RequestParser::check_framing() {
  const HttpHeaders& headers = request_.headers;
  const auto length = headers.find("content-length");
  const auto coding = headers.find("transfer-encoding");
  if (headers.count("content-length") > 1 || headers.count("transfer-encoding") > 1) {
    return refuse(HttpRefusal::malformed);
  }
  if (length && (coding || length->find(',') != std::string_view::npos)) return refuse(HttpRefusal::malformed);
  if (coding && !http_1_1_) return refuse(HttpRefusal::malformed);
  if (coding && !boost::beast::iequals({coding->data(), coding->size()}, "chunked")) {
    return refuse(HttpRefusal::transfer_coding);
  }
}

void RequestParser::check_fields() {
  const HttpHeaders& headers = request_.headers;
  if (headers.count("host") > 1 || (http_1_1_ && headers.count("host") == 0)) return refuse(HttpRefusal::malformed);
  if (host_.empty()) host_ = headers.find("host").value_or("");
  const auto expected = headers.find("expect");
  if (!expected || !http_1_1_) return;
  expects_continue_ = boost::beast::iequals({expected->data(), expected->size()}, "100-continue");
  if (!expects_continue_) refuse(HttpRefusal::expectation);
}

// The forms of RFC 9112, 3.2: /path?query, http://host/path?query, *.
bool RequestParser::read_target(std::string_view target) {
  if (target == "*") {
    request_.path = target;
    return request_.method == HttpMethod::options;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    host_ = target.substr(0, end);
    target.remove_prefix(end);
    if (host_.empty()) return false;
    if (!target.starts_with('/')) request_.path = "/";
    break;
  }
  const std::size_t mark = std::min(target.find('?'), target.size());
  auto path = percent_decoded(target.substr(0, mark));
  if (!path) return false;
  request_.path += *path;
  if (!request_.path.starts_with('/')) return false;
  for (std::string_view rest = target.substr(std::min(mark + 1, target.size())); !rest.empty();) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto key = percent_decoded(pair.substr(0, equals), true);
    auto value = percent_decoded(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!key || !value) return false;
    request_.query.emplace_back(*std::move(key), *std::move(value));
  }
  return true;
}

void RequestParser::admit_body(std::size_t bytes_max) {
  PLAIT_CHECK(state_ == State::gate);
  auto& parser = engine_->parser;
  const auto length = parser.content_length();
  if (length && *length > bytes_max) return refuse(HttpRefusal::body_large);
  parser.body_limit(bytes_max);
  parser.eager(true);
  state_ = parser.is_done() ? State::done : State::body;
}

std::size_t RequestParser::body_bytes() const { return engine_->parser.get().body().size(); }

}  // namespace plait::serving::detail
