// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "text/grammar/json_schema_merge.h"

namespace plait::text {
namespace {

using base::ErrorCode;
using base::Result;

constexpr std::uint32_t kCountMax = 100'000;
constexpr std::size_t kLevelsMax = 200;
constexpr std::size_t kConstantsMax = 10'000, kOneOfMax = 50, kMultiplesMax = 1'000;

struct Format {
  std::string_view name, pattern;
};
constexpr std::string_view kDate =
    "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    ")";
constexpr std::string_view kTime =
    "(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))";
/// Fewer labels than a name may have, and no two hyphens together, which mean something else in some names.
constexpr std::string_view kLabel = "[A-Za-z0-9]{1,20}(-[A-Za-z0-9]{1,20}){0,2}";
constexpr std::string_view kOctet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/// Eight groups, or fewer and one `::` in the place of the others.
std::string ipv6_pattern() {
  static constexpr std::string_view kGroup = "[0-9a-fA-F]{1,4}";
  std::string pattern = fmt::format("^(({0}:){{7}}{0}|::|({0}:){{1,7}}:|:(:{0}){{1,7}}", kGroup);
  for (int before = 1; before <= 6; ++before) {
    pattern += fmt::format("|({0}:){{{1}}}(:{0}){{1,{2}}}", kGroup, before, 7 - before);
  }
  return pattern + ")$";
}

std::optional<std::string> format_pattern(std::string_view name) {
  if (name == "date") return fmt::format("^{}$", kDate);
  if (name == "time") return fmt::format("^{}$", kTime);
  if (name == "date-time") return fmt::format("^{}T{}$", kDate, kTime);
  if (name == "uuid") return "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";
  if (name == "ipv4") return fmt::format("^({}\\.){{3}}{}$", kOctet, kOctet);
  if (name == "hostname") return fmt::format("^{0}(\\.{0}){{0,3}}$", kLabel);
  if (name == "ipv6") return ipv6_pattern();
  if (name == "duration") {
    static constexpr std::string_view kTimes = "T(nH(nM(nS)?)?|nM(nS)?|nS)", kDays = "(nY(nM(nD)?)?|nM(nD)?|nD)";
    std::string pattern = fmt::format("^P({}({})?|{}|nW)$", kDays, kTimes, kTimes);
    for (std::size_t at = 0; (at = pattern.find('n', at)) != std::string::npos;) pattern.replace(at, 1, "[0-9]{1,9}");
    return pattern;
  }
  if (name == "email") {
    return "^[A-Za-z0-9_%+-]+(\\.[A-Za-z0-9_%+-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?\\.)+[A-Za-z]{2,20}$";
  }
  return std::nullopt;
}

class SchemaParser {
 public:
  SchemaParser(GrammarSource& source, const Json& document, const JsonSchemaOptions& options)
      : document_(document),
        options_(options),
        source_(source),
        text_(source_, options.space),
        number_(source_),
        work_{document} {}

  Result<RuleId> parse() {
    const RuleId root = source_.declare("root");
    references_.emplace("#", root);
    PLAIT_TRY(const ExprId expr, schema(document_, ""));
    source_.define(root, expr);
    while (!open_.empty()) {
      const auto [rule, target, path] = std::move(open_.back());
      open_.pop_back();
      PLAIT_TRY(const ExprId body, schema(*target, path));
      source_.define(rule, body);
    }
    return root;
  }

 private:
  struct Open {
    RuleId rule;
    const Json* target;
    std::string path;
  };

  Result<ExprId> schema(const Json& at, const std::string& path) {
    if (++schemas_ > options_.schemas_max || levels_ > kLevelsMax) {
      return base::fail(ErrorCode::out_of_resources, fmt::format("schema: too many parts, or too deep, at `{}`", path));
    }
    ++levels_;
    auto result = schema_of_kind(at, path);
    --levels_;
    return result;
  }

