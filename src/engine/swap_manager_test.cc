// SPDX-License-Identifier: Apache-2.0
#include "engine/swap_manager.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>

#include "base/random.h"
#include "os/page_buffer.h"
#include "testing/fake_tier.h"
#include "testing/temp_dir.h"

namespace plait::engine {
namespace {

using Kind = SwapManager::Event::Kind;
using State = SwapManager::State;
using Pages = std::vector<std::uint32_t>;
using Words = std::vector<std::uint64_t>;

constexpr std::uint32_t kPageTokens = 4;
constexpr std::size_t kTokenBytes = 8;
constexpr std::size_t kPageBytes = kPageTokens * kTokenBytes;

// A pool of pages in which a token is one word.
struct Memory {
  explicit Memory(std::uint32_t count) : bytes(count * kPageBytes) {}
  [[nodiscard]] PageMemory view() { return {bytes, kPageBytes}; }
  void write(const Pages& pages, std::uint64_t first_page, const Words& words, std::size_t from = 0) {
    for (std::size_t token = std::max<std::size_t>(from, first_page * kPageTokens); token < words.size(); ++token) {
      std::memcpy(at(pages, first_page, token), &words[token], kTokenBytes);
    }
  }
  [[nodiscard]] bool holds(const Pages& pages, std::uint64_t first_page, const Words& words) {
    for (std::size_t token = first_page * kPageTokens; token < words.size(); ++token) {
      if (std::memcmp(at(pages, first_page, token), &words[token], kTokenBytes) != 0) return false;
    }
    return true;
  }
  std::byte* at(const Pages& pages, std::uint64_t first_page, std::size_t token) {
    return &bytes[pages.at(token / kPageTokens - first_page) * kPageBytes + token % kPageTokens * kTokenBytes];
  }
  std::vector<std::byte> bytes;
};

Words words(std::uint64_t seed, std::size_t count) {
  Words all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = base::random_u64(seed, i);
  return all;
}

Pages range(std::uint32_t first, std::uint32_t count) {
  Pages pages(count);
  std::iota(pages.begin(), pages.end(), first);
  return pages;
}

SwapManager::Leaver leaver(const Pages& pages, std::uint64_t tokens, std::int64_t priority = 0) {
  return {.pages = pages, .first_page = 0, .tokens = tokens, .priority = priority};
}

// A manager over a pool of 32 pages and a fake tier.
struct Bench {
  explicit Bench(std::uint32_t slots, const SwapOptions& options = {.page_tokens = kPageTokens, .reserve_pages = 0},
                 const testing::FakeTierOptions& tier_options = {})
      : tier(slots, kPageBytes, tier_options), swap(memory.view(), tier, options) {}
  // Out and, after some other use of its pages, in again at `destination`.
  void out_and_in(SwapManager::Sequence sequence, const Pages& pages, std::uint64_t tokens, const Pages& destination) {
    ASSERT_TRUE(swap.swap_out(sequence, leaver(pages, tokens)));
    swap.finish(sequence);
    for (const std::uint32_t page : pages) std::memset(memory.bytes.data() + page * kPageBytes, 0x77, kPageBytes);
    swap.swap_in(sequence, destination);
    swap.finish(sequence);
  }
  Memory memory{32};
  testing::FakeTier tier;
  SwapManager swap;
};

TEST(SwapManager, CopiesRunsNotPages) {
  for (const bool join : {true, false}) {
    Bench bench(32, {.page_tokens = kPageTokens, .join_pages = join});
    const Words content = words(1, 30);
    const Pages pages = {4, 5, 6, 7, 20, 21, 22, 9};
    bench.memory.write(pages, 0, content);
    bench.out_and_in(1, pages, 30, range(10, 8));
    EXPECT_TRUE(bench.memory.holds(range(10, 8), 0, content));
    EXPECT_EQ(bench.swap.counters().operations_out, join ? 3U : 8U);
    EXPECT_EQ(bench.swap.counters().operations_in, join ? 1U : 8U);
    EXPECT_EQ(bench.swap.counters().bytes_out, 8 * kPageBytes);
    EXPECT_EQ(bench.swap.poll(), (std::vector<SwapManager::Event>{{Kind::left, 1}, {Kind::returned, 1}}));
  }
}

TEST(SwapManager, CopiesOnlyWhatChanged) {
  Bench bench(32);
  Words content = words(1, 30);
  bench.memory.write(range(0, 8), 0, content);
  bench.out_and_in(1, range(0, 8), 30, range(8, 8));
  EXPECT_EQ(bench.swap.counters().bytes_out, 8 * kPageBytes);

  bench.out_and_in(1, range(8, 8), 30, range(0, 8));  // nothing new: nothing is written
  EXPECT_EQ(bench.swap.counters().bytes_out, 8 * kPageBytes);
  EXPECT_EQ(bench.swap.counters().bytes_reused, 8 * kPageBytes);
  EXPECT_TRUE(bench.memory.holds(range(0, 8), 0, content));

  const Words longer = words(1, 35);  // the last page gets two more tokens, and one more page three
  bench.memory.write(range(0, 9), 0, longer, 30);
  bench.out_and_in(1, range(0, 9), 35, range(16, 9));
  EXPECT_EQ(bench.swap.counters().bytes_out, 10 * kPageBytes);
  EXPECT_TRUE(bench.memory.holds(range(16, 9), 0, longer));

  bench.swap.trim(1, 13);  // after a speculation that failed: other tokens follow
  Words other = words(2, 20);
  std::copy_n(longer.begin(), 13, other.begin());
  bench.memory.write(range(16, 5), 0, other, 13);
  bench.out_and_in(1, range(16, 5), 20, range(0, 5));
  EXPECT_EQ(bench.swap.counters().bytes_out, 12 * kPageBytes);
  EXPECT_TRUE(bench.memory.holds(range(0, 5), 0, other));

  bench.swap.invalidate_from(1, 9);  // edited in place
  for (std::size_t i = 9; i < 20; ++i) other[i] ^= 1;
  bench.memory.write(range(0, 5), 0, other, 9);
  bench.out_and_in(1, range(0, 5), 20, range(8, 5));
  EXPECT_EQ(bench.swap.counters().bytes_out, 15 * kPageBytes);
  EXPECT_TRUE(bench.memory.holds(range(8, 5), 0, other));
}

TEST(SwapManager, WithoutReuseEverythingIsCopiedAgain) {
  Bench bench(32, {.page_tokens = kPageTokens, .reuse = false});
  bench.out_and_in(1, range(0, 8), 32, range(8, 8));
  EXPECT_EQ(bench.tier.space().available(), 32U);
  bench.out_and_in(1, range(8, 8), 32, range(0, 8));
  EXPECT_EQ(bench.swap.counters().bytes_out, 16 * kPageBytes);
}

TEST(SwapManager, AReserveKeepsTheCopyInOnePiece) {
  for (const std::uint32_t reserve : {0U, 4U}) {
    Bench bench(32, {.page_tokens = kPageTokens, .reserve_pages = reserve});
    bench.out_and_in(1, range(0, 4), 16, range(0, 4));
    bench.out_and_in(2, range(8, 4), 16, range(8, 4));
    const std::uint64_t before = bench.swap.counters().operations_in;
    bench.out_and_in(1, range(0, 8), 32, range(0, 8));
    EXPECT_EQ(bench.swap.counters().operations_in - before, reserve == 0 ? 2U : 1U);
  }
}

TEST(SwapManager, ACopyOfSmallerPriorityGivesWay) {
  Bench bench(12);
  const Words content = words(5, 32);
  bench.memory.write(range(0, 8), 0, content);
  bench.out_and_in(1, range(0, 8), 32, range(0, 8));
  EXPECT_EQ(bench.swap.swap_out(2, leaver(range(8, 6), 24, 0)).error().code, base::ErrorCode::out_of_resources);
  EXPECT_EQ(bench.swap.state(2), State::resident);
  bench.memory.write(range(0, 8), 0, content);
  ASSERT_TRUE(bench.swap.swap_out(2, leaver(range(8, 6), 24, 1)));
  EXPECT_EQ(bench.swap.counters().pages_contaminated, 2U);
  bench.swap.finish(2);
  // Now 1 does not fit, and 2 is out: its slots hold the only copy.
  EXPECT_EQ(bench.swap.swap_out(1, leaver(range(0, 8), 32, 9)).error().code, base::ErrorCode::out_of_resources);
  bench.swap.swap_in(2, range(8, 6));
  bench.swap.finish(2);
  const std::uint64_t before = bench.swap.counters().bytes_out;
  ASSERT_TRUE(bench.swap.swap_out(1, leaver(range(0, 8), 32, 9)));
  EXPECT_EQ(bench.swap.counters().bytes_out - before, 2 * kPageBytes);  // the contaminated ones
  bench.swap.finish(1);
  bench.swap.swap_in(1, range(16, 8));
  bench.swap.finish(1);
  EXPECT_TRUE(bench.memory.holds(range(16, 8), 0, content));
}

TEST(SwapManager, PagesAreBusyUntilTheirOwnCopyIsDone) {
  Bench bench(32, {.page_tokens = kPageTokens}, {.seed = 4, .delay_ticks_max = 1000});
  const Pages scattered = {0, 2, 4, 6, 8, 10, 12, 14};
  ASSERT_TRUE(bench.swap.swap_out(1, leaver(scattered, 32)));
  EXPECT_EQ(bench.tier.in_flight(), 8U);
  EXPECT_TRUE(bench.swap.busy(4));
  EXPECT_FALSE(bench.swap.busy(5));
  EXPECT_EQ(bench.swap.bytes_left(1), 8 * kPageBytes);
  bench.swap.wait_for_pages(std::vector<PageRun>{{5, 1}});
  EXPECT_EQ(bench.swap.counters().waits, 0U);
  bool left_early = false;
  for (const std::uint32_t page : scattered) {
    bench.swap.wait_for_pages(std::vector<PageRun>{{page, 1}});
    EXPECT_FALSE(bench.swap.busy(page));
    left_early = left_early || bench.tier.in_flight() > 0;
  }
  EXPECT_TRUE(left_early);  // it did not wait for all of them
  EXPECT_EQ(bench.swap.state(1), State::out);
  EXPECT_EQ(bench.swap.bytes_left(1), 0U);
}

TEST(SwapManager, AnErrorMeansRecompute) {
  for (const bool at_write : {true, false}) {
    Bench bench(32);
    bench.tier.set_error_rates(at_write ? 1 : 0, at_write ? 0 : 1);
    ASSERT_TRUE(bench.swap.swap_out(1, leaver(range(0, 8), 32)));
    bench.swap.swap_in(1, range(8, 8));
    EXPECT_EQ(bench.swap.state(1), State::returning);
    bench.swap.finish(1);
    EXPECT_EQ(bench.swap.poll(), (std::vector<SwapManager::Event>{{Kind::recompute_needed, 1}}));
    EXPECT_EQ(bench.swap.state(1), State::resident);
    EXPECT_EQ(bench.swap.counters().recomputes, 1U);
    EXPECT_EQ(bench.tier.space().available(), 32U);
    bench.tier.set_error_rates(0, 0);
    const Words content = words(3, 32);
    bench.memory.write(range(8, 8), 0, content);
    bench.out_and_in(1, range(8, 8), 32, range(0, 8));
    EXPECT_TRUE(bench.memory.holds(range(0, 8), 0, content));
  }
}

TEST(SwapManager, AForgottenSequenceGivesItsSlotsBackWhenTheyAreIdle) {
  Bench bench(8);
  ASSERT_TRUE(bench.swap.swap_out(1, leaver(range(0, 8), 32)));
  bench.swap.forget(1);
  EXPECT_EQ(bench.tier.space().available(), 0U);
  EXPECT_FALSE(bench.swap.swap_out(2, leaver(range(8, 1), 4, 99)));
  bench.swap.wait_for_pages(std::vector<PageRun>{{0, 8}});
  EXPECT_EQ(bench.tier.space().available(), 8U);
  EXPECT_TRUE(bench.swap.poll().empty());
}

TEST(SwapManager, WorksOnARealFile) {
  const testing::TempDir folder;
  os::PageBuffer buffer(32 * 8192);
  const PageMemory memory({buffer.data(), buffer.size()}, 8192);
  for (const bool use_io_uring : {true, false}) {
    auto tier = FileTier::make(folder.path(), 32, 8192, {.use_io_uring = use_io_uring}).value();
    SwapManager swap(memory, *tier, {});
    for (std::uint32_t page = 0; page < 8; ++page) std::memset(memory.bytes(page).data(), static_cast<int>(page), 8192);
    ASSERT_TRUE(swap.swap_out(1, leaver(range(0, 8), 128)));
    swap.swap_in(1, Pages{31, 30, 29, 20, 21, 22, 23, 24});
    swap.finish(1);
    EXPECT_EQ(swap.poll(), (std::vector<SwapManager::Event>{{Kind::returned, 1}}));
    EXPECT_EQ(std::memcmp(memory.bytes(20, 5).data(), memory.bytes(3, 5).data(), 5 * 8192), 0);
    EXPECT_EQ(std::memcmp(memory.bytes(31).data(), memory.bytes(0).data(), 8192), 0);
    EXPECT_EQ(swap.counters().operations_out, 1U);
    EXPECT_EQ(swap.counters().operations_in, 4U);
  }
}

// Random histories of a few sequences on a small pool. The model is the plain list of words that each should hold.
class History {
 public:
  History(std::uint64_t seed, bool errors)
      : seed_(seed),
        errors_(errors),
        pool_(kPages, 1 + below(6)),
        tier_(8 + below(40), kPageBytes,
              {.seed = seed,
               .delay_ticks_max = 1 + below(60),
               .write_error_rate = errors ? 0.03 : 0,
               .read_error_rate = errors ? 0.03 : 0}),
        swap_(memory_.view(), tier_, options()) {}

