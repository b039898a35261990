// SPDX-License-Identifier: Apache-2.0
//
// Counts, not times: what a synthetic trace of chats costs in operations and bytes. All chats and lengths are made up
// (5.5 turns on average, Random priorities drawn anew every 25 iterations, a pool of a third of the live tokens).
//   pages                   one operation for each page (A'; A, layer-major, has 60 pieces for each page)
//   runs                    joined where adjacent, group of 1, 16 or 60 pages (B; layer-major again 60 times as many)
//   runs_and_reuse          the same with copies that outlive the return (D)
//   reserve_of_mean_growth  D with a smaller reserve behind the copies
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "engine/swap_manager.h"
#include "testing/fake_tier.h"

namespace plait::engine {
namespace {

constexpr std::uint32_t kPageTokens = 16;
constexpr std::size_t kPageBytes = 64;             // only counted: the real page of SmolLM2-135M has 368,640
constexpr std::uint64_t kRealPageBytes = 368'640;  // 30 layers, K and V, 3 heads of 64, f16, 16 tokens
constexpr int kPiecesLayerMajor = 60;              // 30 layers, K and V
constexpr std::size_t kChats = 24;
constexpr std::uint32_t kPoolPages = 400;
constexpr int kIterations = 8000;
constexpr int kPriorityPeriod = 25;  // f = 0.04

class Trace {
 public:
  Trace(std::uint32_t group, const SwapOptions& options)
      : memory_(kPoolPages * kPageBytes),
        pool_(kPoolPages, group),
        tier_(16 * kPoolPages, kPageBytes),
        swap_({memory_, kPageBytes}, tier_, options) {
    for (std::size_t i = 0; i < kChats; ++i) begin_chat(chats_[i]);
  }

  const SwapCounters& run() {
    for (int iteration = 0; iteration < kIterations; ++iteration) {
      if (iteration % kPriorityPeriod == 0) {
        for (Chat& chat : chats_) chat.priority = base::random_unit(kSeed, draws_++);
      }
      choose();
      for (Chat& chat : chats_) {
        if (!chat.resident) continue;
        // A turn: a prompt at once, then an answer token by token.
        if (chat.answer_left == 0) {
          begin_turn(chat);
        } else {
          --chat.answer_left;
          ++chat.tokens;
        }
        grow(chat);
      }
      live_tokens_ += std::accumulate(chats_.begin(), chats_.end(), std::uint64_t{0},
                                      [](std::uint64_t sum, const Chat& chat) { return sum + chat.tokens; });
    }
    return swap_.counters();
  }
  [[nodiscard]] double live_pages_mean() const { return static_cast<double>(live_tokens_) / kIterations / kPageTokens; }

 private:
  static constexpr std::uint64_t kSeed = 24;

  struct Chat {
    std::uint64_t id = 0;
    double priority = 0;
    std::uint64_t tokens = 0;
    std::uint64_t answer_left = 0;
    int turns_left = 0;
    bool resident = false;
    std::vector<std::uint32_t> pages = {};
  };

  std::uint64_t pages_of(std::uint64_t tokens) const { return (tokens + kPageTokens - 1) / kPageTokens; }
  // A long tail: exp of the sum of twelve uniform numbers.
  std::uint64_t length(double median, double spread) {
    double normal = -6;
    for (int i = 0; i < 12; ++i) normal += base::random_unit(kSeed, draws_++);
    return static_cast<std::uint64_t>(std::clamp(median * std::exp(spread * normal), 4.0, 600.0));
  }

  void begin_chat(Chat& chat) {
    chat = {.id = ++ids_, .priority = base::random_unit(kSeed, draws_++)};
    chat.turns_left = 1;
    while (base::random_unit(kSeed, draws_++) > 1 / 5.5) ++chat.turns_left;
    chat.turns_left = std::min(chat.turns_left, 10);
  }

  void begin_turn(Chat& chat) {
    if (chat.turns_left-- == 0) {
      swap_.forget(chat.id);
      pool_.release(chat.id);
      begin_chat(chat);
      return;
    }
    chat.tokens += length(40, 0.9);
    chat.answer_left = length(150, 0.7);
  }

  void grow(Chat& chat) {
    const std::uint64_t wanted = pages_of(chat.tokens);
    if (wanted <= chat.pages.size()) return;
    while (wanted - chat.pages.size() > pool_.available()) {
      Chat* victim = nullptr;
      for (Chat& other : chats_) {
        if (&other != &chat && other.resident && (victim == nullptr || other.priority < victim->priority)) {
          victim = &other;
        }
      }
      PLAIT_CHECK(victim != nullptr, wanted);
      leave(*victim);
    }
    add_pages(chat, wanted - chat.pages.size());
  }