  Result<ExprId> schema_of_kind(const Json& at, const std::string& path) {
    if (at.is_boolean()) return at.get<bool>() ? source_.rule(text_.any_value()) : source_.never();
    if (!at.is_object()) return schema_wrong(path, "", "must be an object or a boolean");
    PLAIT_TRY_VOID(check_keywords(at, path));
    if (at.contains("nullable") && at["nullable"] == Json(true)) {
      Json without = at;
      without.erase("nullable");
      PLAIT_TRY(const ExprId value, schema(without, path));
      return source_.choice({value, source_.literal("null")});
    }
    if (at.contains("$ref")) return reference(at, path);
    for (const char* key : {"anyOf", "oneOf"}) {
      if (at.contains(key)) return alternatives(at, key, path);
    }
    if (at.contains("allOf")) {
      PLAIT_TRY(const Json merged, flat_schema(work_, at, path));
      return schema(merged, path);
    }
    if (at.contains("const")) return constants(Json::array({at["const"]}), at, path);
    if (at.contains("enum")) {
      if (!at["enum"].is_array()) return schema_wrong(path, "enum", "must be an array");
      return constants(at["enum"], at, path);
    }
    return by_type(at, path);
  }

  Result<ExprId> reference(const Json& at, const std::string& path) {
    const auto says_nothing = [](const auto& entry) { return entry.key() == "$ref" || is_annotation(entry.key()); };
    if (!std::ranges::all_of(at.items(), says_nothing)) {
      PLAIT_TRY(const Json merged, flat_schema(work_, at, path));
      return schema(merged, path);
    }
    PLAIT_TRY(const Json* target, resolve_reference(document_, at["$ref"], path));
    const std::string name = at["$ref"].get<std::string>();
    const auto known = references_.find(name);
    if (known != references_.end()) return source_.rule(known->second);
    const RuleId rule = source_.declare(name);
    references_.emplace(name, rule);
    open_.push_back({rule, target, name});
    return source_.rule(rule);
  }

  Result<ExprId> alternatives(const Json& at, const std::string& key, const std::string& path) {
    if (!at[key].is_array() || at[key].empty()) return schema_wrong(path, key, "must be an array with something in it");
    const bool alone = std::ranges::all_of(
        at.items(), [&](const auto& entry) { return entry.key() == key || is_annotation(entry.key()); });
    Json rest = alone ? Json() : at;
    if (!alone) rest.erase(key);
    std::vector<Json> merged(alone ? 0 : at[key].size());
    std::vector<const Json*> parts;
    for (std::size_t i = 0; i < at[key].size(); ++i) {
      parts.push_back(&at[key][i]);
      if (alone) continue;
      PLAIT_TRY(merged[i], merge_schemas(work_, rest, at[key][i], schema_place(path, fmt::format("{}.{}", key, i))));
      parts.back() = &merged[i];
    }
    if (key == "oneOf") {
      PLAIT_TRY_VOID(check_apart(parts, path));
    }
    std::vector<ExprId> choices;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      PLAIT_TRY(const ExprId one, schema(*parts[i], schema_place(path, fmt::format("{}.{}", key, i))));
      choices.push_back(one);
    }
    return source_.choice(std::move(choices));
  }

  /// What one part writes, no other may accept.
  Result<void> check_apart(const std::vector<const Json*>& parts, const std::string& path) {
    if (parts.size() > kOneOfMax) return schema_unsupported(path, "oneOf", fmt::format("of more than {}", kOneOfMax));
    for (const Json* a : parts) {
      for (const Json* b : parts) {
        if (a == b || surely_apart(work_, *a, *b)) continue;
        return schema_unsupported(path, "oneOf", "of parts that a value might satisfy together (anyOf can be)");
      }
    }
    return {};
  }

  /// Of the values, those of the right type.
  Result<ExprId> constants(const Json& values, const Json& at, const std::string& path) {
    if (values.size() > kConstantsMax) {
      return base::fail(ErrorCode::out_of_resources,
                        fmt::format("schema: `{}` has more than {} values", schema_place(path, "enum"), kConstantsMax));
    }
    PLAIT_TRY(const std::vector<std::string> types, types_of(at, path));
    for (const auto& [keyword, type] : kTypeOfKeyword) {
      if (at.contains(keyword)) return schema_unsupported(path, keyword, "beside enum or const");
    }
    std::vector<ExprId> choices;
    for (const Json& value : values) {
      const bool fits =
          types.empty() || std::ranges::any_of(types, [&](const auto& type) { return is_of_type(value, type); });
      if (fits) choices.push_back(text_.constant(value));
    }
    return source_.choice(std::move(choices));
  }

  Result<std::vector<std::string>> types_of(const Json& at, const std::string& path) {
    std::vector<std::string> types;
    if (!at.contains("type")) return types;
    const Json list = at["type"].is_array() ? at["type"] : Json::array({at["type"]});
    for (const Json& type : list) {
      static constexpr std::string_view kKnown[] = {"object",  "array",   "string", "number",
                                                    "integer", "boolean", "null"};
      if (!type.is_string() || std::ranges::find(kKnown, type.get<std::string>()) == std::end(kKnown)) {
        return schema_wrong(path, "type", "must name types of JSON");
      }
      types.push_back(type.get<std::string>());
    }
    if (types.empty()) return schema_wrong(path, "type", "must name a type");
    return types;
  }

