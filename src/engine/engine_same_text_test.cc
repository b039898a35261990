// SPDX-License-Identifier: Apache-2.0
//
// The engine on models: whatever happens around a sequence, its tokens are those that it gets alone. In a memory that
// holds a fraction of them, 64 sequences begin alike, fork, join, force tokens, watch each other, are cancelled,
// preempted and swapped out, on one and two threads, on a tier in memory that is slow and out of order and on a file.
// Each generation is then repeated in an engine of its own, from the history of its sequence, and compared token by
// token. Every run also has to show that all of that happened. Seeds: 2, and 20 with PLAIT_LONG (./test --long).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "engine/swap_setting.h"
#include "os/direct_io.h"
#include "testing/environment.h"
#include "testing/fake_tier.h"
#include "testing/real_model.h"
#include "testing/scripted_runner.h"
#include "testing/temp_dir.h"
#include "testing/tiny_model.h"

namespace plait::engine {
namespace {

using base::TokenId;
using testing::TinyModel;

/// How a sequence came to what it sees: enough to make it again.
struct History {
  struct Joined {
    std::vector<TokenId> own;              ///< Its own tokens before it joined.
    std::shared_ptr<const History> other;  ///< Whose `own` it sees
    std::size_t first = 0;                 ///< from here on.
  };
  std::vector<Joined> joined;
  std::vector<TokenId> own;
};

/// Forbids every third token, and forces two after every fifth.
class ThirdsGuide final : public Guide {
 public:
  explicit ThirdsGuide(std::size_t vocabulary) : mask_((vocabulary + 63) / 64) {
    for (std::size_t t = 0; t < vocabulary; ++t) mask_[t / 64] |= std::uint64_t{t % 3 != 0} << (t % 64);
  }
  base::Result<std::span<const std::uint64_t>> mask() override { return mask_; }
  std::span<const TokenId> accept(TokenId /*token*/) override {
    return ++count_ % 5 == 0 ? std::span<const TokenId>(forced_) : std::span<const TokenId>();
  }

 private:
  std::vector<std::uint64_t> mask_;
  std::array<TokenId, 2> forced_{TokenId(3), TokenId(6)};
  int count_ = 0;
};

/// One generation: what it began with, how, and what came of it.
struct Generation {
  History history = {};
  GenerateOptions options = {};  ///< Without guide and listener.
  bool guided = false;
  bool watches = false;  ///< It belongs to the row group.
  std::unique_ptr<ThirdsGuide> guide = {};
  std::vector<TokenId> got = {};
  std::optional<Ending> ending = {};

  [[nodiscard]] bool whole() const {
    return ending && (ending->reason == EndReason::length || ending->reason == EndReason::stop);
  }
};

/// Lines of sequences that generate, by their number.
class Lines final : public Listener {
 public:
  bool on_token(SequenceId id, const models::Sample& sample) override {
    Generation& generation = *current.at(id);
    EXPECT_FALSE(generation.ending);
    generation.got.push_back(sample.token);
    return true;
  }
  void on_end(SequenceId id, const Ending& ending) override {
    Generation& generation = *current.at(id);
    EXPECT_FALSE(generation.ending);
    EXPECT_NE(ending.reason, EndReason::deadline);
    if (ending.error) ADD_FAILURE() << ending.error->chain();
    generation.ending = ending;
  }
  /// A generation of sequence `id`, with what is to be handed to the engine.
  Generation& add(SequenceId id, Generation generation) {
    all.push_back(std::make_unique<Generation>(std::move(generation)));
    current[id] = all.back().get();
    return *all.back();
  }

