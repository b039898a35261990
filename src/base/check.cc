// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace plait::base {

void check_failed(const char* file, int line, const char* condition, const std::string& operands) {
  std::fputs(fmt::format("{}:{}: check failed: {}{}\n", file, line, condition, operands).c_str(), stderr);
  std::abort();
}

}  // namespace plait::base