  Result<ExprId> by_type(const Json& at, const std::string& path) {
    PLAIT_TRY(std::vector<std::string> types, types_of(at, path));
    for (const auto& [keyword, type] : kTypeOfKeyword) {
      if (!at.contains("type") && at.contains(keyword) && std::ranges::find(types, type) == types.end()) {
        types.emplace_back(type);
      }
    }
    if (types.empty()) return source_.rule(text_.any_value());
    std::vector<ExprId> choices;
    for (const std::string& type : types) {
      PLAIT_TRY(const ExprId one, of_type(type, at, path));
      choices.push_back(one);
    }
    return source_.choice(std::move(choices));
  }

  Result<ExprId> of_type(const std::string& type, const Json& at, const std::string& path) {
    if (type == "object") return object(at, path);
    if (type == "array") return array(at, path);
    if (type == "string") return string(at, path);
    if (type == "number" || type == "integer") return number(at, path, type == "integer");
    return type == "boolean" ? text_.boolean() : source_.literal("null");
  }

  Result<ExprId> object(const Json& at, const std::string& path) {
    static const Json kNothing = Json::object(), kAnything = true;
    const Json& properties = at.contains("properties") ? at["properties"] : kNothing;
    if (!properties.is_object()) return schema_wrong(path, "properties", "must be an object");
    std::vector<std::string> required, keys;
    if (at.contains("required")) {
      if (!at["required"].is_array()) return schema_wrong(path, "required", "must be an array");
      for (const Json& name : at["required"]) {
        if (!name.is_string()) return schema_wrong(path, "required", "must name properties");
        required.push_back(name.get<std::string>());
      }
    }
    const std::set<std::string> must_be_there(required.begin(), required.end());
    std::vector<JoinedItem> members;
    for (const auto& [key, value] : properties.items()) {
      PLAIT_TRY(const ExprId expr, schema(value, schema_place(path, "properties." + key)));
      const bool must = must_be_there.contains(key);
      const bool never = expr == source_.never();
      members.push_back({never ? expr : text_.member(key, expr), must ? Presence::required : Presence::optional});
      keys.push_back(key);
    }
    const bool closed =
        !at.contains("additionalProperties") ? !properties.empty() : at["additionalProperties"] == Json(false);
    const Json& additional = at.contains("additionalProperties") ? at["additionalProperties"] : kAnything;
    for (const std::string& name : required) {
      if (std::ranges::find(keys, name) != keys.end()) continue;
      if (closed) return schema_wrong(path, "required", fmt::format("names `{}`, which is no property", name));
      PLAIT_TRY(const ExprId expr, schema(additional, schema_place(path, "additionalProperties")));
      members.push_back({text_.member(name, expr)});
      keys.push_back(name);
    }
    if (closed) return text_.object(members);
    if (std::ranges::any_of(keys, [](const std::string& key) { return key.size() > 150; })) {
      return schema_unsupported(path, "additionalProperties", "beside properties with names above 150 bytes");
    }
    PLAIT_TRY(const ExprId expr, schema(additional, schema_place(path, "additionalProperties")));
    if (expr != source_.never()) {
      members.push_back(
          {source_.sequence({keys.empty() ? text_.string() : text_.key_except(keys), text_.colon(), expr}),
           Presence::repeated});
    }
    return text_.object(members);
  }

