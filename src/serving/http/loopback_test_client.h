// SPDX-License-Identifier: Apache-2.0
//
// A client for tests that sends whatever bytes it is told to, and a server to talk to.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "serving/http/server.h"

namespace plait::serving {

/// Far longer than anything takes: it only bounds a test that fails.
inline constexpr int kPatienceMs = 30'000;

/// Waits until it is true; false after kPatienceMs.
inline bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

struct TestAnswer {
  int status = 0;  ///< 0: the connection ended before a whole answer came.
  HttpHeaders headers = {};
  std::string body = {};
  [[nodiscard]] std::string header(std::string_view name) const { return std::string(headers.find(name).value_or("")); }
};

/// One connection. A socket of its own, closed at the end.
class TestClient {
 public:
  explicit TestClient(const std::string& address, int receive_bytes = 0) {
    if (address.starts_with("unix:")) {
      sockaddr_un to{};
      to.sun_family = AF_UNIX;
      address.copy(to.sun_path, sizeof to.sun_path - 1, 5);
      socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      connected_ = connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
      return;
    }
    const bool v6 = address.starts_with('[');
    const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    socket_ = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes > 0) setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in to4{};
    to4.sin_family = AF_INET;
    to4.sin_port = htons(port);
    to4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 to6{};
    to6.sin6_family = AF_INET6;
    to6.sin6_port = htons(port);
    to6.sin6_addr = in6addr_loopback;
    connected_ = (v6 ? connect(socket_, reinterpret_cast<const sockaddr*>(&to6), sizeof to6)
                     : connect(socket_, reinterpret_cast<const sockaddr*>(&to4), sizeof to4)) == 0;
  }
  ~TestClient() { close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] int descriptor() const { return socket_; }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void shutdown_send() const { shutdown(socket_, SHUT_WR); }
  /// False if the server has closed.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Reads until `enough`; false at the end of the connection.
  bool receive_until(const std::function<bool(const std::string&)>& enough) {
    while (!enough(received_)) {
      pollfd state{.fd = socket_, .events = POLLIN, .revents = 0};
      if (poll(&state, 1, kPatienceMs) != 1) return false;
      char buffer[65536];
      const auto bytes = recv(socket_, buffer, sizeof buffer, 0);
      if (bytes <= 0) return false;
      received_.append(buffer, static_cast<std::size_t>(bytes));
    }
    return true;
  }
  bool receive_text(std::string_view text) {
    return receive_until([&](const std::string& all) { return all.find(text) != std::string::npos; });
  }
  /// True when the server closes its side.
  bool sees_end() {
    pollfd state{.fd = socket_, .events = POLLIN, .revents = 0};
    while (poll(&state, 1, kPatienceMs) == 1) {
      char buffer[65536];
      if (recv(socket_, buffer, sizeof buffer, 0) <= 0) return true;
    }
    return false;
  }
  /// The next answer. `head_only`: to HEAD.
  TestAnswer answer(bool head_only = false) {
    TestAnswer answer;
    if (!receive_text("\r\n\r\n")) return {};
    const std::size_t end = received_.find("\r\n\r\n");
    std::string head = received_.substr(0, end + 2);
    received_.erase(0, end + 4);
    answer.status = std::stoi(head.substr(9, 3));
    head.erase(0, head.find("\r\n") + 2);
    while (!head.empty()) {
      const std::string line = head.substr(0, head.find("\r\n"));
      head.erase(0, line.size() + 2);
      answer.headers.add(line.substr(0, line.find(':')), line.substr(line.find(": ") + 2));
    }
    if (head_only || answer.status == 204 || answer.status < 200) return answer;
    if (!read_body(answer)) return {};
    return answer;
  }
  TestAnswer ask(std::string_view request) {
    send(request);  // what was answered early is read all the same
    return answer();
  }

 private:
  bool read_body(TestAnswer& answer) {
    if (answer.headers.find("transfer-encoding")) {
      while (true) {
        if (!receive_text("\r\n")) return false;
        const auto size = static_cast<std::size_t>(std::stoul(received_, nullptr, 16));
        received_.erase(0, received_.find("\r\n") + 2);
        if (!receive_until([&](const std::string& all) { return all.size() >= size + 2; })) return false;
        answer.body += received_.substr(0, size);
        received_.erase(0, size + 2);
        if (size == 0) return true;
      }
    }
    if (const auto length = answer.headers.find("content-length")) {
      const auto size = static_cast<std::size_t>(std::stoul(std::string(*length)));
      if (!receive_until([&](const std::string& all) { return all.size() >= size; })) return false;
      answer.body = received_.substr(0, size);
      received_.erase(0, size);
      return true;
    }
    receive_until([](const std::string&) { return false; });
    answer.body = std::exchange(received_, {});
    return true;
  }

  int socket_ = -1;
  bool connected_ = false;
  std::string received_;
};

/// "GET PATH HTTP/1.1" for localhost, with more header lines.
inline std::string get(std::string_view path, std::string_view lines = {}) {
  return std::string("GET ").append(path).append(" HTTP/1.1\r\nHost: localhost\r\n").append(lines) + "\r\n";
}
inline std::string post(std::string_view path, std::string_view body, std::string_view lines = {}) {
  return std::string("POST ").append(path).append(" HTTP/1.1\r\nHost: localhost\r\nContent-Length: ") +
         std::to_string(body.size()) + "\r\n" + std::string(lines) + "\r\n" + std::string(body);
}

/// A server on a free port.
inline std::unique_ptr<HttpServer> serve(HttpHandler handler, HttpPolicy policy = {},
                                         std::function<void(std::string_view)> log = {}) {
  auto server = HttpServer::make({.listen = {"127.0.0.1:0"}, .policy = std::move(policy), .log = std::move(log)},
                                 std::move(handler));
  EXPECT_TRUE(server.has_value());
  return server ? *std::move(server) : nullptr;
}

/// Keeps responders until the test answers them.
class HeldResponders {
 public:
  [[nodiscard]] HttpHandler handler() {
    return [this](const HttpRequest&, const Responder& responder) {
      const std::lock_guard lock(mutex_);
      held_.push_back(responder);
    };
  }
  [[nodiscard]] std::size_t size() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  /// The oldest, as soon as there is one.
  [[nodiscard]] Responder take() {
    EXPECT_TRUE(eventually([&] { return size() > 0; }));
    const std::lock_guard lock(mutex_);
    Responder first = held_.front();
    held_.pop_front();
    return first;
  }

 private:
  std::mutex mutex_;
  std::deque<Responder> held_;
};

/// Answers with "METHOD PATH BODY".
inline void echo(const HttpRequest& request, const Responder& responder) {
  std::string body = std::string(name(request.method)) + " " + request.path + " " + request.body;
  responder.reply({.content_type = "text/plain", .body = std::move(body)});
}

}  // namespace plait::serving