  std::vector<std::unique_ptr<Generation>> all;
  std::map<SequenceId, Generation*> current;
};

/// The options of a generation for the engine; its guide is made anew.
GenerateOptions ask(Generation& generation, std::size_t vocabulary, Lines& lines) {
  GenerateOptions options = generation.options;
  options.listener = &lines;
  if (generation.guided) {
    generation.guide = std::make_unique<ThirdsGuide>(vocabulary);
    options.guide = generation.guide.get();
  }
  return options;
}

void run(Engine& engine) {
  while (engine.step()) engine.check_invariants();
}

/// Three that watch each other behind a common text: what they generate depends on nobody else. Runs the engine first.
void start_group(Engine& engine, Lines& lines, std::uint64_t seed, std::size_t vocabulary) {
  constexpr std::size_t kWorkers = 3;
  const auto token = [&](std::uint64_t i) {
    return TokenId(static_cast<std::int32_t>(base::random_u64(seed + 77, i) % vocabulary));
  };
  std::vector<TokenId> text;
  for (std::uint64_t i = 0; i < 33; ++i) text.push_back(token(i));
  const SequenceId root = *engine.create({});
  lines.add(root, {.options = {.prompt_only = true}});
  ASSERT_TRUE(engine.append(root, text));
  ASSERT_TRUE(engine.generate(root, {.prompt_only = true, .listener = &lines}));
  run(engine);
  std::vector<SequenceId> workers;
  for (std::uint64_t w = 0; w < kWorkers; ++w) {
    workers.push_back(*engine.create({}));
    ASSERT_TRUE(engine.join(workers[w], root, 0));
    ASSERT_TRUE(engine.append(workers[w], std::vector{token(100 + w)}));
  }
  engine.close(root);
  for (const SequenceId one : workers) {
    for (const SequenceId other : workers) {
      if (one == other) continue;
      ASSERT_TRUE(engine.watch(one, other));
    }
  }
  for (std::uint64_t w = 0; w < kWorkers; ++w) {
    Generation& generation = lines.add(workers[w], {.watches = true});
    generation.options = {.sampler = {.temperature = 1, .seed = w}, .tokens_max = 20 + 10 * w};
    ASSERT_TRUE(engine.generate(workers[w], ask(generation, vocabulary, lines)));
  }
}

std::vector<std::vector<TokenId>> of_group(const Lines& lines) {
  std::vector<std::vector<TokenId>> all;
  for (const auto& generation : lines.all) {
    if (generation->watches) all.push_back(generation->got);
  }
  return all;
}

/// Runs histories with an engine and all memory for themselves.
class Alone {
 public:
  Alone(const models::Model& model, parallel::Team& team)
      : runner_(model, team), vocabulary_(model.vocabulary()), page_(page_bytes(model)) {}

  static base::Bytes page_bytes(const models::Model& model) {
    return model.kv_layout().page_bytes(0) + model.kv_layout().page_bytes(1);
  }

  std::vector<TokenId> tokens(const Generation& generation) {
    engine_ = *Engine::make(runner_, {.kv_bytes = 150 * page_, .share_prefixes = false});
    lines_ = {};
    const SequenceId id = make(generation.history);
    Generation& again = lines_.add(id, {.history = {}, .options = generation.options, .guided = generation.guided});
    EXPECT_TRUE(engine_->generate(id, ask(again, vocabulary_, lines_)));
    run(*engine_);
    EXPECT_TRUE(again.whole());
    return again.got;
  }

  std::vector<std::vector<TokenId>> group(std::uint64_t seed) {
    engine_ = *Engine::make(runner_, {.kv_bytes = 150 * page_, .share_prefixes = false});
    lines_ = {};
    start_group(*engine_, lines_, seed, vocabulary_);
    run(*engine_);
    return of_group(lines_);
  }

 private:
  SequenceId make(const History& history) {
    const SequenceId id = *engine_->create({});
    for (const History::Joined& joined : history.joined) {
      compute(id, joined.own);
      const SequenceId other = make({joined.other->joined, {}});
      compute(other, joined.other->own);
      EXPECT_TRUE(engine_->join(id, other, joined.first));
      engine_->close(other);
    }
    EXPECT_TRUE(engine_->append(id, history.own));
    return id;
  }
  void compute(SequenceId id, const std::vector<TokenId>& tokens) {
    if (tokens.empty()) return;
    lines_.add(id, {});
    EXPECT_TRUE(engine_->append(id, tokens));
    EXPECT_TRUE(engine_->generate(id, {.prompt_only = true, .listener = &lines_}));
    run(*engine_);
  }

