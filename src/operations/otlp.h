// SPDX-License-Identifier: Apache-2.0
//
// Traces in OTLP's JSON encoding: ids are lower-case hexadecimal, 64-bit numbers are strings, enumerations are numbers.
// The same object is the body of a POST to /v1/traces and a line of a file (the OTLP file exporter's form).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operations/span.h"

namespace plait::operations {

/// Who tells.
struct TraceResource {
  std::string service = "plait";                                     ///< service.name
  std::vector<std::pair<std::string, std::string>> attributes = {};  ///< More: service.version, deployment.…
};

/// {"resourceSpans": […]} without line breaks.
[[nodiscard]] std::string otlp_json(const TraceResource& resource, std::span<const Trace> traces);

/// How many spans a collector says it did not take: partialSuccess.rejectedSpans of its answer. 0 if it says nothing.
[[nodiscard]] std::size_t rejected_spans(std::string_view answer);

}  // namespace plait::operations
