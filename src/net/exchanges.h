// SPDX-License-Identifier: Apache-2.0
//
// Many HTTP(S) requests at once on one thread, each with a body to send and an answer that comes in pieces.
//
//   PLAIT_TRY(const auto exchanges, net::Exchanges::make());
//   PLAIT_TRY(const auto id, exchanges->start({.url = "http://127.0.0.1:7524/v1/completions", .body = json}, mine));
//   while (exchanges->open() > 0) exchanges->wait(0.1);        // mine.on_body(...), mine.on_end(...)
//
// Connections are kept and used again. Redirects are not followed, certificates are checked. An answer costs some
// microseconds of processor time a piece, since only sockets with news are looked at.
// Threads: one; listeners are called within wait().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/units.h"

namespace plait::net {

/// Numbers of exchanges are never used again.
using ExchangeId = base::Id<struct ExchangeTag, std::uint64_t>;

struct ExchangeRequest {
  std::string url;                                                ///< http:// or https://
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< Sent as they are; no line breaks allowed.
  std::string body = {};                                          ///< POST if there is one, else GET.
  base::Bytes answer_bytes_max = 64ULL << 20;  ///< A longer answer ends the exchange with out_of_resources.
  std::chrono::seconds connect_timeout{10};    ///< For name look-up, connection and TLS together.
  std::chrono::seconds idle_timeout{600};      ///< Without a byte for this long, the exchange ends.
};

/// Who wants to know. Must outlive the exchange.
class ExchangeListener {
 public:
  virtual ~ExchangeListener() = default;
  /// A piece of the answer's body, whatever its status. Must not call the Exchanges.
  virtual void on_body(int status, std::span<const std::byte> piece) = 0;
  /// The last call: the status, or network (look-up, connection, TLS, cut off, idle) or out_of_resources. May start
  /// other exchanges.
  virtual void on_end(const base::Result<int>& status) = 0;
};

class Exchanges {
 public:
  /// Errors: out_of_resources.
  [[nodiscard]] static base::Result<std::unique_ptr<Exchanges>> make();
  /// Drops what is open, without a call.
  ~Exchanges();
  Exchanges(const Exchanges&) = delete;
  Exchanges& operator=(const Exchanges&) = delete;

  /// Begins; nothing is called before the next wait(). Errors: invalid_argument (URL, header), out_of_resources.
  [[nodiscard]] base::Result<ExchangeId> start(ExchangeRequest request, ExchangeListener& listener);
  /// Ends one that is open, without a call to its listener. Requires: no listener's call is running.
  void cancel(ExchangeId exchange);
  [[nodiscard]] std::size_t open() const;
  /// Returns after having dealt with what came, and at the latest after `seconds`, to a tenth of a millisecond.
  void wait(double seconds);

 private:
  class State;
  explicit Exchanges(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace plait::net
