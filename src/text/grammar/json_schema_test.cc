// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/json_schema.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "text/grammar/acceptance.h"
#include "text/grammar/reference_matcher.h"
#include "text/grammar/states.h"
#include "text/utf8.h"

namespace plait::text {
namespace {

using base::ErrorCode;

struct Case {
  const char* schema;
  std::vector<std::string> accepted;
  std::vector<std::string> refused;
};

std::vector<Case> cases_of_values() {
  return {
      {"true", {"1", "\"a\"", "[1, {\"a\":null}]", "{}"}, {"", "tru", "[1,]", "{\"a\"}", "01"}},
      {R"({"type":"null"})", {"null"}, {"0"}},
      {R"({"type":["boolean","null"]})", {"true", "false", "null"}, {"1"}},
      {R"({"type":"integer"})", {"0", "-1", "120", "999999999999999999"}, {"-0", "01", "1.0", "1e3", "+1"}},
      {R"({"type":"integer","minimum":-12,"maximum":105})",
       {"-12", "-9", "0", "99", "105"},
       {"-13", "106", "-0", "1050"}},
      {R"({"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":10.5})", {"1", "10"}, {"0", "11", "-1"}},
      {R"({"type":"integer","minimum":998,"maximum":2001})", {"998", "999", "1000", "2000", "2001"}, {"997", "2002"}},
      {R"({"type":"integer","minimum":0.5,"maximum":1.5})", {"1"}, {"0", "2"}},
      {R"({"type":"number"})", {"0", "-0.5", "1e5", "12.25E-3", "-0"}, {".5", "1.", "01", "1e", "1e999"}},
      {R"({"type":"number","minimum":0,"maximum":1})", {"0", "0.99", "1", "1.00"}, {"-0", "-0.0", "1.01", "-0.1", "2"}},
      {R"({"type":"number","exclusiveMinimum":0})", {"0.001", "3"}, {"0", "0.0", "-0", "-1"}},
      {R"({"type":"number","minimum":-2,"exclusiveMaximum":0})", {"-2", "-1.9", "-0.5", "-2.0"}, {"0", "-2.1", "-0.0"}},
      {R"({"minimum":1.25,"maximum":2.5})", {"1.25", "1.3", "2", "2.5", "2.50"}, {"1.2", "1.249", "1", "2.51", "3"}},
      {R"({"minimum":0.75,"exclusiveMaximum":0.78})",
       {"0.75", "0.779999"},
       {"0.7", "0.78", "0.780", "0.749", "1", "0"}},
      {R"({"exclusiveMinimum":-1.5,"maximum":-0.25})", {"-1.49", "-1", "-0.25"}, {"-1.5", "-1.50", "-0.2", "-0", "0"}},
      {R"({"exclusiveMaximum":5})", {"4.9", "-7", "4.99999999999999"}, {"5", "5.0", "4.9999999999999999"}},
      {R"({"exclusiveMaximum":1e300})", {"-1", "12345"}, {"\"a\""}},
      {R"({"type":"integer","multipleOf":7})", {"0", "7", "-14", "700007"}, {"1", "-0", "13", "7.0"}},
      {R"({"multipleOf":5,"minimum":12,"maximum":20})", {"15", "20"}, {"10", "12", "25"}},
      {R"({"type":"integer","multipleOf":10,"exclusiveMinimum":0})", {"10", "120"}, {"0", "-10", "5"}},
      {R"({"type":"string"})",
       {"\"\"", "\"\xC3\xA9\\n\\u00e9\\ud83d\\ude00\"", "\"\x7F\""},
       {"\"", "\"\n\"", "\"\\x\"", "\"\\ud800\"", "\"\\ude00\"", "\"\xFF\"", "\"a\"b\""}},
      {R"({"type":"string","minLength":2,"maxLength":3})",
       {"\"ab\"", "\"\xC3\xA9\xC3\xA9\xC3\xA9\"", "\"\\ud83d\\ude00a\""},
       {"\"a\"", "\"abcd\"", "\"\\ud83d\\ude00\""}},
      {R"({"type":"string","pattern":"^[a-z\"]+$"})", {"\"a\\\"b\""}, {"\"\"", "\"a\"b\"", "\"A\""}},
      {R"({"type":"string","pattern":"\\d"})", {"\"a1\""}, {"\"a\""}},
      {R"({"format":"date"})", {"\"2026-02-28\""}, {"\"2026-13-01\"", "\"2026-02-30\"", "\"26-1-1\""}},
      {R"({"format":"date-time"})",
       {"\"2026-12-31T23:59:59.5+02:00\""},
       {"\"2026-12-31\"", "\"2026-12-31T24:00:00Z\""}},
      {R"({"format":"uuid"})", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123\""}},
      {R"({"format":"ipv4"})", {"\"255.0.10.1\""}, {"\"256.0.0.1\"", "\"1.2.3\""}},
      {R"({"format":"ipv6"})", {"\"::\"", "\"1::a:2\"", "\"1:2:3:4:5:6:7:8\""}, {"\"1:2\"", "\"1::2::3\"", "\":::\""}},
      {R"({"format":"hostname"})", {"\"a-b.example\"", "\"x\""}, {"\"-a\"", "\"a..b\"", "\"a--b\"", "\"\""}},
      {R"({"format":"duration"})", {"\"P1D\"", "\"PT5M\"", "\"P1Y2M\"", "\"P3W\""}, {"\"P\"", "\"P1DT\"", "\"PT1D\""}},
      {R"({"format":"email"})", {"\"a.b@example.org\""}, {"\"a@b\"", "\"@x.org\""}},
      {R"({"enum":["a",1,null,{"b":[true]}]})", {"\"a\"", "1", "null", "{\"b\": [true]}"}, {"\"b\"", "2"}},
      {R"({"type":"string","enum":["a",1]})", {"\"a\""}, {"1"}},
      {R"({"enum":[2.0,0.5],"type":"number"})", {"2", "0.5"}, {"2.0", "1"}},
      {R"({"const":"x\"y"})", {"\"x\\\"y\""}, {"\"x\""}},
  };
}

