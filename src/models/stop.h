// SPDX-License-Identifier: Apache-2.0
//
// Where a generation ends: token ids and strings, the latter on a stream of text.
//
//   PLAIT_TRY(auto stop, StopStream::make({.ids = {eos}, .strings = {"\nUser:"}}));
//   ... for every token: if (stop.is_stop(token)) break;
//       auto piece = stop.push(text);  show(piece.text);  if (piece.stopped) break;
//   show(stop.flush());   // only when the generation ended for another reason
//
// Meaning: the stop string that is complete first ends the text; of several that are complete at the same byte, the
// longest. The text shown is what stands before it, and the same however the stream was cut into pieces. A part of a
// stop string is never shown unless the text goes on differently or ends there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"

namespace plait::models {

/// When to stop. Limits: 64 strings of at most 1,024 bytes, 4,096 ids.
struct StopOptions {
  std::vector<base::TokenId> ids = {};    ///< Any of these ends the generation; its own text is not shown.
  std::vector<std::string> strings = {};  ///< Whole UTF-8, not empty.
  bool include_text = false;              ///< Show the stop string that matched, too.
};

class StopStream {  // copyable value; one per generation
 public:
  struct Piece {
    std::string text;                      ///< May be shown now. Whole UTF-8 if what was pushed was.
    bool stopped = false;                  ///< A stop string is complete; whatever follows is ignored.
    std::size_t string_index = kNoString;  ///< Which one, as an index into StopOptions::strings.
  };
  static constexpr std::size_t kNoString = static_cast<std::size_t>(-1);

  /// Errors: invalid_argument names the field (`stop`, `stop ids`).
  static base::Result<StopStream> make(StopOptions options);

  [[nodiscard]] bool is_stop(base::TokenId id) const;

  /// Takes the next bytes of the text. O(bytes x strings).
  Piece push(std::string_view bytes);

  /// What was held back; the stream is empty afterwards. Nothing after a stop.
  std::string flush();

  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  struct Pattern {
    std::string text;
    std::vector<std::size_t> border;  // border[i]: longest proper prefix of text[0, i) that is also its suffix
    std::size_t matched = 0;          // the longest prefix of `text` that ends at the current byte
  };
  static void advance(Pattern& pattern, char byte);

  std::vector<base::TokenId> ids_;  // sorted
  std::vector<Pattern> patterns_;
  std::string held_;
  bool include_text_ = false;
  bool stopped_ = false;
};

}  // namespace plait::models
