// SPDX-License-Identifier: Apache-2.0
//
// What all users of libcurl in this area share.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace plait::net::detail {

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using CurlHandle = std::unique_ptr<CURL, CurlDeleter>;
using CurlList = std::unique_ptr<curl_slist, CurlDeleter>;

/// Prepares the library once per process. Any thread.
void start_curl();

/// Errors: invalid_argument unless it begins with http:// or https://.
[[nodiscard]] base::Result<void> check_url(const std::string& url);

/// Errors: invalid_argument (a line break in a name or value), out_of_resources.
[[nodiscard]] base::Result<CurlList> header_list(const std::vector<std::pair<std::string, std::string>>& headers);

/// A transfer without options. Errors: out_of_resources.
[[nodiscard]] base::Result<CurlHandle> make_handle();

/// What ended a transfer. `details`: the library's own words, or empty. Requires: code is not CURLE_OK.
[[nodiscard]] base::Error transfer_error(CURLcode code, const std::string& url, const char* details);

}  // namespace plait::net::detail
