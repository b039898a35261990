// SPDX-License-Identifier: Apache-2.0
#include "reasoning/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "reasoning/detail/strand.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::array kRules{std::pair{ScoreRule::mean, std::string_view("mean")},
                            std::pair{ScoreRule::sum, std::string_view("sum")},
                            std::pair{ScoreRule::unconditional, std::string_view("unconditional")}};
constexpr std::array kHows{std::pair{JoinOptions::How::text, std::string_view("text")},
                           std::pair{JoinOptions::How::variables, std::string_view("variables")},
                           std::pair{JoinOptions::How::spans, std::string_view("spans")}};

template <class Pairs>
auto find_name(const Pairs& pairs, std::string_view name) -> std::optional<decltype(pairs.front().first)> {
  const auto at = std::ranges::find(pairs, name, [](const auto& pair) { return pair.second; });
  if (at == pairs.end()) return std::nullopt;
  return at->first;
}

State state_of(const std::shared_ptr<Strand>& strand, const std::shared_ptr<StrandLease>& lease) {
  return lease ? State(lease) : State(strand->owner.add(strand));
}

}  // namespace

std::string_view name(ScoreRule rule) { return kRules[static_cast<std::size_t>(rule)].second; }
std::optional<ScoreRule> find_rule(std::string_view name) { return find_name(kRules, name); }
std::optional<JoinOptions::How> find_how(std::string_view name) { return find_name(kHows, name); }

std::string_view name(StrandEvent::Kind kind) {
  constexpr std::array<std::string_view, 8> kNames{"created", "appended", "text",      "captured",
                                                   "joined",  "failed",   "cancelled", "closed"};
  return kNames[static_cast<std::size_t>(kind)];
}

Strand& State::strand() const { return *lease_->strand; }
StrandId State::id() const { return strand().id; }

std::optional<State> State::parent() const {
  const auto above = strand().parent.lock();
  const auto lease = above ? above->lease.lock() : nullptr;
  return lease ? std::optional(State(lease)) : std::nullopt;
}

std::vector<State> State::children() const {
  std::vector<State> all;
  for (const auto& child : strand().children) {
    const auto below = child.lock();
    const auto lease = below ? below->lease.lock() : nullptr;
    if (lease) all.emplace_back(lease);
  }
  return all;
}

Value<Appended> State::append(Piece piece) const {
  const Promise<Appended> promise;
  strand().ask(append_operation(std::move(piece), promise));
  return promise.value();
}

Value<Appended> State::cut(std::size_t length) const {
  const Promise<Appended> promise;
  strand().ask(cut_operation(length, promise));
  return promise.value();
}

Value<Capture> State::gen(std::string name, GenOptions options) const {
  const Promise<Capture> promise;
  strand().ask(gen_operation(std::move(name), std::move(options), promise));
  return promise.value();
}

Value<Capture> State::select(std::string name, std::vector<std::string> options, ScoreRule rule) const {
  const Promise<Capture> promise;
  strand().ask(select_operation(std::move(name), std::move(options), rule, promise));
  return promise.value();
}

std::vector<State> State::fork(std::size_t count) const {
  Strand& parent = strand();
  std::vector<std::shared_ptr<Strand>> children;
  std::vector<State> states;
  for (std::size_t i = 0; i < count; ++i) {
    children.push_back(parent.new_child());
    states.push_back(state_of(children.back(), nullptr));
    children.back()->emit({.kind = StrandEvent::Kind::created, .parent = parent.id});
  }
  parent.ask(fork_operation(std::move(children)));
  return states;
}

Value<Joined> State::join(JoinOptions options) const {
  const Promise<Joined> promise;
  Strand& parent = strand();
  std::vector<std::shared_ptr<Strand>> children;
  for (const auto& child : parent.children) {
    const auto below = child.lock();
    if (below && below->forked_from == parent.id) children.push_back(below);
  }
  if (!options.children.empty()) {
    std::vector<std::shared_ptr<Strand>> chosen;
    for (const StrandId id : options.children) {
      const auto at = std::ranges::find(children, id, [](const auto& child) { return child->id; });
      if (at == children.end() || std::ranges::find(chosen, *at) != chosen.end()) {
        ++parent.operations;
        promise.keep(fail(ErrorCode::not_found,
                          fmt::format("strand {} is no child of this one, or is there twice", id.value())));
        return promise.value();
      }
      chosen.push_back(*at);
    }
    children = std::move(chosen);
  }
  parent.ask(join_operation(std::move(options), std::move(children), promise));
  return promise.value();
}

std::size_t State::cancel() const { return strand().cancel(); }
void State::recover() const { strand().recover(); }
void State::close() const { strand().close(); }
bool State::idle() const { return strand().idle(); }
bool State::closed() const { return strand().closed; }
std::optional<base::Error> State::error() const { return strand().failed; }
std::uint64_t State::operations() const { return strand().operations; }
std::size_t State::waiting() const { return strand().waiting(); }
std::size_t State::length() const { return strand().length; }
std::vector<base::TokenId> State::tokens() const { return strand().tokens(); }
std::string State::text() const { return strand().owner.model.tokenizer->decode(strand().tokens(), true); }
const std::vector<Capture>& State::captures() const { return strand().captures; }

const Capture* State::find(std::string_view name) const {
  const auto& captures = strand().captures;
  const auto at =
      std::find_if(captures.rbegin(), captures.rend(), [&](const Capture& one) { return one.name == name; });
  return at == captures.rend() ? nullptr : &*at;
}

Ledger State::ledger() const {
  Ledger ledger = strand().ledger;
  ledger.critical_path_tokens = strand().critical_path;
  return ledger;
}

Ledger State::tree_ledger() const { return strand().tree->ledger; }

Strands::Strands(engine::Engine& engine, StrandModel model)
    : state_(std::make_unique<StrandsState>(engine, std::move(model))) {}
Strands::~Strands() { PLAIT_CHECK(state_->strands.empty(), state_->strands.size()); }

Result<State> Strands::create(const StateOptions& options) {
  PLAIT_TRY(const engine::SequenceId sequence, state_->engine.create(options.sequence));
  auto tree = std::make_shared<StrandTree>(StrandTree{.options = options});
  const auto strand = std::make_shared<Strand>(*state_, std::move(tree), sequence);
  strand->seed = options.seed;
  State state(state_->add(strand));
  strand->emit({.kind = StrandEvent::Kind::created});
  return state;
}

const StrandModel& Strands::model() const { return state_->model; }

bool Strands::step() { return state_->engine.step(); }

}  // namespace plait::reasoning
