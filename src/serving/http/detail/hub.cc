// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/hub.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include "base/check.h"
#include "base/random.h"

namespace plait::serving::detail {

Hub::Hub(HttpHandler handle, std::function<void(std::string_view)> write_log, HttpPolicy policy)
    : handler(std::move(handle)),
      log(std::move(write_log)),
      policy_(std::make_shared<const HttpPolicy>(std::move(policy))) {
  PLAIT_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&id_seed_), sizeof id_seed_) == 1);
}

std::shared_ptr<const HttpPolicy> Hub::policy() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

void Hub::set_policy(HttpPolicy policy) {
  auto next = std::make_shared<const HttpPolicy>(std::move(policy));
  const std::lock_guard lock(mutex_);
  policy_.swap(next);
}

HttpCounters Hub::counters() const {
  const std::lock_guard lock(mutex_);
  HttpCounters all = counters_;
  all.requests_in_flight = admission->in_flight();
  return all;
}

std::string Hub::next_id() { return fmt::format("req_{:016x}", base::random_u64(id_seed_, ids_++)); }

}  // namespace plait::serving::detail
