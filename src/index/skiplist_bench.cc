// SPDX-License-Identifier: Apache-2.0
//
// The comparison of index/skiplist_bench_loads.h as a table: medians over the rounds, and of the ratios.
//
//   index_bench [--keys 1000000] [--operations 500000] [--threads 1,2] [--rounds 5] [--loads 5] [--seed 1]
#include <cstdio>
#include <cstdlib>

#include "index/skiplist_bench_loads.h"

namespace plait::index::bench {
namespace {

/// One cell: operations/µs, p99, and our speed by its speed with the smallest and the largest over the rounds.
std::string cell(const std::vector<Figure>& figures, const std::vector<Figure>& ours) {
  std::vector<double> rates;
  std::vector<double> tails;
  std::vector<double> ratios;
  std::vector<double> tail_ratios;
  for (std::size_t i = 0; i < figures.size(); ++i) {
    rates.push_back(figures[i].operations_per_us);
    tails.push_back(figures[i].p99_ns);
    ratios.push_back(ours[i].operations_per_us / figures[i].operations_per_us);
    tail_ratios.push_back(ours[i].p99_ns / figures[i].p99_ns);
  }
  const std::string plain = fmt::format("{:.2f}, p99 {:.0f}", median(rates), median(tails));
  if (&figures == &ours) return plain;
  return fmt::format("{} **{:.2f}** ({:.2f}–{:.2f}), p99 {:.2f}", plain, median(ratios), std::ranges::min(ratios),
                     std::ranges::max(ratios), median(tail_ratios));
}

void print(const Table& table) {
  std::string text = "| load |";
  for (const std::string& name : table.maps) text += fmt::format(" {} |", name);
  text += "\n| --- |";
  for (std::size_t i = 0; i < table.maps.size(); ++i) text += " --- |";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    text += fmt::format("\n| {} |", table.rows[r]);
    for (const auto& figures : table.figures[r]) text += fmt::format(" {} |", cell(figures, table.figures[r][0]));
  }
  std::puts(text.c_str());
  std::fflush(stdout);
}

/// `--benchmark_min_time=0`, which the tests pass to every bench, makes everything tiny.
ComparisonOptions parse(int argc, char** argv) {
  ComparisonOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--benchmark_min_time=0") {
      return {.keys = 3000, .operations = 1000, .threads = {1, 2}, .rounds = 1, .loads = 1, .seed = 1};
    }
    if (flag.starts_with("--benchmark_") || i + 1 == argc) continue;
    const char* value = argv[++i];
    if (flag == "--keys") options.keys = std::strtoull(value, nullptr, 10);
    if (flag == "--operations") options.operations = std::strtoull(value, nullptr, 10);
    if (flag == "--rounds") options.rounds = std::max<std::size_t>(1, std::strtoull(value, nullptr, 10));
    if (flag == "--loads") options.loads = std::strtoull(value, nullptr, 10);
    if (flag == "--seed") options.seed = std::strtoull(value, nullptr, 10);
    if (flag == "--threads") {
      options.threads.clear();
      for (const char* at = value; *at != '\0'; at += *at == ',' ? 1 : 0) {
        char* end = nullptr;
        options.threads.push_back(static_cast<int>(std::strtol(at, &end, 10)));
        if (end == at) break;
        at = end;
      }
    }
  }
  return options;
}

}  // namespace
}  // namespace plait::index::bench

int main(int argc, char** argv) {
  namespace bench = plait::index::bench;
  const bench::ComparisonOptions options = bench::parse(argc, argv);
  bench::compare_maps(options, [&](const bench::Table& table) {
    std::printf(
        "\n%zu keys, %zu operations, %d threads, %zu rounds, seed %llu; operations/us and p99 in ns; ratios: %s by the "
        "other\n\n",
        options.keys, options.operations, table.threads, options.rounds, static_cast<unsigned long long>(options.seed),
        table.maps[0].c_str());
    bench::print(table);
  });
  return 0;
}
