// SPDX-License-Identifier: Apache-2.0
#include "cli/telemetry_settings.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace plait::cli {
namespace {

constexpr double kFlushSeconds = 5;

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

base::Result<serving::TelemetryOptions> telemetry_options(const Session& session) {
  const Config& config = session.config;
  serving::TelemetryOptions options;
  PLAIT_TRY(options.otel, operations::otel_settings(config.text("server.otlp_url"), variable));
  if (options.otel.exporter) {
    options.otel.exporter->say = [&session](std::string_view line) { note(session, line); };
  }
  if (const std::string& path = config.text("server.trace_file"); !path.empty()) {
    options.file.emplace();
    options.file->path = path;
    options.file->bytes_max = static_cast<base::Bytes>(config.number("server.trace_file_bytes"));
  }
  options.content = config.flag("server.trace_content");
  options.recent = static_cast<std::size_t>(config.number("server.recent_requests"));
  return options;
}

base::Result<std::unique_ptr<serving::Telemetry>> make_telemetry(const Session& session) {
  PLAIT_TRY(auto options, telemetry_options(session));
  const std::string texts = options.content ? ", with what is asked and answered" : "";
  if (options.file) note(session, fmt::format("traces go to {}{}", options.file->path.string(), texts));
  if (options.otel.exporter) {
    note(session, fmt::format("traces go to {}{}", operations::shown_url(options.otel.exporter->url), texts));
  }
  return serving::Telemetry::make(std::move(options));
}

void close_telemetry(serving::Telemetry& telemetry, const Session& session) {
  if (!telemetry.close(kFlushSeconds)) note(session, "some of the last traces were dropped");
}

}  // namespace plait::cli