  void step() {
    const SwapManager::Sequence id = below(6);
    Chat& chat = chats_[id];
    switch (below(9)) {
      case 0:
      case 1:
      case 2:
        if (chat.state == State::resident) append(chat, 1 + below(9));
        break;
      case 3:
        if (chat.state == State::resident) swap_out(id, chat);
        break;
      case 4:
        if (chat.state == State::leaving || chat.state == State::out) swap_in(id, chat);
        break;
      case 5:
        if (below(3) == 0) trim(id, chat);
        break;
      case 6:
        if (chat.state == State::resident) edit_or_slide(id, chat);
        break;
      case 7:
        if (below(6) == 0) forget(id, chat);
        break;
      default:
        tier_.advance(below(25));
        take(swap_.poll());
    }
  }

  void check() {
    pool_.check_invariants();
    tier_.space().check_invariants();
    ASSERT_EQ(tier_.conflicts(), 0);
    for (const auto& [id, chat] : chats_) {
      // An event may be waiting that the model has not heard of; states agree after the next poll().
      if (chat.state != State::resident) continue;
      ASSERT_EQ(swap_.state(id), State::resident) << id;
      ASSERT_TRUE(memory_.holds(chat.pages, chat.first_page, chat.words)) << "sequence " << id;
    }
  }

