// SPDX-License-Identifier: Apache-2.0
#include "parallel/executor.h"

#include "base/check.h"

namespace plait::parallel {

Executor::Executor(int threads) {
  PLAIT_CHECK(threads >= 1, threads);
  threads_.reserve(static_cast<std::size_t>(threads));
  try {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this]() noexcept {
        while (auto job = jobs_.receive()) (*job)();
      });
    }
  } catch (...) {  // those that did start would wait for jobs for ever
    jobs_.close();
    throw;
  }
}

Executor::~Executor() { jobs_.close(); }

void Executor::submit(Job job) {
  const bool sent = jobs_.send(std::move(job)).has_value();
  PLAIT_CHECK(sent);  // closed by the destructor only
}

}  // namespace plait::parallel
