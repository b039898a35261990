// SPDX-License-Identifier: Apache-2.0
#include "engine/detail/guarded_policy.h"

#include <utility>

#include "base/check.h"

namespace plait::engine::detail {

GuardedPolicy::GuardedPolicy(std::unique_ptr<EvictionPolicy> guarded, std::unique_ptr<EvictionPolicy> lru,
                             const EvictionOptions& options)
    : guard_ratio_(options.guard_ratio),
      guard_slack_(options.guard_slack),
      capacity_(options.capacity == 0 ? options.slots : options.capacity),
      simulations_{Simulation{std::move(guarded), 0, IndexedSet(options.slots)},
                   Simulation{std::move(lru), 0, IndexedSet(options.slots)}},
      slots_(options.slots),
      contents_(names(options.slots)),
      table_(names(options.slots)),
      evictable_(options.slots) {
  free_names_.reserve(contents_.size());
  for (auto name = static_cast<std::uint32_t>(contents_.size()); name > 0; --name) free_names_.emplace_back(name - 1);
}

void GuardedPolicy::insert(PageKey page, ContentId content, bool done) {
  PLAIT_CHECK(page.value() < slots_.size() && !holds(page), page.value(), slots_.size());
  const Name name = name_of(content);
  contents_[name.value()].page = page;
  contents_[name.value()].real = true;
  slots_[page.value()] = {.name = name, .time = ++now_, .held = true, .evictable = false};
  ++size_;
  allow(page);
  for (Simulation& simulation : simulations_) request(simulation, name, done);
  choose_leader(done);
}

void GuardedPolicy::touch(PageKey page, bool done) {
  Slot& slot = held_slot(page);
  if (slot.evictable) evictable_.remove(page);
  slot.time = ++now_;
  if (slot.evictable) evictable_.add(page, slot.time);
  for (Simulation& simulation : simulations_) request(simulation, slot.name, done);
  choose_leader(done);
}

void GuardedPolicy::set_done(PageKey page, bool done) {
  const Name name = held_slot(page).name;
  for (Simulation& simulation : simulations_) {
    if (simulation.policy->holds(name)) simulation.policy->set_done(name, done);
  }
  choose_leader(done);
}

void GuardedPolicy::set_evictable(PageKey page, bool evictable) {
  const Slot& slot = held_slot(page);
  if (slot.evictable == evictable) return;
  if (evictable) {
    allow(page);
  } else {
    forbid(page);
  }
  for (Simulation& simulation : simulations_) {
    if (simulation.policy->holds(slot.name)) simulation.policy->set_evictable(slot.name, evictable);
  }
}

std::optional<PageKey> GuardedPolicy::victim() {
  Simulation& leader = simulations_[leader_];
  // Without pins the first round finds a page. With pins the leader may name contents that are not in the real cache.
  for (int round = 0; round < 4 && leader.outside.empty(); ++round) {
    const std::optional<Name> dropped = leader.policy->victim();
    if (!dropped) break;
    drop(leader, *dropped);
  }
  if (evictable_.empty()) return std::nullopt;
  const PageKey page = leader.outside.empty() ? evictable_.oldest() : leader.outside[0];
  leave(page);
  ++counters_.victims;
  return page;
}

void GuardedPolicy::erase(PageKey page) {
  const Name name = held_slot(page).name;
  for (Simulation& simulation : simulations_) {
    if (!simulation.policy->holds(name)) continue;
    simulation.policy->erase(name);
    drop(simulation, name);
  }
  leave(page);
}

void GuardedPolicy::set_capacity(std::uint32_t capacity) {
  PLAIT_CHECK(capacity >= 1 && capacity <= slots_.size(), capacity, slots_.size());
  capacity_ = capacity;
}

bool GuardedPolicy::holds(PageKey page) const { return page.value() < slots_.size() && slots_[page.value()].held; }

EvictionCounters GuardedPolicy::counters() const {
  EvictionCounters counters = counters_;
  counters.lru_leads = leader_ == kLru;
  return counters;
}

GuardedPolicy::Slot& GuardedPolicy::held_slot(PageKey page) {
  PLAIT_CHECK(holds(page), page.value());
  return slots_[page.value()];
}

// The name under which a cache knows this content, or a new one. A second page of one content gets a name that no later
// request will find, so that a name stands for one slot at most.
GuardedPolicy::Name GuardedPolicy::name_of(ContentId content) {
  const auto known = table_.find(content);
  if (known && !contents_[*known].real) return Name(*known);
  PLAIT_CHECK(!free_names_.empty());
  const Name name = free_names_.back();
  free_names_.pop_back();
  contents_[name.value()] = {.id = content, .listed = !known};
  if (!known) table_.add(content, name.value());
  return name;
}

void GuardedPolicy::forget_if_unused(Name name) {
  const Content& content = contents_[name.value()];
  if (content.real) return;
  for (const Simulation& simulation : simulations_) {
    if (simulation.policy->holds(name)) return;
  }
  if (content.listed) table_.remove(content.id);
  free_names_.push_back(name);
}

// A request for a page of the real cache, as a simulated cache sees it.
void GuardedPolicy::request(Simulation& simulation, Name name, bool done) {
  if (simulation.policy->holds(name)) return simulation.policy->touch(name, done);
  ++simulation.faults;
  // Two at most: after a cut of the capacity the simulation shrinks step by step, without a pause.
  for (int round = 0; round < 2 && simulation.policy->size() >= capacity_; ++round) {
    const std::optional<Name> dropped = simulation.policy->victim();
    if (!dropped) break;
    drop(simulation, *dropped);
  }
  const Content& content = contents_[name.value()];
  simulation.policy->insert(name, content.id, done);
  if (!slots_[content.page.value()].evictable) return simulation.policy->set_evictable(name, false);
  if (simulation.outside.contains(content.page)) simulation.outside.remove(content.page);
}

// What follows when a simulated cache no longer holds a content.
void GuardedPolicy::drop(Simulation& simulation, Name name) {
  const Content& content = contents_[name.value()];
  if (content.real && slots_[content.page.value()].evictable) simulation.outside.add(content.page);
  forget_if_unused(name);
}

void GuardedPolicy::allow(PageKey page) {
  Slot& slot = slots_[page.value()];
  slot.evictable = true;
  evictable_.add(page, slot.time);
  for (Simulation& simulation : simulations_) {
    if (!simulation.policy->holds(slot.name)) simulation.outside.add(page);
  }
}

void GuardedPolicy::forbid(PageKey page) {
  slots_[page.value()].evictable = false;
  evictable_.remove(page);
  for (Simulation& simulation : simulations_) {
    if (simulation.outside.contains(page)) simulation.outside.remove(page);
  }
}

// Out of the real cache. What the simulations still hold may go there whenever they like.
void GuardedPolicy::leave(PageKey page) {
  Slot& slot = slots_[page.value()];
  if (slot.evictable) forbid(page);
  slot.held = false;
  --size_;
  contents_[slot.name.value()].real = false;
  forget_if_unused(slot.name);
}

void GuardedPolicy::choose_leader(bool done) {
  if (!hints_seen_) {
    if (!done) return;
    hints_seen_ = true;
    leader_ = kGuarded;
  }
  const auto leader_faults = static_cast<double>(simulations_[leader_].faults);
  const auto other_faults = static_cast<double>(simulations_[1 - leader_].faults);
  if (leader_faults <= guard_ratio_ * other_faults + guard_slack_ * capacity_) return;
  leader_ = 1 - leader_;
  ++counters_.leader_changes;
}

}  // namespace plait::engine::detail