  // Everything comes back, is compared, and goes.
  void finish() {
    for (auto& [id, chat] : chats_) {
      swap_.finish(id);
      take(swap_.poll());
      if (chat.state == State::out) {
        // Others make room: a pool that is full of resident sequences has no place to return to.
        for (auto& [other, occupant] : chats_) {
          if (other != id && occupant.state == State::resident) forget(other, occupant);
        }
        swap_in(id, chat);
        swap_.finish(id);
        take(swap_.poll());
      }
      if (chat.state == State::resident) {
        ASSERT_TRUE(memory_.holds(chat.pages, chat.first_page, chat.words)) << id;
      }
      forget(id, chat);
    }
    swap_.wait_for_pages(std::vector<PageRun>{{0, kPages}});
    ASSERT_EQ(tier_.in_flight(), 0U);
    ASSERT_EQ(tier_.space().available(), tier_.slots());
    ASSERT_EQ(pool_.available(), kPages);
    ASSERT_TRUE(errors_ || swap_.counters().recomputes == 0);
  }
  [[nodiscard]] const SwapCounters& counters() const { return swap_.counters(); }

 private:
  static constexpr std::uint32_t kPages = 40;

  struct Chat {
    State state = State::resident;
    Words words = {};
    std::uint32_t first_page = 0;
    Pages pages = {};               // what it holds now, or will when it has returned
    RunAllocator::Owner owner = 0;  // of its pages in the pool
  };

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(base::random_u64(seed_, draws_++) % n); }
  SwapOptions options() {
    return {.page_tokens = kPageTokens,
            .join_pages = below(4) != 0,
            .reuse = below(4) != 0,
            .reserve_pages = below(2) == 0 ? std::optional<std::uint32_t>() : below(9)};
  }

