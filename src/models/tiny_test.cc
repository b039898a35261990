// SPDX-License-Identifier: Apache-2.0
//
// Tiny random models of every architecture and tensor type against a float64 forward pass written in Python
// (tools/oracle/record.py makes tests/data/tiny/logits.bin; tools/oracle/reference64.py is the forward pass).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/random.h"
#include "models/model.h"
#include "testing/tiny_model.h"

namespace plait::models {
namespace {

using base::TokenId;
using testing::kTinyVocabulary;
using testing::TinyModel;

constexpr std::array<std::size_t, 2> kPositions{9, 23};

struct Golden {
  std::string name;
  std::uint64_t hash = 0;
  std::vector<float> logits;  ///< [position, vocabulary]
};

template <class T>
T take(std::istream& in) {
  T value{};
  in.read(reinterpret_cast<char*>(&value), sizeof(value));
  return value;
}

std::vector<Golden> read_goldens() {
  std::ifstream in(PLAIT_SOURCE_DIR "/tests/data/tiny/logits.bin", std::ios::binary);
  std::vector<Golden> goldens;
  while (in.peek() != EOF) {
    Golden golden;
    golden.name.resize(take<std::uint32_t>(in));
    in.read(golden.name.data(), static_cast<std::streamsize>(golden.name.size()));
    golden.hash = take<std::uint64_t>(in);
    golden.logits.resize(kPositions.size() * kTinyVocabulary);
    in.read(reinterpret_cast<char*>(golden.logits.data()),
            static_cast<std::streamsize>(golden.logits.size() * sizeof(float)));
    goldens.push_back(std::move(golden));
  }
  return goldens;
}

std::uint64_t hash_words(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<std::size_t>(8, bytes.size() - at));
    hash = (hash ^ word) * 0x100000001b3ULL;
  }
  return hash;
}

std::vector<TokenId> prompt(const std::string& name, std::size_t length) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < length; ++i) {
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(testing::hash_bytes(name), i) % kTinyVocabulary));
  }
  return tokens;
}

std::vector<double> log_softmax(std::span<const float> logits) {
  const auto largest = static_cast<double>(*std::ranges::max_element(logits));
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - largest);
  std::vector<double> out;
  for (const float x : logits) out.push_back(static_cast<double>(x) - largest - std::log(sum));
  return out;
}

double divergence(std::span<const float> truth, std::span<const float> found) {
  const std::vector<double> p = log_softmax(truth);
  const std::vector<double> q = log_softmax(found);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
  return sum;
}

std::vector<float> logits_of(const Model& model, std::span<const TokenId> tokens, parallel::Team& team) {
  Sequence sequence(model);
  Workspace workspace(model, team);
  std::vector<float> logits(tokens.size() * model.vocabulary());
  EXPECT_TRUE(model.forward(sequence, tokens, Logits::all, workspace, logits));
  return logits;
}

TEST(TinyModels, ReferenceEqualsFloat64) {
  const std::vector<Golden> goldens = read_goldens();
  const std::vector<TinyModel> zoo = testing::tiny_model_zoo();
  ASSERT_EQ(goldens.size(), zoo.size());
  parallel::Team team(2);
  for (std::size_t i = 0; i < zoo.size(); ++i) {
    SCOPED_TRACE(zoo[i].name());
    ASSERT_EQ(goldens[i].name, zoo[i].name());
    const std::vector<std::byte> bytes = testing::make_tiny_model(zoo[i]);
    ASSERT_EQ(hash_words(bytes), goldens[i].hash) << "the two generators differ";
    auto file = GgufFile::parse(bytes);
    ASSERT_TRUE(file) << file.error().chain();
    const auto model = Model::load(*std::move(file), {.arithmetic = Arithmetic::reference}, team);
    ASSERT_TRUE(model) << model.error().chain();
    const std::vector<float> logits = logits_of(**model, prompt(zoo[i].name(), 24), team);
    double worst = 0;
    double mean = 0;
    for (std::size_t p = 0; p < kPositions.size(); ++p) {
      const auto truth = std::span(goldens[i].logits).subspan(p * kTinyVocabulary, kTinyVocabulary);
      const auto found = std::span(logits).subspan(kPositions[p] * kTinyVocabulary, kTinyVocabulary);
      mean += divergence(truth, found) / static_cast<double>(kPositions.size());
      for (std::size_t t = 0; t < kTinyVocabulary; ++t) {
        worst = std::max(worst, static_cast<double>(std::abs(truth[t] - found[t])));
      }
    }
    EXPECT_LE(mean, 1e-6);
    EXPECT_LE(worst, 2e-3);  // floats of size 50 through two layers
    RecordProperty(zoo[i].name(), std::to_string(mean));
  }
}

