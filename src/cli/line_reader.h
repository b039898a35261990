// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace plait::cli {

/// Reads lines from a person: with editing, history and UTF-8 on a terminal (libedit), plainly from a pipe.
class LineReader {
 public:
  struct Line {
    std::string text = {};     ///< Without the line break.
    bool interrupted = false;  ///< Ctrl-C instead of a line.
  };

  /// `prompt` is shown on a terminal only. At most one LineReader at a time.
  explicit LineReader(std::string prompt);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line; nothing at the end of input.
  std::optional<Line> read();

 private:
  struct Terminal;
  std::unique_ptr<Terminal> terminal_;  // null: a pipe
};

}  // namespace plait::cli
