// SPDX-License-Identifier: Apache-2.0
#include "os/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>

#include "testing/scoped_variable.h"
#include "testing/temp_dir.h"

namespace plait::os {
namespace {

using testing::ScopedVariable;

// Listens as a service manager does.
class Manager {
 public:
  explicit Manager(const std::string& name) : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    bound_ = bind(socket_, reinterpret_cast<const sockaddr*>(&address), length) == 0;
  }
  ~Manager() { close(socket_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  [[nodiscard]] bool bound() const { return bound_; }
  // What was sent and not heard yet; empty: nothing.
  [[nodiscard]] std::string hear() const {
    std::array<char, 4096> buffer{};
    const ssize_t bytes = recv(socket_, buffer.data(), buffer.size(), 0);
    return bytes <= 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(bytes));
  }

 private:
  int socket_;
  bool bound_ = false;
};

TEST(ServiceManager, HearsWhatIsSaid) {
  const testing::TempDir dir;
  for (const std::string& name : {(dir / "notify").string(), "@plait-notify-test-" + std::to_string(getpid())}) {
    const Manager manager(name);
    ASSERT_TRUE(manager.bound()) << name;
    const ScopedVariable variable("NOTIFY_SOCKET", name);
    EXPECT_TRUE(notify_service_manager("READY=1\nSTATUS=well"));
    EXPECT_EQ(manager.hear(), "READY=1\nSTATUS=well");
    EXPECT_TRUE(notify_reloading());
    EXPECT_TRUE(manager.hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    EXPECT_EQ(manager.hear(), "");
  }
}

TEST(ServiceManager, NobodyThereIsNoFault) {
  const testing::TempDir dir;
  for (const std::string& name : {std::string(), std::string("relative"), (dir / "nobody").string(),
                                  "/" + std::string(500, 'x'), std::string("@")}) {
    const ScopedVariable variable("NOTIFY_SOCKET", name);
    EXPECT_FALSE(notify_service_manager("READY=1")) << name;
  }
}

}  // namespace
}  // namespace plait::os