  ModelRunner runner_;
  std::size_t vocabulary_;
  base::Bytes page_;
  Lines lines_;
  std::unique_ptr<Engine> engine_;
};

/// What a run has to show besides equal tokens.
struct Happened {
  int forks = 0;
  int joins = 0;
  int cancels = 0;    ///< In the middle of a generation.
  int turns = 0;      ///< Of sequences that had generated before.
  int compared = 0;   ///< Generations that came to their end,
  int preempted = 0;  ///< and of those, such that were preempted
  int joined = 0;     ///< and such that saw what they had joined.
};

enum class TierKind { memory, file };

class Crowd {
 public:
  static constexpr std::size_t kSequences = 64;
  static constexpr std::size_t kPages = 52;  ///< Of about 300 that all would need at a time.
  static constexpr std::uint32_t kSlots = 400;

  Crowd(const models::Model& model, std::uint64_t seed, int threads, TierKind tier, std::size_t sequences)
      : vocabulary_(model.vocabulary()), sequences_(sequences), seed_(seed), team_(threads), runner_(model, team_) {
    EngineOptions options{.kv_bytes = 0, .rows_max = 40};
    options.swap = {.choice = SwapChoice::swap, .wait = static_cast<SwapWait>(seed % 3)};
    const models::KvLayout& layout = model.kv_layout();
    if (tier == TierKind::file) {
      const base::Bytes bytes = kSlots * (Alone::page_bytes(model) + 2 * os::kDirectAlignment);
      auto tiers = SwapTiers::make({.folder = folder_.path(), .bytes = bytes}, layout);
      EXPECT_TRUE(tiers) << tiers.error().chain();
      file_tiers_ = *std::move(tiers);
      options.swap.tiers = file_tiers_.options().tiers;
    }
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      const base::Bytes bytes = layout.page_bytes(group);
      if (bytes == 0) continue;
      if (tier == TierKind::memory) {
        fake_tiers_[group] = std::make_unique<testing::FakeTier>(
            kSlots, bytes, testing::FakeTierOptions{.seed = seed + group, .delay_ticks_max = 30});
        options.swap.tiers[group] = fake_tiers_[group].get();
      }
      options.kv_bytes += kPages * options.swap.tiers[group]->slot_bytes();
    }
    engine_ = *Engine::make(runner_, options, still_);
  }

  /// Everything happens, until all sequences are at their end.
  void live() {
    start_group(*engine_, lines_, seed_, vocabulary_);
    for (int turn = 0; made_ < sequences_ || !enough_happened(); ++turn) {
      ASSERT_LT(turn, 2000) << happened.joins << " joins, " << happened.forks << " forks, " << happened.cancels
                            << " cancels of " << made_ << " sequences";
      act();
      for (std::uint64_t steps = random(3); steps > 0; --steps) step();
    }
    while (step()) {
    }
    for (const Kept& one : kept_) EXPECT_EQ(engine_->tokens(one.id), flat(now(one)));
    counters = engine_->counters();
    engine_.reset();
    for (const auto& tier : fake_tiers_) {
      if (tier == nullptr) continue;
      EXPECT_EQ(tier->conflicts(), 0);
      EXPECT_EQ(tier->space().available(), tier->slots());
    }
  }

  /// Repeats `most` of the lines alone, preempted ones first.
  void compare(Alone& alone, std::size_t most) {
    std::ranges::stable_sort(lines_.all, std::greater(), [](const auto& generation) {
      return generation->ending ? generation->ending->usage.preemptions : 0;
    });
    for (std::size_t i = 0; i < std::min(most, lines_.all.size()); ++i) {
      const Generation& generation = *lines_.all[i];
      ASSERT_TRUE(generation.ending) << i;
      if (generation.options.prompt_only || generation.watches || generation.got.empty()) continue;
      const std::vector<TokenId> expected = alone.tokens(generation);
      if (!generation.whole()) {
        ASSERT_LE(generation.got.size(), expected.size()) << i;
        ASSERT_TRUE(std::equal(generation.got.begin(), generation.got.end(), expected.begin())) << i;
        continue;
      }
      ASSERT_EQ(generation.got, expected) << i;
      ++happened.compared;
      happened.preempted += generation.ending->usage.preemptions > 0 ? 1 : 0;
      happened.joined += generation.history.joined.empty() ? 0 : 1;
    }
    ASSERT_EQ(of_group(lines_), alone.group(seed_));
  }

