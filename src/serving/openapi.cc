// SPDX-License-Identifier: Apache-2.0
#include "serving/openapi.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"
#include "text/json.h"

namespace plait::serving {
namespace {

using text::Json;
using Operation = std::pair<std::string, std::string>;  // path, method in capitals

// On a path: a server may lack it, because of its settings or of how it was built.
constexpr const char* kOptional = "x-plait-optional";

std::string path_of(std::string pattern) {
  for (std::size_t at = pattern.find("...}"); at != std::string::npos; at = pattern.find("...}")) pattern.erase(at, 3);
  return pattern;
}

std::set<Operation> operations_of(const std::vector<HttpRoute>& routes) {
  std::set<Operation> all;
  for (const HttpRoute& route : routes) all.emplace(path_of(route.pattern), name(route.method));
  return all;
}

// Without the optional paths of which the router has nothing.
Json document_for(const std::set<Operation>& in_router) {
  auto document = text::parse_json(openapi_file());
  PLAIT_CHECK(document.has_value());
  Json paths = Json::object();
  Json& all = (*document)["paths"];
  for (auto one = all.begin(); one != all.end(); ++one) {
    const bool optional = one.value().erase(kOptional) != 0;
    const auto at = in_router.lower_bound({one.key(), ""});
    if (!optional || (at != in_router.end() && at->first == one.key())) paths[one.key()] = std::move(one.value());
  }
  (*document)["paths"] = std::move(paths);
  return *std::move(document);
}

std::set<Operation> described(const Json& document) {
  std::set<Operation> all;
  for (const auto& [path, operations] : document["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      std::string name = method;
      std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
      all.emplace(path, std::move(name));
    }
  }
  return all;
}

}  // namespace

std::vector<std::string> openapi_gaps(const std::vector<HttpRoute>& routes) {
  const std::set<Operation> in_router = operations_of(routes);
  const std::set<Operation> in_document = described(document_for(in_router));
  std::vector<std::string> gaps;
  for (const auto& [path, method] : in_router) {
    if (!in_document.contains({path, method})) gaps.push_back(fmt::format("{} {} is not described", method, path));
  }
  for (const auto& [path, method] : in_document) {
    if (!in_router.contains({path, method})) gaps.push_back(fmt::format("{} {} has no route", method, path));
  }
  return gaps;
}

void add_openapi(HttpRouter& router) {
  constexpr const char* kPath = "/openapi.json";
  std::vector<HttpRoute> routes = router.routes();
  routes.push_back({.method = HttpMethod::get, .pattern = kPath});
  Json document = document_for(operations_of(routes));
  document["x-plait-undescribed"] = openapi_gaps(routes);
  router.add(HttpMethod::get, kPath,
             [body = text::dump_json(document)](const HttpRequest& /*request*/, const Responder& responder) {
               responder.reply({.headers = {{"cache-control", "no-cache"}}, .body = body});
             });
}

}  // namespace plait::serving
