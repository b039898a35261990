// SPDX-License-Identifier: Apache-2.0
//
// libcurl tells which sockets it wants watched for what, and when it wants to be called without news; an epoll set and
// one deadline do that. So a wake-up costs as much as the sockets with news, not as all that are open.
#include "net/exchanges.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/clock.h"
#include "net/detail/curl.h"

namespace plait::net {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr int kEventsAtOnce = 64;

timespec timespec_of(double seconds) {
  const double whole = std::floor(seconds);
  return {.tv_sec = static_cast<time_t>(whole), .tv_nsec = static_cast<long>((seconds - whole) * 1e9)};
}

/// One exchange. Its address is known to libcurl, so it stays where it is.
struct Open {
  ExchangeId id;
  ExchangeRequest request;
  ExchangeListener* listener = nullptr;
  detail::CurlList headers = {};
  detail::CurlHandle handle = {};
  std::array<char, CURL_ERROR_SIZE> details = {};
  int status = 0;
  base::Bytes answer_bytes = 0;
  bool too_long = false;

  std::size_t body(std::span<const std::byte> piece) {
    if (status == 0) {
      long code = 0;
      curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &code);
      status = static_cast<int>(code);
    }
    answer_bytes += piece.size();
    too_long = answer_bytes > request.answer_bytes_max;
    if (too_long) return CURL_WRITEFUNC_ERROR;
    listener->on_body(status, piece);
    return piece.size();
  }

  [[nodiscard]] Result<int> result(CURLcode code) {
    if (too_long) {
      return fail(ErrorCode::out_of_resources,
                  fmt::format("{} sends more than {} bytes", request.url, request.answer_bytes_max));
    }
    if (code != CURLE_OK) return std::unexpected(detail::transfer_error(code, request.url, details.data()));
    long answered = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &answered);
    return static_cast<int>(answered);
  }
};

std::size_t on_data(char* data, std::size_t size, std::size_t count, void* user) {
  return static_cast<Open*>(user)->body(std::as_bytes(std::span(data, size * count)));
}

void set_options(Open& open) {
  const auto set = [handle = open.handle.get()](CURLoption option, auto value) {
    curl_easy_setopt(handle, option, value);
  };
  const ExchangeRequest& request = open.request;
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_HTTPHEADER, open.headers.get());
  set(CURLOPT_USERAGENT, "plait");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.connect_timeout.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.idle_timeout.count()));
  set(CURLOPT_WRITEFUNCTION, on_data);
  set(CURLOPT_WRITEDATA, &open);
  set(CURLOPT_PRIVATE, &open);
  set(CURLOPT_ERRORBUFFER, open.details.data());
  if (request.body.empty()) return;
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  set(CURLOPT_POSTFIELDS, request.body.data());
}

}  // namespace

