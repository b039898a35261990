// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/1.1 server for clients that are slow, many, broken or hostile.
//
//   HttpServerOptions options{.listen = {"127.0.0.1:8080", "[::1]:8080", "unix:/run/plait.sock"}};
//   PLAIT_TRY(auto server, HttpServer::make(options, router.handler()));
//   ...
//   server->drain(30);
//
// A request passes the gates in this order, and the first that does not open answers: number of connections; header
// (size, time, shape); Host, against DNS rebinding; Origin, against foreign pages; API key; body (size, time); drain,
// requests in flight, quota. Then the handler gets it. Every answer has an `x-request-id`; those of the gates are
// refusal_body(). Where HttpPolicy::tls has a certificate, connections over TCP begin with a TLS
// handshake, which may take as long as a header.
//
// One thread of the server's own reads, writes and calls the handler. While a request is in flight the server goes on
// reading, so that a client which closes its side is noticed and dropped: also one that closes only its sending half.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "serving/http/counters.h"
#include "serving/http/policy.h"
#include "serving/http/responder.h"

namespace plait::serving {

struct HttpServerOptions {
  /// "127.0.0.1:8080", "[::1]:8080", "localhost:0" (port 0: any free one), "unix:PATH". Names other than localhost are
  /// not looked up. A Unix socket is for its user alone (mode 0600); one that nobody listens on is replaced.
  std::vector<std::string> listen = {"127.0.0.1:8080"};
  HttpPolicy policy = {};
  /// Gets a line of access_log_line() for each finished request, on the server's thread. It must not block.
  std::function<void(std::string_view)> log = {};
};

class HttpServer {
 public:
  /// Listens and serves when it returns. Errors: invalid_argument (an address), busy (an address in use, also a Unix
  /// socket with a listener), io.
  [[nodiscard]] static base::Result<std::unique_ptr<HttpServer>> make(HttpServerOptions options, HttpHandler handler);
  /// stop()
  virtual ~HttpServer() = default;

  /// What it listens on, with the real ports, in the order of the options.
  [[nodiscard]] virtual const std::vector<std::string>& addresses() const = 0;
  /// For requests whose gates come from now on. Any thread.
  virtual void set_policy(HttpPolicy policy) = 0;
  /// Any thread.
  [[nodiscard]] virtual HttpCounters counters() const = 0;
  /// Closes the listeners and waits until no request is in flight, at most `seconds`. From then on, new requests on
  /// open connections get 503. True if all were finished. Any thread but the server's.
  virtual bool drain(double seconds) = 0;
  /// Drops every connection (their on_gone is called) and ends the thread. Any thread but the server's; again: nothing.
  virtual void stop() = 0;

 protected:
  HttpServer() = default;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
};

}  // namespace plait::serving
