// SPDX-License-Identifier: Apache-2.0
#include "serving/page.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace plait::serving {
namespace {

// If-None-Match of RFC 9110: "*", or a list of tags. Weak ones count as well.
bool names_tag(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view tag = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (tag.starts_with(' ') || tag.starts_with('\t')) tag.remove_prefix(1);
    while (tag.ends_with(' ') || tag.ends_with('\t')) tag.remove_suffix(1);
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == "*" || tag == etag) return true;
  }
  return false;
}

HttpReply page_reply(const HttpRequest& request) {
  const PageFile page = page_file();
  HttpReply reply{.content_type = "text/html; charset=utf-8",
                  .headers = {{"etag", std::string(page.etag)},
                              {"cache-control", "no-cache"},
                              {"content-security-policy", std::string(page.security)},
                              {"x-content-type-options", "nosniff"},
                              {"referrer-policy", "no-referrer"}}};
  if (names_tag(request.headers.find("if-none-match").value_or(""), page.etag)) {
    reply.status = 304;
  } else {
    reply.body = page.html;
  }
  return reply;
}

}  // namespace

void add_page(HttpRouter& router) {
  router.add(HttpMethod::get, "/",
             [](const HttpRequest& request, const Responder& responder) { responder.reply(page_reply(request)); });
}

}  // namespace plait::serving
