// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/pte_fairness.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "base/random.h"
#include "evaluation/experiments/forced_guide.h"
#include "evaluation/experiments/pte_replay.h"

namespace plait::evaluation {
namespace {

using base::Result;

/// A client that keeps two requests with the engine: one runs or waits, the other waits.
class Asker final : public engine::Listener {
 public:
  Asker(std::string name, std::size_t prompt, std::size_t generated, std::size_t vocabulary, std::uint64_t seed)
      : name_(std::move(name)), prompt_(prompt), tokens_(generated), vocabulary_(vocabulary), seed_(seed) {}

  Result<void> keep_asking(engine::Engine& engine) {
    std::erase_if(guides_, [](const auto& entry) { return entry.second == nullptr; });
    while (guides_.size() < 2) {
      const std::uint64_t seed = base::child_seed(seed_, asked_++);
      auto guide =
          std::make_unique<ForcedGuide>(scripted_tokens(base::child_seed(seed, 1), tokens_, vocabulary_), vocabulary_);
      engine::Request request;
      request.options.client = name_;
      request.prompt = scripted_tokens(base::child_seed(seed, 0), prompt_, vocabulary_);
      request.generate = {.sampler = {.temperature = 0}, .tokens_max = tokens_, .guide = guide.get(), .listener = this};
      PLAIT_TRY(const auto ids, engine.submit(request));
      guides_.emplace(ids.front(), std::move(guide));
    }
    return {};
  }

  bool on_token(engine::SequenceId, const models::Sample&) override { return true; }
  void on_end(engine::SequenceId sequence, const engine::Ending& ending) override {
    guides_[sequence] = nullptr;  // not needed any more
    if (ending.reason == engine::EndReason::cancelled) return;
    if (ending.error) error = ending.error;
    ++done;
    seconds += ending.usage.prompt_seconds + ending.usage.decode_seconds;
    tokens += ending.usage.counters.computed();
  }

  std::size_t done = 0;
  double seconds = 0;
  double tokens = 0;
  std::optional<base::Error> error;

 private:
  std::string name_;
  std::size_t prompt_;
  std::size_t tokens_;
  std::size_t vocabulary_;
  std::uint64_t seed_;
  std::uint64_t asked_ = 0;
  std::map<engine::SequenceId, std::unique_ptr<ForcedGuide>> guides_;
};

}  // namespace

double TwoShares::apart() const {
  return std::max(reader_seconds, writer_seconds) / std::min(reader_seconds, writer_seconds);
}

Result<TwoShares> run_two_clients(engine::Runner& runner, const TwoClients& clients, const engine::CostRates& rates,
                                  engine::ChargeUnit unit) {
  const base::Bytes page = runner.layout().page_bytes(0) + runner.layout().page_bytes(1);
  const std::size_t longest =
      std::max(clients.reader_prompt + clients.reader_tokens, clients.writer_prompt + clients.writer_tokens);
  Asker reader("reader", clients.reader_prompt, clients.reader_tokens, runner.vocabulary(), 1);
  Asker writer("writer", clients.writer_prompt, clients.writer_tokens, runner.vocabulary(), 2);
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, {.kv_bytes = (longest / models::kPageTokens + 4) * page,
                                                             .rows_max = 1,
                                                             .share_prefixes = false,
                                                             .rates = rates,
                                                             .unit = unit}));
  while (std::min(reader.done, writer.done) < clients.requests) {
    PLAIT_TRY_VOID(reader.keep_asking(*engine));
    PLAIT_TRY_VOID(writer.keep_asking(*engine));
    engine->step();
    for (const Asker* asker : {&reader, &writer}) {
      if (asker->error) return std::unexpected(*asker->error);
    }
  }
  return TwoShares{.reader_seconds = reader.seconds,
                   .writer_seconds = writer.seconds,
                   .reader_tokens = reader.tokens,
                   .writer_tokens = writer.tokens};
}

}  // namespace plait::evaluation