  void add_pages(Chat& chat, std::uint64_t count) {
    const auto fresh = pool_.grow(chat.id, static_cast<std::uint32_t>(count));
    for (const PageRun& run : *fresh) {
      for (std::uint32_t page = run.first; page < run.end(); ++page) chat.pages.push_back(page);
    }
    swap_.wait_for_pages(*fresh);
  }

  void leave(Chat& chat) {
    if (chat.tokens > 0) PLAIT_CHECK(swap_.swap_out(chat.id, {.pages = chat.pages, .tokens = chat.tokens}).has_value());
    pool_.release(chat.id);
    chat.pages.clear();
    chat.resident = false;
  }

  // The chats of the highest priorities that fit, with some room to grow.
  void choose() {
    std::vector<Chat*> order;
    for (Chat& chat : chats_) order.push_back(&chat);
    std::sort(order.begin(), order.end(), [](const Chat* a, const Chat* b) { return a->priority > b->priority; });
    std::uint64_t pages = 0;
    std::vector<Chat*> coming;
    for (Chat* chat : order) {
      pages += pages_of(chat->tokens) + 4;
      if (pages > kPoolPages) {
        if (chat->resident) leave(*chat);
      } else if (!chat->resident) {
        coming.push_back(chat);
      }
    }
    for (Chat* chat : coming) {
      chat->resident = true;
      if (chat->tokens == 0) continue;
      swap_.finish(chat->id);
      add_pages(*chat, pages_of(chat->tokens));
      swap_.swap_in(chat->id, chat->pages);
      swap_.finish(chat->id);
    }
  }

  std::vector<std::byte> memory_;
  RunAllocator pool_;
  testing::FakeTier tier_;
  SwapManager swap_;
  std::vector<Chat> chats_ = std::vector<Chat>(kChats);
  std::uint64_t draws_ = 0;
  std::uint64_t ids_ = 0;
  std::uint64_t live_tokens_ = 0;
};

void trace(benchmark::State& state, const SwapOptions& options) {
  const auto group = static_cast<std::uint32_t>(state.range(0));
  for (auto _ : state) {
    Trace trace(group, options);
    const SwapCounters& counters = trace.run();
    const auto preemptions = static_cast<double>(counters.swap_outs);
    const double operations = static_cast<double>(counters.operations_out + counters.operations_in);
    const auto pages = static_cast<double>((counters.bytes_out + counters.bytes_in) / kPageBytes);
    constexpr double kGb = static_cast<double>(kRealPageBytes) / kPageBytes / 1e9;
    state.counters["preemptions"] = preemptions;
    state.counters["pool_share"] = kPoolPages / trace.live_pages_mean();
    state.counters["pages"] = pages;
    state.counters["operations_out"] = static_cast<double>(counters.operations_out);
    state.counters["operations_in"] = static_cast<double>(counters.operations_in);
    state.counters["pieces_layer_major"] = operations * kPiecesLayerMajor;
    state.counters["operations_per_preemption"] = operations / preemptions;
    state.counters["pages_per_operation"] = pages / operations;  // the ratio against one operation for each page
    state.counters["GB_out"] = static_cast<double>(counters.bytes_out) * kGb;
    state.counters["GB_in"] = static_cast<double>(counters.bytes_in) * kGb;
    state.counters["GB_reused"] = static_cast<double>(counters.bytes_reused) * kGb;
  }
}
constexpr SwapOptions kPages{.page_tokens = kPageTokens, .join_pages = false, .reuse = false};
constexpr SwapOptions kRuns{.page_tokens = kPageTokens, .reuse = false};
constexpr SwapOptions kRunsAndReuse{.page_tokens = kPageTokens};
constexpr SwapOptions kReserveOfMeanGrowth{.page_tokens = kPageTokens, .reserve_pages = {}};
BENCHMARK_CAPTURE(trace, pages, kPages)->Arg(1)->Iterations(1);  // the same for every group
BENCHMARK_CAPTURE(trace, runs, kRuns)->Arg(1)->Arg(16)->Arg(60)->Iterations(1);
BENCHMARK_CAPTURE(trace, runs_and_reuse, kRunsAndReuse)->Arg(1)->Arg(16)->Arg(60)->Iterations(1);
BENCHMARK_CAPTURE(trace, reserve_of_mean_growth, kReserveOfMeanGrowth)->Arg(1)->Arg(16)->Arg(60)->Iterations(1);

}  // namespace
}  // namespace plait::engine
