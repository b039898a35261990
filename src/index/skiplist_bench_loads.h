// SPDX-License-Identifier: Apache-2.0
//
// The loads of YCSB on plait's ordered map and, where their headers are installed, on others: loading, A (half reads,
// half insertions), B (19 to 1), C (reads), E (19 scans of 1 to 100 entries to one insertion). All maps hold the same
// keys and take turns, load by load and round by round. For index_bench and for `plait-lab bench index`.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "index/skiplist_bench_maps.h"
#include "parallel/team.h"

namespace plait::index::bench {

using base::mix64;
using base::random_u64;

// -------------------------------------------------------------------------------------------------------- the loads

struct ComparisonOptions {
  std::size_t keys = 1'000'000;
  std::size_t operations = 500'000;  ///< Of each load but scans, which are ten times fewer.
  std::vector<int> threads = {1, 2};
  std::size_t rounds = 5;
  std::size_t loads = 5;  ///< Rounds that begin with empty maps; later ones go on with what is there.
  std::uint64_t seed = 1;
};

/// Key number i: different for different i, in no order.
inline Key key_of(std::uint64_t i) { return mix64(i + 1); }

/// Ranks 0, 1, … with probability proportional to (rank + 1)^-0.99 (Gray et al., SIGMOD 1994, as in YCSB).
class Zipf {
 public:
  explicit Zipf(std::size_t n) : n_(static_cast<double>(n)) {
    for (std::size_t i = 1; i <= n; ++i) zeta_ += std::pow(static_cast<double>(i), -kTheta);
    eta_ = (1 - std::pow(2 / n_, 1 - kTheta)) / (1 - (1 + std::pow(0.5, kTheta)) / zeta_);
  }
  std::uint64_t rank(double unit) const {
    const double scaled = unit * zeta_;
    if (scaled < 1) return 0;
    if (scaled < 1 + std::pow(0.5, kTheta)) return 1;
    const double at = n_ * std::pow(eta_ * unit - eta_ + 1, 1 / (1 - kTheta));
    return std::min(static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(n_) - 1);
  }

 private:
  static constexpr double kTheta = 0.99;
  double n_;
  double zeta_ = 0;
  double eta_ = 0;
};

struct Operation {
  enum Kind : std::uint32_t { insert, find, scan } kind;
  std::uint32_t length;
  Key key;
};
/// [thread][operation]
using Work = std::vector<std::vector<Operation>>;

struct Load {
  std::string_view name;
  double reads;  ///< Share of operations that do not insert.
  bool scans;
};
inline constexpr std::array kLoads = {Load{"C", 1.0, false}, Load{"B", 0.95, false}, Load{"A", 0.5, false},
                                      Load{"E", 0.95, true}};

/// `fresh` numbers the keys that are not there yet; moved on by what this work inserts.
inline Work make_work(const Load& load, const Zipf* zipf, const ComparisonOptions& options, int threads,
                      std::uint64_t seed, std::uint64_t& fresh) {
  Work work(static_cast<std::size_t>(threads));
  const std::size_t count = std::max<std::size_t>(options.operations / (load.scans ? 10 : 1) / work.size(), 1);
  for (std::size_t t = 0; t < work.size(); ++t) {
    const std::uint64_t stream = base::child_seed(seed, t);
    for (std::size_t i = 0; i < count; ++i) {
      if (base::random_unit(stream, 3 * i) >= load.reads) {
        work[t].push_back({Operation::insert, 0, key_of(fresh++)});
        continue;
      }
      const double unit = base::random_unit(stream, 3 * i + 1);
      const std::uint64_t rank =
          zipf != nullptr ? zipf->rank(unit) : static_cast<std::uint64_t>(unit * static_cast<double>(options.keys));
      const auto length = static_cast<std::uint32_t>(1 + random_u64(stream, 3 * i + 2) % 100);
      work[t].push_back({load.scans ? Operation::scan : Operation::find, length, key_of(rank)});
    }
  }
  return work;
}

inline Work loading(const ComparisonOptions& options, int threads) {
  Work work(static_cast<std::size_t>(threads));
  for (std::size_t i = 0; i < options.keys; ++i) work[i % work.size()].push_back({Operation::insert, 0, key_of(i)});
  return work;
}

struct Figure {
  double operations_per_us = 0;
  double p99_ns = 0;  ///< Of an operation, averaged over batches of ten.
};

template <class Map>
std::vector<float> run_thread(Map& map, const std::vector<Operation>& work) {
  constexpr std::size_t kBatch = 10;
  using Clock = std::chrono::steady_clock;
  std::vector<float> batch_ns;
  batch_ns.reserve(work.size() / kBatch + 1);
  auto before = Clock::now();
  for (std::size_t begin = 0; begin < work.size(); begin += kBatch) {
    for (std::size_t i = begin; i < std::min(begin + kBatch, work.size()); ++i) {
      const Operation& operation = work[i];
      if (operation.kind == Operation::insert) {
        map.insert(operation.key, operation.key | 1);
      } else if (operation.kind == Operation::find) {
        PLAIT_CHECK(map.find(operation.key) == (operation.key | 1));
      } else {
        PLAIT_CHECK(map.scan(operation.key, operation.length) != 0);
      }
    }
    const auto now = Clock::now();
    batch_ns.push_back(std::chrono::duration<float, std::nano>(now - before).count() / kBatch);
    before = now;
  }
  return batch_ns;
}

template <class Map>
Figure run(Map& map, const Work& work, parallel::Team& team) {
  std::vector<std::vector<float>> batches(work.size());
  const auto begin = std::chrono::steady_clock::now();
  team.run([&](int member) {
    const auto t = static_cast<std::size_t>(member);
    batches[t] = run_thread(map, work[t]);
  });
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
  std::vector<float> all;
  std::size_t operations = 0;
  for (std::size_t t = 0; t < work.size(); ++t) {
    all.insert(all.end(), batches[t].begin(), batches[t].end());
    operations += work[t].size();
  }
  const auto p99 = all.begin() + static_cast<std::ptrdiff_t>(all.size() * 99 / 100);
  std::nth_element(all.begin(), p99, all.end());
  return {static_cast<double>(operations) / took.count(), static_cast<double>(*p99)};
}

// -------------------------------------------------------------------------------------------------------- the table

/// The figures of one number of threads.
struct Table {
  int threads = 0;
  std::vector<std::string> maps;  ///< Names; ours is the first.
  std::vector<std::string> rows;
  std::vector<std::vector<std::vector<Figure>>> figures;  ///< [row][map][round]

