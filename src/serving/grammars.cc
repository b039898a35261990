// SPDX-License-Identifier: Apache-2.0
#include "serving/grammars.h"

#include <algorithm>

#include "text/grammar/ebnf.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/json_text.h"
#include "text/grammar/regex.h"

namespace plait::serving {

using text::Json;

std::shared_ptr<models::MaskCache> AnswerGrammar::masks() {
  if (!masks_ || !masks_->check()) masks_ = std::make_shared<models::MaskCache>(grammar_, table_);
  return masks_;
}

std::shared_ptr<const models::TokenMaskTable> Grammars::table() {
  std::call_once(table_made_, [&] { table_ = std::make_shared<const models::TokenMaskTable>(tokenizer_); });
  return table_;
}

Accepted<std::shared_ptr<AnswerGrammar>> Grammars::find(std::string key, const std::string& param,
                                                        const Compile& compile) {
  {
    const std::scoped_lock lock(mutex_);
    const auto at = std::ranges::find(kept_, key, &std::pair<std::string, std::shared_ptr<AnswerGrammar>>::first);
    if (at != kept_.end()) {
      std::rotate(kept_.begin(), at, at + 1);
      return kept_.front().second;
    }
  }
  auto grammar = compile();
  if (!grammar) {
    return std::unexpected(
        Refusal{.message = param + ": " + grammar.error().message, .param = param, .code = "invalid_value"});
  }
  auto made = std::make_shared<AnswerGrammar>(std::make_shared<const text::Grammar>(*std::move(grammar)), table());
  const std::scoped_lock lock(mutex_);
  kept_.emplace_front(std::move(key), made);
  if (kept_.size() > kKept) kept_.pop_back();
  return made;
}

Accepted<std::shared_ptr<AnswerGrammar>> Grammars::of_format(const Json& format) {
  Fields fields(format, "response_format.");
  PLAIT_TRY(const auto type, fields.text("type"));
  if (!type) return bad_value("response_format.type", "must be a string");
  if (*type == "text") return nullptr;
  if (*type == "json_object") {
    return find("object", "response_format", [] { return text::json_object_grammar(); });
  }
  if (*type == "json_schema") {
    PLAIT_TRY(const Json* named, fields.object("json_schema"));
    if (named == nullptr) return bad_value("response_format.json_schema", "must be an object");
    Fields inner(*named, "response_format.json_schema.");
    const Json* schema = inner.find("schema");
    if (schema == nullptr) return bad_value("response_format.json_schema.schema", "must be a JSON schema");
    return find("schema " + text::dump_json(*schema), "response_format.json_schema.schema",
                [&] { return text::json_schema_grammar(*schema); });
  }
  const bool regex = *type == "regex";
  if (regex || *type == "grammar") {
    const char* name = regex ? "pattern" : "grammar";
    PLAIT_TRY(const auto source, fields.text(name));
    if (!source) return bad_value(fields.full_name(name), "must be a string");
    return find(*type + ' ' + *source, fields.full_name(name), [&] {
      // The whole answer has to fit, not a part of it as in a schema.
      return regex ? text::regex_grammar("^(?:" + *source + ")$") : text::ebnf_grammar(*source);
    });
  }
  return bad_value("response_format.type", "must be text, json_object, json_schema, regex or grammar");
}

}  // namespace plait::serving
