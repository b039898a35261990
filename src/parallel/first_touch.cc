// SPDX-License-Identifier: Apache-2.0
#include "parallel/first_touch.h"

#include <map>

#include "base/check.h"
#include "os/topology.h"

namespace plait::parallel {

std::vector<Target> targets() {
  std::map<int, Target> by_node;
  for (const os::Core& core : os::allowed_cores()) {
    Target& target = by_node[core.memory_node];
    target.memory_node = core.memory_node;
    target.cores.push_back(core.id);
  }
  std::vector<Target> all;
  for (auto& [node, target] : by_node) all.push_back(std::move(target));
  return all;
}

std::vector<int> cores_of_members(std::span<const Target> targets, int threads) {
  PLAIT_CHECK(threads >= 1 && !targets.empty(), threads, targets.size());
  std::vector<int> cores;  // of all targets, in order
  for (const Target& target : targets) cores.insert(cores.end(), target.cores.begin(), target.cores.end());
  PLAIT_CHECK(!cores.empty());
  std::vector<int> chosen;
  for (int member = 0; member < threads; ++member) {
    chosen.push_back(cores[part(cores.size(), member, threads).begin]);  // every (cores / threads)-th
  }
  return chosen;
}

}  // namespace plait::parallel
