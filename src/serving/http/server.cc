// SPDX-License-Identifier: Apache-2.0
#include "serving/http/server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <future>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "serving/http/detail/connection.h"
#include "serving/http/detail/gates.h"
#include "serving/http/detail/hub.h"
#include "serving/http/detail/listen_socket.h"
#include "serving/http/detail/response_head.h"

namespace plait::serving {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// After a failed accept: without a free descriptor, the next attempt would fail at once, and the next.
constexpr std::chrono::milliseconds kAcceptPause{100};

struct Port {
  Port(asio::io_context& io, detail::ListenSocket listening) : socket(std::move(listening)), acceptor(io), pause(io) {
    acceptor.assign({socket.family(), 0}, socket.release());
  }

  detail::ListenSocket socket;
  asio::basic_socket_acceptor<asio::generic::stream_protocol> acceptor;
  asio::steady_timer pause;
};

// Several times within the shortest timeout.
std::chrono::duration<double> tick_period(const HttpTimeouts& timeouts) {
  double shortest = std::min(
      {timeouts.header, timeouts.body, timeouts.body_grace, timeouts.idle, timeouts.write_stall, timeouts.linger});
  if (timeouts.ping > 0) shortest = std::min(shortest, timeouts.ping);
  return std::chrono::duration<double>(std::clamp(shortest / 4, 0.01, 0.5));
}

class Server final : public HttpServer {
 public:
  Server(HttpServerOptions options, HttpHandler handler, std::vector<detail::ListenSocket> sockets)
      : hub_(std::move(handler), std::move(options.log), std::move(options.policy)), ticker_(hub_.io) {
    for (detail::ListenSocket& socket : sockets) {
      addresses_.push_back(socket.address());
      ports_.push_back(std::make_shared<Port>(hub_.io, std::move(socket)));
      accept(ports_.back());
    }
    thread_ = std::thread([this] { run(); });
  }
  ~Server() override { stop(); }

  const std::vector<std::string>& addresses() const override { return addresses_; }
  void set_policy(HttpPolicy policy) override { hub_.set_policy(std::move(policy)); }
  HttpCounters counters() const override { return hub_.counters(); }
  bool drain(double seconds) override;
  void stop() override;

 private:
  void run();
  void accept(const std::shared_ptr<Port>& port);
  void take(detail::Socket socket);
  void turn_away(detail::Socket socket, HttpRefusal reason);
  void start_ticking();
  void close_ports();

