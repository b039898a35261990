// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "os/terminal.h"

namespace plait::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr int kBarMax = 30;

std::string clock_time(double seconds) {
  const auto whole = static_cast<long>(std::min(seconds, 359'999.0));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string bar(double share, int width) {
  if (width < 5) return {};
  const auto filled = static_cast<std::size_t>(share * (width - 2));
  std::string text(filled, '=');
  if (filled < static_cast<std::size_t>(width - 2)) text += '>';
  text.resize(static_cast<std::size_t>(width - 2), ' ');
  return fmt::format("[{}]", text);
}

}  // namespace

std::string progress_line(std::string_view what, base::Bytes done, base::Bytes total, double rate, int width,
                          ProgressUnit unit, std::string_view note) {
  const auto amount = [unit](base::Bytes n) {
    return unit == ProgressUnit::bytes ? base::human_bytes(n) : fmt::format("{}", n);
  };
  done = std::min(done, total);
  const double share = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
  std::string tail = fmt::format("{} of {}", amount(done), amount(total));
  if (!note.empty()) tail += fmt::format("  {}", note);
  if (rate > 0) {
    const double left = static_cast<double>(total - done) / rate;
    if (unit == ProgressUnit::bytes) tail += fmt::format("  {}/s", base::human_bytes(static_cast<base::Bytes>(rate)));
    tail += fmt::format("  {} left", clock_time(left));
  }
  const std::string head = fmt::format("{} {:3.0f} %", what, std::min(share * 100, 99.0 + (done == total ? 1 : 0)));
  const int room = width - static_cast<int>(head.size() + tail.size()) - 4;
  const std::string middle = bar(share, std::min(room, kBarMax));
  std::string line = middle.empty() ? fmt::format("{}  {}", head, tail) : fmt::format("{} {}  {}", head, middle, tail);
  if (line.size() > static_cast<std::size_t>(std::max(width, 1)))
    line.resize(static_cast<std::size_t>(std::max(width, 1)));
  return line;
}

ProgressBar::ProgressBar(bool wanted, ProgressUnit unit)
    : active_(wanted && os::cursor_moves(os::StandardStream::error)), unit_(unit) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::update(std::string_view what, base::Bytes done, base::Bytes total, std::string_view note) {
  if (!active_) return;
  const auto now = Clock::now();
  if (what != what_ || done < first_done_) {
    what_ = what;
    first_done_ = done;
    first_ = now;
    last_ = {};
  }
  if (now - last_ < kRedraw) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - first_).count();
  const double rate = seconds > 0.3 ? static_cast<double>(done - first_done_) / seconds : 0;
  const int width = os::terminal_width(os::StandardStream::error) - 1;
  std::fputs(fmt::format("\r{}\x1b[K", progress_line(what, done, total, rate, width, unit_, note)).c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressBar::clear() {
  if (!drawn_) return;
  drawn_ = false;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
}

}  // namespace plait::cli
