// SPDX-License-Identifier: Apache-2.0
//
// A round is a new request with the whole transcript, as a client of a server sends it. What the last round computed is
// found again under the trajectory's salt; an agent that loses it gets another salt for each round. So both kinds run
// beside each other on one engine.
#include "evaluation/experiments/pte_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/random.h"
#include "evaluation/experiments/forced_guide.h"

namespace plait::evaluation {
namespace {

using base::Result;
using base::TokenId;

/// What one trajectory will say, and where it is.
class Agent final : public engine::Listener {
 public:
  Agent(const AgentShape& shape, std::size_t shape_index, std::uint64_t seed, const ReplayOptions& options,
        std::size_t vocabulary)
      : shape_(shape), seed_(seed), vocabulary_(vocabulary) {
    trajectory.agent = shape_index;
    context_ = scripted_tokens(base::child_seed(seed, 0), varied(options.prompt, 0), vocabulary);
  }

  bool on_token(engine::SequenceId, const models::Sample&) override { return true; }
  void on_end(engine::SequenceId, const engine::Ending& ending) override { ending_ = ending; }

  /// Asks for the next round.
  Result<void> start(engine::Engine& engine) {
    const std::size_t round = trajectory.rounds.size();
    std::vector<TokenId> thinking =
        scripted_tokens(base::child_seed(seed_, 2 * round + 1), varied(shape_.thinking, 2 * round + 1), vocabulary_);
    PLAIT_TRY(sequence_, engine.create({.client = fmt::format("{:x}", seed_),
                                        .salt = shape_.evicts ? fmt::format("{:x}/{}", seed_, round)
                                                              : fmt::format("{:x}", seed_)}));
    PLAIT_TRY_VOID(engine.append(sequence_, context_));
    const std::size_t count = thinking.size();
    context_.insert(context_.end(), thinking.begin(), thinking.end());
    guide_.emplace(std::move(thinking), vocabulary_);
    ending_.reset();
    return engine.generate(sequence_, {.sampler = {.temperature = 0},
                                       .tokens_max = count,
                                       .returns = !shape_.evicts && round + 1 < shape_.rounds,
                                       .guide = &*guide_,
                                       .listener = this});
  }

  [[nodiscard]] bool round_done() const { return ending_.has_value(); }

  /// Takes down the round that has ended and adds the tool's reply. False after the last round.
  Result<bool> next(engine::Engine& engine) {
    if (ending_->error) return std::unexpected(*ending_->error);
    const engine::Usage& usage = ending_->usage;
    trajectory.rounds.push_back({.counters = usage.counters,
                                 .prompt_tokens = static_cast<double>(usage.prompt_tokens),
                                 .generated = static_cast<double>(usage.generated_tokens),
                                 .seconds = usage.waited_seconds + usage.prompt_seconds + usage.decode_seconds});
    engine.close(sequence_);
    trajectory.transcript = static_cast<double>(context_.size());
    const std::size_t rounds = trajectory.rounds.size();
    if (rounds == shape_.rounds) return false;
    const auto reply =
        scripted_tokens(base::child_seed(seed_, 2 * rounds), varied(shape_.reply, 2 * rounds), vocabulary_);
    context_.insert(context_.end(), reply.begin(), reply.end());
    return true;
  }

  Trajectory trajectory;

 private:
  /// A length, up to a quarter more or less. At least 1.
  [[nodiscard]] std::size_t varied(std::size_t length, std::uint64_t draw) const {
    const double factor = 0.75 + 0.5 * base::random_unit(seed_, draw);
    return std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(length) * factor));
  }

  AgentShape shape_;
  std::uint64_t seed_;
  std::size_t vocabulary_;
  std::vector<TokenId> context_;
  engine::SequenceId sequence_;
  std::optional<ForcedGuide> guide_;
  std::optional<engine::Ending> ending_;
};

