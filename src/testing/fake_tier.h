// SPDX-License-Identifier: Apache-2.0
//
// A host tier in memory that is as unpleasant as the interface allows, for tests of what stands above it.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/host_tier.h"

namespace plait::testing {

struct FakeTierOptions {
  std::uint64_t seed = 0;
  std::uint64_t delay_ticks_max = 20;  ///< An operation takes 1 to this many ticks, drawn: so they end out of order.
  double write_error_rate = 0;         ///< Share of operations that move half their bytes and report an I/O error.
  double read_error_rate = 0;
};

/// Time is a count of ticks that passes only by advance() and wait(). Bytes move at the end of an operation, so a
/// source that is overwritten early, or a destination that is used early, is seen; until then a destination holds
/// rubbish.
class FakeTier final : public engine::HostTier {
 public:
  FakeTier(std::uint32_t slots, base::Bytes slot_bytes, const FakeTierOptions& options = {});

  void write(std::span<const std::byte> bytes, std::uint32_t first, std::uint64_t token) override;
  void read(std::span<std::byte> bytes, std::uint32_t first, std::uint64_t token) override;
  /// What is due by now.
  void poll(std::vector<Completion>& completions) override;
  /// Lets time pass until the next operation is due.
  void wait(std::vector<Completion>& completions, std::chrono::nanoseconds timeout) override;
  [[nodiscard]] std::size_t in_flight() const override { return operations_.size(); }

  void advance(std::uint64_t ticks) { now_ += ticks; }
  /// From now on every operation fails (1), none (0), or some.
  void set_error_rates(double write, double read);
  /// From now on an operation takes 1 to this many ticks.
  void set_delay(std::uint64_t ticks_max) { options_.delay_ticks_max = ticks_max; }
  /// Operations that were started while another one on the same slots or memory was in flight, one of the two writing.
  [[nodiscard]] int conflicts() const { return conflicts_; }

 private:
  struct Operation {
    bool write = false;
    std::byte* memory = nullptr;
    std::size_t size = 0;
    std::size_t offset = 0;  // in tier_
    std::uint64_t token = 0;
    std::uint64_t due = 0;
    bool fails = false;
  };

  void start(Operation operation, std::uint32_t first);
  Completion finish(const Operation& operation);

  FakeTierOptions options_;
  std::vector<std::byte> tier_;  // [slot, byte]
  std::vector<Operation> operations_;
  std::uint64_t now_ = 0;
  std::uint64_t draws_ = 0;
  int conflicts_ = 0;
};

}  // namespace plait::testing
