// SPDX-License-Identifier: Apache-2.0
//
// Which requests are open: for `plait ps`, `plait top` and the page. Nothing of what they say is kept. Those that have
// ended are in operations/recent_requests.h.
//
//   const auto card = board.open({.id = id, .endpoint = "/v1/completions", .client = client});
//   card->admit(model, client, prompt_tokens);           // it was read, and goes to the engine
//   card->add_tokens(1);                                 // for each piece, on the engine's thread
//   card->close();
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace plait::serving {

enum class RequestPhase : std::uint8_t {
  reading,    ///< Its JSON and its prompt.
  prompt,     ///< With the engine: it waits, or its prompt is computed.
  answering,  ///< Its first token has come.
};
/// "reading", …
[[nodiscard]] std::string_view name(RequestPhase phase);

/// A request as the board shows it.
struct RequestRow {
  std::string id = {};
  std::string endpoint = {};  ///< "/v1/completions"
  std::string client = {};    ///< Who pays.
  std::string model = {};     ///< Empty while it is read.
  RequestPhase phase = RequestPhase::reading;
  double arrived = 0;  ///< Of the board's clock.
  std::size_t choices = 0;
  std::size_t generated_tokens = 0;
};

class StatusBoard;

/// One request's place on the board. Goes from the list of open ones with close(), or when it is dropped.
class RequestCard {
 public:
  ~RequestCard();
  RequestCard(const RequestCard&) = delete;
  RequestCard& operator=(const RequestCard&) = delete;

  /// Any thread.
  void admit(std::string model, std::string client, std::size_t choices);
  /// Any thread; costs one atomic addition.
  void add_tokens(std::size_t count) { generated_.fetch_add(count, std::memory_order_relaxed); }
  /// Any thread.
  void close();

 private:
  friend class StatusBoard;
  RequestCard(std::weak_ptr<StatusBoard> board, std::uint64_t number, RequestRow row)
      : board_(std::move(board)), number_(number), row_(std::move(row)) {}
  [[nodiscard]] RequestRow row() const;

  std::weak_ptr<StatusBoard> board_;
  std::uint64_t number_;
  mutable std::mutex mutex_;
  RequestRow row_;                          // under mutex_
  std::atomic<std::size_t> generated_ = 0;  // relaxed: a number to look at, nothing follows from it
};

/// Any thread.
class StatusBoard : public std::enable_shared_from_this<StatusBoard> {
 public:
  static constexpr std::size_t kOpenShown = 200;  ///< Of the open ones, the oldest so many are listed.
  static constexpr std::size_t kTextBytes = 100;  ///< Of ids and of clients' names so much is kept.

  [[nodiscard]] static std::shared_ptr<StatusBoard> make(const base::Clock& clock) {
    return std::shared_ptr<StatusBoard>(new StatusBoard(clock));
  }

  /// A request that has just come.
  [[nodiscard]] std::shared_ptr<RequestCard> open(RequestRow row);
  /// The oldest first.
  [[nodiscard]] std::vector<RequestRow> open_rows() const;
  [[nodiscard]] std::size_t open_count() const;
  [[nodiscard]] const base::Clock& clock() const { return clock_; }

 private:
  friend class RequestCard;
  explicit StatusBoard(const base::Clock& clock) : clock_(clock) {}
  void forget(std::uint64_t number);

  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::uint64_t next_ = 1;                                    // under mutex_, as the rest
  std::map<std::uint64_t, std::weak_ptr<RequestCard>> open_;  // in order of arrival
};

}  // namespace plait::serving
