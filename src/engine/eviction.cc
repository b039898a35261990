// SPDX-License-Identifier: Apache-2.0
//
// Every policy but the guard is a set of rules: where an evictable page stands (`add`, `remove`), what a request
// changes (`request`), and which page goes (`choose`). RulePolicy keeps what they share: who is held and who may go.
//
// Phases. Marks are phase numbers, so beginning a phase is one increment and one swap of the set of marked pages with
// the set of unmarked ones, which is empty then. A page that is loaded is marked, so an unmarked page in the cache was
// there when its phase began. Mark0's rule for a page that returns after having been thrown out in the same phase ("a
// random unmarked page of those present when the phase began") therefore draws from the same set as its general rule,
// and no memory of absent pages is needed; eviction_test.cc plays both forms against each other.
//
// Flush in pieces. Where the paper empties the cache, every page that is here becomes `given up` and leaves when room
// is needed, unless it is requested before. The pages that are not given up are exactly the paper's cache, so there are
// never more faults than the paper's, and no long pause.
#include "engine/eviction.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "engine/detail/guarded_policy.h"
#include "engine/detail/indexed_set.h"
#include "engine/detail/recency_heap.h"

namespace plait::engine {
namespace {

using detail::IndexedSet;
using detail::RecencyHeap;

/// Counted draws of a seed.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}
  /// A random member. Requires: not empty.
  PageKey member(const IndexedSet& set) {
    const std::uint64_t high = base::random_u64(seed_, counter_++) >> 32U;
    return set[static_cast<std::size_t>(high * set.size() >> 32U)];
  }

 private:
  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
};

class LruRules {
 public:
  explicit LruRules(const EvictionOptions& options) : time_(options.slots), pages_(options.slots) {}
  void request(PageKey page, bool) { time_[page.value()] = ++now_; }
  void note(PageKey, bool) {}
  void add(PageKey page) { pages_.add(page, time_[page.value()]); }
  void remove(PageKey page) { pages_.remove(page); }
  std::optional<PageKey> choose() {
    if (pages_.empty()) return std::nullopt;
    return pages_.oldest();
  }

 private:
  std::uint64_t now_ = 0;
  std::vector<std::uint64_t> time_;  ///< [slot]
  RecencyHeap pages_;
};

class FlushRules {
 public:
  explicit FlushRules(const EvictionOptions& options)
      : pages_(options.slots), kept_(options.slots), done_(options.slots), given_up_(options.slots) {}
  void request(PageKey page, bool done) { pages_[page.value()] = {.time = ++now_, .flush = flush_, .done = done}; }
  void note(PageKey page, bool done) { pages_[page.value()].done = done; }
  void add(PageKey page) { home(page).add(page, pages_[page.value()].time); }
  void remove(PageKey page) { home(page).remove(page); }
  std::optional<PageKey> choose() {
    if (given_up_.empty() && done_.empty()) {
      ++flush_;
      std::swap(kept_, given_up_);
    }
    if (!given_up_.empty()) return given_up_.oldest();
    if (!done_.empty()) return done_.oldest();
    return std::nullopt;
  }

 private:
  struct Page {
    std::uint64_t time = 0;
    std::uint64_t flush = 0;  ///< Flushes before its last request: with fewer than now, it is given up.
    bool done = false;
  };
  RecencyHeap& home(PageKey key) {
    const Page& page = pages_[key.value()];
    return page.flush < flush_ ? given_up_ : page.done ? done_ : kept_;
  }

  std::uint64_t now_ = 0;
  std::uint64_t flush_ = 0;
  std::vector<Page> pages_;  ///< [slot]
  RecencyHeap kept_;
  RecencyHeap done_;
  RecencyHeap given_up_;
};

/// Marking, and the two that are marking with bits.
enum class Bits {
  ignored,       ///< Random marking.
  before_marks,  ///< Mark0: a done page goes whether marked or not.
  among_marks,   ///< Mark&Predict: a done page goes before other unmarked ones.
};

template <Bits kBits>
class MarkingRules {
 public:
  explicit MarkingRules(const EvictionOptions& options)
      : draws_(options.seed), pages_(options.slots), unmarked_(options.slots), marked_(options.slots) {}
  void request(PageKey page, bool done) { pages_[page.value()] = {.phase = phase_, .done = done}; }
  void note(PageKey page, bool done) { pages_[page.value()].done = done; }
  void add(PageKey page) { home(page).add(page); }
  void remove(PageKey page) { home(page).remove(page); }
  std::optional<PageKey> choose() {
    if constexpr (kBits == Bits::before_marks) {
      if (!marked_.done.empty()) return draws_.member(marked_.done);  // unmarked done pages stand there as well
    }
    if (unmarked_.empty()) {
      if (marked_.empty()) return std::nullopt;
      ++phase_;
      std::swap(marked_, unmarked_);
    }
    return draws_.member(unmarked_.done.empty() ? unmarked_.kept : unmarked_.done);
  }

 private:
  struct Page {
    std::uint64_t phase = 0;  ///< Marked when it is the present one.
    bool done = false;
  };
  struct Pair {
    explicit Pair(std::uint32_t slots) : kept(slots), done(kBits == Bits::ignored ? 0 : slots) {}
    [[nodiscard]] bool empty() const { return kept.empty() && done.empty(); }
    IndexedSet kept;
    IndexedSet done;
  };
  IndexedSet& home(PageKey key) {
    const Page& page = pages_[key.value()];
    const bool done = kBits != Bits::ignored && page.done;
    const bool marked = page.phase == phase_ || (kBits == Bits::before_marks && done);
    Pair& pair = marked ? marked_ : unmarked_;
    return done ? pair.done : pair.kept;
  }

