// SPDX-License-Identifier: Apache-2.0
//
// What the addresses of stored things share: threads that may wait for the disk, whose things they are, and how lists
// and failures look.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "parallel/executor.h"
#include "serving/fields.h"
#include "serving/http/router.h"
#include "store/objects.h"
#include "text/json.h"

namespace plait::serving {

/// Answers requests that need the disk, away from the server's thread. Any thread.
class Desk {
 public:
  using Answer = std::function<Accepted<HttpReply>(const HttpRequest& request)>;
  using Serve = std::function<void(const HttpRequest& request, const Responder& responder)>;

  /// `serve` is called on one of the desk's threads. What is asked while too much waits gets 503. The desk must outlive
  /// the router's use.
  void add(HttpRouter& router, HttpMethod method, std::string_view pattern, Serve serve);
  /// The same for a whole answer at once.
  void add(HttpRouter& router, HttpMethod method, std::string_view pattern, Answer answer);

 private:
  static constexpr int kThreads = 4;
  static constexpr std::size_t kWaitingMax = 64;  // each may hold a body of its own
  std::atomic<std::size_t> waiting_ = 0;
  parallel::Executor threads_{kThreads};
};

/// Whose things a request may see: those of its API key; where none is asked for, everybody's.
[[nodiscard]] inline const std::string& owner_of(const HttpRequest& request) { return request.client.key_name; }

/// A name that nobody can guess: prefix and 32 hexadecimal digits.
[[nodiscard]] std::string new_id(std::string_view prefix);
[[nodiscard]] std::int64_t now_seconds();  ///< Since 1970.

/// 507 for a full disk, 500 for what else may go wrong there. Says nothing about the server's folders.
[[nodiscard]] Refusal storage_refusal(const base::Error& error);
/// 404. `what` is "file".
[[nodiscard]] Refusal not_there(std::string_view what, std::string_view id);

/// How many entries of a list one request gets.
struct PageSize {
  std::size_t usual = 20;
  std::size_t most = 100;
};
/// The fields of a query: `limit`, `after`, and `order` (asc or desc; the latter if it is missing).
struct Paging {
  std::size_t limit = 0;
  std::string after = {};
  bool newest_first = true;
};
[[nodiscard]] Accepted<Paging> read_paging(const HttpRequest& request, PageSize size);

/// {"object": "list", "data", "first_id", "last_id", "has_more"}: the stored objects that the request's query asks for.
/// `show` makes an entry's JSON.
using Show = std::function<text::Json(const store::Object& object)>;
[[nodiscard]] Accepted<HttpReply> list_reply(const HttpRequest& request, store::Objects& objects, store::ObjectsOf of,
                                             std::string_view label, PageSize size, const Show& show);
/// The same shape around any entries; each has an "id".
[[nodiscard]] text::Json list_body(std::vector<text::Json> entries, bool has_more);

/// {"id", "object", "deleted": true}
[[nodiscard]] HttpReply deleted_reply(std::string_view id, std::string_view object);

/// The field `metadata`: at most 16 texts of at most 512 bytes under names of at most 64. An empty object if it is
/// missing.
[[nodiscard]] Accepted<text::Json> read_metadata(Fields& fields);

}  // namespace plait::serving
