// SPDX-License-Identifier: Apache-2.0
//
// A request as OpenTelemetry tells it: one span for the whole, and one below it for each stretch of its life.
//
//   chat smollm2-135m                      from arrival to the end of the answer
//     read                                 JSON, template, tokens
//     load                                 waiting for a model that was not there
//     queue, prompt, decode                of each answer: until its first row, its first token, its last one
//     reply                                wording what is not streamed
//
// Names and attributes are those of the semantic conventions for generative AI; what these do not know is plait.*.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "operations/request_record.h"

namespace plait::operations {

using AttributeValue = std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>>;
using Attributes = std::vector<std::pair<std::string_view, AttributeValue>>;

/// Nanoseconds since 1970.
using UnixNanoseconds = std::uint64_t;

struct SpanEvent {
  std::string_view name;
  UnixNanoseconds time = 0;
};

struct Span {
  enum class Kind : std::uint8_t { internal = 1, server = 2 };  ///< Numbers as in OTLP.

  SpanId id = {};
  std::optional<SpanId> parent = {};
  std::string name = {};
  Kind kind = Kind::internal;
  UnixNanoseconds start = 0;
  UnixNanoseconds end = 0;  ///< Not before `start`.
  Attributes attributes = {};
  std::vector<SpanEvent> events = {};
  bool failed = false;
};

/// Of one request; the first one is the whole. All are of the same trace.
struct Trace {
  TraceId id = {};
  std::string state = {};  ///< The client's tracestate.
  bool sampled = false;
  std::vector<Span> spans = {};
};

/// Answers beyond this many of one request have no spans of their own; `plait.answers_left_out` says how many.
inline constexpr std::size_t kAnswersTraced = 32;

/// Ids of the spans below the first follow from `ids` and the record's number.
[[nodiscard]] Trace trace_of(const RequestRecord& record, const TraceIds& ids);

}  // namespace plait::operations