  Draws draws_;
  std::uint64_t phase_ = 1;
  std::vector<Page> pages_;  ///< [slot]
  Pair unmarked_;
  Pair marked_;
};

template <class Rules>
class RulePolicy final : public EvictionPolicy {
 public:
  explicit RulePolicy(const EvictionOptions& options) : state_(options.slots, State::absent), rules_(options) {}

  void insert(PageKey page, ContentId, bool done) override {
    PLAIT_CHECK(page.value() < state_.size() && !holds(page), page.value(), state_.size());
    state_[page.value()] = State::evictable;
    ++size_;
    rules_.request(page, done);
    rules_.add(page);
  }
  void touch(PageKey page, bool done) override {
    change(page, [&] { rules_.request(page, done); });
  }
  void set_done(PageKey page, bool done) override {
    change(page, [&] { rules_.note(page, done); });
  }
  void set_evictable(PageKey page, bool evictable) override {
    PLAIT_CHECK(holds(page), page.value());
    const State wanted = evictable ? State::evictable : State::pinned;
    if (state_[page.value()] == wanted) return;
    state_[page.value()] = wanted;
    if (evictable) {
      rules_.add(page);
    } else {
      rules_.remove(page);
    }
  }
  std::optional<PageKey> victim() override {
    const std::optional<PageKey> page = rules_.choose();
    if (!page) return page;
    erase(*page);
    ++victims_;
    return page;
  }
  void erase(PageKey page) override {
    PLAIT_CHECK(holds(page), page.value());
    if (state_[page.value()] == State::evictable) rules_.remove(page);
    state_[page.value()] = State::absent;
    --size_;
  }
  void set_capacity(std::uint32_t capacity) override {
    PLAIT_CHECK(capacity >= 1 && capacity <= state_.size(), capacity, state_.size());
  }
  [[nodiscard]] std::uint32_t size() const override { return size_; }
  [[nodiscard]] bool holds(PageKey page) const override {
    return page.value() < state_.size() && state_[page.value()] != State::absent;
  }
  [[nodiscard]] EvictionCounters counters() const override { return {.victims = victims_}; }

 private:
  enum class State : std::uint8_t { absent, pinned, evictable };

  // A page stands where its marks and bits say: it leaves its set before they change and joins the one that is right.
  template <class Change>
  void change(PageKey page, Change&& apply) {
    PLAIT_CHECK(holds(page), page.value());
    const bool evictable = state_[page.value()] == State::evictable;
    if (evictable) rules_.remove(page);
    apply();
    if (evictable) rules_.add(page);
  }

  std::vector<State> state_;  ///< [slot]
  std::uint32_t size_ = 0;
  std::uint64_t victims_ = 0;
  Rules rules_;
};

constexpr std::uint32_t kSlotsMax = 1U << 29U;  // the guard's simulations have up to three names for each slot

std::unique_ptr<EvictionPolicy> make_guarded(const EvictionOptions& options) {
  PLAIT_CHECK(options.guarded != EvictionKind::guarded);
  PLAIT_CHECK(options.slots <= kSlotsMax, options.slots);
  EvictionOptions simulated = options;
  simulated.slots = detail::GuardedPolicy::names(options.slots);
  simulated.capacity = 0;
  const auto make = [&](EvictionKind kind) { return make_eviction_policy(kind, simulated); };
  return std::make_unique<detail::GuardedPolicy>(make(options.guarded), make(EvictionKind::lru), options);
}

}  // namespace

std::string_view name(EvictionKind kind) {
  switch (kind) {
    case EvictionKind::lru:
      return "lru";
    case EvictionKind::marking:
      return "marking";
    case EvictionKind::flush:
      return "flush";
    case EvictionKind::mark0:
      return "mark0";
    case EvictionKind::mark_predict:
      return "mark_predict";
    case EvictionKind::guarded:
      return "guarded";
  }
  return "";
}

std::optional<EvictionKind> eviction_kind(std::string_view text) {
  for (const EvictionKind kind : kEvictionKinds) {
    if (name(kind) == text) return kind;
  }
  return std::nullopt;
}

std::unique_ptr<EvictionPolicy> make_eviction_policy(EvictionKind kind, const EvictionOptions& options) {
  PLAIT_CHECK(options.slots >= 1 && options.capacity <= options.slots, options.slots, options.capacity);
  switch (kind) {
    case EvictionKind::lru:
      return std::make_unique<RulePolicy<LruRules>>(options);
    case EvictionKind::marking:
      return std::make_unique<RulePolicy<MarkingRules<Bits::ignored>>>(options);
    case EvictionKind::flush:
      return std::make_unique<RulePolicy<FlushRules>>(options);
    case EvictionKind::mark0:
      return std::make_unique<RulePolicy<MarkingRules<Bits::before_marks>>>(options);
    case EvictionKind::mark_predict:
      return std::make_unique<RulePolicy<MarkingRules<Bits::among_marks>>>(options);
    case EvictionKind::guarded:
      break;
  }
  return make_guarded(options);
}

}  // namespace plait::engine