  std::vector<std::vector<Figure>>& row(const std::string& name) {
    const auto found = std::find(rows.begin(), rows.end(), name);
    const auto at = static_cast<std::size_t>(found - rows.begin());
    if (found == rows.end()) {
      rows.push_back(name);
      figures.emplace_back(maps.size());
    }
    return figures[at];
  }
};

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Each map in turn, a different one first in each round, so that none always follows the same one.
template <class... Maps>
void take_turns(std::tuple<Maps...>& maps, const Work& work, parallel::Team& team, std::size_t round,
                std::vector<std::vector<Figure>>& row) {
  constexpr std::size_t kMaps = sizeof...(Maps);
  for (std::size_t i = 0; i < kMaps; ++i) {
    const std::size_t wanted = (i + round) % kMaps;
    [&]<std::size_t... kAt>(std::index_sequence<kAt...>) {
      ((kAt == wanted ? row[kAt].push_back(run(std::get<kAt>(maps), work, team)) : void()), ...);
    }(std::make_index_sequence<kMaps>{});
  }
}

template <class... Maps>
Table compare_on(const ComparisonOptions& options, int threads, const std::vector<std::string>& names) {
  const Zipf zipf(options.keys);
  Table table{.threads = threads, .maps = names, .rows = {}, .figures = {}};
  parallel::Team team(threads);
  const Work load_work = loading(options, threads);
  std::optional<std::tuple<Maps...>> maps;
  std::uint64_t fresh = 0;
  std::uint64_t draws = 0;
  for (std::size_t round = 0; round < options.rounds; ++round) {
    if (round < options.loads || !maps) {
      maps.emplace();
      take_turns(*maps, load_work, team, round, table.row("loading"));
      fresh = options.keys;
    }
    for (const Load& load : kLoads) {
      for (const bool uniform : {true, false}) {
        const std::uint64_t seed = random_u64(options.seed, ++draws);
        const Work work = make_work(load, uniform ? nullptr : &zipf, options, threads, seed, fresh);
        const std::string name = fmt::format("{}, {}", load.name, uniform ? "uniform" : "Zipf");
        take_turns(*maps, work, team, round, table.row(name));
      }
    }
  }
  return table;
}

/// Runs everything; `show` gets each table when it is done.
template <class Show>
void compare_maps(const ComparisonOptions& options, Show&& show) {
  std::vector<std::string> names = {std::string(kOurs)};
#ifdef PLAIT_BENCH_TBB
  names.emplace_back(kTbb);
#endif
#ifdef PLAIT_BENCH_ABSL
  names.emplace_back(kAbsl);
#endif
  names.emplace_back(kStd);
  for (const int threads : options.threads) {
    show(compare_on<Ours,
#ifdef PLAIT_BENCH_TBB
                    Tbb,
#endif
#ifdef PLAIT_BENCH_ABSL
                    Locked<absl::btree_map<Key, Value>>,
#endif
                    Locked<std::map<Key, Value>>>(options, threads, names));
  }
}

}  // namespace plait::index::bench
