// SPDX-License-Identifier: Apache-2.0
#include "serving/http/access_log.h"

#include <cmath>

#include "text/json.h"
#include "text/timestamp.h"

namespace plait::serving {

std::string access_log_line(const AccessRecord& record) {
  text::Json line{{"time", text::utc_time(record.time)},
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
