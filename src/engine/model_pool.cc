// SPDX-License-Identifier: Apache-2.0
#include "engine/model_pool.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "base/check.h"

namespace plait::engine {
namespace {

constexpr double kLook = 0.05;         // seconds: who has work where changes slower than steps follow each other
constexpr double kPerLevel = 1. / 16;  // of a client's weight
constexpr double kShareLeast = 1e-9;

}  // namespace

void ModelPool::add(Engine& engine) {
  PLAIT_CHECK(std::ranges::none_of(members_, [&](const Member& member) { return member.engine == &engine; }));
  members_.push_back({.engine = &engine});
}

void ModelPool::remove(const Engine& engine) {
  const auto gone = std::ranges::find(members_, &engine, &Member::engine);
  PLAIT_CHECK(gone != members_.end());
  members_.erase(gone);
}

bool ModelPool::busy() const {
  return std::ranges::any_of(members_, [](const Member& member) { return member.engine->busy(); });
}

// How many are busy. Those that have become so begin at the clock of those that were.
std::size_t ModelPool::take_stock() {
  double least = std::numeric_limits<double>::infinity();
  for (const Member& member : members_) {
    if (member.busy && member.engine->busy()) least = std::min(least, member.clock);
  }
  std::size_t count = 0;
  bool changed = false;
  for (Member& member : members_) {
    const bool busy = member.engine->busy();
    if (busy && !member.busy && std::isfinite(least)) member.clock = std::max(member.clock, least);
    changed = changed || busy != member.busy;
    member.busy = busy;
    count += busy ? 1 : 0;
  }
  if (count > 1 && (changed || clock_.now() - shares_at_ >= kLook)) set_shares();
  return count;
}

void ModelPool::set_shares() {
  shares_at_ = clock_.now();
  std::map<std::string, std::size_t> engines_of;  // by client
  std::vector<std::pair<Member*, std::vector<ClientLoad>>> loads;
  for (Member& member : members_) {
    if (!member.busy) continue;
    loads.emplace_back(&member, member.engine->clients());
    for (const ClientLoad& load : loads.back().second) ++engines_of[load.client];
  }
  for (const auto& [member, clients] : loads) {
    double share = 0;
    for (const ClientLoad& load : clients) {
      share += load.weight * std::pow(kPerLevel, load.level) / static_cast<double>(engines_of[load.client]);
    }
    member->share = std::max(share, kShareLeast);
  }
}

Engine* ModelPool::step() {
  const std::size_t busy = take_stock();
  if (busy == 0) return nullptr;
  Member* next = nullptr;
  for (Member& member : members_) {
    if (member.busy && (next == nullptr || member.clock < next->clock)) next = &member;
  }
  const double start = clock_.now();
  Engine* engine = next->engine;
  engine->step();
  next->clock += (clock_.now() - start) / (busy > 1 ? next->share : 1);
  return engine;
}

}  // namespace plait::engine
