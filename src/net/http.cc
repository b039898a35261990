// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "net/detail/curl.h"

namespace plait::net {
namespace {

using base::Bytes;
using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::size_t kErrorTextMax = 2048;
constexpr std::size_t kHeadersMax = 200;
constexpr std::size_t kHeaderBytesMax = 8192;

// What the callbacks of one transfer share.
struct Transfer {
  const Request& request;
  const Callbacks& callbacks;
  Response response = {};
  Bytes body_bytes = 0;
  bool head_reported = false;
  std::optional<Error> error = {};  // why a callback ended the transfer

  bool stop(Error why) {
    if (!error) error = std::move(why);
    return false;
  }

  [[nodiscard]] bool is_success() const { return response.status >= 200 && response.status < 300; }

  bool report_head() {
    if (head_reported || !is_success()) return true;
    head_reported = true;
    if (!callbacks.on_head) return true;
    const auto accepted = callbacks.on_head(response);
    return accepted || stop(accepted.error());
  }

  // A status line starts a new response: after a redirect, or after 100 Continue.
  void status_line(std::string_view line) {
    response = {};
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view digits = line.substr(std::min(space + 1, line.size()), 3);
    std::from_chars(digits.data(), digits.data() + digits.size(), response.status);
  }

  void header_line(std::string_view line) {
    if (line.starts_with("HTTP/")) return status_line(line);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || response.headers.size() >= kHeadersMax) return;
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    std::string_view value = line.substr(colon + 1, kHeaderBytesMax);
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!value.empty() && blank(value.front())) value.remove_prefix(1);
    while (!value.empty() && blank(value.back())) value.remove_suffix(1);
    response.headers[std::move(name)] = std::string(value);
  }

  bool body(std::span<const std::byte> piece) {
    if (!is_success()) {
      const std::size_t room = kErrorTextMax - response.error_text.size();
      response.error_text.append(reinterpret_cast<const char*>(piece.data()), std::min(room, piece.size()));
      return true;
    }
    if (!report_head()) return false;
    if (piece.size() > request.body_bytes_max - body_bytes) {
      return stop({ErrorCode::out_of_resources,
                   fmt::format("{} sends more than {} bytes", request.url, request.body_bytes_max)});
    }
    body_bytes += piece.size();
    if (!callbacks.on_body) return true;
    const auto accepted = callbacks.on_body(piece);
    return accepted || stop(accepted.error());
  }
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  static_cast<Transfer*>(user)->header_line({data, size * count});
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  const bool accepted = static_cast<Transfer*>(user)->body(std::as_bytes(std::span(data, size * count)));
  return accepted ? size * count : CURL_WRITEFUNC_ERROR;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto* transfer = static_cast<Transfer*>(user);
  if (!transfer->callbacks.keep_going || transfer->callbacks.keep_going()) return 0;
  transfer->stop({ErrorCode::interrupted, "the transfer was interrupted"});
  return 1;
}

void set_options(CURL* handle, const Request& request, Transfer& transfer, curl_slist* headers) {
  const auto set = [handle](CURLoption option, auto value) { curl_easy_setopt(handle, option, value); };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_HTTPHEADER, headers);
  set(CURLOPT_USERAGENT, "plait");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, static_cast<long>(request.redirects_max));
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, request.url.starts_with("https://") ? "https" : "http,https");
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.connect_timeout.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request.idle_bytes_per_second));
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.idle_timeout.count()));
  set(CURLOPT_TIMEOUT, static_cast<long>(request.total_timeout.count()));
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, on_progress);
  set(CURLOPT_XFERINFODATA, &transfer);
  set(CURLOPT_BUFFERSIZE, 256L * 1024);
}

void set_body(CURL* handle, std::string_view body) {
  curl_easy_setopt(handle, CURLOPT_POST, 1L);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
}

}  // namespace

std::optional<std::string_view> Response::header(std::string_view name) const {
  const auto found = headers.find(std::string(name));
  return found == headers.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

namespace {

// A POST if there is a body to send.
Result<Response> perform(const Request& request, const std::optional<std::string_view>& sent,
                         const Callbacks& callbacks) {
  PLAIT_TRY_VOID(detail::check_url(request.url));
  PLAIT_TRY(const detail::CurlList headers, detail::header_list(request.headers));
  PLAIT_TRY(const detail::CurlHandle handle, detail::make_handle());
  Transfer transfer{request, callbacks};
  set_options(handle.get(), request, transfer, headers.get());
  if (sent) set_body(handle.get(), *sent);
  std::string details(CURL_ERROR_SIZE, '\0');
  curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, details.data());
  const CURLcode code = curl_easy_perform(handle.get());
  if (transfer.error) return std::unexpected(*std::move(transfer.error));
  if (code != CURLE_OK) return std::unexpected(detail::transfer_error(code, request.url, details.c_str()));
  if (!transfer.report_head()) return std::unexpected(*std::move(transfer.error));
  const char* url = nullptr;
  curl_easy_getinfo(handle.get(), CURLINFO_EFFECTIVE_URL, &url);
  transfer.response.url = url == nullptr ? request.url : url;
  return std::move(transfer.response);
}

}  // namespace

Result<Response> get(const Request& request, const Callbacks& callbacks) {
  return perform(request, std::nullopt, callbacks);
}

Result<Response> post(const Request& request, std::string_view body, const Callbacks& callbacks) {
  Request whole = request;
  whole.headers.emplace_back("Expect", "");  // or curl waits a second for servers that do not know 100-continue
  return perform(whole, body, callbacks);
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  if (!value.starts_with(kUnit)) return std::nullopt;
  value.remove_prefix(kUnit.size());
  const auto number = [&value](char end) -> std::optional<Bytes> {
    Bytes parsed = 0;
    const auto result = std::from_chars(value.data(), value.data() + value.size(), parsed);
    const auto used = static_cast<std::size_t>(result.ptr - value.data());
    if (result.ec != std::errc() || used == 0) return std::nullopt;
    value.remove_prefix(used);
    if (end == '\0') return value.empty() ? std::optional(parsed) : std::nullopt;
    if (!value.starts_with(end)) return std::nullopt;
    value.remove_prefix(1);
    return parsed;
  };
  const auto first = number('-');
  const auto last = first ? number('/') : std::nullopt;
  if (!last || *last < *first) return std::nullopt;
  if (value == "*") return ContentRange{*first, *last, std::nullopt};
  const auto total = number('\0');
  if (!total || *last >= *total) return std::nullopt;
  return ContentRange{*first, *last, total};
}

}  // namespace plait::net
