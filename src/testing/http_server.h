// SPDX-License-Identifier: Apache-2.0
//
// A web server inside a test, on a free port of the loopback address. It can misbehave in the ways that real ones do.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace plait::testing {

struct HttpRequest {
  std::string method;
  std::string path;
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body = {};                       ///< As long as Content-Length says.
};

struct HttpReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< Besides Content-Length.
  std::string body = {};
  std::optional<std::size_t> announced_length = {};  ///< Sent as Content-Length instead of the real one.
  bool announce_length = true;
  std::size_t cut_after = std::string::npos;  ///< The connection breaks after this many bytes of the body.
  std::size_t chunk_bytes = 64 << 10;
  std::chrono::milliseconds pause{0};  ///< Before each chunk.
};

/// Serves until it dies. The handler runs on several threads, one for each connection; each connection is one request.
class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// "http://127.0.0.1:PORT" + path
  [[nodiscard]] std::string url(const std::string& path) const;
  /// What was asked so far, in order of arrival.
  [[nodiscard]] std::vector<HttpRequest> requests() const;

 private:
  void accept_loop();
  void serve(int connection);

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;  // guarded by mutex_
  std::vector<std::thread> workers_;   // accept thread only, until joined
  std::thread acceptor_;
};

/// The reply to a request for `content` that honours "Range: bytes=N-": 206, or 416 beyond the end.
[[nodiscard]] HttpReply reply_with_ranges(const HttpRequest& request, const std::string& content);

}  // namespace plait::testing
