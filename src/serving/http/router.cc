// SPDX-License-Identifier: Apache-2.0
#include "serving/http/router.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"

namespace plait::serving {
namespace {

using Params = std::vector<std::pair<std::string, std::string>>;

bool is_parameter(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }
bool takes_rest(std::string_view segment) { return is_parameter(segment) && segment.ends_with("...}"); }

// What the pattern takes from the path; nothing if it does not fit.
std::optional<Params> match(const std::vector<std::string>& segments, std::string_view path) {
  Params params;
  for (const std::string& segment : segments) {
    if (!path.starts_with('/')) return std::nullopt;
    path.remove_prefix(1);
    const std::string_view piece = takes_rest(segment) ? path : path.substr(0, path.find('/'));
    if (is_parameter(segment)) {
      if (piece.empty()) return std::nullopt;
      const std::size_t around = takes_rest(segment) ? 5 : 2;  // {...} or {}
      params.emplace_back(segment.substr(1, segment.size() - around), piece);
    } else if (piece != segment) {
      return std::nullopt;
    }
    path.remove_prefix(piece.size());
  }
  if (!path.empty()) return std::nullopt;
  return params;
}

std::string allowed(std::vector<HttpMethod> methods) {
  if (std::ranges::find(methods, HttpMethod::get) != methods.end()) methods.push_back(HttpMethod::head);
  methods.push_back(HttpMethod::options);
  std::ranges::sort(methods);
  const auto repeated = std::ranges::unique(methods);
  methods.erase(repeated.begin(), repeated.end());
  std::string list;
  for (const HttpMethod method : methods) {
    if (!list.empty()) list += ", ";
    list += name(method);
  }
  return list;
}

}  // namespace

void HttpRouter::add(HttpMethod method, std::string_view pattern, HttpHandler handler) {
  PLAIT_CHECK(pattern.starts_with('/'), pattern);
  Route route{.method = method, .segments = {}, .handler = std::move(handler)};
  for (std::size_t at = 0; at != std::string_view::npos;) {
    const std::size_t next = pattern.find('/', at + 1);
    route.segments.emplace_back(pattern.substr(at + 1, next == std::string_view::npos ? next : next - at - 1));
    at = next;
  }
  const auto last = route.segments.end() - 1;
  PLAIT_CHECK(std::none_of(route.segments.begin(), last, takes_rest), pattern);
  routes_.push_back(std::move(route));
}

void HttpRouter::route(HttpRequest request, const Responder& responder) const {
  const HttpMethod wanted = request.method == HttpMethod::head ? HttpMethod::get : request.method;
  std::vector<HttpMethod> methods;
  for (const Route& route : routes_) {
    auto params = match(route.segments, request.path);
    if (!params) continue;
    if (route.method == wanted || route.method == request.method) {
      request.params = *std::move(params);
      return route.handler(std::move(request), responder);
    }
    methods.push_back(route.method);
  }
  if (methods.empty()) {
    return responder.refuse({.status = 404, .message = "there is nothing at this path", .code = "not_found"});
  }
  HttpReply reply{.status = 204};
  if (request.method != HttpMethod::options) {
    const Refusal refusal{
        .status = 405, .message = "this path does not have this method", .code = "method_not_allowed"};
    reply = reply_of(refusal);
  }
  reply.headers.add("allow", allowed(std::move(methods)));
  responder.reply(std::move(reply));
}

std::vector<HttpRoute> HttpRouter::routes() const {
  std::vector<HttpRoute> all;
  for (const Route& route : routes_) {
    HttpRoute& one = all.emplace_back(HttpRoute{.method = route.method});
    for (const std::string& segment : route.segments) one.pattern.append("/").append(segment);
  }
  return all;
}

HttpHandler HttpRouter::handler() const {
  return [router = std::make_shared<const HttpRouter>(*this)](HttpRequest request, const Responder& responder) {
    router->route(std::move(request), responder);
  };
}

}  // namespace plait::serving
