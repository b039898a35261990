// SPDX-License-Identifier: Apache-2.0
//
// Which control tokens of a rendered prompt the template wrote, and which a client only has in its text.
//
// Before a template is parsed, every control token in its source gets two marks inside, characters that no text has:
// `<[|im_end|]>` with the marks shown as brackets. They go through whatever the template does. In what it renders, a
// control token is one only if its marks are there; then they are taken out. A client cannot write one, whatever the
// template joins, trims, replaces or decodes, because it cannot write marks: guard() turns those in its texts into
// other characters.
//
// Some templates put control tokens together of parts: "<|", a role and "|>". Those tokens are known from probes (see
// ChatTemplate) and are found without marks. For such a template, texts of clients get a bar before each character with
// which one of those tokens begins, and none is found behind a bar.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizer_special.h"
#include "text/json.h"

namespace plait::models {

/// A rendered conversation, and where its template wrote control tokens.
struct ChatPrompt {
  std::string text = {};
  std::vector<ByteRange> control_at = {};  ///< Ascending.
};

class ControlMarks {  // const methods: any thread
 public:
  /// No control tokens.
  ControlMarks() = default;
  /// Texts of control tokens in UTF-8, not empty.
  explicit ControlMarks(const std::vector<std::string>& texts);

  /// What a template is parsed from: `source` with marks.
  [[nodiscard]] std::string mark(std::string_view source) const;
  /// Control tokens that this prompt has without marks are from now on known to be put together. It comes from
  /// unmark(), and what was rendered has no control token in its own texts. Tokens that begin with a letter are left
  /// out: a bar before each of these letters would change the names in a message.
  void learn(const ChatPrompt& prompt);

  /// Strings and names of members, of any depth, as the template may get them: most are what they were. Roles that
  /// messages have are not touched. Cost: a look at each text.
  [[nodiscard]] text::Json guard(text::Json value) const;

  /// What a marked template rendered from guarded texts, without marks and bars.
  [[nodiscard]] ChatPrompt unmark(std::string_view rendered) const;

 private:
  using Texts = std::set<std::string, std::less<>>;
  [[nodiscard]] bool needs_guard(std::string_view text) const;
  [[nodiscard]] std::string guarded(std::string_view text) const;
  void add_joined(ChatPrompt& prompt, const std::vector<std::size_t>& bars) const;

  Texts texts_ = {};
  SpecialTokens every_ = {};
  Texts joined_texts_ = {};  // put together of parts
  SpecialTokens joined_ = {};
  std::string beginnings_ = {};  // their first bytes
};

}  // namespace plait::models
