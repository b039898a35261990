// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/responses.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "text/utf8.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

constexpr std::string_view kKind = "response";
constexpr base::Bytes kRowBytes = 512;  // what a response takes besides its text
constexpr std::size_t kLinksMax = 10'000;
constexpr std::size_t kConversationBytesMax = std::size_t{64} << 20U;  // as a request's body

Json json_of(const std::string& text) {
  return text::parse_json(text, {.bytes_max = text.size() + 1}).value_or(Json());
}

}  // namespace

void Responses::add_routes(HttpRouter& router, Desk& desk) {
  desk.add(router, HttpMethod::get, "/v1/responses/{id}",
           Desk::Answer([this](const HttpRequest& request) -> Accepted<HttpReply> {
             PLAIT_TRY(store::Object found, asked_for(request));
             return HttpReply{.body = std::move(found.content)};
           }));
  desk.add(router, HttpMethod::remove, "/v1/responses/{id}",
           Desk::Answer([this](const HttpRequest& request) { return remove(request); }));
  desk.add(router, HttpMethod::get, "/v1/responses/{id}/input_items",
           Desk::Answer([this](const HttpRequest& request) { return input_items(request); }));
  desk.add(router, HttpMethod::post, "/v1/responses/{id}/cancel",
           Desk::Answer([this](const HttpRequest& request) -> Accepted<HttpReply> {
             PLAIT_TRY_VOID(asked_for(request));
             return not_supported("background", "a response is answered at once here: there is nothing to cancel");
           }));
}

Accepted<store::Object> Responses::find(const std::string& owner, std::string_view id) const {
  auto found = objects_.find({.kind = kKind, .owner = owner}, id);
  if (!found) return std::unexpected(storage_refusal(found.error()));
  // One that is too old is gone, whether or not somebody has swept since.
  if (!*found || (*found)->created < options_.now() - options_.seconds_max) {
    return std::unexpected(not_there("response", id));
  }
  return **std::move(found);
}

Accepted<store::Object> Responses::asked_for(const HttpRequest& request) const {
  return find(owner_of(request), request.param("id"));
}

Accepted<HttpReply> Responses::remove(const HttpRequest& request) {
  PLAIT_TRY(const store::Object found, asked_for(request));
  const auto removed = objects_.commit({store::removal({.kind = kKind, .owner = found.owner}, found.id)});
  if (!removed) return std::unexpected(storage_refusal(removed.error()));
  return deleted_reply(found.id, "response");
}

Accepted<HttpReply> Responses::input_items(const HttpRequest& request) const {
  PLAIT_TRY(const store::Object found, asked_for(request));
  PLAIT_TRY(const Paging paging, read_paging(request, {}));
  const Json input = json_of(found.more);
  std::vector<Json> items(input.begin(), input.end());
  if (paging.newest_first) std::ranges::reverse(items);
  if (!paging.after.empty()) {
    const auto at = std::ranges::find(items, Json(paging.after), [](const Json& item) { return item["id"]; });
    if (at == items.end()) return bad_value("after", "must be an id of the list");
    items.erase(items.begin(), at + 1);
  }
  const bool more = items.size() > paging.limit;
  if (more) items.resize(paging.limit);
  return json_reply(list_body(std::move(items), more));
}

Accepted<Json> Responses::conversation(const std::string& owner, const std::string& id) const {
  std::vector<Json> responses;  // each the list of its items, the last response first
  std::size_t bytes = 0;
  for (std::string next = id; !next.empty();) {
    auto found = find(owner, next);
    if (!found && found.error().status == 404) {
      return std::unexpected(Refusal{.status = 400,
                                     .message = fmt::format("the response \"{}\" of this conversation is not there",
                                                            text::sanitize(next.substr(0, 100))),
                                     .param = "previous_response_id",
                                     .code = "previous_response_not_found"});
    }
    if (!found) return std::unexpected(found.error());
    bytes += found->content.size() + found->more.size();
    if (bytes > kConversationBytesMax || responses.size() >= kLinksMax) {
      return bad_value("previous_response_id", "leads to a conversation that is too long");
    }
    const Json shown = json_of(found->content);
    Json items = json_of(found->more);
    for (const Json& item : shown["output"]) items.push_back(item);
    responses.push_back(std::move(items));
    next = shown["previous_response_id"].is_string() ? shown["previous_response_id"].get<std::string>() : "";
  }
  Json all = Json::array();
  for (auto items = responses.rbegin(); items != responses.rend(); ++items) {
    for (Json& item : *items) all.push_back(std::move(item));
  }
  return all;
}

void Responses::keep(const std::string& owner, const Json& shown, const Json& input, Done done) {
  store::Object object{.id = shown["id"].get<std::string>(),
                       .kind = std::string(kKind),
                       .owner = owner,
                       .created = shown["created_at"].get<std::int64_t>(),
                       .content = dump_json(shown),
                       .more = dump_json(input)};
  object.bytes = object.content.size() + object.more.size() + kRowBytes;
  const base::Bytes others = options_.bytes_max - std::min(options_.bytes_max, object.bytes);
  std::vector<store::Change> changes;
  changes.push_back(store::trim({.kind = kKind, .owner = owner}, others, options_.now() - options_.seconds_max));
  changes.push_back(store::put(std::move(object), options_.bytes_max));
  objects_.submit(std::move(changes), [done = std::move(done)](base::Result<void> kept) {
    done(kept ? std::nullopt : std::optional(storage_refusal(kept.error())));
  });
}

}  // namespace plait::serving