std::vector<Case> cases_of_structures() {
  return {
      {R"({"properties":{"a":{"type":"integer"},"b":{"type":"null"}},"required":["b"]})",
       {R"({"a":1,"b":null})", R"({"a": 1, "b": null})", R"({"b":null})"},
       {"{}", R"({"a":1})", R"({"b":null,"a":1})", R"({"b":null,"c":1})", R"({ "b":null})", R"({"a":1,  "b":null})"}},
      {R"({"properties":{"a":{"type":"integer"},"ab":{"type":"integer"}},"additionalProperties":{"type":"null"}})",
       {"{}", R"({"a":1})", R"({"a":1,"x":null,"y":null})", R"({"abc":null})", R"({"":null})", R"({"b":null})"},
       {R"({"a":null})", R"({"ab":null})", R"({"x":1})", R"({"x":null,"a":1})"}},
      {R"({"type":"object"})", {"{}", R"({"a":[1,{"b":{}}]})"}, {"[]", "{\"a\":1,}"}},
      {R"({"type":"object","additionalProperties":false})", {"{}"}, {R"({"a":1})"}},
      {R"({"type":"object","required":["z"]})", {R"({"z":1})", R"({"z":1,"a":2})"}, {"{}", R"({"a":1})"}},
      {R"({"type":"array"})", {"[]", "[1, \"a\"]"}, {"[1", "{}"}},
      {R"({"items":{"type":"boolean"},"minItems":1,"maxItems":2})",
       {"[true]", "[true,false]"},
       {"[]", "[true,true,true]"}},
      {R"({"prefixItems":[{"type":"null"},{"type":"boolean"}],"items":{"type":"integer"},"minItems":1,"maxItems":3})",
       {"[null]", "[null,true]", "[null,true,5]"},
       {"[]", "[true]", "[null,1]", "[null,true,5,5]"}},
      {R"({"prefixItems":[{"type":"null"}],"items":false})", {"[]", "[null]"}, {"[null,null]"}},
      {R"({"items":{"type":"null"},"maxItems":0})", {"[]"}, {"[null]"}},
      {R"({"anyOf":[{"type":"null"},{"type":"integer"}]})", {"null", "3"}, {"\"a\""}},
      {R"({"properties":{"a":{"type":"null"},"b":{"type":"null"}},"anyOf":[{"required":["a"]},{"required":["b"]}]})",
       {R"({"a":null})", R"({"b":null})"},
       {"{}"}},
      {R"({"oneOf":[{"type":"object","properties":{"k":{"const":"x"},"v":{"type":"null"}},"required":["k"]},
                    {"type":"object","properties":{"k":{"enum":["y","z"]}},"required":["k"]},{"type":"string"}]})",
       {R"({"k":"x","v":null})", R"({"k":"z"})", R"("x")"},
       {R"({"k":"y","v":null})", "{}"}},
      {R"({"oneOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}},"required":["b"]}]})",
       {R"({"a":1})", R"({"b":1})"},
       {R"({"a":1,"b":1})"}},
      {R"({"$ref":"#/$defs/x","required":["a"],"$defs":{"x":{"properties":{"a":{"type":"null"}}}}})",
       {R"({"a":null})"},
       {"{}"}},
      {R"({"allOf":[{"minimum":2,"type":"integer"},{"minimum":4,"maximum":9},{"maximum":5}]})", {"4", "5"}, {"3", "6"}},
      {R"({"allOf":[{"$ref":"#/$defs/x"},{"properties":{"b":{"type":"null"}},"required":["b"]}],
          "$defs":{"x":{"properties":{"a":{"type":"null"}},"required":["a"]}}})",
       {R"({"a":null,"b":null})"},
       {R"({"a":null})", R"({"b":null})"}},
      {R"({"type":"integer","nullable":true})", {"1", "null"}, {"true"}},
      {R"({"$ref":"#/$defs/node","$defs":{"node":{"properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/node"}},
          "required":["v"]}}})",
       {R"({"v":1})", R"({"v":1,"next":{"v":2,"next":{"v":3}}})"},
       {R"({"next":{"v":1}})", R"({"v":1,"next":{}})"}},
      {R"({"properties":{"kids":{"items":{"$ref":"#"}}}})",
       {"{}", R"({"kids":[{},{"kids":[{}]}]})"},
       {R"({"kids":[1]})"}},
      {R"({"properties":{"a":false,"b":true}})", {"{}", R"({"b":1})"}, {R"({"a":1})"}},
  };
}

