// SPDX-License-Identifier: Apache-2.0
//
// What happens in a tree of strands, as a numbered stream: kept for a while, so that a client that lost its connection
// goes on where it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "serving/http/sse.h"
#include "text/json.h"

namespace plait::serving {

struct StrandEventLimits {
  std::size_t events_max = 4096;                  ///< That are kept,
  std::size_t bytes_max = std::size_t{1} << 20U;  ///< and their bytes. The last one always is.
  std::size_t readers_max = 16;
};

/// Of one tree. One thread.
class StrandEventLog {
 public:
  explicit StrandEventLog(const StrandEventLimits& limits = {}) : limits_(limits) {}

  /// Numbers, keeps and sends an event.
  void add(std::string_view name, const text::Json& data);
  /// Sends what comes after event `after`, from now on until the end; as far as it is not kept any more, an event `gap`
  /// with how many are `missed` stands for it. False if there are too many readers.
  [[nodiscard]] bool read(const Responder& responder, std::uint64_t after);
  /// Forgets readers that are gone.
  void drop_gone();
  /// The tree is no more: ends all streams.
  void end();
  [[nodiscard]] std::uint64_t last() const { return last_; }
  [[nodiscard]] std::size_t readers() const { return readers_.size(); }

 private:
  struct Event {
    std::string name;
    std::string data;
  };
  StrandEventLimits limits_;
  std::deque<Event> kept_;
  std::size_t bytes_ = 0;
  std::uint64_t last_ = 0;
  std::vector<SseStream> readers_;
};

}  // namespace plait::serving