  Happened happened;
  EngineCounters counters;

 private:
  /// A sequence that stays after its generations.
  struct Kept {
    SequenceId id;
    History history;                   ///< Before its last generation,
    Generation* generation = nullptr;  ///< which is this one.
  };

  [[nodiscard]] bool enough_happened() const {
    const EngineCounters now = engine_->counters();
    return happened.joins >= 2 && happened.forks >= 3 && happened.cancels >= 2 && now.preemptions >= 5 &&
           now.swap.swap_ins >= 3;
  }

  std::uint64_t random(std::uint64_t below) { return base::random_u64(seed_, draws_++) % below; }

  bool step() {
    for (const auto& tier : fake_tiers_) {
      if (tier != nullptr) tier->advance(random(4));
    }
    const bool more = engine_->step();
    engine_->check_invariants();
    return more;
  }

  static History now(const Kept& one) {
    History history = one.history;
    if (one.generation != nullptr)
      history.own.insert(history.own.end(), one.generation->got.begin(), one.generation->got.end());
    return history;
  }
  static std::vector<TokenId> flat(const History& history) {
    std::vector<TokenId> all;
    for (const History::Joined& joined : history.joined) {
      all.insert(all.end(), joined.own.begin(), joined.own.end());
      const auto& other = joined.other->own;
      all.insert(all.end(), other.begin() + static_cast<std::ptrdiff_t>(joined.first), other.end());
    }
    all.insert(all.end(), history.own.begin(), history.own.end());
    return all;
  }
  [[nodiscard]] static bool idle(const Kept& one) { return one.generation == nullptr || one.generation->ending; }

