// SPDX-License-Identifier: Apache-2.0
#include "serving/key_file.h"

#include <fmt/format.h>

#include <limits>
#include <random>
#include <utility>

#include "serving/fields.h"
#include "text/json.h"

namespace plait::serving {
namespace {

using base::ErrorCode;
using base::fail;
using text::Json;

Accepted<HttpKey> read_key(const Json& json, const std::string& prefix) {
  if (!json.is_object()) return bad_value(prefix, "must be an object");
  Fields fields(json, prefix + ".");
  HttpKey key;
  for (const auto& [member, value] : {std::pair{"name", &key.name}, {"salt", &key.salt}, {"digest", &key.digest}}) {
    PLAIT_TRY(const auto text, fields.text(member));
    if (!text) return bad_value(fields.full_name(member), "must be a string");
    *value = *text;
  }
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  PLAIT_TRY(const auto weight, fields.number("weight", {0, 1e6, true}));
  PLAIT_TRY(const auto rate, fields.whole("requests_per_minute", 0, kMost));
  PLAIT_TRY(const auto open, fields.whole("in_flight_max", 0, kMost));
  PLAIT_TRY(const auto sees_all, fields.flag("operator"));
  key.limits = {.weight = weight.value_or(1),
                .requests_per_minute = static_cast<std::uint32_t>(rate.value_or(0)),
                .in_flight_max = static_cast<std::uint32_t>(open.value_or(0)),
                .sees_all = sees_all.value_or(false)};
  if (const auto unknown = fields.unknown(); !unknown.empty()) return bad_value(unknown.front(), "is not known");
  return key;
}

std::string random_hex(std::size_t words) {
  std::random_device device;
  std::string hex;
  for (std::size_t i = 0; i < words; ++i) hex += fmt::format("{:08x}", device() & 0xFFFFFFFFU);
  return hex;
}

}  // namespace

base::Result<std::vector<HttpKey>> read_keys(std::string_view text) {
  PLAIT_TRY(const Json json, text::parse_json(text, {.bytes_max = kKeyFileBytesMax}));
  if (!json.is_object() || !json.contains("keys") || !json["keys"].is_array()) {
    return fail(ErrorCode::invalid_data, "a file of keys is an object with a list `keys`");
  }
  std::vector<HttpKey> keys;
  for (const Json& one : json["keys"]) {
    auto key = read_key(one, fmt::format("keys[{}]", keys.size()));
    if (!key) return fail(ErrorCode::invalid_data, key.error().message);
    keys.push_back(*std::move(key));
  }
  return keys;
}

std::string write_keys(const std::vector<HttpKey>& keys) {
  Json list = Json::array();
  for (const HttpKey& key : keys) {
    list.push_back({{"name", key.name},
                    {"salt", key.salt},
                    {"digest", key.digest},
                    {"weight", key.limits.weight},
                    {"requests_per_minute", key.limits.requests_per_minute},
                    {"in_flight_max", key.limits.in_flight_max}});
    if (key.limits.sees_all) list.back()["operator"] = true;
  }
  return text::dump_json({{"keys", std::move(list)}}, 2) + '\n';
}

std::string make_key() { return "plait-" + random_hex(8); }
std::string make_salt() { return random_hex(4); }

}  // namespace plait::serving