  /// Items of a tuple may end anywhere behind minItems: each opens the way to the next.
  Result<ExprId> array(const Json& at, const std::string& path) {
    PLAIT_TRY(const std::uint32_t min, count(at, "minItems", path, 0));
    PLAIT_TRY(const std::uint32_t max, count(at, "maxItems", path, Expr::kNoMaximum));
    static const Json kNothing = Json::array(), kAnything = true;
    const Json& prefix = at.contains("prefixItems") ? at["prefixItems"] : kNothing;
    if (!prefix.is_array()) return schema_wrong(path, "prefixItems", "must be an array");
    PLAIT_TRY(const ExprId item, schema(at.contains("items") ? at["items"] : kAnything, schema_place(path, "items")));
    if (min > max) return source_.never();
    const auto first = static_cast<std::uint32_t>(std::min<std::size_t>(prefix.size(), max));
    const ExprId comma = text_.comma();
    const std::uint32_t least = min > first ? min - first : 0, most = max == Expr::kNoMaximum ? max : max - first;
    ExprId tail =
        first == 0 ? rest(item, comma, min, max) : source_.repeat(source_.sequence({comma, item}), least, most);
    for (std::uint32_t i = first; i-- > 0;) {
      PLAIT_TRY(const ExprId expr, schema(prefix[i], schema_place(path, fmt::format("prefixItems.{}", i))));
      const ExprId some = source_.sequence({i == 0 ? source_.empty() : comma, expr, tail});
      tail = i < min ? some : source_.optional(some);
    }
    return source_.sequence({source_.literal("["), tail, source_.literal("]")});
  }

  /// `min` to `max` items with commas between them.
  ExprId rest(ExprId item, ExprId comma, std::uint32_t min, std::uint32_t max) {
    if (max == 0) return source_.empty();
    const ExprId more =
        source_.repeat(source_.sequence({comma, item}), min > 0 ? min - 1 : 0, max == Expr::kNoMaximum ? max : max - 1);
    const ExprId some = source_.sequence({item, more});
    return min > 0 ? some : source_.optional(some);
  }

  Result<ExprId> string(const Json& at, const std::string& path) {
    const bool pattern = at.contains("pattern"), format = at.contains("format");
    if (pattern || format) {
      for (const char* key : {"minLength", "maxLength"}) {
        if (at.contains(key)) return schema_unsupported(path, key, "beside pattern or format");
      }
      if (pattern && format) return schema_unsupported(path, "format", "beside pattern");
      const char* key = pattern ? "pattern" : "format";
      if (!at[key].is_string()) return schema_wrong(path, key, "must be a string");
      std::optional<std::string> regex = at[key].get<std::string>();
      if (format && !(regex = format_pattern(*regex))) return schema_unsupported(path, key, "of this name");
      auto expr = text_.string_matching(*regex);
      if (!expr) expr.error().message += fmt::format(" (in `{}`)", schema_place(path, key));
      return expr;
    }
    PLAIT_TRY(const std::uint32_t min, count(at, "minLength", path, 0));
    PLAIT_TRY(const std::uint32_t max, count(at, "maxLength", path, Expr::kNoMaximum));
    return text_.string(min, max);
  }

  Result<std::uint32_t> count(const Json& at, const std::string& key, const std::string& path,
                              std::uint32_t otherwise) {
    if (!at.contains(key)) return otherwise;
    const Json& value = at[key];
    if (!value.is_number() || value.get<double>() < 0 || value.get<double>() != std::floor(value.get<double>())) {
      return schema_wrong(path, key, "must be a whole number");
    }
    if (value.get<double>() > kCountMax) {
      return base::fail(ErrorCode::out_of_resources,
                        fmt::format("schema: `{}` is above {}", schema_place(path, key), kCountMax));
    }
    return static_cast<std::uint32_t>(value.get<double>());
  }

  /// A bound as the nearest whole number within it.
  Result<std::optional<std::int64_t>> whole_bound(const Json& at, const std::string& key, const std::string& path) {
    if (!at.contains(key)) return std::nullopt;
    const Json& value = at[key];
    if (!value.is_number()) return schema_wrong(path, key, "must be a number");
    constexpr std::int64_t kMost = 1'000'000'000'000'000'000;
    if (value.is_number_integer() && !value.is_number_unsigned()) {
      return std::clamp(value.get<std::int64_t>(), -kMost, kMost);
    }
    const double number = value.get<double>();
    if (number >= 1e18 || number <= -1e18) return number < 0 ? -kMost : kMost;
    const bool exclusive = key.starts_with("exclusive");
    const bool up = key.ends_with("inimum") != exclusive;  // exclusiveMinimum 0.5 is above 0
    return static_cast<std::int64_t>(up ? std::ceil(number) : std::floor(number));
  }

  Result<IntegerBounds> whole_bounds(const Json& at, const std::string& path) {
    PLAIT_TRY(const auto min, whole_bound(at, "minimum", path));
    PLAIT_TRY(const auto max, whole_bound(at, "maximum", path));
    PLAIT_TRY(const auto above, whole_bound(at, "exclusiveMinimum", path));
    PLAIT_TRY(const auto below, whole_bound(at, "exclusiveMaximum", path));
    IntegerBounds bounds{.min = min, .max = max};
    if (above) bounds.min = std::max(min.value_or(*above + 1), *above + 1);
    if (below) bounds.max = std::min(max.value_or(*below - 1), *below - 1);
    return bounds;
  }

