// SPDX-License-Identifier: Apache-2.0
#include "os/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "base/check.h"

namespace plait::os {
namespace {

constexpr int kInterruptedExitCode = 130;

// Signal handlers can reach nothing but globals. Relaxed is enough: the flag carries no other data.
std::atomic<bool> g_requested{false};
std::atomic<bool> g_installed{false};
struct sigaction g_previous_int;
struct sigaction g_previous_term;
std::atomic<bool> g_hung_up{false};
std::atomic<bool> g_hangup_installed{false};
struct sigaction g_previous_hangup;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_signal(int) {
  if (g_requested.exchange(true, std::memory_order_relaxed)) _exit(kInterruptedExitCode);
}

extern "C" void on_hangup(int) { g_hung_up.store(true, std::memory_order_relaxed); }

}  // namespace

InterruptGuard::InterruptGuard() {
  PLAIT_CHECK(!g_installed.exchange(true));
  clear_interrupt();
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &g_previous_int);  // without SA_RESTART: a blocked read() returns
  sigaction(SIGTERM, &action, &g_previous_term);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &g_previous_int, nullptr);
  sigaction(SIGTERM, &g_previous_term, nullptr);
  g_installed.store(false);
}

bool interrupt_requested() { return g_requested.load(std::memory_order_relaxed); }

void clear_interrupt() { g_requested.store(false, std::memory_order_relaxed); }

HangupGuard::HangupGuard() {
  PLAIT_CHECK(!g_hangup_installed.exchange(true));
  g_hung_up.store(false, std::memory_order_relaxed);
  struct sigaction action{};
  action.sa_handler = on_hangup;
  action.sa_flags = SA_RESTART;  // nobody waits for it in a system call
  sigemptyset(&action.sa_mask);
  sigaction(SIGHUP, &action, &g_previous_hangup);
}

HangupGuard::~HangupGuard() {
  sigaction(SIGHUP, &g_previous_hangup, nullptr);
  g_hangup_installed.store(false);
}

bool take_hangup() {
  return g_hung_up.load(std::memory_order_relaxed) && g_hung_up.exchange(false, std::memory_order_relaxed);
}

}  // namespace plait::os
