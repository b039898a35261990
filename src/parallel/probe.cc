// SPDX-License-Identifier: Apache-2.0
#include "parallel/probe.h"

#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cmath>
#include <functional>
#include <string>
#include <thread>

#include "base/check.h"
#include "parallel/algorithms.h"
#include "parallel/first_touch.h"

namespace plait::parallel {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

struct Kernel {
  std::string_view name;
  int arrays;  // named in the formula
};
constexpr std::array<Kernel, 4> kKernels = {{{"copy", 2}, {"scale", 2}, {"add", 3}, {"triad", 3}}};
constexpr double kFactor = 3;

struct Arrays {
  PlacedVector<double> a;  // 1 at first
  PlacedVector<double> b;  // 2
  PlacedVector<double> c;  // 0
};

/// Kernel number `kernel` with the algorithms of this area.
void run_ours(std::size_t kernel, Team& team, Arrays& x) {
  switch (kernel) {
    case 0:
      return copy(team, x.a, x.c);
    case 1:
      return transform(team, x.c, x.b, [](double c) { return kFactor * c; });
    case 2:
      return transform(team, x.a, x.b, x.c, [](double a, double b) { return a + b; });
    default:
      return transform(team, x.b, x.c, x.a, [](double b, double c) { return b + kFactor * c; });
  }
}

/// The same by hand, for one thread's part.
void run_by_hand(std::size_t kernel, const Range& part, Arrays& x) {
  double* const a = x.a.data();
  double* const b = x.b.data();
  double* const c = x.c.data();
  switch (kernel) {
    case 0:
      for (std::size_t i = part.begin; i < part.end; ++i) c[i] = a[i];
      break;
    case 1:
      for (std::size_t i = part.begin; i < part.end; ++i) b[i] = kFactor * c[i];
      break;
    case 2:
      for (std::size_t i = part.begin; i < part.end; ++i) c[i] = a[i] + b[i];
      break;
    default:
      for (std::size_t i = part.begin; i < part.end; ++i) a[i] = b[i] + kFactor * c[i];
  }
}

/// Standard threads that wait at a standard barrier for the next kernel.
class NativeThreads {
 public:
  NativeThreads(int count, Arrays& arrays) : gate_(count), count_(count), arrays_(arrays) {
    try {
      for (int i = 1; i < count; ++i) threads_.emplace_back([this, i] { work(i); });
    } catch (...) {  // let those that did start through the gate
      kernel_ = kKernels.size();
      static_cast<void>(gate_.arrive(count - static_cast<int>(threads_.size())));
      throw;
    }
  }
  ~NativeThreads() {
    kernel_ = kKernels.size();
    gate_.arrive_and_wait();
  }
  NativeThreads(const NativeThreads&) = delete;
  NativeThreads& operator=(const NativeThreads&) = delete;

  void run(std::size_t kernel) {
    kernel_ = kernel;
    gate_.arrive_and_wait();
    run_part(0);
    gate_.arrive_and_wait();
  }

 private:
  void work(int i) {
    while (true) {
      gate_.arrive_and_wait();
      if (kernel_ == kKernels.size()) return;
      run_part(i);
      gate_.arrive_and_wait();
    }
  }
  void run_part(int i) { run_by_hand(kernel_, share<double>(arrays_.a.size(), i, count_), arrays_); }