  /// One of few texts, cut anywhere, so that many begin alike.
  std::vector<TokenId> text(std::size_t length_max) {
    const std::uint64_t which = 1000 * seed_ + random(9);
    std::vector<TokenId> tokens;
    for (std::size_t i = 0, length = 1 + random(length_max); i < length; ++i) {
      tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(which, i) % vocabulary_));
    }
    return tokens;
  }

  Generation how(History history) {
    Generation generation{.history = std::move(history)};
    const std::uint64_t which = random(6);
    if (which >= 2) generation.options.sampler = {.temperature = 1, .top_k = 40, .seed = random(1000)};
    if (which == 4) generation.options.sampler.repetition_penalty = 1.3;
    if (which == 5) generation.options.stop = {TokenId(7), TokenId(static_cast<std::int32_t>(random(vocabulary_)))};
    generation.options.tokens_max = 1 + random(28);
    generation.options.returns = random(3) == 0;
    generation.guided = random(7) == 0;
    return generation;
  }

  SequenceOptions whose() { return {.client = random(4) == 0 ? "a" : "b", .salt = random(8) == 0 ? "other" : ""}; }

  /// Lets a kept sequence generate from `history` on.
  void generate(Kept& one, History history) {
    one.history = std::move(history);
    one.generation = &lines_.add(one.id, how(one.history));
    ASSERT_TRUE(engine_->generate(one.id, ask(*one.generation, vocabulary_, lines_)));
    ++made_;
  }
  /// Computes what a kept sequence has, and nothing else.
  void compute(Kept& one) {
    one.history = now(one);
    one.generation = &lines_.add(one.id, {.history = one.history, .options = {.prompt_only = true}});
    ASSERT_TRUE(engine_->generate(one.id, ask(*one.generation, vocabulary_, lines_)));
  }
  void extend(Kept& one, std::vector<TokenId> tokens) {
    ASSERT_TRUE(engine_->append(one.id, tokens));
    History history = now(one);
    history.own.insert(history.own.end(), tokens.begin(), tokens.end());
    generate(one, std::move(history));
  }

  void act() {
    const std::uint64_t what = random(100);
    if (what < 40) return submit();
    if (what < 56) return begin();
    if (what < 68) return fork();
    if (what < 76) return another_turn();
    if (what < 88) return join();
    if (what < 94) return cancel();
    close();
  }

  void submit() {
    Generation generation = how({.joined = {}, .own = text(120)});
    generation.guided = false;  // samples would share the guide
    const Request request{.options = whose(),
                          .prompt = generation.history.own,
                          .generate = ask(generation, vocabulary_, lines_),
                          .samples = random(5) == 0 ? 1 + random(3) : 1};
    const auto ids = engine_->submit(request);
    ASSERT_TRUE(ids) << ids.error().chain();
    for (std::size_t i = 0; i < ids->size(); ++i) {
      Generation& one = lines_.add((*ids)[i], {.history = generation.history, .options = generation.options});
      if (i > 0) one.options.sampler.seed = base::child_seed(generation.options.sampler.seed, i);
      ++made_;
    }
  }
  void begin() {
    if (kept_.size() >= 10) return;
    kept_.push_back({.id = *engine_->create(whose()), .history = {}});
    extend(kept_.back(), text(90));
  }
  void fork() {
    if (kept_.empty() || kept_.size() >= 14) return;
    const Kept& parent = kept_[random(kept_.size())];
    Kept child{.id = *engine_->fork(parent.id), .history = now(parent)};
    ASSERT_EQ(engine_->tokens(child.id), flat(child.history));
    happened.forks += idle(parent) ? 0 : 1;  // in the middle of a generation
    kept_.push_back(std::move(child));
    generate(kept_.back(), kept_.back().history);
  }
  Kept* any_idle() {
    std::vector<Kept*> all;
    for (Kept& one : kept_) {
      if (idle(one)) all.push_back(&one);
    }
    return all.empty() ? nullptr : all[random(all.size())];
  }
  void another_turn() {
    Kept* one = any_idle();
    if (one == nullptr || flat(now(*one)).size() > 110) return;
    happened.turns += one->generation != nullptr ? 1 : 0;
    extend(*one, text(20));
  }
  /// Leaves at most so many own tokens.
  void trim(Kept& one, std::size_t most) {
    History history = now(one);
    if (history.own.size() <= most) return;
    ASSERT_TRUE(engine_->trim(one.id, flat(history).size() - history.own.size() + most));
    history.own.resize(most);
    one = {.id = one.id, .history = std::move(history)};
  }
  /// Two become one. Both have to be computed and in memory, which others want as well: so it may take some attempts.
  void join() {
    Kept* one = any_idle();
    Kept* other = any_idle();
    if (one == nullptr || one == other || now(*other).own.empty()) return;
    const auto sees_more = [](const Kept& each) { return !each.history.joined.empty(); };
    if (std::ranges::count_if(kept_, sees_more) >= 2) {  // what was joined stays in memory: others want some, too
      const auto at = std::ranges::find_if(kept_, [&](const Kept& each) { return sees_more(each) && idle(each); });
      if (at != kept_.end()) close(*at);
      return;
    }
    trim(*one, 60);
    trim(*other, 50);
    const std::size_t before = engine_->tokens(one->id).size();
    const std::size_t first = random(now(*other).own.size());
    for (int attempt = 0; !engine_->join(one->id, other->id, first); ++attempt) {
      if (attempt == 20) return;
      if (!now(*one).own.empty()) compute(*one);
      compute(*other);
      while (!idle(*one) || !idle(*other)) step();
    }
    ++happened.joins;
    auto seen = std::make_shared<History>(now(*other));
    seen->own.resize(engine_->tokens(one->id).size() - before + first);
    History history = now(*one);
    history.joined.push_back({std::exchange(history.own, {}), std::move(seen), first});
    *one = {.id = one->id, .history = std::move(history)};
    extend(*one, text(10));
  }
  void cancel() {
    std::vector<SequenceId> running;
    for (const auto& [id, generation] : lines_.current) {
      if (!generation->ending && !generation->got.empty() && !generation->watches) running.push_back(id);
    }
    if (running.empty()) return;
    engine_->cancel(running[random(running.size())]);
    ++happened.cancels;
  }
  void close() {
    Kept* one = any_idle();
    if (one != nullptr && kept_.size() >= 5) close(*one);
  }
  void close(const Kept& one) {
    engine_->close(one.id);
    kept_.erase(kept_.begin() + (&one - kept_.data()));
  }

  std::size_t vocabulary_;
  std::size_t sequences_;
  std::uint64_t seed_;
  std::uint64_t draws_ = 0;
  std::size_t made_ = 0;
  testing::VirtualClock still_;  // so that steps are cut alike in every run
  testing::TempDir folder_;
  SwapTiers file_tiers_;
  std::array<std::unique_ptr<testing::FakeTier>, kLayerGroups> fake_tiers_;
  parallel::Team team_;
  ModelRunner runner_;
  Lines lines_;
  std::vector<Kept> kept_;
  std::unique_ptr<Engine> engine_;
};

