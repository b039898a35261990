// SPDX-License-Identifier: Apache-2.0
#include "os/processor_time.h"

#include <ctime>

namespace plait::os {

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace plait::os
