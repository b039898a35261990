// SPDX-License-Identifier: Apache-2.0
#include "cli/line_reader.h"

#include <histedit.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <iostream>
#include <utility>

#include "os/interrupt.h"
#include "os/terminal.h"

namespace plait::cli {

struct LineReader::Terminal {
  explicit Terminal(std::string text) : prompt(std::move(text)) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    HistEvent event;
    lines = history_init();
    history(lines, &event, H_SETSIZE, 500);
    edit = el_init("plait", stdin, stdout, stderr);
    el_set(edit, EL_CLIENTDATA, this);
    el_set(
        edit, EL_PROMPT, +[](EditLine* self) -> char* {
          void* data = nullptr;
          el_get(self, EL_CLIENTDATA, &data);
          return static_cast<Terminal*>(data)->prompt.data();
        });
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_SIGNAL, 0);
    el_set(edit, EL_HIST, history, lines);
    el_source(edit, nullptr);
  }
  ~Terminal() {
    el_end(edit);
    history_end(lines);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  std::string prompt;
  EditLine* edit = nullptr;
  History* lines = nullptr;
};

LineReader::LineReader(std::string prompt) {
  if (os::is_terminal(os::StandardStream::input) && os::is_terminal(os::StandardStream::output)) {
    terminal_ = std::make_unique<Terminal>(std::move(prompt));
  }
}

LineReader::~LineReader() = default;

std::optional<LineReader::Line> LineReader::read() {
  if (!terminal_) {
    std::string text;
    if (!std::getline(std::cin, text)) return std::nullopt;
    if (text.ends_with('\r')) text.pop_back();
    return Line{std::move(text)};
  }
  int count = 0;
  const char* raw = el_gets(terminal_->edit, &count);
  if (raw == nullptr || count <= 0) {
    if (!os::interrupt_requested()) return std::nullopt;
    el_reset(terminal_->edit);
    std::fputs("\n", stdout);
    return Line{{}, true};
  }
  std::string text(raw, static_cast<std::size_t>(count));
  HistEvent event;
  if (text != "\n") history(terminal_->lines, &event, H_ENTER, raw);
  if (text.ends_with('\n')) text.pop_back();
  return Line{std::move(text)};
}

}  // namespace plait::cli
