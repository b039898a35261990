// SPDX-License-Identifier: Apache-2.0
#include "net/detail/curl.h"

#include <fmt/format.h>

#include <mutex>

namespace plait::net::detail {

using base::ErrorCode;
using base::fail;
using base::Result;

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

Result<void> check_url(const std::string& url) {
  if (url.starts_with("http://") || url.starts_with("https://")) return {};
  return fail(ErrorCode::invalid_argument, "not an http or https address: " + url);
}

Result<CurlList> header_list(const std::vector<std::pair<std::string, std::string>>& headers) {
  CurlList list;
  for (const auto& [name, value] : headers) {
    if ((name + value).find_first_of("\r\n") != std::string::npos) {
      return fail(ErrorCode::invalid_argument, "a line break in header " + name);
    }
    // A header without a value is one that is not to be sent.
    const std::string line = value.empty() ? name + ":" : fmt::format("{}: {}", name, value);
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) return fail(ErrorCode::out_of_resources, "no memory for headers");
    static_cast<void>(list.release());
    list.reset(longer);
  }
  return list;
}

Result<CurlHandle> make_handle() {
  start_curl();
  CurlHandle handle(curl_easy_init());
  if (!handle) return fail(ErrorCode::out_of_resources, "no memory for a connection");
  return handle;
}

base::Error transfer_error(CURLcode code, const std::string& url, const char* details) {
  // Where nobody answers, curl's details add only how many milliseconds that took: no two would be alike.
  const bool plain = *details == '\0' || code == CURLE_COULDNT_CONNECT;
  const std::string why = plain ? curl_easy_strerror(code) : details;
  const bool memory = code == CURLE_OUT_OF_MEMORY;
  const bool usage = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
  const ErrorCode kind = memory  ? ErrorCode::out_of_resources
                         : usage ? ErrorCode::invalid_argument
                                 : ErrorCode::network;
  return {kind, fmt::format("{}: {}", url, why)};
}

}  // namespace plait::net::detail
