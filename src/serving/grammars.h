// SPDX-License-Identifier: Apache-2.0
//
// Grammars that clients ask answers to keep to, compiled once and kept while they are in use.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"
#include "models/token_mask.h"
#include "models/tokenizer.h"
#include "models/tool_grammar.h"
#include "serving/fields.h"
#include "text/grammar/grammar.h"
#include "text/json.h"

namespace plait::serving {

/// A grammar, and what was found out about its masks.
class AnswerGrammar {
 public:
  AnswerGrammar(std::shared_ptr<const text::Grammar> grammar, std::shared_ptr<const models::TokenMaskTable> table)
      : grammar_(std::move(grammar)), table_(std::move(table)) {}

  /// The masks, shared by all answers under way; new ones when a limit ended the old ones. The engine's thread.
  [[nodiscard]] std::shared_ptr<models::MaskCache> masks();

 private:
  std::shared_ptr<const text::Grammar> grammar_;
  std::shared_ptr<const models::TokenMaskTable> table_;
  std::shared_ptr<models::MaskCache> masks_;
};

/// Any thread.
class Grammars {
 public:
  /// The first format takes some 50 ms more for a vocabulary of 150,000. The tokenizer must outlive it.
  explicit Grammars(const models::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// Of the field `response_format`: {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema"}},
  /// {"type": "regex", "pattern"} or {"type": "grammar", "grammar"}. Null for {"type": "text"}.
  [[nodiscard]] Accepted<std::shared_ptr<AnswerGrammar>> of_format(const text::Json& format);
  /// Of calls. A refusal names `tools`.
  [[nodiscard]] Accepted<std::shared_ptr<AnswerGrammar>> of_tools(models::ToolFormat format,
                                                                  std::span<const models::ToolSchema> tools,
                                                                  const models::ToolGrammarOptions& options);
  /// What masks know of the vocabulary, made when it is first asked for; the other one has the marks of calls and
  /// thoughts as text.
  [[nodiscard]] std::shared_ptr<const models::TokenMaskTable> plain_table();
  [[nodiscard]] std::shared_ptr<const models::TokenMaskTable> marked_table();

 private:
  using Compile = std::function<base::Result<text::Grammar>()>;
  Accepted<std::shared_ptr<AnswerGrammar>> find(std::string key, const std::string& param, const Compile& compile,
                                                bool marked = false);

  static constexpr std::size_t kKept = 64;
  const models::Tokenizer& tokenizer_;
  std::once_flag table_made_, marked_table_made_;
  std::shared_ptr<const models::TokenMaskTable> table_, marked_table_;  // one, where no mark is a control token
  std::mutex mutex_;
  std::deque<std::pair<std::string, std::shared_ptr<AnswerGrammar>>> kept_;  // under mutex_, the last used one in front
};

}  // namespace plait::serving
