// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C as a question that long work asks, instead of sudden death; SIGHUP as one that a service asks.
#pragma once

namespace plait::os {

/// While one lives, the first Ctrl-C (SIGINT) or SIGTERM only sets a flag; the next one, with the flag still set, ends
/// the program at once with exit code 130. The handlers of before come back when it dies. At most one at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

/// True once a signal has come. Any thread; costs one load.
[[nodiscard]] bool interrupt_requested();
/// Forgets a signal that has been dealt with, so that the next one is the first again.
void clear_interrupt();

/// While one lives, SIGHUP only sets a flag: a service's wish to read its settings again. The handler of before comes
/// back when it dies. At most one at a time.
class HangupGuard {
 public:
  HangupGuard();
  ~HangupGuard();
  HangupGuard(const HangupGuard&) = delete;
  HangupGuard& operator=(const HangupGuard&) = delete;
};

/// True once for each time, or several, that SIGHUP has come since the last call. Any thread; costs one load.
[[nodiscard]] bool take_hangup();

}  // namespace plait::os
