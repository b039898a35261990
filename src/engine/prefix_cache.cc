// SPDX-License-Identifier: Apache-2.0
#include "engine/prefix_cache.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/random.h"

namespace plait::engine {
namespace {

/// The index is rebuilt after as many removals as there can be names, but not more often than this.
constexpr std::size_t kRemovalsToCompact = 4096;

/// Names are keys of the index, which has no room for its smallest and largest number.
std::uint64_t as_name(std::uint64_t hash) {
  return std::clamp<std::uint64_t>(hash, 1, std::numeric_limits<std::uint64_t>::max() - 1);
}

std::span<const base::TokenId> page_of(std::span<const base::TokenId> tokens, std::size_t page) {
  return tokens.subspan(page * kPageTokens, kPageTokens);
}

}  // namespace

PrefixCache::PrefixCache(KvMemory& memory, const PrefixCacheOptions& options)
    : memory_(memory), seed_(options.seed), names_(options.seed), main_(memory.used(0) ? 0 : 1) {
  PagePool& pool = memory.pool(main_);
  nodes_.resize(pool.pages());
  node_of_page_.assign(pool.pages(), kRoot);
  for (std::uint32_t slot = pool.pages(); slot > 0; --slot) free_.push_back(slot - 1);
  policy_ = make_eviction_policy(options.policy, {.slots = std::max(1U, pool.pages()), .seed = options.seed});
  pool.watch(this);
}

PrefixCache::~PrefixCache() {
  memory_.pool(main_).watch(nullptr);
  for (const Node& node : nodes_) {
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      if (node.used && node.pages[group] != kNoPage) memory_.pool(group).release(node.pages[group]);
    }
  }
}

PrefixCache::Place PrefixCache::root(std::string_view salt) const {
  std::uint64_t hash = base::mix64(seed_ ^ 0x706c616974ULL);
  for (const char c : salt) hash = base::mix64(hash ^ (static_cast<unsigned char>(c) + 0x100ULL));
  return {.name = as_name(hash)};
}

std::uint64_t PrefixCache::next_name(const Place& place, std::span<const base::TokenId> tokens) const {
  std::uint64_t hash = base::mix64(place.name);
  for (const base::TokenId token : page_of(tokens, place.pages)) {
    hash = base::mix64(hash ^ static_cast<std::uint32_t>(token.value()));
  }
  return as_name(hash);
}

bool PrefixCache::stands(const Place& place) const {
  if (place.node == kRoot) return true;
  return place.node != kLost && nodes_[place.node].used && nodes_[place.node].name == place.name;
}

/// The node behind `place`, or kLost.
std::uint32_t PrefixCache::find(const Place& place, std::span<const base::TokenId> tokens) const {
  const auto slot = names_.find(next_name(place, tokens));
  if (!slot) return kLost;
  const Node& node = nodes_[*slot];
  const bool same = node.parent == place.node && node.parent_name == place.name &&
                    std::ranges::equal(node.tokens, page_of(tokens, place.pages));
  return same ? *slot : kLost;
}

/// How many nodes of the chain can be taken over: those at whose end no page of a window is missing.
std::size_t PrefixCache::usable(const Place& place, const Span& span, std::span<const std::uint32_t> chain) const {
  std::size_t count = chain.size();
  if (!memory_.used(1)) return count;
  for (; count > 0; --count) {
    const std::size_t end = place.pages + count;
    bool whole = true;
    for (std::size_t page = memory_.first_seen(1, end * kPageTokens) / kPageTokens; page < end && whole; ++page) {
      const PageNumber number = page < place.pages ? span.pages(1)[page] : nodes_[chain[page - place.pages]].pages[1];
      whole = number != kNoPage;
    }
    if (whole) break;
  }
  return count;
}

