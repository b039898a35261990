// SPDX-License-Identifier: Apache-2.0
//
// From method and path to handler.
//
//   HttpRouter router;
//   router.add(HttpMethod::get, "/v1/files/{id}/content", [](HttpRequest request, const Responder& responder) {
//     responder.reply({.body = content_of(request.param("id"))});
//   });
//   auto server = HttpServer::make(options, router.handler());
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/http/message.h"
#include "serving/http/responder.h"

namespace plait::serving {

/// As a router has it.
struct HttpRoute {
  HttpMethod method = HttpMethod::get;
  std::string pattern = {};
};

/// Filled by one thread; route() may then be called from several at once. A lookup looks at every route.
class HttpRouter {
 public:
  /// Segments of `pattern` are literal, or `{name}` for one that is not empty, or, as the last one, `{name...}` for the
  /// rest of the path, which is not empty. Of routes that fit, the one added first counts. GET serves HEAD, too.
  /// Requires: a pattern that begins with '/'.
  void add(HttpMethod method, std::string_view pattern, HttpHandler handler);
  /// Calls the handler that fits. Otherwise: 404, 405 with `allow` where only the method does not fit, and 204 with
  /// `allow` for OPTIONS.
  void route(HttpRequest request, const Responder& responder) const;
  /// All that were added, in that order.
  [[nodiscard]] std::vector<HttpRoute> routes() const;
  /// route() of a copy of this router.
  [[nodiscard]] HttpHandler handler() const;

 private:
  struct Route {
    HttpMethod method = HttpMethod::get;
    std::vector<std::string> segments;
    HttpHandler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace plait::serving
