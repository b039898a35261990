// SPDX-License-Identifier: Apache-2.0
#include "engine/runner.h"

#include <atomic>

namespace plait::engine {

void ModelRunner::for_each(std::size_t count, const std::function<void(std::size_t)>& f) {
  if (count == 1) return f(0);
  std::atomic<std::size_t> next = 0;  // relaxed: run() orders everything else
  team_.run([&](int) {
    for (std::size_t i = 0; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) f(i);
  });
}

}  // namespace plait::engine
