// SPDX-License-Identifier: Apache-2.0
#include "hub/manifest.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace plait::hub {
namespace {

using base::ErrorCode;
using nlohmann::json;

json good() {
  return json::parse(
      R"({"models": [{"name": "tiny", "about": "a model", "licence": "MIT", "origin": "https://example.org",
    "bytes": 100, "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "sources": [{"url": "https://example.org/tiny.gguf"},
                {"packages": [{"package": "tiny-model", "version": "1.0+b", "file": "tiny/data/m.gguf"}]}]}]})");
}

TEST(Manifest, BuiltInModelsSatisfyTheRulesForFiles) {
  std::set<std::string> names;
  for (const ModelEntry& entry : built_in_models()) {
    EXPECT_TRUE(names.insert(entry.name).second);
    json model{{"name", entry.name},     {"about", entry.about}, {"licence", entry.licence}, {"origin", entry.origin},
               {"sha256", entry.sha256}, {"bytes", entry.bytes}, {"sources", json::array()}};
    for (const Source& source : entry.sources) {
      if (!source.url.empty()) model["sources"].push_back({{"url", source.url}});
      if (source.parts.empty()) continue;
      json parts = json::array();
      for (const PackagePart& part : source.parts) {
        parts.push_back({{"package", part.package}, {"version", part.version}, {"file", part.file}});
      }
      model["sources"].push_back({{"packages", parts}});
    }
    const auto parsed = parse_manifest(json{{"models", {model}}}.dump());
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->front().sources.size(), entry.sources.size());
  }
  EXPECT_TRUE(names.contains("smollm2-135m"));
}

TEST(Manifest, AGoodFile) {
  const auto models = parse_manifest(good().dump());
  ASSERT_TRUE(models) << models.error().message;
  const ModelEntry& tiny = models->front();
  EXPECT_EQ(tiny.name, "tiny");
  EXPECT_EQ(tiny.bytes, 100U);
  EXPECT_EQ(tiny.sources[0].url, "https://example.org/tiny.gguf");
  EXPECT_EQ(tiny.sources[1].parts[0].file, "tiny/data/m.gguf");
}

// Puts `value` at a JSON pointer of the good file; null removes what is there.
void expect_refused(const std::string& pointer, const json& value) {
  json document = good();
  if (value.is_null()) {
    const json::json_pointer where(pointer);
    document[where.parent_pointer()].erase(where.back());
  } else {
    document[json::json_pointer(pointer)] = value;
  }
  const auto models = parse_manifest(document.dump());
  ASSERT_FALSE(models) << pointer << " = " << value;
  EXPECT_EQ(models.error().code, ErrorCode::invalid_data);
}

TEST(Manifest, EveryFieldIsNeeded) {
  for (const char* key : {"name", "about", "licence", "origin", "bytes", "sha256", "sources"}) {
    expect_refused(std::string("/models/0/") + key, nullptr);
    expect_refused(std::string("/models/0/") + key, json::array({1}));
  }
  for (const char* key : {"package", "version", "file"}) {
    expect_refused(std::string("/models/0/sources/1/packages/0/") + key, nullptr);
    expect_refused(std::string("/models/0/sources/1/packages/0/") + key, 7);
  }
}

TEST(Manifest, UnsafeValuesAreRefused) {
  for (const char* name : {"", "../x", "a/b", ".hidden", "-m", "UPPER", "a b", "a\nb"})
    expect_refused("/models/0/name", name);
  for (const char* hash : {"", "zz", "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"}) {
    expect_refused("/models/0/sha256", hash);
  }
  for (const json& bytes : {json(0), json(-5), json(1.5), json("7"), json(1ULL << 60)})
    expect_refused("/models/0/bytes", bytes);
  for (const char* url : {"", "file:///etc/passwd", "https://a b", "ftp://x"})
    expect_refused("/models/0/sources/0/url", url);
  for (const char* package : {"", "-r", "--index-url=x", "a b", "../a", "a;b"}) {
    expect_refused("/models/0/sources/1/packages/0/package", package);
    expect_refused("/models/0/sources/1/packages/0/version", package);
  }
  expect_refused("/models/0/sources", json::array());
  expect_refused("/models/0/sources/1/packages", json::array());
  expect_refused("/models/0/sources/0", json{{"url", "https://x"}, {"packages", good()["models"][0]["sources"][1]}});
}

TEST(Manifest, UnknownFieldsAndDoubleNamesAreRefused) {
  expect_refused("/models/0/licens", "MIT");
  expect_refused("/modles", json::array());
  expect_refused("/models/1", good()["models"][0]);
}

TEST(Manifest, WhatIsNoManifest) {
  for (const char* text : {"", "{", "[]", "null", "7", "{\"models\": {}}", "{\"models\": [3]}", "\xff\xfe"}) {
    EXPECT_EQ(parse_manifest(text).error().code, ErrorCode::invalid_data) << text;
  }
  EXPECT_FALSE(parse_manifest(std::string(100'000, '[')));
}

}  // namespace
}  // namespace plait::hub
