// SPDX-License-Identifier: Apache-2.0
#include "cli/server_status.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "net/http.h"
#include "text/utf8.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using text::Json;

constexpr base::Bytes kStatusBytesMax = 4U << 20U;

// A member of an object; null if there is none.
const Json& at(const Json& value, const char* name) {
  static const Json none;
  if (!value.is_object()) return none;
  const auto found = value.find(name);
  return found == value.end() ? none : *found;
}

double number(const Json& value, const char* name) {
  const Json& member = at(value, name);
  const double read = member.is_number() ? member.get<double>() : 0;
  return std::isfinite(read) ? read : 0;
}

std::size_t count(const Json& value, const char* name) {
  return static_cast<std::size_t>(std::clamp(number(value, name), 0.0, 1e15));
}

std::string string(const Json& value, const char* name) {
  const Json& member = at(value, name);
  return member.is_string() ? member.get<std::string>() : std::string();
}

ClientStatus read_client(const Json& json) {
  return {.name = string(json, "name"),
          .weight = number(json, "weight"),
          .service = number(json, "service"),
          .running = count(json, "running"),
          .waiting = count(json, "waiting"),
          .sequences = count(json, "sequences"),
          .pages = count(json, "pages")};
}

ModelStatus read_model(const Json& json) {
  const Json& pages = at(json, "pages");
  ModelStatus model{.name = string(json, "name"),
                    .running = count(json, "running"),
                    .waiting = count(json, "waiting"),
                    .steps = number(json, "steps"),
                    .prompt_rows = number(json, "prompt_rows"),
                    .decode_rows = number(json, "decode_rows"),
                    .cached_tokens = number(json, "cached_tokens"),
                    .pages = count(pages, "all"),
                    .pages_free = count(pages, "free"),
                    .pages_cached = count(pages, "cached"),
                    .pages_own = count(pages, "own"),
                    .pages_shared = count(pages, "shared"),
                    .pages_away = count(pages, "away")};
  for (const Json& client : at(json, "clients")) model.clients.push_back(read_client(client));
  return model;
}

std::vector<RequestStatus> read_requests(const Json& list) {
  std::vector<RequestStatus> requests;
  for (const Json& json : list) {
    RequestStatus& request = requests.emplace_back();
    request = {.id = string(json, "id"),
               .endpoint = string(json, "endpoint"),
               .client = string(json, "client"),
               .model = string(json, "model"),
               .phase = string(json, "phase"),
               .age_seconds = number(json, "age_seconds"),
               .choices = count(json, "choices"),
               .generated_tokens = count(json, "generated_tokens"),
               .status = static_cast<int>(std::clamp(number(json, "status"), 0.0, 999.0)),
               .seconds = number(json, "seconds")};
    if (at(json, "first_token_seconds").is_number()) request.first_token_seconds = number(json, "first_token_seconds");
  }
  return requests;
}

std::string status_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  if (url.ends_with("/v1")) url.resize(url.size() - 3);
  return url + "/v1/plait/status";
}

}  // namespace

Result<ServerStatus> read_status(const Json& json) {
  if (!at(json, "models").is_array()) return fail(ErrorCode::invalid_data, "the answer is no status of a plait server");
  ServerStatus status{.seconds = number(json, "seconds")};
  for (const Json& model : at(json, "models")) status.models.push_back(read_model(model));
  const Json& requests = at(json, "requests");
  status.open = count(requests, "open");
  if (at(requests, "listed").is_array()) status.listed = read_requests(at(requests, "listed"));
  if (at(requests, "recent").is_array()) status.recent = read_requests(at(requests, "recent"));
  return status;
}

Result<Json> fetch_status(const ServerAddress& server, const std::function<bool()>& keep_going) {
  net::Request request{.url = status_url(server.url),
                       .body_bytes_max = kStatusBytesMax,
                       .connect_timeout = std::chrono::seconds(3),
                       .idle_timeout = std::chrono::seconds(10),
                       .total_timeout = std::chrono::seconds(15)};
  if (!server.key.empty()) request.headers.emplace_back("Authorization", "Bearer " + server.key);
  std::string body;
  const net::Callbacks callbacks{.on_body = [&](std::span<const std::byte> piece) -> Result<void> {
                                   body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
                                   return {};
                                 },
                                 .keep_going = keep_going};
  const auto response = net::get(request, callbacks);
  if (!response && response.error().code == ErrorCode::network) {
    return fail(ErrorCode::network, response.error().message + "; is a server running there? plait serve starts one");
  }
  if (!response) return std::unexpected(response.error());
  if (response->status == 401) {
    return fail(ErrorCode::invalid_argument, "the server asks for a key: set PLAIT_API_KEY, or give --key");
  }
  if (response->status == 404) {
    return fail(ErrorCode::invalid_data, request.url + ": not found; this is no plait server, or an older one");
  }
  if (response->status != 200) {
    return fail(ErrorCode::network, fmt::format("{}: HTTP {}", request.url, response->status));
  }
  return text::parse_json(body);
}

std::string cell(std::string_view text, std::size_t width, bool fill) {
  std::string out;
  std::size_t used = 0;
  while (!text.empty() && used < width) {
    const text::Decoded next = text::decode(text);
    const char32_t c = next.code_point;
    const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
    const bool order = (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f);
    text::append(out, !next.valid || control || order ? U'?' : c);
    text.remove_prefix(next.length);
    ++used;
  }
  if (fill) out.append(width - used, ' ');
  return out;
}

}  // namespace plait::cli
