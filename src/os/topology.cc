// SPDX-License-Identifier: Apache-2.0
#include "os/topology.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <system_error>

#include "base/check.h"

namespace plait::os {
namespace {

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > 65535) return std::nullopt;
  return value;
}

/// Memory node of each core that the system lists under one.
std::map<int, int> nodes_of_cores() {
  std::map<int, int> nodes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/node", error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("node")) continue;
    const std::optional<int> node = number(std::string_view(name).substr(4));
    if (!node) continue;
    std::ifstream file(entry.path() / "cpulist");
    std::string list;
    std::getline(file, list);
    for (const int core : parse_core_list(list)) nodes[core] = *node;
  }
  return nodes;
}

}  // namespace

std::vector<int> parse_core_list(std::string_view list) {
  std::vector<int> cores;
  while (!list.empty()) {
    const std::string_view range = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), range.size() + 1));
    const std::size_t dash = range.find('-');
    const std::optional<int> first = number(range.substr(0, dash));
    const std::optional<int> last = dash == std::string_view::npos ? first : number(range.substr(dash + 1));
    if (!first || !last) continue;
    for (int core = *first; core <= *last; ++core) cores.push_back(core);
  }
  return cores;
}

std::vector<Core> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {Core{}};
  const std::map<int, int> nodes = nodes_of_cores();
  std::vector<Core> cores;
  for (int id = 0; id < CPU_SETSIZE; ++id) {
    if (!CPU_ISSET(static_cast<std::size_t>(id), &set)) continue;
    const auto node = nodes.find(id);
    cores.push_back({id, node == nodes.end() ? 0 : node->second});
  }
  return cores;
}

bool bind_this_thread(std::span<const int> cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) {
    PLAIT_CHECK(core >= 0, core);
    if (core < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(core), &set);
  }
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace plait::os
