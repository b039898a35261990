// SPDX-License-Identifier: Apache-2.0
//
// Rows that see several spans: the production path against the reference, shared pages against own ones, and rows of
// one step that see each other's tokens.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.h"
#include "models/model.h"
#include "testing/tiny_model.h"

namespace plait::models {
namespace {

using base::TokenId;
using testing::TinyModel;

std::vector<TokenId> random_tokens(std::uint64_t seed, std::size_t length) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < length; ++i) {
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(seed, i) % testing::kTinyVocabulary));
  }
  return tokens;
}

/// A model and what its calls need.
struct Loaded {
  Loaded(const TinyModel& tiny, LoadOptions options, int threads)
      : bytes(testing::make_tiny_model(tiny)), team(threads) {
    auto file = GgufFile::parse(bytes);
    EXPECT_TRUE(file) << file.error().chain();
    auto loaded = Model::load(*std::move(file), options, team);
    EXPECT_TRUE(loaded) << loaded.error().chain();
    model = *std::move(loaded);
    workspace.emplace(*model, team);
  }

  std::vector<float> run(std::span<const Rows> batch, std::size_t logit_rows) {
    std::vector<float> logits(logit_rows * model->vocabulary());
    const auto done = model->forward(batch, *workspace, logits);
    EXPECT_TRUE(done) << done.error().chain();
    return logits;
  }

  std::vector<std::byte> bytes;
  parallel::Team team;
  std::unique_ptr<Model> model;
  std::optional<Workspace> workspace;
};

/// Two workers who share a prompt and a header and see each other's tokens: worker 0 sees prompt, header, the other's
/// span and then its own; so does worker 1, each with the bases that follow from that order.
class Workers {
 public:
  explicit Workers(Loaded& loaded)
      : loaded_(loaded),
        spans_{Sequence(*loaded.model), Sequence(*loaded.model), Sequence(*loaded.model), Sequence(*loaded.model)} {
    append(0, random_tokens(1, 21), {});
    append(1, random_tokens(2, 9), {0});
  }

  /// One step: both workers feed a token and see the other's token of the same step.
  std::vector<float> step(std::uint64_t seed) {
    const std::vector<TokenId> tokens = random_tokens(seed, 2);
    std::vector<std::vector<ViewEntry>> views{view({0, 1, 3, 2}), view({0, 1, 2, 3})};
    std::vector<Rows> batch;
    for (std::size_t w = 0; w < 2; ++w) {
      views[w][2].last += 1;  // the other's new token
      views[w][3].base += 1;
      batch.push_back({.tokens = std::span(tokens).subspan(w, 1), .view = views[w]});
    }
    std::vector<float> logits = loaded_.run(batch, 2);
    spans_[2].append(1);
    spans_[3].append(1);
    return logits;
  }

 private:
  /// The spans one behind the other; the last one has room.
  std::vector<ViewEntry> view(const std::vector<std::size_t>& spans) {
    std::vector<ViewEntry> entries;
    std::ptrdiff_t base = 0;
    for (const std::size_t span : spans) {
      entries.push_back(spans_[span].reserve(64));
      entries.back().base = base;
      base += static_cast<std::ptrdiff_t>(entries.back().last);
    }
    return entries;
  }

  void append(std::size_t span, const std::vector<TokenId>& tokens, std::vector<std::size_t> before) {
    before.push_back(span);
    const std::vector<ViewEntry> entries = view(before);
    const Rows rows{.tokens = tokens, .view = entries, .logits = Logits::none};
    (void)loaded_.run({&rows, 1}, 0);
    spans_[span].append(tokens.size());
  }

  Loaded& loaded_;
  std::array<Sequence, 4> spans_;
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    worst = std::max(worst, static_cast<double>(std::abs(a[i] - b[i])));
  }
  return worst;
}

TEST(Views, WorkersThatSeeEachOtherAreComputedAsInTheReference) {
  // F32 weights, so that only f16 keys and values and the order of additions differ.
  for (const TinyModel& tiny :
       {TinyModel{"llama", tensor::Type::f32, true, "plain"}, TinyModel{"gemma3", tensor::Type::f32, true, "plain"},
        TinyModel{"gpt-oss", tensor::Type::f32, true, "plain"},
        TinyModel{"qwen2", tensor::Type::f32, true, "partial"}}) {
    SCOPED_TRACE(tiny.name());
    Loaded exact(tiny, {}, 2);
    Loaded reference(tiny, {.arithmetic = Arithmetic::reference}, 2);
    Workers ours(exact);
    Workers truth(reference);
    for (std::uint64_t seed = 10; seed < 40; ++seed) {
      const std::vector<float> want = truth.step(seed);
      const double size =
          static_cast<double>(std::abs(*std::ranges::max_element(want, {}, [](float x) { return std::abs(x); })));
      ASSERT_LE(largest_difference(ours.step(seed), want), 4e-3 * size) << seed;
    }
  }
}