  detail::Hub hub_;
  asio::steady_timer ticker_;
  bool ticking_ = false;
  std::vector<std::string> addresses_;
  std::vector<std::shared_ptr<Port>> ports_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{hub_.io.get_executor()};
  std::mutex stopping_;
  std::thread thread_;
};

void Server::run() {
  sigset_t pipe;  // see Wire
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  pthread_setname_np(pthread_self(), "plait-http");  // whoever measures threads tells it from the engines' ones
  while (true) {
    try {
      hub_.io.run();
      return;
    } catch (...) {  // memory for a new connection ran out; the others go on
      continue;
    }
  }
}

void Server::accept(const std::shared_ptr<Port>& port) {
  port->acceptor.async_accept(hub_.io, [this, port](const error_code& error, detail::Socket socket) {
    if (!port->acceptor.is_open()) return;
    if (error) {
      hub_.count([](HttpCounters& all) { ++all.accept_failures; });
      port->pause.expires_after(kAcceptPause);
      port->pause.async_wait([this, port](const error_code& cancelled) {
        if (!cancelled && port->acceptor.is_open()) accept(port);
      });
      return;
    }
    accept(port);
    take(std::move(socket));
  });
}

void Server::take(detail::Socket socket) {
  fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  const HttpLimits limits = hub_.policy()->limits;
  const std::string address = detail::peer_address(socket.native_handle());
  if (address.empty()) return;  // gone already
  if (hub_.connections.size() >= limits.connections) return turn_away(std::move(socket), HttpRefusal::connections);
  const auto of_address = hub_.connections_of.find(detail::address_group(address));
  if (address != "unix" && of_address != hub_.connections_of.end() &&
      of_address->second >= limits.connections_per_address) {
    return turn_away(std::move(socket), HttpRefusal::connections_per_address);
  }
  if (address != "unix") {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  }
  std::make_shared<detail::Connection>(hub_, std::move(socket))->start();
  start_ticking();
}

// One attempt to say why: a client that is turned away costs no memory. Over TLS it would cost a handshake.
void Server::turn_away(detail::Socket socket, HttpRefusal reason) {
  hub_.count_refusal(reason);
  if (hub_.policy()->tls && detail::peer_address(socket.native_handle()) != "unix") return;
  const HttpReply reply = reply_of(refusal_of(reason));
  const std::string text =
      detail::response_head(reply, {.close = true, .length = reply.body.size(), .id = hub_.next_id()}) + reply.body;
  static_cast<void>(send(socket.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  error_code ignored;
  socket.shutdown(detail::Socket::shutdown_send, ignored);
}

// One timer for all deadlines; it rests while nobody is connected.
void Server::start_ticking() {
  if (ticking_ || hub_.connections.empty()) return;
  ticking_ = true;
  ticker_.expires_after(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(tick_period(hub_.policy()->timeouts)));
  ticker_.async_wait([this](const error_code& cancelled) {
    ticking_ = false;
    if (cancelled) return;
    const std::vector<std::shared_ptr<detail::Connection>> all(hub_.connections.begin(), hub_.connections.end());
    for (const auto& connection : all) connection->tick(base::steady_clock().now());
    start_ticking();
  });
}

void Server::close_ports() {
  for (const auto& port : ports_) {
    error_code ignored;
    port->acceptor.close(ignored);
    port->pause.cancel();
  }
  ports_.clear();
}

bool Server::drain(double seconds) {
  std::unique_lock lock(stopping_);
  if (!thread_.joinable()) return true;
  const double until = base::steady_clock().now() + seconds;
  hub_.draining = true;
  // Behind this, no request is between its gates and its place any more.
  auto closed = std::make_shared<std::promise<void>>();
  auto heard = closed->get_future();
  asio::post(hub_.io, [this, closed] {
    close_ports();
    closed->set_value();
  });
  if (heard.wait_for(std::chrono::duration<double>(seconds)) != std::future_status::ready) return false;
  lock.unlock();  // stop() need not wait
  return hub_.admission->wait_idle(std::max(0.0, until - base::steady_clock().now()));
}

void Server::stop() {
  const std::lock_guard lock(stopping_);
  if (!thread_.joinable()) return;
  asio::post(hub_.io, [this] {
    hub_.draining = true;
    close_ports();
    const std::vector<std::shared_ptr<detail::Connection>> all(hub_.connections.begin(), hub_.connections.end());
    for (const auto& connection : all) connection->drop();
    ticker_.cancel();
    work_.reset();
  });
  thread_.join();
}

}  // namespace

base::Result<std::unique_ptr<HttpServer>> HttpServer::make(HttpServerOptions options, HttpHandler handler) {
  if (options.listen.empty()) return base::fail(base::ErrorCode::invalid_argument, "no address to listen on");
  std::vector<detail::ListenSocket> sockets;
  for (const std::string& address : options.listen) {
    PLAIT_TRY(auto socket, detail::ListenSocket::open(address));
    sockets.push_back(std::move(socket));
  }
  try {
    return std::make_unique<Server>(std::move(options), std::move(handler), std::move(sockets));
  } catch (const std::system_error& error) {
    return base::fail(base::ErrorCode::out_of_resources, std::string("the server cannot start: ") + error.what());
  } catch (const boost::system::system_error& error) {
    return base::fail(base::ErrorCode::io, std::string("the server cannot start: ") + error.what());
  }
}

}  // namespace plait::serving