std::size_t PrefixCache::adopt(Place& place, std::span<const base::TokenId> tokens, Span& span, bool done) {
  PLAIT_CHECK(span.length() == place.pages * kPageTokens, span.length(), place.pages);
  ++counters_.lookups;
  chain_.clear();
  if (!stands(place)) return 0;
  for (Place at = place; (at.pages + 1) * kPageTokens < tokens.size();) {
    const std::uint32_t slot = find(at, tokens);
    if (slot == kLost) break;
    chain_.push_back(slot);
    at = {.name = nodes_[slot].name, .node = slot, .pages = at.pages + 1};
  }
  const std::size_t count = usable(place, span, chain_);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t slot = chain_[i];
    span.adopt(nodes_[slot].pages);
    policy_->touch(PageKey(slot), done);
    place = {.name = nodes_[slot].name, .node = slot, .pages = place.pages + 1};
  }
  counters_.tokens_hit += count * kPageTokens;
  return count * kPageTokens;
}

void PrefixCache::publish(Place& place, std::span<const base::TokenId> tokens, const Span& span, bool done) {
  while ((place.pages + 1) * kPageTokens <= span.length() && stands(place)) {
    std::uint32_t slot = find(place, tokens);
    const std::uint64_t name = next_name(place, tokens);
    if (slot == kLost) {
      if (names_.contains(name) || free_.empty()) {  // another text of the same name: this one stays unknown
        place.node = kLost;
        return;
      }
      slot = add(place, name, tokens);
      hold(nodes_[slot], slot, main_, span.pages(main_)[place.pages]);
      policy_->insert(PageKey(slot), ContentId(name), done);
    }
    Node& node = nodes_[slot];
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      if (!memory_.used(group) || node.pages[group] != kNoPage) continue;
      hold(node, slot, group, span.pages(group)[place.pages]);
    }
    refresh(slot);
    place = {.name = name, .node = slot, .pages = place.pages + 1};
  }
}

std::uint32_t PrefixCache::add(const Place& place, std::uint64_t name, std::span<const base::TokenId> tokens) {
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  Node& node = nodes_[slot];
  node = {.name = name, .parent_name = place.name, .parent = place.node, .used = true};
  std::ranges::copy(page_of(tokens, place.pages), node.tokens.begin());
  names_.insert_or_assign(name, slot);
  ++nodes_used_;
  ++counters_.pages_added;
  if (place.node != kRoot) {
    ++nodes_[place.node].children;
    refresh(place.node);
  }
  return slot;
}

void PrefixCache::hold(Node& node, std::uint32_t slot, std::size_t group, PageNumber page) {
  if (page == kNoPage) return;
  node.pages[group] = page;
  if (group == main_) {
    PLAIT_CHECK(node_of_page_[page] == kRoot, page);
    memory_.pool(group).retain(page);  // before it is ours, so that nobody is told
    node_of_page_[page] = slot;
  } else {
    memory_.pool(group).retain(page);
  }
}

/// A node can leave if nothing stands on it and nobody else has its page.
void PrefixCache::refresh(std::uint32_t slot) {
  if (slot == kRoot || !policy_->holds(PageKey(slot))) return;
  const Node& node = nodes_[slot];
  const bool alone = memory_.pool(main_).count(node.pages[main_]) == 1;
  policy_->set_evictable(PageKey(slot), alone && node.children == 0);
}

void PrefixCache::remove(std::uint32_t slot) {
  Node& node = nodes_[slot];
  PLAIT_CHECK(node.used && node.children == 0, slot, node.children);
  names_.remove(node.name);
  if (++removals_ >= kRemovalsToCompact && removals_ >= nodes_.size()) {
    names_.compact();  // removed names leave their places behind
    removals_ = 0;
  }
  node.used = false;
  node_of_page_[node.pages[main_]] = kRoot;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (node.pages[group] != kNoPage) memory_.pool(group).release(node.pages[group]);
  }
  free_.push_back(slot);
  --nodes_used_;
  ++counters_.pages_evicted;
  if (node.parent != kRoot) {
    --nodes_[node.parent].children;
    refresh(node.parent);
  }
}

void PrefixCache::drop_window_pages(std::uint32_t wanted) {
  PagePool& pool = memory_.pool(1);
  for (std::size_t i = 0; i < nodes_.size() && pool.free_pages() < wanted; ++i) {
    Node& node = nodes_[window_hand_];
    window_hand_ = (window_hand_ + 1) % static_cast<std::uint32_t>(nodes_.size());
    if (!node.used || main_ == 1 || node.pages[1] == kNoPage || pool.count(node.pages[1]) > 1) continue;
    pool.release(node.pages[1]);
    node.pages[1] = kNoPage;
  }
}

