// SPDX-License-Identifier: Apache-2.0
#include "os/open_files.h"

#include <sys/resource.h>

namespace plait::os {

std::size_t raise_open_files_max() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit wanted = limit;
  wanted.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) wanted = limit;
  return wanted.rlim_cur;
}

}  // namespace plait::os
