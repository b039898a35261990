// SPDX-License-Identifier: Apache-2.0
#include "models/tool_grammar.h"

#include <fmt/format.h>

#include <vector>

#include "text/grammar/json_schema.h"
#include "text/grammar/json_text.h"
#include "text/grammar/source.h"

namespace plait::models {
namespace {

using text::ExprId;

class ToolGrammarWriter {
 public:
  ToolGrammarWriter(ToolFormat format, std::span<const ToolSchema> tools) : format_(format), tools_(tools) {}

  base::Result<text::Grammar> grammar(const ToolGrammarOptions& options) {
    std::vector<ExprId> choices;
    for (const ToolSchema& tool : tools_) {
      PLAIT_TRY(const ExprId arguments, arguments_of(tool));
      choices.push_back(call(tool.name, arguments));
    }
    if (choices.empty()) return base::fail(base::ErrorCode::invalid_argument, "tools: there are none to call");
    const text::RuleId one = source_.declare("call");
    source_.define(one, source_.choice(std::move(choices)));
    const text::RuleId root = source_.declare("calls");
    const ExprId lead = source_.repeat(source_.literal("\n"), 0, options.behind_thought ? 2 : 0);
    source_.define(root, source_.sequence({lead, calls(source_.rule(one), options.several)}));
    source_.set_root(root);
    return text::Grammar::compile(source_);
  }

 private:
  base::Result<ExprId> arguments_of(const ToolSchema& tool) {
    if (tool.parameters.is_null()) return source_.rule(json_.any_object());
    return text::add_json_schema(source_, tool.parameters);
  }

  /// One call of one tool.
  ExprId call(const std::string& name, ExprId arguments) {
    const auto object = [&](const char* key, ExprId more) {
      return source_.sequence({source_.literal(fmt::format(R"({{"name": "{}", "{}": )", name, key)), arguments, more,
                               source_.literal("}")});
    };
    switch (format_) {
      case ToolFormat::hermes:
        return source_.sequence({source_.literal("<tool_call>\n"), object("arguments", source_.empty()),
                                 source_.literal("\n</tool_call>")});
      case ToolFormat::llama:
        return object("parameters", source_.empty());
      case ToolFormat::mistral: {
        const ExprId character = source_.byte_set({{'0', '9'}, {'a', 'z'}, {'A', 'Z'}});
        return object("arguments",
                      source_.optional(source_.sequence(
                          {source_.literal(R"(, "id": ")"), source_.repeat(character, 9, 9), source_.literal("\"")})));
      }
      case ToolFormat::mistral_named:
        return source_.sequence({source_.literal(fmt::format("[TOOL_CALLS]{}[ARGS]", name)), arguments});
      case ToolFormat::json:
        break;
    }
    return object("arguments", source_.empty());
  }

  ExprId calls(ExprId one, bool several) {
    const auto joined = [&](ExprId separator) {
      return several ? source_.sequence({one, source_.repeat(source_.sequence({separator, one}), 0)}) : one;
    };
    const ExprId comma = source_.sequence({source_.literal(","), source_.optional(source_.literal(" "))});
    switch (format_) {
      case ToolFormat::hermes:
        return joined(source_.literal("\n"));
      case ToolFormat::llama:
        return one;
      case ToolFormat::mistral:
        return source_.sequence({source_.literal("[TOOL_CALLS]"), source_.optional(source_.literal(" ")),
                                 source_.literal("["), joined(comma), source_.literal("]")});
      case ToolFormat::mistral_named:
        return joined(source_.empty());
      case ToolFormat::json:
        break;
    }
    return source_.sequence({source_.literal(R"({"tool_calls": [)"), joined(comma), source_.literal("]}")});
  }

  ToolFormat format_;
  std::span<const ToolSchema> tools_;
  text::GrammarSource source_;
  text::JsonText json_{source_, text::JsonSpace::single};
};

}  // namespace

base::Result<text::Grammar> tool_grammar(ToolFormat format, std::span<const ToolSchema> tools,
                                         const ToolGrammarOptions& options) {
  return ToolGrammarWriter(format, tools).grammar(options);
}

}  // namespace plait::models