std::vector<Case> cases() {
  std::vector<Case> all = cases_of_values();
  for (Case& one : cases_of_structures()) all.push_back(std::move(one));
  return all;
}

TEST(JsonSchema, AcceptsAndRefuses) {
  for (const Case& one : cases()) {
    const auto source = parse_json_schema(parse_json(one.schema).value());
    ASSERT_TRUE(source.has_value()) << one.schema << ": " << source.error().message;
    const auto grammar = Grammar::compile(*source);
    ASSERT_TRUE(grammar.has_value()) << one.schema << ": " << grammar.error().message;
    ReferenceMatcher reference(*source);
    for (const std::string& text : one.accepted) {
      EXPECT_TRUE(accepts(*grammar, text)) << one.schema << " " << text;
      EXPECT_TRUE(reference.matches(text)) << one.schema << " " << text;
    }
    for (const std::string& text : one.refused) {
      EXPECT_FALSE(accepts(*grammar, text)) << one.schema << " " << text;
      EXPECT_FALSE(reference.matches(text)) << one.schema << " " << text;
    }
  }
}

/// Walks at random, and home by the shortest way after some bytes.
std::string random_text(GrammarStates& states, std::uint64_t seed) {
  std::string text;
  StateId at = states.start();
  std::uint64_t count = 0;
  while (text.size() < 60 && !(states.accepts(at) && base::random_u64(seed, count++) % 4 == 0)) {
    StateId next = kRefused;
    std::uint8_t byte = 0;
    for (int tries = 0; tries < 200 && next == kRefused; ++tries) {
      byte = static_cast<std::uint8_t>(base::random_u64(seed, count++));
      next = states.advance(at, byte);
    }
    if (next == kRefused) break;
    text += static_cast<char>(byte);
    at = next;
  }
  while (states.cost(at) > 0) {
    text += static_cast<char>(states.shortest_byte(at));
    at = states.advance(at, states.shortest_byte(at));
  }
  return text;
}

TEST(JsonSchema, WhateverIsAcceptedIsJson) {
  for (const Case& one : cases()) {
    const auto grammar = json_schema_grammar(parse_json(one.schema).value());
    GrammarStates states(std::make_shared<const Grammar>(*grammar));
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      const std::string text = random_text(states, seed);
      EXPECT_TRUE(is_valid(text)) << one.schema << " " << text;
      EXPECT_TRUE(parse_json(text).has_value()) << one.schema << " " << text;
    }
  }
}

TEST(JsonSchema, IntegersWithinBoundsExactly) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto a = static_cast<std::int64_t>(base::random_u64(seed, 0) % 2400) - 1200;
    const auto b = static_cast<std::int64_t>(base::random_u64(seed, 1) % 2400) - 1200;
    const Json schema = {{"type", "integer"}, {"minimum", std::min(a, b)}, {"maximum", std::max(a, b)}};
    const auto grammar = std::make_shared<const Grammar>(json_schema_grammar(schema).value());
    GrammarStates states(grammar);
    for (std::int64_t n = -1300; n <= 1300; ++n) {
      StateId at = states.start();
      for (const char c : std::to_string(n)) at = states.advance(at, static_cast<std::uint8_t>(c));
      ASSERT_EQ(at != kRefused && states.accepts(at), std::min(a, b) <= n && n <= std::max(a, b))
          << a << " " << b << " " << n;
    }
  }
}

