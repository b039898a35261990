// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/desk.h"

#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <memory>
#include <utility>

#include "serving/key_file.h"
#include "text/utf8.h"

namespace plait::serving {

using text::Json;

void Desk::add(HttpRouter& router, HttpMethod method, std::string_view pattern, Serve serve) {
  const auto shared = std::make_shared<const Serve>(std::move(serve));
  router.add(method, pattern, [this, shared](HttpRequest request, const Responder& responder) {
    if (waiting_.fetch_add(1) >= kWaitingMax) {
      waiting_.fetch_sub(1);
      return responder.refuse({.status = 503, .message = "too many requests at once", .code = "overloaded"});
    }
    threads_.submit([this, shared, responder, request = std::move(request)] {
      (*shared)(request, responder);
      waiting_.fetch_sub(1);
    });
  });
}

void Desk::add(HttpRouter& router, HttpMethod method, std::string_view pattern, Answer answer) {
  add(router, method, pattern,
      Serve([answer = std::move(answer)](const HttpRequest& request, const Responder& responder) {
        auto reply = answer(request);
        responder.reply(reply ? *std::move(reply) : reply_of(reply.error()));
      }));
}

std::string new_id(std::string_view prefix) { return std::string(prefix) + make_salt(); }

std::int64_t now_seconds() { return static_cast<std::int64_t>(std::time(nullptr)); }

Refusal storage_refusal(const base::Error& error) {
  if (error.code == base::ErrorCode::out_of_resources) {
    return {.status = 507, .message = "there is no room for this on the server", .code = "storage_full"};
  }
  return {.status = 500, .message = "the server cannot read or write its files", .code = "storage_failed"};
}

Refusal not_there(std::string_view what, std::string_view id) {
  return {.status = 404,
          .message = fmt::format("there is no {} \"{}\"", what, text::sanitize(id.substr(0, 100))),
          .param = "id",
          .code = "not_found"};
}

Accepted<Paging> read_paging(const HttpRequest& request, PageSize size) {
  Paging paging{.limit = size.usual};
  if (const auto limit = request.query_value("limit")) {
    const auto parsed = std::from_chars(limit->data(), limit->data() + limit->size(), paging.limit);
    const bool whole = parsed.ec == std::errc() && parsed.ptr == limit->data() + limit->size();
    if (!whole || paging.limit < 1 || paging.limit > size.most) {
      return bad_value("limit", fmt::format("must be a whole number from 1 to {}", size.most));
    }
  }
  const std::string_view order = request.query_value("order").value_or("desc");
  if (order != "asc" && order != "desc") return bad_value("order", "must be asc or desc");
  paging.newest_first = order == "desc";
  paging.after = request.query_value("after").value_or("");
  return paging;
}

Json list_body(std::vector<Json> entries, bool has_more) {
  Json body{{"object", "list"}, {"data", Json::array()}};
  body["first_id"] = entries.empty() ? Json() : entries.front()["id"];
  body["last_id"] = entries.empty() ? Json() : entries.back()["id"];
  body["has_more"] = has_more;
  for (Json& entry : entries) body["data"].push_back(std::move(entry));
  return body;
}

Accepted<HttpReply> list_reply(const HttpRequest& request, store::Objects& objects, store::ObjectsOf of,
                               std::string_view label, PageSize size, const Show& show) {
  PLAIT_TRY(const Paging paging, read_paging(request, size));
  const auto found = objects.list(
      of, {.label = label, .after = paging.after, .newest_first = paging.newest_first, .count_max = paging.limit + 1});
  if (!found) return std::unexpected(storage_refusal(found.error()));
  if (!*found) return bad_value("after", "must be an id of the list");
  std::vector<Json> entries;
  for (const store::Object& object : **found) {
    if (entries.size() < paging.limit) entries.push_back(show(object));
  }
  return json_reply(list_body(std::move(entries), (*found)->size() > paging.limit));
}

HttpReply deleted_reply(std::string_view id, std::string_view object) {
  return json_reply({{"id", id}, {"object", object}, {"deleted", true}});
}

Accepted<Json> read_metadata(Fields& fields) {
  constexpr std::size_t kEntriesMax = 16;
  constexpr std::size_t kNameBytesMax = 64;
  constexpr std::size_t kValueBytesMax = 512;
  PLAIT_TRY(const Json* metadata, fields.object("metadata"));
  if (metadata == nullptr) return Json::object();
  if (metadata->size() > kEntriesMax)
    return bad_value("metadata", fmt::format("must have at most {} entries", kEntriesMax));
  for (const auto& [name, value] : metadata->items()) {
    const bool fits = name.size() <= kNameBytesMax && value.is_string() &&
                      value.get_ref<const std::string&>().size() <= kValueBytesMax;
    if (!fits) {
      return bad_value("metadata", fmt::format("must have strings of at most {} bytes under names of at most {}",
                                               kValueBytesMax, kNameBytesMax));
    }
  }
  return *metadata;
}

}  // namespace plait::serving
