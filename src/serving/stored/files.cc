// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "serving/http/multipart.h"
#include "text/utf8.h"

namespace plait::serving {
namespace {

using text::Json;

constexpr base::Bytes kBlockBytes = 4096;  // what even an empty file takes on a disk
constexpr std::size_t kFilenameBytesMax = 255;
constexpr PageSize kPage{.usual = 10'000, .most = 10'000};
constexpr std::array<std::string_view, 6> kPurposes{"assistants", "batch", "evals", "fine-tune", "user_data", "vision"};

Accepted<std::string> purpose_of(const std::vector<FormPart>& form) {
  const FormPart* purpose = find_part(form, "purpose");
  if (purpose == nullptr || std::ranges::find(kPurposes, purpose->content) == kPurposes.end()) {
    return bad_value("purpose", fmt::format("must be one of {}", fmt::join(kPurposes, ", ")));
  }
  return std::string(purpose->content);
}

}  // namespace

std::string new_file_id() { return new_id("file-"); }

store::Object file_object(const FileCard& card) {
  const Json shown{{"id", card.id},
                   {"object", "file"},
                   {"bytes", card.bytes},
                   {"created_at", card.created},
                   {"filename", card.filename},
                   {"purpose", card.purpose},
                   {"status", "processed"}};
  return {.id = card.id,
          .kind = std::string(kFileKind),
          .owner = card.owner,
          .label = card.purpose,
          .created = card.created,
          .bytes = std::max(card.bytes, kBlockBytes),
          .content = text::dump_json(shown)};
}

void Files::add_routes(HttpRouter& router, Desk& desk) {
  desk.add(router, HttpMethod::post, "/v1/files",
           Desk::Answer([this](const HttpRequest& request) { return upload(request); }));
  desk.add(router, HttpMethod::get, "/v1/files",
           Desk::Answer([this](const HttpRequest& request) { return list(request); }));
  desk.add(router, HttpMethod::get, "/v1/files/{id}",
           Desk::Answer([this](const HttpRequest& request) -> Accepted<HttpReply> {
             PLAIT_TRY(const Json card, find(owner_of(request), request.param("id")));
             return json_reply(card);
           }));
  desk.add(router, HttpMethod::remove, "/v1/files/{id}",
           Desk::Answer([this](const HttpRequest& request) { return remove(request); }));
  desk.add(
      router, HttpMethod::get, "/v1/files/{id}/content",
      Desk::Serve([this](const HttpRequest& request, const Responder& responder) { download(request, responder); }));
}

// The content first: a card without content would be a promise that is not kept, a content without card is only
// rubbish, and swept away at the next start.
Accepted<HttpReply> Files::upload(const HttpRequest& request) const {
  PLAIT_TRY(const auto form, read_form(request.headers.find("content-type").value_or(""), request.body));
  PLAIT_TRY(std::string purpose, purpose_of(form));
  const FormPart* file = find_part(form, "file");
  if (file == nullptr || !file->filename) return bad_value("file", "must be there, with a filename");
  FileCard card{.id = new_file_id(),
                .owner = owner_of(request),
                .filename = text::sanitize(file->filename->substr(0, kFilenameBytesMax)),
                .purpose = std::move(purpose),
                .bytes = file->content.size(),
                .created = now_seconds()};
  if (const auto kept = blobs_.put(card.id, file->content); !kept)
    return std::unexpected(storage_refusal(kept.error()));
  store::Object object = file_object(card);
  HttpReply reply{.body = object.content};
  if (const auto committed = objects_.commit({store::put(std::move(object), bytes_max_)}); !committed) {
    static_cast<void>(blobs_.remove(card.id));
    return std::unexpected(storage_refusal(committed.error()));
  }
  return reply;
}

Accepted<HttpReply> Files::list(const HttpRequest& request) const {
  const std::string_view purpose = request.query_value("purpose").value_or("");
  return list_reply(request, objects_, {.kind = kFileKind, .owner = owner_of(request)}, purpose, kPage,
                    [](const store::Object& object) { return text::parse_json(object.content).value_or(Json()); });
}

Accepted<Json> Files::find(const std::string& owner, std::string_view id) const {
  const auto found = objects_.find({.kind = kFileKind, .owner = owner}, id);
  if (!found) return std::unexpected(storage_refusal(found.error()));
  if (!*found) return std::unexpected(not_there("file", id));
  return text::parse_json((*found)->content).value_or(Json());
}

Accepted<HttpReply> Files::remove(const HttpRequest& request) const {
  const std::string_view id = request.param("id");
  PLAIT_TRY_VOID(find(owner_of(request), id));
  const auto committed = objects_.commit({store::removal({.kind = kFileKind, .owner = owner_of(request)}, id)});
  if (!committed) return std::unexpected(storage_refusal(committed.error()));
  static_cast<void>(blobs_.remove(id));  // what stays by mistake is swept away at the next start
  return deleted_reply(id, "file");
}

void Files::download(const HttpRequest& request, const Responder& responder) {
  const std::string id(request.param("id"));
  if (const auto card = find(owner_of(request), id); !card) return responder.refuse(card.error());
  downloads_.send(id, responder);
}

}  // namespace plait::serving
