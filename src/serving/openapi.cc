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

Json parsed_file() {
  auto document = text::parse_json(openapi_file());
  PLAIT_CHECK(document.has_value());
  return *std::move(document);
}

std::string path_of(std::string pattern) {
  for (std::size_t at = pattern.find("...}"); at != std::string::npos; at = pattern.find("...}")) pattern.erase(at, 3);
  return pattern;
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
  const std::set<Operation> in_document = described(parsed_file());
  std::set<Operation> in_router;
  for (const HttpRoute& route : routes) in_router.emplace(path_of(route.pattern), name(route.method));
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
  Json document = parsed_file();
  document["x-plait-undescribed"] = openapi_gaps(routes);
  router.add(HttpMethod::get, kPath,
             [body = text::dump_json(document)](const HttpRequest& /*request*/, const Responder& responder) {
               responder.reply({.headers = {{"cache-control", "no-cache"}}, .body = body});
             });
}

}  // namespace plait::serving
