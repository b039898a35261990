// SPDX-License-Identifier: Apache-2.0
#include "serving/http/message.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "text/json.h"

namespace plait::serving {
namespace {

constexpr std::array<std::pair<std::string_view, HttpMethod>, 7> kMethods{{{"GET", HttpMethod::get},
                                                                           {"HEAD", HttpMethod::head},
                                                                           {"POST", HttpMethod::post},
                                                                           {"PUT", HttpMethod::put},
                                                                           {"PATCH", HttpMethod::patch},
                                                                           {"DELETE", HttpMethod::remove},
                                                                           {"OPTIONS", HttpMethod::options}}};

std::optional<std::string_view> value_of(const std::vector<std::pair<std::string, std::string>>& pairs,
                                         std::string_view name) {
  const auto at = std::ranges::find(pairs, name, &std::pair<std::string, std::string>::first);
  if (at == pairs.end()) return std::nullopt;
  return at->second;
}

}  // namespace

std::string_view name(HttpMethod method) {
  return std::ranges::find(kMethods, method, &std::pair<std::string_view, HttpMethod>::second)->first;
}

std::optional<HttpMethod> http_method(std::string_view name) {
  const auto at = std::ranges::find(kMethods, name, &std::pair<std::string_view, HttpMethod>::first);
  if (at == kMethods.end()) return std::nullopt;
  return at->second;
}

std::optional<std::string_view> HttpHeaders::find(std::string_view name) const {
  const auto at = std::ranges::find_if(fields_, [&](const Field& field) { return base::same_word(field.first, name); });
  if (at == fields_.end()) return std::nullopt;
  return at->second;
}

void HttpHeaders::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const Field& field) { return base::same_word(field.first, name); });
  add(std::string(name), std::move(value));
}

std::size_t HttpHeaders::count(std::string_view name) const {
  const auto named =
      std::ranges::count_if(fields_, [&](const Field& field) { return base::same_word(field.first, name); });
  return static_cast<std::size_t>(named);
}

std::string_view HttpRequest::param(std::string_view name) const { return value_of(params, name).value_or(""); }

std::optional<std::string_view> HttpRequest::query_value(std::string_view name) const { return value_of(query, name); }

HttpReply json_reply(const text::Json& body, int status) {
  HttpReply reply{.status = status, .body = text::dump_json(body)};
  if (status == 429 || status == 503) reply.headers.add("retry-after", "1");
  return reply;
}

HttpReply reply_of(const Refusal& refusal) { return json_reply(refusal_body(refusal), refusal.status); }

std::string_view status_text(int status) {
  static constexpr std::array<std::pair<int, std::string_view>, 32> kTexts{{{200, "OK"},
                                                                            {201, "Created"},
                                                                            {202, "Accepted"},
                                                                            {204, "No Content"},
                                                                            {206, "Partial Content"},
                                                                            {301, "Moved Permanently"},
                                                                            {302, "Found"},
                                                                            {303, "See Other"},
                                                                            {304, "Not Modified"},
                                                                            {307, "Temporary Redirect"},
                                                                            {308, "Permanent Redirect"},
                                                                            {400, "Bad Request"},
                                                                            {401, "Unauthorized"},
                                                                            {403, "Forbidden"},
                                                                            {404, "Not Found"},
                                                                            {405, "Method Not Allowed"},
                                                                            {408, "Request Timeout"},
                                                                            {409, "Conflict"},
                                                                            {410, "Gone"},
                                                                            {413, "Content Too Large"},
                                                                            {414, "URI Too Long"},
                                                                            {415, "Unsupported Media Type"},
                                                                            {416, "Range Not Satisfiable"},
                                                                            {417, "Expectation Failed"},
                                                                            {422, "Unprocessable Content"},
                                                                            {429, "Too Many Requests"},
                                                                            {431, "Request Header Fields Too Large"},
                                                                            {500, "Internal Server Error"},
                                                                            {501, "Not Implemented"},
                                                                            {503, "Service Unavailable"},
                                                                            {505, "HTTP Version Not Supported"},
                                                                            {507, "Insufficient Storage"}}};
  const auto at = std::ranges::find(kTexts, status, &std::pair<int, std::string_view>::first);
  return at == kTexts.end() ? "Unknown" : at->second;
}

std::optional<std::string> percent_decoded(std::string_view text, bool form) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += form && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = base::hex_digit(text[i + 1]);
    const int low = base::hex_digit(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

}  // namespace plait::serving
