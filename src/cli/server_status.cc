// SPDX-License-Identifier: Apache-2.0
#include "cli/server_status.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "net/http.h"
#include "text/json_member.h"
#include "text/utf8.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using text::count_of;
using text::Json;
using text::member;
using text::number_of;
using text::text_of;

constexpr base::Bytes kStatusBytesMax = 4U << 20U;

ClientStatus read_client(const Json& json) {
  return {.name = std::string(text_of(json, "name")),
          .weight = number_of(json, "weight"),
          .service = number_of(json, "service"),
          .running = count_of(json, "running"),
          .waiting = count_of(json, "waiting"),
          .sequences = count_of(json, "sequences"),
          .pages = count_of(json, "pages")};
}

ModelStatus read_model(const Json& json) {
  const Json& pages = member(json, "pages");
  ModelStatus model{.name = std::string(text_of(json, "name")),
                    .running = count_of(json, "running"),
                    .waiting = count_of(json, "waiting"),
                    .steps = number_of(json, "steps"),
                    .prompt_rows = number_of(json, "prompt_rows"),
                    .decode_rows = number_of(json, "decode_rows"),
                    .cached_tokens = number_of(json, "cached_tokens"),
                    .pages = count_of(pages, "all"),
                    .pages_free = count_of(pages, "free"),
                    .pages_cached = count_of(pages, "cached"),
                    .pages_own = count_of(pages, "own"),
                    .pages_shared = count_of(pages, "shared"),
                    .pages_away = count_of(pages, "away")};
  for (const Json& client : member(json, "clients")) model.clients.push_back(read_client(client));
  return model;
}

std::vector<RequestStatus> read_requests(const Json& list) {
  std::vector<RequestStatus> requests;
  for (const Json& json : list) {
    RequestStatus& request = requests.emplace_back();
    request = {.id = std::string(text_of(json, "id")),
               .endpoint = std::string(text_of(json, "endpoint")),
               .client = std::string(text_of(json, "client")),
               .model = std::string(text_of(json, "model")),
               .phase = std::string(text_of(json, "phase")),
               .age_seconds = number_of(json, "age_seconds"),
               .choices = count_of(json, "choices"),
               .generated_tokens = count_of(json, "generated_tokens"),
               .status = static_cast<int>(std::clamp(number_of(json, "status"), 0.0, 999.0)),
               .seconds = number_of(json, "seconds")};
    if (member(json, "first_token_seconds").is_number())
      request.first_token_seconds = number_of(json, "first_token_seconds");
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
  if (!member(json, "models").is_array())
    return fail(ErrorCode::invalid_data, "the answer is no status of a plait server");
  ServerStatus status{.seconds = number_of(json, "seconds")};
  for (const Json& model : member(json, "models")) status.models.push_back(read_model(model));
  const Json& requests = member(json, "requests");
  status.open = count_of(requests, "open");
  if (member(requests, "listed").is_array()) status.listed = read_requests(member(requests, "listed"));
  if (member(requests, "recent").is_array()) status.recent = read_requests(member(requests, "recent"));
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