void check_crowd(const models::Model& model, std::uint64_t seed, int threads, TierKind tier, Alone& alone,
                 std::size_t sequences = Crowd::kSequences, std::size_t compared = 1000) {
  SCOPED_TRACE(::testing::Message() << "seed " << seed << ", threads " << threads << ", "
                                    << (tier == TierKind::file ? "file" : "memory"));
  Crowd crowd(model, seed, threads, tier, sequences);
  crowd.live();
  if (::testing::Test::HasFatalFailure()) return;
  crowd.compare(alone, compared);
  EXPECT_GT(crowd.counters.preemptions, 0U);
  EXPECT_GT(crowd.counters.swap.swap_outs, 0U);
  EXPECT_GT(crowd.counters.swap.swap_ins, 0U);
  EXPECT_GT(crowd.counters.prefixes.tokens_hit, 0U);
  const Happened& happened = crowd.happened;
  EXPECT_GT(happened.turns, 0);
  EXPECT_GT(happened.preempted, 0);
  if (compared < sequences) return;
  EXPECT_GT(happened.compared, static_cast<int>(sequences) / 2);
  EXPECT_GT(happened.joined, 0);
}

std::unique_ptr<models::Model> load(base::Result<models::GgufFile> file, parallel::Team& team,
                                    kernels::AttentionArithmetic attention = kernels::AttentionArithmetic::exact) {
  EXPECT_TRUE(file) << file.error().chain();
  auto model = models::Model::load(*std::move(file), {.attention = attention, .context = 1024}, team);
  EXPECT_TRUE(model) << model.error().chain();
  return *std::move(model);
}

struct Case {
  TinyModel model;
  kernels::AttentionArithmetic attention = kernels::AttentionArithmetic::exact;
};

class SameText : public ::testing::TestWithParam<Case> {};

TEST_P(SameText, OfSixtyFourSequencesInATinyMemory) {
  const std::vector<std::byte> bytes = testing::make_tiny_model(GetParam().model);
  parallel::Team team(1);
  const auto model = load(models::GgufFile::parse(bytes), team, GetParam().attention);
  Alone alone(*model, team);
  for (std::uint64_t seed = 0; seed < (testing::very_long_run() ? 20 : 2) && !HasFailure(); ++seed) {
    for (const int threads : {1, 2}) {
      check_crowd(*model, seed, threads, TierKind::memory, alone);
      check_crowd(*model, seed, threads, TierKind::file, alone);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, SameText,
                         ::testing::Values(Case{{"llama", tensor::Type::q4_1, true, "plain"}},
                                           Case{{"gemma3", tensor::Type::q6_k, true, "plain"}},
                                           Case{{"qwen3moe", tensor::Type::iq4_xs, false, "plain"}},
                                           Case{{"gpt-oss", tensor::Type::q8_0, false, "plain"}},
                                           Case{{"gemma3", tensor::Type::q6_k, true, "plain"},
                                                kernels::AttentionArithmetic::int8}),
                         [](const auto& param) {
                           std::string name = param.param.model.architecture;
                           std::erase(name, '-');
                           const auto attention = param.param.attention;
                           if (attention == kernels::AttentionArithmetic::exact) return name;
                           return name + "_" + std::string(kernels::name(attention));
                         });

TEST(SameTextOfARealModel, OfManySequencesInATinyMemory) {
  const auto path = testing::real_model("smollm2-135m");
  if (path.empty()) GTEST_SKIP() << "the model smollm2-135m is not here";
  parallel::Team team(2);
  const auto model = load(models::GgufFile::open(path), team);
  Alone alone(*model, team);
  if (testing::very_long_run()) {
    check_crowd(*model, 1, 2, TierKind::file, alone);
  } else {  // a few seconds
    check_crowd(*model, 1, 2, TierKind::file, alone, 24, 6);
  }
}

}  // namespace
}  // namespace plait::engine
