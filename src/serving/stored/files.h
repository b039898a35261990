// SPDX-License-Identifier: Apache-2.0
//
// /v1/files of OpenAI's API: contents that clients leave here and find again, their own only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"
#include "serving/stored/desk.h"
#include "serving/stored/downloads.h"
#include "store/blobs.h"
#include "store/objects.h"

namespace plait::serving {

/// A file as it is stored: its content is the blob of the same name.
struct FileCard {
  std::string id = {};  ///< See new_file_id().
  std::string owner = {};
  std::string filename = {};
  std::string purpose = {};
  base::Bytes bytes = 0;
  std::int64_t created = 0;
};
inline constexpr std::string_view kFileKind = "file";
[[nodiscard]] std::string new_file_id();
[[nodiscard]] store::Object file_object(const FileCard& card);

/// Any thread.
class Files {
 public:
  /// `bytes_max`: of one owner, each file counted for a disk block at least. All of them must outlive it.
  Files(store::Objects& objects, const store::Blobs& blobs, base::Bytes bytes_max)
      : objects_(objects), blobs_(blobs), bytes_max_(bytes_max), downloads_(blobs) {}

  /// POST and GET /v1/files; GET and DELETE /v1/files/{id}; GET /v1/files/{id}/content.
  void add_routes(HttpRouter& router, Desk& desk);
  /// The card of an owner's file. Refused if there is none.
  [[nodiscard]] Accepted<text::Json> find(const std::string& owner, std::string_view id) const;

 private:
  Accepted<HttpReply> upload(const HttpRequest& request) const;
  Accepted<HttpReply> list(const HttpRequest& request) const;
  Accepted<HttpReply> remove(const HttpRequest& request) const;
  void download(const HttpRequest& request, const Responder& responder);

  store::Objects& objects_;
  const store::Blobs& blobs_;
  const base::Bytes bytes_max_;
  Downloads downloads_;
};

}  // namespace plait::serving