  // Pages from the pool, idle; nothing when it is full.
  std::optional<Pages> allocate(RunAllocator::Owner owner, std::size_t count) {
    const auto fresh = pool_.grow(owner, static_cast<std::uint32_t>(count));
    if (!fresh) return std::nullopt;
    swap_.wait_for_pages(*fresh);
    Pages pages;
    for (const PageRun& run : *fresh) {
      for (std::uint32_t page = run.first; page < run.end(); ++page) {
        EXPECT_FALSE(swap_.busy(page));
        // Whoever has a page now may write it: a copy that is still under way would show this.
        std::memset(memory_.bytes.data() + page * kPageBytes, 0x99, kPageBytes);
        pages.push_back(page);
      }
    }
    return pages;
  }

  static std::size_t pages_of(const Chat& chat) {
    return (chat.words.size() + kPageTokens - 1) / kPageTokens - chat.first_page;
  }

  void append(Chat& chat, std::size_t tokens) {
    if (chat.pages.empty()) chat.owner = ++owners_;
    const std::size_t before = chat.words.size();
    for (std::size_t i = 0; i < tokens; ++i) chat.words.push_back(base::random_u64(seed_, draws_++));
    const auto fresh = allocate(chat.owner, pages_of(chat) - chat.pages.size());
    if (!fresh) return chat.words.resize(before);
    chat.pages.insert(chat.pages.end(), fresh->begin(), fresh->end());
    memory_.write(chat.pages, chat.first_page, chat.words, before);
  }

