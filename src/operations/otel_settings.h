// SPDX-License-Identifier: Apache-2.0
//
// What OpenTelemetry's own environment variables say about where traces go, which of them, and whose they are
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "operations/otlp_exporter.h"

namespace plait::operations {

/// Which traces are sent to a collector. A plain value.
struct TraceSampler {
  double ratio = 1;            ///< Of traces that begin here.
  bool follows_parent = true;  ///< What a client sent along (`traceparent`) decides for its traces.

  /// Whether to send. By the trace's id, so that all programs with the same ratio keep the same traces.
  [[nodiscard]] bool samples(const TraceId& trace, const TraceContext* parent) const;
};

struct OtelSettings {
  std::optional<OtlpOptions> exporter = {};  ///< Nothing: traces are sent nowhere.
  TraceSampler sampler = {};
  TraceResource resource = {};
};

/// The value of an environment variable, nothing if it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// `url`: the setting server.otlp_url; empty: the variables decide. It is a collector's address, as in
/// OTEL_EXPORTER_OTLP_ENDPOINT: "/v1/traces" is put behind it, unless it ends like that.
/// Read are OTEL_EXPORTER_OTLP_[TRACES_]ENDPOINT, …HEADERS, …TIMEOUT and …PROTOCOL, OTEL_SERVICE_NAME,
/// OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_EXPORTER, OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG and OTEL_SDK_DISABLED.
/// Errors: invalid_argument with the variable's name; values of headers are never in the message.
[[nodiscard]] base::Result<OtelSettings> otel_settings(std::string_view url, const Environment& environment);

}  // namespace plait::operations
