// SPDX-License-Identifier: Apache-2.0
#include "os/memory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "os/file.h"

namespace plait::os {
namespace {

using base::Bytes;
using base::operator""_KiB;
using base::operator""_MiB;

std::optional<Bytes> parse_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  Bytes value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

std::string content_of(const std::filesystem::path& path) { return read_file(path, 1_MiB).value_or(""); }

// The number after `name` at the start of a line.
std::optional<Bytes> field(std::string_view text, std::string_view name) {
  for (std::size_t line = 0; line < text.size(); line = text.find('\n', line) + 1) {
    if (text.substr(line).starts_with(name)) return parse_number(text.substr(line + name.size()));
    if (text.find('\n', line) == std::string_view::npos) break;
  }
  return std::nullopt;
}

struct Usage {
  std::optional<Bytes> limit;  ///< Nothing: no limit.
  Bytes used = 0;              ///< What cannot be taken back: file pages that are not in active use are not counted.
};

Usage usage_of(const std::filesystem::path& group, const char* limit_file, const char* used_file,
               const char* file_field) {
  const std::optional<Bytes> limit = parse_number(content_of(group / limit_file));
  if (!limit) return {};  // absent, or "max"
  const Bytes used = parse_number(content_of(group / used_file)).value_or(0);
  const Bytes reclaimable = field(content_of(group / "memory.stat"), file_field).value_or(0);
  return {limit, used - std::min(used, reclaimable)};
}

// Lowers `memory` by the limits of this process's control group and all groups above it.
void apply_groups(MemoryInfo& memory) {
  const std::string groups = content_of("/proc/self/cgroup");
  for (std::size_t line = 0; line < groups.size();) {
    const std::size_t end = std::min(groups.find('\n', line), groups.size());
    const std::string_view text = std::string_view(groups).substr(line, end - line);
    line = end + 1;
    const std::size_t first = text.find(':');
    const std::size_t second = text.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view controllers = text.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && controllers.find("memory") == std::string_view::npos) continue;
    const std::filesystem::path root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    std::filesystem::path group = root / std::filesystem::path(text.substr(second + 1)).relative_path();
    while (true) {
      const Usage usage =
          unified ? usage_of(group, "memory.max", "memory.current", "inactive_file ")
                  : usage_of(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ");
      if (usage.limit) {
        memory.total = std::min(memory.total, *usage.limit);
        memory.available = std::min(memory.available, *usage.limit - std::min(*usage.limit, usage.used));
      }
      if (group == root || !group.has_relative_path() || group.native().size() <= root.native().size()) break;
      group = group.parent_path();
    }
  }
}

}  // namespace

MemoryInfo memory_info() {
  const std::string text = content_of("/proc/meminfo");
  MemoryInfo memory;
  memory.total = field(text, "MemTotal:").value_or(0) * 1_KiB;
  memory.available = std::min(memory.total, field(text, "MemAvailable:").value_or(0) * 1_KiB);
  apply_groups(memory);
  return memory;
}

base::Bytes resident_bytes() {
  const std::string text = content_of("/proc/self/statm");  // total and resident, in pages
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return 0;
  return parse_number(std::string_view(text).substr(space)).value_or(0) * static_cast<Bytes>(::sysconf(_SC_PAGESIZE));
}

}  // namespace plait::os
