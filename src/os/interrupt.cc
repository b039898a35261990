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
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_signal(int) {
  if (g_requested.exchange(true, std::memory_order_relaxed)) _exit(kInterruptedExitCode);
}

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

}  // namespace plait::os
