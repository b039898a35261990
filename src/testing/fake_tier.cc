// SPDX-License-Identifier: Apache-2.0
#include "testing/fake_tier.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace plait::testing {

FakeTier::FakeTier(std::uint32_t slots, base::Bytes slot_bytes, const FakeTierOptions& options)
    : HostTier(slots, slot_bytes), options_(options), tier_(slots * slot_bytes, std::byte{0x55}) {}

void FakeTier::set_error_rates(double write, double read) {
  options_.write_error_rate = write;
  options_.read_error_rate = read;
}

void FakeTier::write(std::span<const std::byte> bytes, std::uint32_t first, std::uint64_t token) {
  start({.write = true, .memory = const_cast<std::byte*>(bytes.data()), .size = bytes.size(), .token = token}, first);
}

void FakeTier::read(std::span<std::byte> bytes, std::uint32_t first, std::uint64_t token) {
  std::memset(bytes.data(), 0xee, bytes.size());
  start({.write = false, .memory = bytes.data(), .size = bytes.size(), .token = token}, first);
}

void FakeTier::start(Operation operation, std::uint32_t first) {
  operation.offset = first * slot_bytes();
  PLAIT_CHECK(operation.size > 0 && operation.size % slot_bytes() == 0, operation.size);
  PLAIT_CHECK(operation.offset + operation.size <= tier_.size(), first, operation.size);
  operation.due = now_ + 1 + base::random_u64(options_.seed, draws_++) % options_.delay_ticks_max;
  const double error_rate = operation.write ? options_.write_error_rate : options_.read_error_rate;
  operation.fails = base::random_unit(options_.seed, draws_++) < error_rate;
  for (const Operation& other : operations_) {
    const bool same_slots =
        operation.offset < other.offset + other.size && other.offset < operation.offset + operation.size;
    const std::less<const std::byte*> before;
    const bool same_memory =
        before(operation.memory, other.memory + other.size) && before(other.memory, operation.memory + operation.size);
    // A write to the tier writes slots, a read writes memory.
    if (same_slots && (operation.write || other.write)) ++conflicts_;
    if (same_memory && (!operation.write || !other.write)) ++conflicts_;
  }
  operations_.push_back(operation);
}

FakeTier::Completion FakeTier::finish(const Operation& operation) {
  const std::size_t moved = operation.fails ? operation.size / 2 : operation.size;
  std::byte* slots = tier_.data() + operation.offset;
  std::memcpy(operation.write ? slots : operation.memory, operation.write ? operation.memory : slots, moved);
  if (!operation.fails) return {operation.token, {}};
  if (operation.write) std::memset(slots + moved, 0xdd, operation.size - moved);
  return {operation.token, base::fail(base::ErrorCode::io, "the fake tier fails as asked")};
}

void FakeTier::poll(std::vector<Completion>& completions) {
  const auto due = std::stable_partition(operations_.begin(), operations_.end(),
                                         [&](const Operation& operation) { return operation.due > now_; });
  std::stable_sort(due, operations_.end(), [](const Operation& a, const Operation& b) { return a.due < b.due; });
  for (auto operation = due; operation != operations_.end(); ++operation) completions.push_back(finish(*operation));
  operations_.erase(due, operations_.end());
}

void FakeTier::wait(std::vector<Completion>& completions, std::chrono::nanoseconds /*timeout*/) {
  const auto next = std::min_element(operations_.begin(), operations_.end(),
                                     [](const Operation& a, const Operation& b) { return a.due < b.due; });
  if (next != operations_.end()) now_ = std::max(now_, next->due);
  poll(completions);
}

}  // namespace plait::testing