/// The longest that a trajectory of the shape can become.
std::size_t length_most(const AgentShape& shape, const ReplayOptions& options) {
  return (options.prompt + shape.rounds * (shape.reply + shape.thinking)) * 5 / 4 + 2 * shape.rounds;
}

/// All trajectories in the order in which they start.
std::vector<std::unique_ptr<Agent>> shuffled_agents(std::span<const AgentShape> shapes, const ReplayOptions& options,
                                                    std::size_t vocabulary) {
  std::vector<std::unique_ptr<Agent>> agents;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    for (std::size_t t = 0; t < options.trajectories; ++t) {
      const std::uint64_t seed = base::child_seed(options.seed, i * options.trajectories + t);
      agents.push_back(std::make_unique<Agent>(shapes[i], i, seed, options, vocabulary));
    }
  }
  for (std::size_t i = agents.size(); i > 1; --i) {
    std::swap(agents[i - 1], agents[base::random_u64(options.seed, i) % i]);
  }
  for (std::size_t i = 0; i < agents.size(); ++i) agents[i]->trajectory.shuffled = i;
  return agents;
}

ReplayStep timed_step(engine::Engine& engine) {
  const engine::EngineCounters before = engine.counters();
  const double start = base::steady_clock().now();
  engine.step();
  const double seconds = base::steady_clock().now() - start;
  const engine::EngineCounters after = engine.counters();
  return {.work = after.work - before.work,
          .decode_rows = static_cast<double>(after.decode_rows - before.decode_rows),
          .seconds = seconds};
}

}  // namespace

std::string AgentShape::name() const {
  return fmt::format("{} x ({} + {}), {}", rounds, reply, thinking, evicts ? "evicted" : "kept");
}

std::vector<TokenId> scripted_tokens(std::uint64_t seed, std::size_t count, std::size_t vocabulary) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) {
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(seed, i) % vocabulary));
  }
  return tokens;
}

Result<Replay> replay_agents(engine::Runner& runner, std::span<const AgentShape> shapes, const ReplayOptions& options) {
  std::size_t longest = 0;
  for (const AgentShape& shape : shapes) longest = std::max(longest, length_most(shape, options));
  if (longest > runner.context()) {
    return base::fail(base::ErrorCode::invalid_argument,
                      fmt::format("scripts of {} tokens are beyond the context of {}", longest, runner.context()));
  }
  // Room for twice what runs at a time, so that what is kept is found and nobody is preempted.
  const base::Bytes page = runner.layout().page_bytes(0) + runner.layout().page_bytes(1);
  const base::Bytes pages = 2 * options.concurrency * (longest / models::kPageTokens + 2);
  auto agents = shuffled_agents(shapes, options, runner.vocabulary());  // before the engine, which they listen to
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, {.kv_bytes = pages * page}));
  std::deque<Agent*> waiting;
  for (const auto& agent : agents) waiting.push_back(agent.get());
  std::vector<Agent*> active;
  Replay replay;
  while (!waiting.empty() || !active.empty()) {
    while (!waiting.empty() && active.size() < options.concurrency) {
      PLAIT_TRY_VOID(waiting.front()->start(*engine));
      active.push_back(waiting.front());
      waiting.pop_front();
    }
    replay.steps.push_back(timed_step(*engine));
    for (std::size_t i = 0; i < active.size();) {
      if (active[i]->round_done()) {
        PLAIT_TRY(const bool more, active[i]->next(*engine));
        if (!more) {
          active.erase(active.begin() + static_cast<std::ptrdiff_t>(i));
          continue;
        }
        PLAIT_TRY_VOID(active[i]->start(*engine));
      }
      ++i;
    }
  }
  for (const auto& agent : agents) replay.trajectories.push_back(std::move(agent->trajectory));
  std::ranges::stable_sort(replay.trajectories, {}, &Trajectory::agent);
  return replay;
}

}  // namespace plait::evaluation
