// SPDX-License-Identifier: Apache-2.0
#include "operations/otel_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "base/ascii.h"

namespace plait::operations {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// %41 is A; what is no escape stays.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && base::hex_digit(text[i + 1]) >= 0 && base::hex_digit(text[i + 2]) >= 0;
    decoded += escape ? static_cast<char>(base::hex_digit(text[i + 1]) * 16 + base::hex_digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return decoded;
}

// "a=1,b=2", values percent-encoded, as W3C Baggage has it.
Result<Pairs> read_pairs(const std::string& name, std::string_view list) {
  Pairs pairs;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view one = base::trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (one.empty()) continue;
    const std::size_t equals = one.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      return fail(ErrorCode::invalid_argument, name + " must be like `name=value,name=value`");
    }
    std::string value = percent_decoded(base::trimmed(one.substr(equals + 1)));
    if (value.find_first_of("\r\n") != std::string::npos) {
      return fail(ErrorCode::invalid_argument, name + " must not hold line breaks");
    }
    pairs.emplace_back(base::trimmed(one.substr(0, equals)), std::move(value));
  }
  return pairs;
}

Result<double> read_number(const std::string& name, const std::string& text, double lowest, double highest) {
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || !(lowest <= number && number <= highest)) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} must be a number from {} to {}", name, lowest, highest));
  }
  return number;
}

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  /// An empty variable is one that is not set.
  [[nodiscard]] std::optional<std::string> find(const std::string& name) const {
    auto value = environment_ ? environment_(name) : std::nullopt;
    if (value && base::trimmed(*value).empty()) return std::nullopt;
    return value;
  }
  /// OTEL_EXPORTER_OTLP_TRACES_X, else OTEL_EXPORTER_OTLP_X, with the name of the one found.
  [[nodiscard]] std::optional<std::pair<std::string, std::string>> exporter(const std::string& what) const {
    for (const char* prefix : {"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"}) {
      if (auto value = find(prefix + what)) return std::pair(prefix + what, *std::move(value));
    }
    return std::nullopt;
  }
  [[nodiscard]] bool says(const std::string& name, std::string_view word) const {
    const auto value = find(name);
    return value && base::same_word(base::trimmed(*value), word);
  }

 private:
  const Environment& environment_;
};

std::string with_path(std::string_view url) {
  constexpr std::string_view kPath = "/v1/traces";
  while (url.ends_with('/')) url.remove_suffix(1);
  return std::string(url) + (url.ends_with(kPath) ? "" : std::string(kPath));
}

Result<TraceSampler> read_sampler(const Reader& reader) {
  std::string kind = reader.find("OTEL_TRACES_SAMPLER").value_or("parentbased_always_on");
  TraceSampler sampler;
  constexpr std::string_view kParent = "parentbased_";
  sampler.follows_parent = kind.starts_with(kParent);
  if (sampler.follows_parent) kind.erase(0, kParent.size());
  if (kind == "always_on") return sampler;
  if (kind == "always_off") {
    sampler.ratio = 0;
    return sampler;
  }
  if (kind != "traceidratio") {
    return fail(ErrorCode::invalid_argument,
                "OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, or one of these behind "
                "`parentbased_`");
  }
  PLAIT_TRY(sampler.ratio,
            read_number("OTEL_TRACES_SAMPLER_ARG", reader.find("OTEL_TRACES_SAMPLER_ARG").value_or("1"), 0, 1));
  return sampler;
}

Result<TraceResource> read_resource(const Reader& reader) {
  TraceResource resource;
  if (const auto list = reader.find("OTEL_RESOURCE_ATTRIBUTES")) {
    PLAIT_TRY(resource.attributes, read_pairs("OTEL_RESOURCE_ATTRIBUTES", *list));
  }
  const auto named = std::ranges::find(resource.attributes, "service.name", &Pairs::value_type::first);
  if (named != resource.attributes.end()) {
    resource.service = named->second;
    resource.attributes.erase(named);
  }
  if (const auto name = reader.find("OTEL_SERVICE_NAME")) resource.service = *name;
  return resource;
}

// The address, or nothing if traces are not to be sent.
Result<std::string> read_url(std::string_view url, const Reader& reader) {
  if (!url.empty()) return with_path(url);
  if (reader.says("OTEL_TRACES_EXPORTER", "none")) return std::string();
  const auto found = reader.exporter("ENDPOINT");
  if (!found) return std::string();
  const auto protocol = reader.exporter("PROTOCOL");
  if (protocol && protocol->second == "grpc") {
    return fail(ErrorCode::invalid_argument,
                protocol->first +
                    " is grpc, and plait sends OTLP over HTTP only: give --otlp-url, or set "
                    "OTEL_TRACES_EXPORTER to none");
  }
  return found->first == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" ? found->second : with_path(found->second);
}

}  // namespace

bool TraceSampler::samples(const TraceId& trace, const TraceContext* parent) const {
  if (follows_parent && parent != nullptr) return parent->sampled;
  std::uint64_t random = 0;  // the last 56 bits, as all do
  for (std::size_t i = 9; i < trace.size(); ++i) random = random << 8U | trace[i];
  return static_cast<double>(random) >= (1 - ratio) * 0x1.0p56;
}

Result<OtelSettings> otel_settings(std::string_view url, const Environment& environment) {
  const Reader reader(environment);
  OtelSettings settings;
  PLAIT_TRY(settings.resource, read_resource(reader));
  if (reader.says("OTEL_SDK_DISABLED", "true") && url.empty()) return settings;
  PLAIT_TRY(std::string address, read_url(url, reader));
  if (address.empty()) return settings;
  if (!address.starts_with("http://") && !address.starts_with("https://")) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("`{}` is no http or https address of a collector", shown_url(address)));
  }
  OtlpOptions exporter{.url = std::move(address)};
  if (const auto headers = reader.exporter("HEADERS")) {
    PLAIT_TRY(exporter.headers, read_pairs(headers->first, headers->second));
  }
  if (const auto timeout = reader.exporter("TIMEOUT")) {
    PLAIT_TRY(const double milliseconds, read_number(timeout->first, timeout->second, 1, 3.6e6));
    exporter.timeout = std::chrono::seconds(static_cast<std::int64_t>(std::ceil(milliseconds / 1000)));
  }
  PLAIT_TRY(settings.sampler, read_sampler(reader));
  exporter.resource = settings.resource;
  settings.exporter = std::move(exporter);
  return settings;
}

}  // namespace plait::operations
