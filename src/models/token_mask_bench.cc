// SPDX-License-Identifier: Apache-2.0
//
// Masks over a synthetic vocabulary of 152,000 tokens: all bytes, and words made of syllables with and without a space
// before them, with the punctuation of JSON, and of some two-byte characters.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "models/token_mask.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/json_text.h"

namespace plait::models {
namespace {

constexpr std::size_t kVocabulary = 152'000;

text::Json wide_schema() {
  text::Json properties = text::Json::object();
  properties["bounded"] = {{"type", "string"}, {"maxLength", 200}};
  text::Json required = text::Json::array();
  for (int i = 0; i < 100; ++i) {
    static const char* const kTypes[] = {"string", "integer", "number", "boolean"};
    properties[fmt::format("property_{}", i)] = {{"type", kTypes[i % 4]}, {"description", "one of many"}};
    if (i % 3 == 0) required.push_back(fmt::format("property_{}", i));
  }
  return {{"type", "object"}, {"properties", properties}, {"required", required}};
}

std::shared_ptr<const text::Grammar> grammar_of(const text::Json& schema) {
  return std::make_shared<const text::Grammar>(text::json_schema_grammar(schema).value());
}

/// SentencePiece: its words are plain text, and bytes have tokens of their own.
const Tokenizer& vocabulary() {
  static const std::unique_ptr<Tokenizer> kTokenizer = [] {
    static constexpr std::string_view kSyllables[] = {"an", "be", "co", "den", "er",  "fi", "gra", "he",
                                                      "in", "ka", "lo", "men", "no",  "or", "pre", "qu",
                                                      "re", "st", "ti", "un",  "ver", "we"};
    static constexpr std::string_view kEnds[] = {"", "\"", "\":", "\",", ".", ",", "()", "\xC3\xA9", "\n", "s"};
    std::vector<std::string> words{"<unk>", "</s>"};
    std::vector<std::int32_t> kinds{2, 3};
    for (int byte = 0; byte < 256; ++byte) {
      words.push_back(fmt::format("<0x{:02X}>", byte));
      kinds.push_back(6);
    }
    std::set<std::string> seen;
    for (std::uint64_t i = 0; words.size() < kVocabulary; ++i) {
      std::string word = base::random_u64(i, 0) % 2 == 0 ? "\xE2\x96\x81" : "";
      for (std::uint64_t k = 0; k < 1 + base::random_u64(i, 1) % 4; ++k) {
        word += kSyllables[base::random_u64(i, 2 + k) % std::size(kSyllables)];
      }
      word += kEnds[base::random_u64(i, 9) % std::size(kEnds)];
      if (!seen.insert(word).second) continue;
      words.push_back(word);
      kinds.push_back(1);
    }
    TokenizerSource source;
    source.model = "llama";
    source.tokens.assign(words.begin(), words.end());
    source.kinds = kinds;
    source.unk = 0;
    source.eos = 1;
    return Tokenizer::make(source).value();
  }();
  return *kTokenizer;
}

std::shared_ptr<const TokenMaskTable> table() {
  static const auto kTable = std::make_shared<const TokenMaskTable>(vocabulary());
  return kTable;
}

void compile(benchmark::State& state) {
  const text::Json schema = wide_schema();
  std::size_t nodes = 0;
  for (auto _ : state) nodes = text::json_schema_grammar(schema)->nodes();
  state.counters["nodes"] = static_cast<double>(nodes);
}
BENCHMARK(compile)->Name("token_mask/compile_100_properties")->Unit(benchmark::kMillisecond);

void make_table(benchmark::State& state) {
  static_cast<void>(vocabulary());
  for (auto _ : state) benchmark::DoNotOptimize(TokenMaskTable(vocabulary()).trie.size());
}
BENCHMARK(make_table)->Name("token_mask/table")->Unit(benchmark::kMillisecond);

/// The state behind a text.
text::StateId behind(MaskCache& masks, std::string_view text) {
  text::StateId at = masks.start();
  for (const char c : text) at = masks.states().advance(at, static_cast<std::uint8_t>(c));
  return at;
}

constexpr std::string_view kStart = "", kKey = "{\"", kString = "{\"property_0\": \"some",
                           kBounded = "{\"bounded\": \"some", kNumber = "{\"property_0\": \"\", \"property_1\": 12";

/// A mask that nobody has asked for: the states behind are new, too.
void cold(benchmark::State& state, std::string_view text, bool plain_words = true) {
  const auto grammar = grammar_of(wide_schema());
  for (auto _ : state) {
    state.PauseTiming();
    auto masks = std::make_unique<MaskCache>(grammar, table(), MaskCacheOptions{.plain_words = plain_words});
    const text::StateId at = behind(*masks, text);
    state.ResumeTiming();
    benchmark::DoNotOptimize(masks->mask(at));
    state.PauseTiming();
    masks.reset();
    state.ResumeTiming();
  }
}
BENCHMARK_CAPTURE(cold, start, kStart)->Name("token_mask/cold_start")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(cold, key, kKey)->Name("token_mask/cold_key")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(cold, string, kString)->Name("token_mask/cold_string")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(cold, string_walk, kString, false)
    ->Name("token_mask/cold_string_by_walk")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(cold, bounded, kBounded)->Name("token_mask/cold_bounded_string")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(cold, bounded_walk, kBounded, false)
    ->Name("token_mask/cold_bounded_string_by_walk")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(cold, number, kNumber)->Name("token_mask/cold_number")->Unit(benchmark::kMicrosecond);

/// The states are known, the mask was dropped.
void dropped(benchmark::State& state) {
  MaskCache masks(grammar_of(wide_schema()), table(), {.bytes_max = 1});
  const text::StateId a = behind(masks, kString), b = behind(masks, kStart), c = behind(masks, kNumber);
  for (auto _ : state) {
    benchmark::DoNotOptimize(masks.mask(a));
    state.PauseTiming();
    benchmark::DoNotOptimize(masks.mask(b));
    benchmark::DoNotOptimize(masks.mask(c));
    state.ResumeTiming();
  }
}
BENCHMARK(dropped)->Name("token_mask/dropped_string")->Unit(benchmark::kMicrosecond);

void kept(benchmark::State& state) {
  MaskCache masks(grammar_of(wide_schema()), table());
  const text::StateId a = behind(masks, kString), b = behind(masks, kNumber);
  for (auto _ : state) {
    benchmark::DoNotOptimize(masks.mask(a));
    benchmark::DoNotOptimize(masks.mask(b));
  }
}
BENCHMARK(kept)->Name("token_mask/kept")->Unit(benchmark::kNanosecond);

}  // namespace
}  // namespace plait::models
