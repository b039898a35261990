// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/result.h"
#include "cli/command.h"
#include "serving/telemetry.h"

namespace plait::cli {

/// What the settings server.trace_file, server.otlp_url and their kin say, and OpenTelemetry's environment variables.
/// Errors: invalid_argument.
[[nodiscard]] base::Result<serving::TelemetryOptions> telemetry_options(const Session& session);
/// With the file open and the threads running; says where traces go. The session must outlive it. Errors: those of
/// telemetry_options(), and what the file says.
[[nodiscard]] base::Result<std::unique_ptr<serving::Telemetry>> make_telemetry(const Session& session);
/// Waits some seconds for what is to be told, and says so if that was too short.
void close_telemetry(serving::Telemetry& telemetry, const Session& session);

}  // namespace plait::cli
