// SPDX-License-Identifier: Apache-2.0
//
// The pre-tokenizers as the regular expressions they are defined by, run by PCRE2. Slow; the meaning that the scanners
// of pretokenizer.h must have, and the place to read it.
//
// Two deviations. White space is written out: it is Unicode's White_Space, while PCRE2's \s also has U+180E. And \p{L},
// \p{N}, \p{P} are those of the PCRE2 at hand, so characters younger than its tables may be cut differently.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/pretokenizer.h"

namespace plait::models {

class PatternPreTokenizer {  // immutable; one thread at a time
 public:
  /// Compiles the rule's patterns. Errors: internal if PCRE2 refuses one.
  [[nodiscard]] static base::Result<PatternPreTokenizer> make(PreTokenizerRule rule);
  ~PatternPreTokenizer();
  PatternPreTokenizer(PatternPreTokenizer&&) noexcept;
  PatternPreTokenizer& operator=(PatternPreTokenizer&&) noexcept;

  /// The ends of all words of a valid UTF-8 text, ascending; the last is text.size(). Errors: internal, invalid_data
  /// (not UTF-8).
  [[nodiscard]] base::Result<std::vector<std::size_t>> word_ends(std::string_view text) const;

 private:
  struct Stage;
  PatternPreTokenizer();
  std::vector<std::unique_ptr<Stage>> stages_;  // each cuts the pieces that the one before left
};

}  // namespace plait::models
