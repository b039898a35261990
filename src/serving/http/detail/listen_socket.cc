// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/listen_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "serving/http/detail/gates.h"

namespace plait::serving::detail {
namespace {

constexpr int kBacklog = 512;  // the kernel takes the smaller of this and net.core.somaxconn

// Room for an address of any family here.
union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un local;
  sockaddr_storage storage;
};

std::unexpected<base::Error> failed(const std::string& address, std::string_view what) {
  const int code = errno;
  const bool busy = code == EADDRINUSE;
  return base::fail(busy ? base::ErrorCode::busy : base::ErrorCode::io,
                    fmt::format("{}: {}: {}", address, what, std::strerror(code)));
}

std::string text_of(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.any.sa_family == AF_UNIX) return "unix";
  if (address.any.sa_family == AF_INET) inet_ntop(AF_INET, &address.v4.sin_addr, text.data(), text.size());
  if (address.any.sa_family == AF_INET6) inet_ntop(AF_INET6, &address.v6.sin6_addr, text.data(), text.size());
  return text.data();
}

// Whether somebody listens at this path.
bool answers(const Address& address) {
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return true;
  const int connected = connect(probe, &address.any, sizeof address.local);
  const bool refused = connected < 0 && (errno == ECONNREFUSED || errno == ENOENT);
  close(probe);
  return !refused;
}

}  // namespace

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      family_(other.family_),
      address_(std::move(other.address_)),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

ListenSocket::~ListenSocket() {
  if (descriptor_ >= 0) close(descriptor_);
  struct stat now{};
  if (path_.empty() || lstat(path_.c_str(), &now) != 0) return;
  if (now.st_dev == device_ && now.st_ino == inode_) unlink(path_.c_str());
}

int ListenSocket::release() { return std::exchange(descriptor_, -1); }

base::Result<ListenSocket> ListenSocket::open(const std::string& address) {
  constexpr std::string_view kUnix = "unix:";
  return address.starts_with(kUnix) ? open_unix(address.substr(kUnix.size())) : open_tcp(address);
}

base::Result<ListenSocket> ListenSocket::open_tcp(const std::string& address) {
  const auto refuse = [&] {
    return base::fail(
        base::ErrorCode::invalid_argument,
        fmt::format("'{}' is no address to listen on; write 127.0.0.1:8080, [::1]:8080 or unix:PATH", address));
  };
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return refuse();
  std::uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const auto [stopped, error] = std::from_chars(address.data() + colon + 1, end, port);
  if (error != std::errc{} || stopped != end) return refuse();
  std::string host(without_port(address));
  if (host == "localhost") host = "127.0.0.1";

  Address wanted{};
  socklen_t length = sizeof wanted.v4;
  if (inet_pton(AF_INET, host.c_str(), &wanted.v4.sin_addr) == 1) {
    wanted.v4.sin_family = AF_INET;
    wanted.v4.sin_port = htons(port);
  } else if (address.starts_with('[') && inet_pton(AF_INET6, host.c_str(), &wanted.v6.sin6_addr) == 1) {
    wanted.v6.sin6_family = AF_INET6;
    wanted.v6.sin6_port = htons(port);
    length = sizeof wanted.v6;
  } else {
    return refuse();
  }
  const int family = wanted.any.sa_family;
  ListenSocket opened(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), family);
  if (opened.descriptor_ < 0) return failed(address, "no socket");
  const int on = 1;
  setsockopt(opened.descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) setsockopt(opened.descriptor_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(opened.descriptor_, &wanted.any, length) != 0) return failed(address, "cannot listen there");
  if (listen(opened.descriptor_, kBacklog) != 0) return failed(address, "cannot listen there");
  if (getsockname(opened.descriptor_, &wanted.any, &length) != 0) return failed(address, "no address");
  const std::string text = text_of(wanted);
  opened.address_ = family == AF_INET ? fmt::format("{}:{}", text, ntohs(wanted.v4.sin_port))
                                      : fmt::format("[{}]:{}", text, ntohs(wanted.v6.sin6_port));
  return opened;
}

base::Result<ListenSocket> ListenSocket::open_unix(const std::string& path) {
  Address wanted{};
  if (path.empty() || path.size() >= sizeof wanted.local.sun_path) {
    return base::fail(base::ErrorCode::invalid_argument,
                      fmt::format("'unix:{}': a path of 1 to {} bytes", path, sizeof wanted.local.sun_path - 1));
  }
  wanted.local.sun_family = AF_UNIX;
  path.copy(wanted.local.sun_path, path.size());
  ListenSocket opened(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), AF_UNIX);
  if (opened.descriptor_ < 0) return failed(path, "no socket");
  struct stat there{};
  if (lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) {
      return base::fail(base::ErrorCode::invalid_argument, fmt::format("{} is there and no socket", path));
    }
    if (answers(wanted)) return base::fail(base::ErrorCode::busy, fmt::format("{}: somebody listens there", path));
    unlink(path.c_str());
  }
  if (bind(opened.descriptor_, &wanted.any, sizeof wanted.local) != 0) return failed(path, "cannot listen there");
  if (lstat(path.c_str(), &there) != 0) return failed(path, "the socket is gone again");
  opened.path_ = path;
  opened.device_ = there.st_dev;
  opened.inode_ = there.st_ino;
  // Before listen(): nobody can connect while the mode is a wider one.
  if (chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) return failed(path, "cannot set its mode");
  if (listen(opened.descriptor_, kBacklog) != 0) return failed(path, "cannot listen there");
  opened.address_ = "unix:" + path;
  return opened;
}

std::string peer_address(int descriptor) {
  Address address{};
  socklen_t length = sizeof address;
  return getpeername(descriptor, &address.any, &length) == 0 ? text_of(address) : "";
}

std::string own_address(int descriptor) {
  Address address{};
  socklen_t length = sizeof address;
  return getsockname(descriptor, &address.any, &length) == 0 ? text_of(address) : "";
}

}  // namespace plait::serving::detail
