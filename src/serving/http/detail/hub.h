// SPDX-License-Identifier: Apache-2.0
//
// What the connections of one server share.
#pragma once

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "serving/http/counters.h"
#include "serving/http/detail/admission.h"
#include "serving/http/detail/key_guesses.h"
#include "serving/http/policy.h"
#include "serving/http/responder.h"

namespace plait::serving::detail {

using Socket = boost::asio::generic::stream_protocol::socket;
class Connection;

/// Members without a word about threads belong to the server's thread.
class Hub {
 public:
  Hub(HttpHandler handler, std::function<void(std::string_view)> log, HttpPolicy policy);

  /// Any thread.
  [[nodiscard]] std::shared_ptr<const HttpPolicy> policy() const;
  void set_policy(HttpPolicy policy);
  [[nodiscard]] HttpCounters counters() const;

  /// `change` gets the counters, under their lock.
  template <class Change>
  void count(const Change& change) {
    const std::lock_guard lock(mutex_);
    change(counters_);
  }
  void count_refusal(HttpRefusal reason) {
    count([&](HttpCounters& all) { ++all.refusals[static_cast<std::size_t>(reason)]; });
  }
  /// Different for every request, also after a restart.
  [[nodiscard]] std::string next_id();

  boost::asio::io_context io{1};
  const HttpHandler handler;
  const std::function<void(std::string_view)> log;
  const std::shared_ptr<Admission> admission = std::make_shared<Admission>();  // any thread
  std::atomic<bool> draining = false;                                          // any thread
  KeyGuesses guesses;
  std::size_t bodies_bytes = 0;  // of the bodies that are coming in
  std::unordered_set<std::shared_ptr<Connection>> connections;
  std::unordered_map<std::string, std::size_t> connections_of;  // by address_group()

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const HttpPolicy> policy_;
  HttpCounters counters_;
  std::uint64_t id_seed_ = 0;
  std::uint64_t ids_ = 0;
};

}  // namespace plait::serving::detail
