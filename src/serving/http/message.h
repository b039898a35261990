// SPDX-License-Identifier: Apache-2.0
//
// What an HTTP exchange says: the request as the gates let it through, and the reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/fields.h"

namespace plait::serving {

/// The methods that the server knows; a request with another one gets 501.
enum class HttpMethod : std::uint8_t { get, head, post, put, patch, remove, options };

/// "GET", "DELETE".
[[nodiscard]] std::string_view name(HttpMethod method);
/// Case-sensitive, as in RFC 9110. Nothing for other methods.
[[nodiscard]] std::optional<HttpMethod> http_method(std::string_view name);

/// Fields in the order in which they came. Names are found in any case.
class HttpHeaders {
 public:
  using Field = std::pair<std::string, std::string>;

  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<Field> fields) : fields_(fields) {}

  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// The only value under this name.
  void set(std::string_view name, std::string value);
  /// The first value under this name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  [[nodiscard]] std::size_t size() const { return fields_.size(); }
  [[nodiscard]] auto begin() const { return fields_.begin(); }
  [[nodiscard]] auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

/// What one client may do; 0 means no bound.
struct HttpClientLimits {
  double weight = 1;  ///< Its share beside other clients; the HTTP layer only passes it on.
  std::uint32_t requests_per_minute = 0;
  std::uint32_t in_flight_max = 0;  ///< Requests whose handler has not ended them.
  bool sees_all = false;            ///< Lists of requests show those of others, too: for who runs the server.
};

/// Who asks.
struct HttpClient {
  std::string address = {};   ///< Without port; "unix" on a Unix socket.
  std::string key_name = {};  ///< Of the API key; empty if none was asked for.
  HttpClientLimits limits = {};

  /// What fairness and quotas go by: the key's name, else the address.
  [[nodiscard]] const std::string& name() const { return key_name.empty() ? address : key_name; }
};

struct HttpRequest {
  HttpMethod method = HttpMethod::get;
  std::string path = {};  ///< Percent-decoded, without query; any byte but NUL. Begins with '/', or is "*".
  std::vector<std::pair<std::string, std::string>> query = {};   ///< Decoded, '+' too, in order.
  std::vector<std::pair<std::string, std::string>> params = {};  ///< What the router's pattern took from the path.
  HttpHeaders headers = {};
  std::string body = {};
  HttpClient client = {};
  std::string id = {};  ///< As in the reply's `x-request-id`.

  /// A parameter of the route's pattern; empty if it has none of this name.
  [[nodiscard]] std::string_view param(std::string_view name) const;
  /// The first query value under this name.
  [[nodiscard]] std::optional<std::string_view> query_value(std::string_view name) const;
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  HttpHeaders headers =
      {};  ///< More fields. Line breaks in them become spaces. Length and connection are not the handler's.
  std::string body = {};
};

/// With status 429 and 503 it asks the client to come back after a second (`retry-after`).
[[nodiscard]] HttpReply json_reply(const text::Json& body, int status = 200);
/// A refusal as a reply: its body is refusal_body().
[[nodiscard]] HttpReply reply_of(const Refusal& refusal);

/// "Not Found"; "Unknown" for a status without a name here.
[[nodiscard]] std::string_view status_text(int status);

/// Bytes with %XX decoded, and '+' as a space if `form` is set. Nothing for a bad escape or one for NUL.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text, bool form = false);

}  // namespace plait::serving
