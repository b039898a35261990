// SPDX-License-Identifier: Apache-2.0
//
// bench/tokenizer.py names a model file and a text in the environment and compares with the `tokenizers` package.
// Without them a small vocabulary and a short text show that the bench runs.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "models/pretokenizer.h"
#include "models/pretokenizer_reference.h"
#include "models/tokenizer.h"

namespace plait::models {
namespace {

std::string bench_text() {
  const char* path = std::getenv("PLAIT_BENCH_TEXT");
  if (path == nullptr) return "A short text, so that the bench runs: 12 words or so.\n";
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::unique_ptr<Tokenizer> bench_tokenizer() {
  const char* path = std::getenv("PLAIT_BENCH_MODEL");
  if (path == nullptr) {
    TokenizerSource source;
    source.tokens = {"a", "e", "r", "t", "o", "x", "re", "ex"};
    source.merges = {"r e", "e x"};
    return std::move(Tokenizer::make(source)).value();
  }
  const auto file = GgufFile::open(path);
  if (!file) return nullptr;
  auto tokenizer = Tokenizer::load(*file);
  return tokenizer ? *std::move(tokenizer) : nullptr;
}

void encode(benchmark::State& state) {
  const auto tokenizer = bench_tokenizer();
  if (tokenizer == nullptr) {
    state.SkipWithError("PLAIT_BENCH_MODEL names no readable model");
    return;
  }
  const std::string text = bench_text();
  std::size_t ids = 0;
  for (auto _ : state) {
    ids = tokenizer->encode(text).size();
    benchmark::DoNotOptimize(ids);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * static_cast<std::int64_t>(state.iterations()));
  state.counters["ids"] = static_cast<double>(ids);
}
BENCHMARK(encode)->Name("tokenizer/encode")->Unit(benchmark::kMillisecond);

void load(benchmark::State& state) {
  for (auto _ : state) {
    auto tokenizer = bench_tokenizer();
    benchmark::DoNotOptimize(tokenizer);
  }
}
BENCHMARK(load)->Name("tokenizer/load")->Unit(benchmark::kMillisecond);

void scan(benchmark::State& state) {
  const std::string text = bench_text();
  for (auto _ : state) {
    for (std::size_t at = 0; at < text.size();) at = next_word_end(PreTokenizerRule::qwen2, text, at);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(scan)->Name("tokenizer/words_scanner")->Unit(benchmark::kMillisecond);

void pattern(benchmark::State& state) {
  const std::string text = bench_text();
  const auto reference = PatternPreTokenizer::make(PreTokenizerRule::qwen2);
  for (auto _ : state) {
    auto ends = reference->word_ends(text);
    benchmark::DoNotOptimize(ends);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(pattern)->Name("tokenizer/words_pcre2")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace plait::models
