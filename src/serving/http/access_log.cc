// SPDX-License-Identifier: Apache-2.0
#include "serving/http/access_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>

#include "text/json.h"

namespace plait::serving {

std::string access_log_line(const AccessRecord& record) {
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(record.time.time_since_epoch());
  const auto second = std::chrono::floor<std::chrono::seconds>(since_epoch);
  text::Json line{
      {"time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(second.count())),
                           (since_epoch - second).count())},
      {"id", record.id},
      {"client", record.client},
      {"method", record.method},
      {"path", record.path},
      {"status", record.status},
      {"bytes", record.bytes},
      {"seconds", std::round(record.seconds * 1e6) / 1e6}};
  if (record.gone) line["gone"] = true;
  return text::dump_json(line);
}

}  // namespace plait::serving
