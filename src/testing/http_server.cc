// SPDX-License-Identifier: Apache-2.0
#include "testing/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>

#include "base/check.h"

namespace plait::testing {
namespace {

constexpr std::size_t kRequestMax = 64 << 10;
constexpr std::size_t kBodyMax = 64 << 20;

// Adds what comes to `bytes` until `enough` of them are there.
template <class Enough>
void read_until(int connection, const std::atomic<bool>& stopping, std::string& bytes, Enough enough) {
  std::array<char, 4096> buffer{};
  while (!enough() && !stopping) {
    pollfd ready{connection, POLLIN, 0};
    if (poll(&ready, 1, 50) == 0) continue;
    const ssize_t got = recv(connection, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

HttpRequest parse(const std::string& head) {
  HttpRequest request;
  std::istringstream lines(head);
  lines >> request.method >> request.path;
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && line != "\r") {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers[name] = line.substr(colon + 2, line.size() - colon - 3);
  }
  return request;
}

// The request with its body; nothing came if it has no method.
HttpRequest read_request(int connection, const std::atomic<bool>& stopping) {
  std::string bytes;
  const auto head_end = [&] { return bytes.find("\r\n\r\n"); };
  read_until(connection, stopping, bytes,
             [&] { return head_end() != std::string::npos || bytes.size() >= kRequestMax; });
  if (head_end() == std::string::npos) return {};
  const std::size_t body = head_end() + 4;
  HttpRequest request = parse(bytes.substr(0, body));
  const auto announced = request.headers.find("content-length");
  const std::size_t length = announced == request.headers.end() ? 0 : std::stoull(announced->second);
  PLAIT_CHECK(length <= kBodyMax, length);
  read_until(connection, stopping, bytes, [&] { return bytes.size() - body >= length; });
  request.body = bytes.substr(body, length);
  return request;
}

bool send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string head_of(const HttpReply& reply) {
  std::ostringstream head;
  head << "HTTP/1.1 " << reply.status << " Status\r\nConnection: close\r\n";
  if (reply.announce_length) head << "Content-Length: " << reply.announced_length.value_or(reply.body.size()) << "\r\n";
  for (const auto& [name, value] : reply.headers) head << name << ": " << value << "\r\n";
  head << "\r\n";
  return head.str();
}

void send_reply(int connection, const HttpReply& reply, const std::atomic<bool>& stopping) {
  if (!send_all(connection, head_of(reply))) return;
  const std::size_t end = std::min(reply.body.size(), reply.cut_after);
  for (std::size_t at = 0; at < end && !stopping; at += reply.chunk_bytes) {
    for (auto left = reply.pause; left.count() > 0 && !stopping; left -= std::chrono::milliseconds(20)) {
      std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(20)));
    }
    const auto chunk = std::string_view(reply.body).substr(at, std::min(reply.chunk_bytes, end - at));
    if (!send_all(connection, chunk)) return;
  }
}

}  // namespace

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool listening = listener_ >= 0 && bind(listener_, generic, length) == 0 && listen(listener_, 64) == 0 &&
                         getsockname(listener_, generic, &length) == 0;
  PLAIT_CHECK(listening);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  acceptor_.join();
  for (std::thread& worker : workers_) worker.join();
  close(listener_);
}

std::string HttpServer::url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + path;
}

std::vector<HttpRequest> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::accept_loop() {
  while (!stopping_) {
    pollfd ready{listener_, POLLIN, 0};
    if (poll(&ready, 1, 20) <= 0) continue;
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) workers_.emplace_back([this, connection] { serve(connection); });
  }
}

void HttpServer::serve(int connection) {
  const HttpRequest request = read_request(connection, stopping_);
  if (!request.method.empty()) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    send_reply(connection, handler_(request), stopping_);
  }
  shutdown(connection, SHUT_RDWR);
  close(connection);
}

HttpReply reply_with_ranges(const HttpRequest& request, const std::string& content) {
  const auto range = request.headers.find("range");
  if (range == request.headers.end()) return {.body = content};
  const std::size_t first = std::stoull(range->second.substr(std::string("bytes=").size()));
  if (first >= content.size()) return {.status = 416};
  const std::string total = std::to_string(content.size());
  const std::string value = "bytes " + std::to_string(first) + "-" + std::to_string(content.size() - 1) + "/" + total;
  return {.status = 206, .headers = {{"Content-Range", value}}, .body = content.substr(first)};
}

}  // namespace plait::testing
