// SPDX-License-Identifier: Apache-2.0
#include "operations/otel_settings.h"

#include <gtest/gtest.h>

#include <map>

namespace plait::operations {
namespace {

using Variables = std::map<std::string, std::string>;

base::Result<OtelSettings> read(const Variables& variables, std::string_view url = "") {
  return otel_settings(url, [&](const std::string& name) -> std::optional<std::string> {
    const auto at = variables.find(name);
    return at == variables.end() ? std::nullopt : std::optional(at->second);
  });
}

std::string url_of(const Variables& variables, std::string_view url = "") {
  const auto settings = read(variables, url);
  return settings && settings->exporter ? settings->exporter->url : "";
}

TEST(OtelSettings, WithoutAnAddressNothingIsSent) {
  const auto settings = read({});
  ASSERT_TRUE(settings);
  EXPECT_FALSE(settings->exporter);
  EXPECT_EQ(settings->resource.service, "plait");
}

TEST(OtelSettings, AddressesComeFromSettingAndVariables) {
  EXPECT_EQ(url_of({}, "http://a:4318"), "http://a:4318/v1/traces");
  EXPECT_EQ(url_of({}, "http://a:4318/v1/traces"), "http://a:4318/v1/traces");
  EXPECT_EQ(url_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1/base/"}}), "http://a:1/base/v1/traces");
  EXPECT_EQ(
      url_of({{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/all"}, {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}}),
      "http://b:2/all");
  EXPECT_EQ(url_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}}, "http://c:3"), "http://c:3/v1/traces");
  EXPECT_EQ(url_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}, {"OTEL_SDK_DISABLED", "TRUE"}}), "");
  EXPECT_EQ(url_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}, {"OTEL_TRACES_EXPORTER", "none"}}), "");
  EXPECT_EQ(url_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", " "}}), "");
}

TEST(OtelSettings, HeadersTimeoutAndResource) {
  const auto settings = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"},
                              {"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret, x = 1 "},
                              {"OTEL_EXPORTER_OTLP_TIMEOUT", "1500"},
                              {"OTEL_RESOURCE_ATTRIBUTES", "service.name=old,deployment.environment.name=test"},
                              {"OTEL_SERVICE_NAME", "answers"}});
  ASSERT_TRUE(settings) << settings.error().message;
  const std::vector<std::pair<std::string, std::string>> headers{{"authorization", "Bearer s3cret"}, {"x", "1"}};
  EXPECT_EQ(settings->exporter->headers, headers);
  EXPECT_EQ(settings->exporter->timeout, std::chrono::seconds(2));
  EXPECT_EQ(settings->exporter->resource.service, "answers");
  ASSERT_EQ(settings->resource.attributes.size(), 1U);
  EXPECT_EQ(settings->resource.attributes[0].second, "test");
}

TEST(OtelSettings, BadValuesAreNamed) {
  const Variables good{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}};
  for (const auto& [name, value] : Variables{{"OTEL_EXPORTER_OTLP_HEADERS", "s3cret"},
                                             {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=%0A"},
                                             {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"},
                                             {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                             {"OTEL_TRACES_SAMPLER", "sometimes"},
                                             {"OTEL_RESOURCE_ATTRIBUTES", "=1"}}) {
    Variables variables = good;
    variables[name] = value;
    const auto settings = read(variables);
    ASSERT_FALSE(settings) << name;
    EXPECT_EQ(settings.error().code, base::ErrorCode::invalid_argument);
    EXPECT_NE(settings.error().message.find(name), std::string::npos) << settings.error().message;
    EXPECT_EQ(settings.error().message.find("s3cret"), std::string::npos);
  }
  EXPECT_FALSE(read({}, "localhost:4318"));
  EXPECT_FALSE(read({}, "ftp://a"));
}

TEST(TraceSampler, KeepsAShareOfTraces) {
  const auto settings = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"},
                              {"OTEL_TRACES_SAMPLER", "parentbased_traceidratio"},
                              {"OTEL_TRACES_SAMPLER_ARG", "0.25"}});
  ASSERT_TRUE(settings);
  const TraceIds ids(3);
  int kept = 0;
  for (std::uint64_t i = 1; i <= 4000; ++i) kept += settings->sampler.samples(ids.trace(i), nullptr) ? 1 : 0;
  EXPECT_NEAR(kept, 1000, 150);
  for (const bool sampled : {true, false}) {
    const TraceContext parent{.trace = ids.trace(1), .sampled = sampled};
    EXPECT_EQ(settings->sampler.samples(parent.trace, &parent), sampled);
    EXPECT_TRUE((TraceSampler{.ratio = 1, .follows_parent = false}.samples(parent.trace, &parent)));
    EXPECT_FALSE((TraceSampler{.ratio = 0, .follows_parent = false}.samples(parent.trace, &parent)));
  }
}

}  // namespace
}  // namespace plait::operations
