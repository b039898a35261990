// SPDX-License-Identifier: Apache-2.0
//
// Which trace something belongs to, as programs tell each other: W3C Trace Context
// (https://www.w3.org/TR/trace-context/), the header fields `traceparent` and `tracestate`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plait::operations {

/// 16 bytes, not all zero in a valid one.
using TraceId = std::array<std::uint8_t, 16>;
/// 8 bytes, not all zero in a valid one.
using SpanId = std::array<std::uint8_t, 8>;

/// Lower-case hexadecimal digits.
[[nodiscard]] std::string hex(const TraceId& id);
[[nodiscard]] std::string hex(const SpanId& id);

/// A place in a trace: the span under which whoever is told of it continues.
struct TraceContext {
  TraceId trace = {};
  SpanId span = {};
  bool sampled = false;  ///< Who sent it records it.

  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

/// "00-<32 digits>-<16 digits>-<2 digits>". Of later versions the part that this one knows. Nothing for anything else,
/// ids of zeros and upper-case digits included: then a trace begins anew.
[[nodiscard]] std::optional<TraceContext> parse_traceparent(std::string_view field);
/// The other way round, version 00.
[[nodiscard]] std::string traceparent(const TraceContext& context);
/// What is kept of a `tracestate`: the field as it is, or nothing if it is longer than 512 bytes or has bytes that a
/// header field may not have.
[[nodiscard]] std::string kept_tracestate(std::string_view field);

/// Ids that nobody else has, from a seed by chance. Any thread.
class TraceIds {
 public:
  TraceIds();
  /// The same ids for the same seed. For tests.
  explicit TraceIds(std::uint64_t seed) : seed_(seed) {}

  /// Id number `number` of a request whose trace begins here.
  [[nodiscard]] TraceId trace(std::uint64_t number) const;
  /// Id of span `part` of request `number`.
  [[nodiscard]] SpanId span(std::uint64_t number, std::uint64_t part) const;

 private:
  std::uint64_t seed_;
};

}  // namespace plait::operations