void PrefixCache::step_back(Place& place, std::size_t pages) const {
  if (place.pages > pages && !stands(place)) place.node = kLost;
  while (place.pages > pages) {
    --place.pages;
    if (place.node == kLost) continue;
    const Node& node = nodes_[place.node];
    place = {.name = node.parent_name, .node = node.parent, .pages = place.pages};
  }
}

bool PrefixCache::make_room(const PageCounts& pages) {
  if (memory_.pool(1).free_pages() < pages[1]) drop_window_pages(pages[1]);
  while (!memory_.has(pages)) {
    const auto victim = policy_->victim();
    if (!victim) return false;
    remove(victim->value());
  }
  return true;
}

void PrefixCache::withdraw(Place& place, const Span& span) {
  while (place.pages > 0 && stands(place)) {
    const std::uint32_t slot = place.node;
    const PageNumber page = span.pages(main_)[place.pages - 1];
    const Node& node = nodes_[slot];
    if (node.children > 0 || node.pages[main_] != page || memory_.pool(main_).count(page) > 2) return;
    step_back(place, place.pages - 1);
    if (policy_->holds(PageKey(slot))) policy_->erase(PageKey(slot));
    remove(slot);
  }
}

void PrefixCache::clear() {
  while (const auto victim = policy_->victim()) remove(victim->value());
}

PageCounts PrefixCache::reclaimable() const {
  // A node cannot leave before those that stand on it. Who has such a page has the pages before it too, but perhaps on
  // pages of its own: computed at the same time, or read back from the host tier.
  std::vector<bool> stays(nodes_.size());
  for (std::uint32_t slot = 0; slot < nodes_.size(); ++slot) {
    if (!nodes_[slot].used || memory_.pool(main_).count(nodes_[slot].pages[main_]) == 1) continue;
    for (std::uint32_t at = slot; at != kRoot && !stays[at]; at = nodes_[at].parent) stays[at] = true;
  }
  PageCounts counts = {};
  for (std::uint32_t slot = 0; slot < nodes_.size(); ++slot) {
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      const PageNumber page = nodes_[slot].pages[group];
      if (!nodes_[slot].used || page == kNoPage || (group == main_ && stays[slot])) continue;
      counts[group] += memory_.pool(group).count(page) == 1 ? 1 : 0;
    }
  }
  return counts;
}

void PrefixCache::count_pages(std::size_t group, std::vector<std::uint32_t>& counts) const {
  for (const Node& node : nodes_) {
    if (node.used && node.pages[group] != kNoPage) ++counts[node.pages[group]];
  }
}

void PrefixCache::check_invariants() const {
  std::vector<std::uint32_t> children(nodes_.size());
  std::size_t used = 0;
  for (std::uint32_t slot = 0; slot < nodes_.size(); ++slot) {
    const Node& node = nodes_[slot];
    if (!node.used) continue;
    ++used;
    PLAIT_CHECK(names_.find(node.name) == slot, slot);
    PLAIT_CHECK(node.pages[main_] != kNoPage && node_of_page_[node.pages[main_]] == slot, slot);
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      if (node.pages[group] != kNoPage) PLAIT_CHECK(memory_.pool(group).count(node.pages[group]) > 0, slot);
    }
    if (node.parent == kRoot) continue;
    PLAIT_CHECK(nodes_[node.parent].used && nodes_[node.parent].name == node.parent_name, slot, node.parent);
    ++children[node.parent];
  }
  PLAIT_CHECK(used == nodes_used_ && used + free_.size() == nodes_.size(), used, nodes_used_, free_.size());
  for (std::uint32_t slot = 0; slot < nodes_.size(); ++slot) {
    if (nodes_[slot].used) PLAIT_CHECK(nodes_[slot].children == children[slot], slot);
  }
}

}  // namespace plait::engine