class Exchanges::State {
 public:
  State() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    detail::start_curl();
    multi_ = curl_multi_init();
    if (multi_ == nullptr) return;
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &State::watch_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &State::set_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  }
  ~State() {
    for (const auto& [id, open] : open_) curl_multi_remove_handle(multi_, open->handle.get());
    open_.clear();
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
    if (epoll_ >= 0) close(epoll_);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[nodiscard]] bool good() const { return multi_ != nullptr && epoll_ >= 0; }
  [[nodiscard]] std::size_t open() const { return open_.size(); }

  Result<ExchangeId> start(ExchangeRequest request, ExchangeListener& listener) {
    PLAIT_TRY_VOID(detail::check_url(request.url));
    if (!request.body.empty()) request.headers.emplace_back("Expect", "");  // large bodies go at once
    auto open = std::make_unique<Open>();
    open->id = ExchangeId(next_++);
    open->listener = &listener;
    open->request = std::move(request);
    PLAIT_TRY(open->headers, detail::header_list(open->request.headers));
    PLAIT_TRY(open->handle, detail::make_handle());
    set_options(*open);
    if (curl_multi_add_handle(multi_, open->handle.get()) != CURLM_OK) {
      return fail(ErrorCode::out_of_resources, "no memory for a connection");
    }
    const ExchangeId id = open->id;
    open_.emplace(id, std::move(open));
    // As many as there ever were at once may stay open between requests.
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(most_ = std::max(most_, open_.size())));
    return id;
  }

  void cancel(ExchangeId id) {
    const auto at = open_.find(id);
    if (at == open_.end()) return;
    curl_multi_remove_handle(multi_, at->second->handle.get());
    open_.erase(at);
  }

  void wait(double seconds) {
    const double now = base::steady_clock().now();
    if (timer_) seconds = std::min(seconds, *timer_ - now);
    const timespec time = timespec_of(std::max(seconds, 0.0));
    pollfd set{.fd = epoll_, .events = POLLIN, .revents = 0};
    // Not epoll_wait() alone: its time-out counts whole milliseconds.
    if (ppoll(&set, 1, &time, nullptr) > 0) take_events();
    if (timer_ && base::steady_clock().now() >= *timer_) {
      timer_.reset();
      int running = 0;
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    take_endings();
  }

 private:
  void take_events() {
    std::array<epoll_event, kEventsAtOnce> events = {};
    const int count = epoll_wait(epoll_, events.data(), kEventsAtOnce, 0);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const int what = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                       ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                       ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
      int running = 0;
      curl_multi_socket_action(multi_, event.data.fd, what, &running);
    }
  }

  void take_endings() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      Open* ended = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ended);
      curl_multi_remove_handle(multi_, ended->handle.get());
      const auto at = open_.find(ended->id);
      const std::unique_ptr<Open> open = std::move(at->second);
      open_.erase(at);
      open->listener->on_end(open->result(code));
    }
  }

  // The socket's pointer is only a mark: not null once it is in the set.
  static int watch_socket(CURL* /*handle*/, curl_socket_t socket, int what, void* user, void* mark) {
    auto* state = static_cast<State*>(user);
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(state->epoll_, EPOLL_CTL_DEL, socket, nullptr);
      return 0;
    }
    epoll_event event{};
    event.data.fd = socket;
    event.events =
        ((what & CURL_POLL_IN) != 0 ? unsigned{EPOLLIN} : 0U) | ((what & CURL_POLL_OUT) != 0 ? unsigned{EPOLLOUT} : 0U);
    epoll_ctl(state->epoll_, mark == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
    curl_multi_assign(state->multi_, socket, state);
    return 0;
  }

  static int set_timer(CURLM* /*multi*/, long milliseconds, void* user) {
    auto* state = static_cast<State*>(user);
    state->timer_.reset();
    if (milliseconds >= 0) state->timer_ = base::steady_clock().now() + static_cast<double>(milliseconds) / 1e3;
    return 0;
  }

  int epoll_;
  CURLM* multi_ = nullptr;
  std::optional<double> timer_ = {};  // when libcurl wants to be called
  std::map<ExchangeId, std::unique_ptr<Open>> open_;
  std::uint64_t next_ = 1;
  std::size_t most_ = 0;
};

Exchanges::Exchanges(std::unique_ptr<State> state) : state_(std::move(state)) {}
Exchanges::~Exchanges() = default;

Result<std::unique_ptr<Exchanges>> Exchanges::make() {
  auto state = std::make_unique<State>();
  if (!state->good()) return fail(ErrorCode::out_of_resources, "no file handle or memory for connections");
  return std::unique_ptr<Exchanges>(new Exchanges(std::move(state)));
}

Result<ExchangeId> Exchanges::start(ExchangeRequest request, ExchangeListener& listener) {
  return state_->start(std::move(request), listener);
}

void Exchanges::cancel(ExchangeId exchange) { state_->cancel(exchange); }
std::size_t Exchanges::open() const { return state_->open(); }
void Exchanges::wait(double seconds) { state_->wait(seconds); }

}  // namespace plait::net