TEST(TinyModels, ExpandedWeightsAreTheSameReference) {
  parallel::Team team(2);
  for (const TinyModel& tiny :
       {TinyModel{"llama", tensor::Type::q4_1, true, "plain"}, TinyModel{"gemma3", tensor::Type::q6_k, false, "mixed"},
        TinyModel{"gpt-oss", tensor::Type::mxfp4, true, "plain"},
        TinyModel{"qwen2moe", tensor::Type::q5_0, true, "mixed"}}) {
    const std::vector<std::byte> bytes = testing::make_tiny_model(tiny);
    std::vector<std::vector<float>> logits;
    for (const kernels::Weights weights : {kernels::Weights::exact, kernels::Weights::f32}) {
      auto file = GgufFile::parse(bytes);
      ASSERT_TRUE(file);
      const auto model = Model::load(*std::move(file), {.arithmetic = Arithmetic::reference, .weights = weights}, team);
      ASSERT_TRUE(model);
      logits.push_back(logits_of(**model, prompt("x", 24), team));
    }
    double worst = 0;
    for (std::size_t i = 0; i < logits[0].size(); ++i) {
      worst = std::max(worst, static_cast<double>(std::abs(logits[0][i] - logits[1][i])));
    }
    EXPECT_LE(worst, 1e-3) << tiny.name();
  }
}

/// Of the positions of two runs: a row whose experts were nearly as good as others may take the others.
double median_divergence(std::span<const float> truth, std::span<const float> found) {
  std::vector<double> divergences;
  for (std::size_t at = 0; at < truth.size(); at += kTinyVocabulary) {
    divergences.push_back(divergence(truth.subspan(at, kTinyVocabulary), found.subspan(at, kTinyVocabulary)));
  }
  const auto middle = divergences.begin() + static_cast<std::ptrdiff_t>(divergences.size() / 2);
  std::ranges::nth_element(divergences, middle);
  return *middle;
}

// The production path quantises activations, so it is close and not equal; a step left out would be far away.
TEST(TinyModels, ProductionIsCloseToTheReference) {
  parallel::Team team(2);
  for (const TinyModel& tiny : testing::tiny_model_zoo()) {
    SCOPED_TRACE(tiny.name());
    const std::vector<std::byte> bytes = testing::make_tiny_model(tiny);
    std::vector<std::vector<float>> logits;
    for (const LoadOptions& options :
         {LoadOptions{.arithmetic = Arithmetic::reference}, LoadOptions{},
          LoadOptions{.weights = kernels::Weights::int8}, LoadOptions{.weights = kernels::Weights::bf16},
          LoadOptions{.attention = kernels::AttentionArithmetic::bf16},
          LoadOptions{.attention = kernels::AttentionArithmetic::int8}}) {
      auto file = GgufFile::parse(bytes);
      ASSERT_TRUE(file);
      const auto model = Model::load(*std::move(file), options, team);
      ASSERT_TRUE(model) << model.error().chain();
      logits.push_back(logits_of(**model, prompt("x", 24), team));
    }
    EXPECT_LE(median_divergence(logits[0], logits[1]), 0.02);
    EXPECT_LE(median_divergence(logits[0], logits[2]), 0.1) << "int8";
    EXPECT_LE(median_divergence(logits[0], logits[3]), 0.01) << "bf16";
    EXPECT_LE(median_divergence(logits[0], logits[4]), 0.02) << "attention in bf16";
    EXPECT_LE(median_divergence(logits[0], logits[5]), 0.03) << "keys and values in int8";
  }
}

}  // namespace
}  // namespace plait::models