  std::barrier<> gate_;
  const int count_;
  Arrays& arrays_;
  std::size_t kernel_ = 0;  // written before the threads pass the gate, read after
  std::vector<std::jthread> threads_;
};

/// Whether all elements are what `passes` of the four kernels make of the scalars.
bool correct(const Arrays& x, int passes, Team& team) {
  double a = 1, b = 2, c = 0;
  for (int pass = 0; pass < passes; ++pass) {
    c = a;
    b = kFactor * c;
    c = a + b;
    a = b + kFactor * c;
  }
  const auto near = [&](const PlacedVector<double>& values, double expected) {
    const double error = transform_reduce(team, values, 0.0, std::plus<>{},
                                          [expected](double value) { return std::abs(value / expected - 1); });
    return error / static_cast<double>(values.size()) < 1e-13;
  };
  return near(x.a, a) && near(x.b, b) && near(x.c, c);
}

base::Result<Arrays> make_arrays(std::size_t n, Team& team) {
  Arrays arrays;
  PLAIT_TRY(arrays.a, PlacedVector<double>::zeros(n, team));
  PLAIT_TRY(arrays.b, PlacedVector<double>::zeros(n, team));
  PLAIT_TRY(arrays.c, PlacedVector<double>::zeros(n, team));
  fill(team, arrays.a, 1.0);
  fill(team, arrays.b, 2.0);
  return arrays;
}

/// Median seconds of one of `count` repetitions that f makes.
template <class F>
double median_seconds(int count, double seconds, F&& f) {
  std::vector<double> batches;
  const auto start = Clock::now();
  while (batches.size() < 3 || seconds_since(start) < seconds) {
    const auto begin = Clock::now();
    f();
    batches.push_back(seconds_since(begin) / count);
  }
  return median(std::move(batches));
}

}  // namespace

base::Result<std::vector<StreamRate>> probe_stream(base::Bytes array_bytes, Team& team, double seconds) {
  PLAIT_CHECK(array_bytes >= sizeof(double), array_bytes);
  constexpr std::size_t kOurs = 0;
  constexpr std::size_t kNative = 1;
  constexpr int kRoundsMax = 100;  // values grow by 15 a pass, two passes a round: 15^200 is a double
  PLAIT_TRY(Arrays arrays, make_arrays(array_bytes / sizeof(double), team));
  NativeThreads native(team.size(), arrays);
  std::array<std::array<std::vector<double>, 2>, kKernels.size()> times;  // [kernel][who][round]
  int round = 0;
  const auto start = Clock::now();
  for (; round < 4 || (seconds_since(start) < seconds && round < kRoundsMax); ++round) {
    for (int turn = 0; turn < 2; ++turn) {
      const std::size_t who = (round + turn) % 2 == 0 ? kOurs : kNative;
      for (std::size_t kernel = 0; kernel < kKernels.size(); ++kernel) {
        const auto begin = Clock::now();
        if (who == kOurs) {
          run_ours(kernel, team, arrays);
        } else {
          native.run(kernel);
        }
        if (round > 0) times[kernel][who].push_back(seconds_since(begin));
      }
    }
  }
  if (!correct(arrays, 2 * round, team)) return base::fail(base::ErrorCode::internal, "the copied numbers are wrong");
  std::vector<StreamRate> rates;
  for (std::size_t kernel = 0; kernel < kKernels.size(); ++kernel) {
    const auto& [ours, theirs] = times[kernel];
    std::vector<double> ratios(ours.size());
    std::ranges::transform(theirs, ours, ratios.begin(), std::divides<>{});
    const base::Bytes bytes = arrays.a.size() * sizeof(double);
    const double moved = static_cast<double>(bytes) * kKernels[kernel].arrays;
    rates.push_back({kKernels[kernel].name, bytes, team.size(), moved / std::ranges::min(ours),
                     moved / std::ranges::min(theirs), median(std::move(ratios))});
  }
  return rates;
}

RegionCost probe_regions(Team& team, double seconds) {
  constexpr int kRegions = 1000;
  constexpr int kBarriers = 100;
  RegionCost cost;
  cost.threads = team.size();
  cost.region_us = 1e6 * median_seconds(kRegions, seconds, [&] {
                     for (int i = 0; i < kRegions; ++i) team.run([](int) {});
                   });
  cost.barrier_us = 1e6 * median_seconds(kBarriers, seconds, [&] {
                      team.run([&](int) {
                        for (int i = 0; i < kBarriers; ++i) team.barrier();
                      });
                    });
  cost.threads_us = 1e6 * median_seconds(1, seconds, [&] {
                      std::vector<std::jthread> threads;
                      for (int i = 1; i < team.size(); ++i) threads.emplace_back([] {});
                    });
  return cost;
}

}  // namespace plait::parallel
