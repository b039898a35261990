// SPDX-License-Identifier: Apache-2.0
//
// Goldens come from Python's jinja2; tools/template_goldens.py records them.
#include "text/template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "text/utf8.h"

namespace plait::text {
namespace {

using base::ErrorCode;

const std::filesystem::path kFolder = std::filesystem::path(PLAIT_SOURCE_DIR) / "tests/data/templates";

std::string read(const std::string& name) {
  std::ifstream file(kFolder / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Json read_json(const std::string& name) { return parse_json(read(name)).value(); }

// 2026-03-09 14:05:07, a Monday: the time of the goldens.
RenderOptions options() {
  std::tm now{};
  now.tm_year = 126;
  now.tm_mon = 2;
  now.tm_mday = 9;
  now.tm_hour = 14;
  now.tm_min = 5;
  now.tm_sec = 7;
  now.tm_wday = 1;
  now.tm_yday = 67;
  RenderOptions result;
  result.now = now;
  return result;
}

base::Result<std::string> render(const std::string& source, const Json& variables = Json::object()) {
  PLAIT_TRY(const Template parsed, Template::parse(source));
  return parsed.render(variables, options());
}

// The same text, or an error where jinja2 raised.
void expect_golden(const base::Result<std::string>& result, const Json& golden, const std::string& what) {
  if (golden.is_null()) {
    EXPECT_FALSE(result.has_value()) << what << "\ngave: " << result.value_or("");
    return;
  }
  ASSERT_TRUE(result.has_value()) << what << "\nerror: " << result.error().message;
  EXPECT_EQ(*result, golden.get<std::string>()) << what;
}

// The variables of every golden: each conversation with and without the generation prompt.
std::vector<Json> conversations() {
  std::vector<Json> result;
  for (const Json& conversation : read_json("conversations.json")) {
    for (const bool prompt : {true, false}) {
      Json variables = {
          {"tools", nullptr}, {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"add_generation_prompt", prompt}};
      variables.update(conversation["variables"]);
      result.push_back(std::move(variables));
    }
  }
  return result;
}

TEST(Template, FamiliesTimesConversationsEqualJinja2) {
  const Json goldens = read_json("goldens.json");
  const std::vector<Json> variables = conversations();
  EXPECT_GE(goldens.size(), 12U);
  EXPECT_GE(variables.size(), 30U);
  for (const auto& [name, texts] : goldens.items()) {
    const auto parsed = Template::parse(read(name + ".jinja"));
    ASSERT_TRUE(parsed.has_value()) << name << ": " << parsed.error().message;
    ASSERT_EQ(texts.size(), variables.size());
    for (std::size_t i = 0; i < variables.size(); ++i) {
      expect_golden(parsed->render(variables[i], options()), texts[i], name + " " + variables[i].dump());
    }
  }
}

TEST(Template, ExpressionsEqualJinja2) {
  const Json context = read_json("context.json");
  const Json rows = read_json("expressions.json");
  EXPECT_GE(rows.size(), 300U);
  for (const Json& row : rows) expect_golden(render(row[0], context), row[1], row[0]);
}

TEST(Template, ErrorsTellTheLine) {
  const auto runtime = render("a\n\n{{ missing.x }}");
  EXPECT_EQ(runtime.error().code, ErrorCode::invalid_data);
  EXPECT_TRUE(runtime.error().message.contains("line 3")) << runtime.error().message;
  EXPECT_TRUE(runtime.error().message.contains("'missing' is undefined")) << runtime.error().message;
  EXPECT_TRUE(render("{% if 1 %}\n{{ 1 + }}").error().message.contains("line 2"));
  EXPECT_TRUE(render("\n{{ raise_exception('no system role') }}").error().message.contains("line 2: no system role"));
}

TEST(Template, LoadingOtherTemplatesIsRefused) {
  for (const char* source : {"{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}",
                             "{% extends 'x' %}", "{% block x %}{% endblock %}"}) {
    EXPECT_EQ(render(source).error().code, ErrorCode::unsupported) << source;
  }
}

TEST(Template, TheSandboxHasNoDoor) {
  for (const char* source :
       {"{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self._TemplateReference__context }}", "{{ lipsum.__globals__['os'] }}", "{{ [].__class__.__base__.x }}",
        "{{ '{0.__class__.__mro__}'.format('') }}", "{{ range.__self__.x }}", "{{ x.__init__() }}"}) {
    const auto result = render(source);
    EXPECT_TRUE(!result.has_value() || result->empty()) << source << ": " << *result;
  }
  EXPECT_EQ(render("{{ ''['__class__'] }}{{ ().__class__ }}").value(), "");
}

TEST(Template, LimitsHold) {
  RenderOptions tight = options();  // the default limits hold as well, but take seconds to reach
  tight.limits.steps_max = 300'000;
  tight.limits.work_bytes_max = std::uint64_t{64} << 20U;
  std::string deep_list = "{{ ";
  for (int i = 0; i < 5000; ++i) deep_list += "[";
  std::string deep_sum = "{{ 1";
  for (int i = 0; i < 50'000; ++i) deep_sum += "+1";
  deep_sum += " }}";
  std::string deep_dots = "{{ a";
  for (int i = 0; i < 50'000; ++i) deep_dots += ".a";
  deep_dots += " }}";
  std::string deep_if;
  for (int i = 0; i < 5000; ++i) deep_if += "{% if 1 %}";
  std::string deep_not = "{{ ";
  for (int i = 0; i < 50'000; ++i) deep_not += "not ";
  for (const std::string& source : std::vector<std::string>{
           "{{ 'a' * 10 ** 9 }}",
           "{{ [1] * 10 ** 12 }}",
           "{{ range(10 ** 12) }}",
           "{{ 'ab'.center(10 ** 11) }}",
           "{{ '%1000000000d' % 1 }}",
           "{{ '{:>1000000000}'.format(1) }}",
           "{{ 9 ** 9 ** 9 }}",
           "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
           "{% for a in range(100000) %}{{ 'x' * 100000 }}{% endfor %}",
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% set n = namespace(x=[]) %}{% for i in range(100000) %}{% set n.x = [n.x] %}{% endfor %}",
           "{% set n = namespace(x=['a']) %}{% for i in range(100) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
           "{% set n = namespace(x='a') %}{% for i in range(100) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
           "{% set n = namespace() %}{% set n.x = [n] %}{{ n }}",
           "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}",
           "{% for i in range(3) recursive %}{{ loop([1, 2]) }}{% endfor %}",
           deep_list,
           deep_sum,
           deep_dots,
           deep_if,
           deep_not,
       }) {
    const auto parsed = Template::parse(source);
    const auto result = parsed ? parsed->render(Json::object(), tight) : std::unexpected(parsed.error());
    ASSERT_FALSE(result.has_value()) << source.substr(0, 80);
    EXPECT_EQ(result.error().code, ErrorCode::out_of_resources) << source.substr(0, 80) << result.error().message;
  }
  EXPECT_EQ(Template::parse(std::string(2U << 20U, 'x')).error().code, ErrorCode::out_of_resources);
}

TEST(Template, LimitsAreTheCallers) {
  RenderOptions tight = options();
  tight.limits.output_bytes_max = 10;
  const auto parsed = Template::parse("{{ 'x' * 11 }}").value();
  EXPECT_EQ(parsed.render(Json::object(), tight).error().code, ErrorCode::out_of_resources);
  EXPECT_TRUE(parsed.render(Json::object(), options()).has_value());
}

TEST(Template, WhatIsNotUtf8BecomesReplacementCharacters) {
  Json variables = Json::object();
  variables["x"] = "a\xff";
  EXPECT_EQ(render("\xfe{{ x }}{{ x | length }}", variables).value(), "\xef\xbf\xbd\x61\xef\xbf\xbd\x32");
}

TEST(Template, OneTemplateServesManyThreadsBecauseRenderingKeepsNothing) {
  const auto parsed = Template::parse("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}").value();
  EXPECT_EQ(parsed.render(Json::object()).value(), "1");
  EXPECT_EQ(parsed.render(Json::object()).value(), "1");
}

}  // namespace
}  // namespace plait::text