  void swap_out(SwapManager::Sequence id, Chat& chat) {
    const SwapManager::Leaver what{.pages = chat.pages,
                                   .first_page = chat.first_page,
                                   .tokens = chat.words.size(),
                                   .priority = static_cast<std::int64_t>(below(3))};
    if (!swap_.swap_out(id, what)) return;
    // The pages are promised to others while they are still being read.
    pool_.release(chat.owner);
    chat.pages.clear();
    chat.state = State::leaving;
  }

  void swap_in(SwapManager::Sequence id, Chat& chat) {
    const RunAllocator::Owner owner = ++owners_;
    auto pages = allocate(owner, pages_of(chat));  // may wait, and so lose the sequence to an error
    if (!pages) return;
    take(swap_.poll());
    if (chat.state != State::leaving && chat.state != State::out) return pool_.release(owner);
    chat.owner = owner;
    chat.pages = *std::move(pages);
    chat.state = State::returning;
    swap_.swap_in(id, chat.pages);
  }

  void trim(SwapManager::Sequence id, Chat& chat) {
    const std::size_t first = chat.first_page * kPageTokens;
    if (chat.words.size() <= first) return;
    chat.words.resize(first + below(static_cast<std::uint32_t>(chat.words.size() - first)));
    swap_.trim(id, chat.words.size());
    if (chat.pages.size() > pages_of(chat)) {
      pool_.trim(chat.owner, static_cast<std::uint32_t>(chat.pages.size() - pages_of(chat)), below(4));
      chat.pages.resize(pages_of(chat));
    }
  }

