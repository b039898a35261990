// SPDX-License-Identifier: Apache-2.0
#include "os/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

extern char** environ;

namespace plait::os {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{100};   // how late a request to stop may be noticed
constexpr std::chrono::seconds kGraceTime{2};     // between TERM and KILL
constexpr std::chrono::milliseconds kDrain{200};  // for output of programs that were left behind

// One end of a pipe, closed when it goes.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  void reset(int number = -1) {
    if (number_ >= 0) close(number_);
    number_ = number;
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_ = -1;
};

struct Stream {
  Descriptor ours;
  Descriptor theirs;
  std::string text;

  bool open() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
    fcntl(ours.get(), F_SETFL, O_NONBLOCK);
    return true;
  }

  // Reads what is there. Closes our end when the other side is closed.
  void read_some(base::Bytes bytes_max) {
    std::array<char, 65536> buffer{};
    while (ours.get() >= 0) {
      const ssize_t got = read(ours.get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return ours.reset();
      const std::size_t room = bytes_max - std::min<base::Bytes>(bytes_max, text.size());
      text.append(buffer.data(), std::min(room, static_cast<std::size_t>(got)));
    }
  }
};

std::vector<std::string> merged_environment(const ProcessOptions& options) {
  std::vector<std::string> merged;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced =
        std::ranges::any_of(options.environment, [&](const auto& pair) { return pair.first == name; });
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

int spawn(const ProcessOptions& options, Stream& output, Stream& errors, pid_t& child) {
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = merged_environment(options);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.theirs.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.theirs.get(), STDERR_FILENO);
  if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
  sigset_t none;
  sigset_t defaults;
  sigemptyset(&none);
  sigfillset(&defaults);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawnp(&child, arguments[0].c_str(), &actions, &attributes, pointers(arguments).data(),
                                 pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// The child's state if it has ended. It stays a zombie, so that its group's number cannot be given to somebody else.
bool has_ended(pid_t child) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

int collect(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void read_both(Stream& output, Stream& errors, base::Bytes bytes_max, std::chrono::milliseconds wait) {
  std::array<pollfd, 2> ends{pollfd{output.ours.get(), POLLIN, 0}, pollfd{errors.ours.get(), POLLIN, 0}};
  poll(ends.data(), ends.size(), static_cast<int>(wait.count()));  // negative descriptors are skipped
  output.read_some(bytes_max);
  errors.read_some(bytes_max);
}

}  // namespace

Result<ProcessResult> run_process(const ProcessOptions& options) {
  if (options.arguments.empty()) return fail(ErrorCode::invalid_argument, "no program to run");
  Stream output;
  Stream errors;
  if (!output.open() || !errors.open()) return fail(ErrorCode::out_of_resources, "cannot make a pipe");
  pid_t child = -1;
  if (const int error = spawn(options, output, errors, child); error != 0) {
    const auto code = error == ENOENT || error == EACCES   ? ErrorCode::not_found
                      : error == EAGAIN || error == ENOMEM ? ErrorCode::out_of_resources
                                                           : ErrorCode::io;
    return fail(code, fmt::format("cannot run {}: {}", options.arguments[0], std::strerror(error)));
  }
  output.theirs.reset();
  errors.theirs.reset();

  const auto start = Clock::now();
  std::optional<Clock::time_point> stopped;
  std::string reason;
  const auto stop = [&](std::string why) {
    stopped = Clock::now();
    reason = std::move(why);
    kill(-child, SIGTERM);
  };
  while (!has_ended(child)) {
    read_both(output, errors, options.output_bytes_max, kTick);
    if (output.ours.get() < 0 && errors.ours.get() < 0) poll(nullptr, 0, 5);
    if (stopped && Clock::now() - *stopped > kGraceTime) kill(-child, SIGKILL);
    if (stopped) continue;
    if (options.keep_going && !options.keep_going()) stop("was stopped");
    if (options.timeout.count() > 0 && Clock::now() - start > options.timeout) stop("took too long");
  }
  read_both(output, errors, options.output_bytes_max, std::chrono::milliseconds(0));
  kill(-child, SIGKILL);
  const auto drained = Clock::now() + kDrain;
  while ((output.ours.get() >= 0 || errors.ours.get() >= 0) && Clock::now() < drained) {
    read_both(output, errors, options.output_bytes_max, std::chrono::milliseconds(20));
  }
  const int exit_code = collect(child);
  if (stopped) return fail(ErrorCode::interrupted, fmt::format("{} {}", options.arguments[0], reason));
  return ProcessResult{exit_code, std::move(output.text), std::move(errors.text)};
}

}  // namespace plait::os