  Result<ExprId> number(const Json& at, const std::string& path, bool integer) {
    if (at.contains("multipleOf")) return multiple(at, path);
    if (integer) {
      PLAIT_TRY(const IntegerBounds bounds, whole_bounds(at, path));
      return number_.integer(bounds);
    }
    NumberBounds bounds;
    PLAIT_TRY_VOID(add_bound(at, "minimum", path, bounds.min, bounds.open_min));
    PLAIT_TRY_VOID(add_bound(at, "maximum", path, bounds.max, bounds.open_max));
    PLAIT_TRY_VOID(add_bound(at, "exclusiveMinimum", path, bounds.min, bounds.open_min));
    PLAIT_TRY_VOID(add_bound(at, "exclusiveMaximum", path, bounds.max, bounds.open_max));
    return number_.number(bounds);
  }

  /// The narrower one of the bound that is there and this keyword's.
  static Result<void> add_bound(const Json& at, const std::string& key, const std::string& path,
                                std::optional<Decimal>& bound, bool& open) {
    if (!at.contains(key)) return {};
    if (!at[key].is_number()) return schema_wrong(path, key, "must be a number");
    const bool exclusive = key.starts_with("exclusive");
    if (exclusive && bound) {
      const Json& other = at[key == "exclusiveMinimum" ? "minimum" : "maximum"];
      if (key == "exclusiveMinimum" ? at[key] < other : at[key] > other) return {};
    }
    bound = Decimal::of(at[key]);
    if (exclusive && bound->is_long()) return schema_unsupported(path, key, "with more than 15 digits");
    open = exclusive;
    return {};
  }

  Result<ExprId> multiple(const Json& at, const std::string& path) {
    const Json& value = at["multipleOf"];
    if (!value.is_number() || value.get<double>() <= 0) return schema_wrong(path, "multipleOf", "must be above 0");
    const double divisor = value.get<double>();
    if (divisor != std::floor(divisor))
      return schema_unsupported(path, "multipleOf", "with a number that is not whole");
    PLAIT_TRY(const IntegerBounds bounds, whole_bounds(at, path));
    if (divisor == 1) return number_.integer(bounds);
    if (bounds.min && bounds.max) {
      const double first = std::ceil(static_cast<double>(*bounds.min) / divisor) * divisor;
      const double last = static_cast<double>(*bounds.max);
      if (std::max(std::abs(first), std::abs(last)) < 1e15 && (last - first) / divisor < kMultiplesMax) {
        std::vector<ExprId> choices;
        for (double one = first; one <= last; one += divisor) choices.push_back(text_.constant(one));
        return source_.choice(std::move(choices));
      }
    }
    const bool positive = bounds.min && *bounds.min >= 0 && static_cast<double>(*bounds.min) <= divisor;
    if (divisor > JsonNumber::kDivisorMax || bounds.max || (bounds.min && !positive)) {
      return schema_unsupported(path, "multipleOf", "with these bounds, or above 100 without bounds,");
    }
    return number_.multiple(static_cast<std::uint32_t>(divisor), !positive || *bounds.min == 0, !positive);
  }

  const Json& document_;
  JsonSchemaOptions options_;
  GrammarSource& source_;
  JsonText text_;
  JsonNumber number_;
  MergeWork work_;
  std::map<std::string, RuleId> references_;
  std::vector<Open> open_;
  std::size_t schemas_ = 0, levels_ = 0;
};

}  // namespace

Result<ExprId> add_json_schema(GrammarSource& source, const Json& schema, const JsonSchemaOptions& options) {
  PLAIT_TRY(const RuleId rule, SchemaParser(source, schema, options).parse());
  return source.rule(rule);
}

Result<GrammarSource> parse_json_schema(const Json& schema, const JsonSchemaOptions& options) {
  GrammarSource source;
  PLAIT_TRY(const RuleId root, SchemaParser(source, schema, options).parse());
  source.set_root(root);
  return source;
}

Result<Grammar> json_schema_grammar(const Json& schema, const JsonSchemaOptions& options) {
  PLAIT_TRY(const GrammarSource source, parse_json_schema(schema, options));
  return Grammar::compile(source, options.limits);
}

}  // namespace plait::text