TEST(JsonSchema, WhatCannotBeEnforcedIsNamed) {
  const std::vector<std::pair<const char*, const char*>> unsupported = {
      {R"({"properties":{"a":{"type":"number","multipleOf":0.1}}})", "properties.a.multipleOf"},
      {R"({"multipleOf":2,"minimum":7})", "multipleOf"},
      {R"({"patternProperties":{"a":{}}})", "patternProperties"},
      {R"({"properties":{"a":{"exclusiveMinimum":0.1234567890123456}}})", "properties.a.exclusiveMinimum"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "oneOf"},
      {R"({"oneOf":[{"required":["a"]},{"properties":{"b":{}},"required":["b"]}]})", "oneOf"},
      {R"({"properties":{"a":{"$id":"b","type":"null"}}})", "properties.a.$id"},
      {R"({"$ref":"#/$defs/a/$defs/b","$defs":{"a":{"$id":"x","$defs":{"b":{}}}}})", "$ref"},
      {R"({"$schema":"http://example.org/mine"})", "$schema"},
      {R"({"allOf":[{"prefixItems":[{}]},{"items":{"type":"null"}}]})", "items"},
      {R"({"items":{"uniqueItems":true}})", "items.uniqueItems"},
      {R"({"not":{}})", "not"},
      {R"({"format":"uri"})", "format"},
      {R"({"pattern":"a","minLength":2})", "minLength"},
      {R"({"anyOf":[{"if":{}}]})", "anyOf.0.if"},
      {R"({"$ref":"other.json"})", "$ref"},
      {R"_({"properties":{"a":{"pattern":"(?=x)"}}})_", "properties.a.pattern"},
      {R"({"allOf":[{"type":"object","additionalProperties":false},{"properties":{"a":{}}}]})", "additionalProperties"},
  };
  for (const auto& [schema, place] : unsupported) {
    const auto grammar = json_schema_grammar(parse_json(schema).value());
    ASSERT_FALSE(grammar.has_value()) << schema;
    EXPECT_EQ(grammar.error().code, ErrorCode::unsupported) << schema;
    EXPECT_TRUE(grammar.error().message.contains(place)) << grammar.error().message;
  }
  for (const char* schema :
       {"1", R"({"type":"strange"})", R"({"type":1})", R"({"required":1})", R"({"enum":1})", R"({"$ref":"#/nowhere"})",
        R"({"properties":1})", R"({"minItems":-1})", "false", R"({"$ref":"#"})", R"({"minLength":3,"maxLength":2})",
        R"({"properties":{},"required":["a"],
                             "additionalProperties":false})"}) {
    EXPECT_EQ(json_schema_grammar(parse_json(schema).value()).error().code, ErrorCode::invalid_argument) << schema;
  }
  for (const char* schema : {R"({"maxLength":1000000})", R"({"allOf":[{"$ref":"#"}]})"}) {
    EXPECT_EQ(json_schema_grammar(parse_json(schema).value()).error().code, ErrorCode::out_of_resources) << schema;
  }
}

TEST(JsonSchema, BombsAreRefused) {
  Json values = Json::array();
  for (int i = 0; i < 100'000; ++i) values.push_back(i);
  Json nested = Json::object(), doubling = {{"type", "object"}};
  for (int i = 0; i < 300; ++i) nested = {{"items", nested}};
  for (int i = 0; i < 14; ++i) doubling = {{"type", "object"}, {"anyOf", {doubling, doubling}}};
  const Json pattern = {{"pattern", "^[ab]*a[ab]{40}$"}};
  for (const Json& bomb : {Json{{"enum", values}}, nested, doubling, pattern}) {
    const auto grammar = json_schema_grammar(bomb);
    ASSERT_FALSE(grammar.has_value()) << dump_json(bomb).substr(0, 100);
    EXPECT_EQ(grammar.error().code, ErrorCode::out_of_resources) << dump_json(bomb).substr(0, 100);
  }
}

TEST(JsonSchema, SpaceIsAChoice) {
  const Json schema = parse_json(R"({"properties":{"a":{"items":{"type":"integer"}}}})").value();
  const auto compact = json_schema_grammar(schema, {.space = JsonSpace::none});
  EXPECT_TRUE(accepts(*compact, R"({"a":[1,2]})"));
  EXPECT_FALSE(accepts(*compact, R"({"a": [1,2]})"));
  EXPECT_TRUE(accepts(*json_schema_grammar(schema), R"({"a": [1, 2]})"));
  EXPECT_TRUE(accepts(*json_object_grammar(), R"({"a": [1, {"b":"c"}]})"));
  EXPECT_FALSE(accepts(*json_object_grammar(), "[]"));
}

}  // namespace
}  // namespace plait::text