TEST(Views, WorkersGetTheSameBitsOnAnyThreads) {
  const TinyModel tiny{"gemma3", tensor::Type::q4_0, true, "plain"};
  std::vector<std::vector<float>> want;
  for (const int threads : {1, 3}) {
    Loaded loaded(tiny, {}, threads);
    Workers workers(loaded);
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const std::vector<float> got = workers.step(seed);
      if (threads == 1) {
        want.push_back(got);
      } else {
        ASSERT_EQ(std::memcmp(got.data(), want[seed].data(), got.size() * sizeof(float)), 0) << seed;
      }
    }
  }
}

TEST(Views, ASpanBehindAnotherIsCloseToTheSameTokensInOneSpan) {
  // Keys of the second span are rotated from its own origin; only roundings differ.
  const TinyModel tiny{"llama", tensor::Type::f32, true, "plain"};
  Loaded loaded(tiny, {}, 1);
  const std::vector<TokenId> tokens = random_tokens(3, 50);
  Sequence whole(*loaded.model);
  std::vector<float> want(loaded.model->vocabulary());
  ASSERT_TRUE(loaded.model->forward(whole, tokens, Logits::last, *loaded.workspace, want));
  Sequence first(*loaded.model);
  Sequence second(*loaded.model);
  ViewEntry entries[] = {first.reserve(30), second.reserve(20)};
  Rows rows{.tokens = std::span(tokens).first(30), .view = std::span(entries).first(1), .logits = Logits::none};
  (void)loaded.run({&rows, 1}, 0);
  entries[0].last = 30;
  entries[1].base = 30;
  rows = {.tokens = std::span(tokens).subspan(30), .view = entries};
  EXPECT_LE(largest_difference(loaded.run({&rows, 1}, 1), want), 0.05);
}

TEST(Views, AForkOnSharedPagesEqualsTheWholeSequence) {
  for (const TinyModel& tiny : {TinyModel{"llama", tensor::Type::q4_1, true, "plain"},
                                TinyModel{"gemma3", tensor::Type::q6_k, true, "plain"}}) {
    SCOPED_TRACE(tiny.name());
    Loaded loaded(tiny, {.context = 1000}, 2);
    const std::vector<TokenId> tokens = random_tokens(4, 700);
    Sequence whole(*loaded.model);
    std::vector<float> want(loaded.model->vocabulary());
    ASSERT_TRUE(loaded.model->forward(whole, tokens, Logits::last, *loaded.workspace, want));
    // 16 rows in one step, each with the first 688 tokens on the pages of `whole` and 12 of its own.
    std::vector<Sequence> tails;
    std::vector<std::array<std::vector<std::byte*>, kLayerGroups>> tables(16);
    std::vector<ViewEntry> entries;
    std::vector<Rows> batch;
    tails.reserve(16);
    entries.reserve(16);
    for (auto& table : tables) {
      tails.emplace_back(*loaded.model);
      const ViewEntry shared = whole.reserve(0);
      const ViewEntry own = tails.back().reserve(700);
      entries.push_back({.last = 688});
      for (std::size_t group = 0; group < kLayerGroups; ++group) {
        if (loaded.model->kv_layout().page_bytes(group) == 0) continue;
        table[group].assign(shared.pages[group], shared.pages[group] + 43);
        table[group].push_back(own.pages[group][43]);
        entries.back().pages[group] = table[group].data();
      }
      batch.push_back({.tokens = std::span(tokens).subspan(688), .view = {&entries.back(), 1}});
    }
    const std::vector<float> got = loaded.run(batch, 16);
    for (std::size_t i = 0; i < 16; ++i) {
      ASSERT_EQ(std::memcmp(got.data() + i * want.size(), want.data(), want.size() * sizeof(float)), 0) << i;
    }
  }
}

}  // namespace
}  // namespace plait::models