  void edit_or_slide(SwapManager::Sequence id, Chat& chat) {
    if (chat.pages.size() < 2) return;
    if (below(2) == 0) {
      const std::size_t from = chat.first_page * kPageTokens + below(kPageTokens + 3);
      if (from >= chat.words.size()) return;
      for (std::size_t i = from; i < chat.words.size(); ++i) chat.words[i] = base::random_u64(seed_, draws_++);
      memory_.write(chat.pages, chat.first_page, chat.words, from);
      swap_.invalidate_from(id, from);
    } else {
      pool_.release_front(chat.owner, 1);
      chat.pages.erase(chat.pages.begin());
      ++chat.first_page;
    }
  }

  void forget(SwapManager::Sequence id, Chat& chat) {
    swap_.forget(id);
    if (!chat.pages.empty()) pool_.release(chat.owner);
    chat = {};
  }

  void take(const std::vector<SwapManager::Event>& events) {
    for (const auto& [kind, id] : events) {
      Chat& chat = chats_[id];
      if (kind == Kind::left) {
        if (chat.state == State::leaving) chat.state = State::out;
      } else if (kind == Kind::returned) {
        ASSERT_EQ(chat.state, State::returning);
        chat.state = State::resident;
      } else {
        recompute(id, chat);
      }
    }
  }

  void recompute(SwapManager::Sequence id, Chat& chat) {
    ASSERT_TRUE(errors_);
    ASSERT_NE(chat.state, State::resident);
    const bool has_pages = chat.state == State::returning;
    chat.state = State::resident;
    if (has_pages) return memory_.write(chat.pages, chat.first_page, chat.words);
    forget(id, chat);
  }

  const std::uint64_t seed_;
  const bool errors_;
  std::uint64_t draws_ = 0;
  Memory memory_{kPages};
  RunAllocator pool_;
  testing::FakeTier tier_;
  SwapManager swap_;
  std::map<SwapManager::Sequence, Chat> chats_;
  RunAllocator::Owner owners_ = 0;
};

TEST(SwapManager, EveryPageReadBackIsWhatWasWritten) {
  SwapCounters sum;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    History history(seed, seed % 3 == 0);
    for (int step = 0; step < 400; ++step) {
      history.step();
      history.check();
      if (::testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << ", step " << step;
    }
    history.finish();
    if (::testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << ", at the end";
    sum.swap_ins += history.counters().swap_ins;
    sum.bytes_reused += history.counters().bytes_reused;
    sum.pages_contaminated += history.counters().pages_contaminated;
    sum.waits += history.counters().waits;
    sum.recomputes += history.counters().recomputes;
  }
  // The histories reach what they are for.
  EXPECT_GT(sum.swap_ins, 1000U);
  EXPECT_GT(sum.bytes_reused, 1000 * kPageBytes);
  EXPECT_GT(sum.pages_contaminated, 100U);
  EXPECT_GT(sum.waits, 100U);
  EXPECT_GT(sum.recomputes, 50U);
}

}  // namespace
}  // namespace plait::engine
