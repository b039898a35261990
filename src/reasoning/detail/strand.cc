// SPDX-License-Identifier: Apache-2.0
#include "reasoning/detail/strand.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace plait::reasoning {

using base::Error;

const models::TokenMaskTable* StrandsState::words() {
  if (!asked_for_words_ && model.words) words_ = model.words();
  asked_for_words_ = true;
  return words_.get();
}

std::shared_ptr<StrandLease> StrandsState::add(const std::shared_ptr<Strand>& strand) {
  strands.emplace(strand->id, strand);
  auto lease = std::make_shared<StrandLease>(strand);
  strand->lease = lease;
  return lease;
}

StrandLease::~StrandLease() { strand->close_alone(); }

Strand::Strand(StrandsState& the_owner, std::shared_ptr<StrandTree> the_tree,
               std::optional<engine::SequenceId> its_sequence)
    : owner(the_owner),
      id(the_owner.next_id()),
      tree(std::move(the_tree)),
      sequence(its_sequence),
      born_(its_sequence.has_value()) {}

void Strand::emit(StrandEvent event) const {
  event.strand = id;
  if (event.operation == 0 && running_) event.operation = running_->number;
  if (tree->options.events) tree->options.events(event);
}

void Strand::ask(std::shared_ptr<Operation> operation) {
  operation->number = ++operations;
  ask_unnumbered(std::move(operation));
}

void Strand::ask_unnumbered(std::shared_ptr<Operation> operation) {
  if (closed) return operation->fail_with(closed_error());
  if (failed) return operation->fail_with(*failed);
  queue_.push_back(std::move(operation));
  pump();
}

void Strand::pump() {
  if (pumping_ || !born_) return;
  const auto self = shared_from_this();
  pumping_ = true;
  while (!running_ && !queue_.empty()) {
    running_ = std::move(queue_.front());
    queue_.pop_front();
    const auto operation = running_;
    operation->start(*this);
  }
  pumping_ = false;
}

void Strand::finish() {
  PLAIT_CHECK(running_ != nullptr);
  running_.reset();
  pump();
}

void Strand::fail_running(const Error& error) {
  PLAIT_CHECK(running_ != nullptr);
  const auto self = shared_from_this();
  const auto operation = running_;
  failed = error;
  emit({.kind = StrandEvent::Kind::failed, .error = &error});
  running_.reset();
  const auto dropped = std::exchange(queue_, {});  // before anybody is told, who might recover it
  operation->fail_with(error);
  for (const auto& behind : dropped) behind->fail_with(error);
}

void Strand::drop_all(const Error& error) {
  for (const auto& operation : std::exchange(queue_, {})) operation->fail_with(error);
}

void Strand::add_subtree(std::vector<std::shared_ptr<Strand>>& all) {
  all.push_back(shared_from_this());
  for (const auto& child : children) {
    if (const auto strand = child.lock()) strand->add_subtree(all);
  }
}

// What waits goes first, or it would run as soon as what runs has ended.
std::size_t Strand::cancel() {
  std::vector<std::shared_ptr<Strand>> all;
  add_subtree(all);
  std::vector<bool> busy;
  std::size_t count = 0;
  for (const auto& strand : all) {
    busy.push_back(!strand->idle());
    count += strand->waiting();
    strand->drop_all(cancelled_error());
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto operation = all[i]->running_;
    if (operation) operation->cancel(*all[i]);
    if (busy[i]) all[i]->emit({.kind = StrandEvent::Kind::cancelled});
    all[i]->recover();
  }
  return count;
}

void Strand::recover() {
  if (born_) failed.reset();
}

void Strand::close() {
  const auto self = shared_from_this();
  const auto below = children;
  for (const auto& child : below) {
    if (const auto strand = child.lock()) strand->close();
  }
  close_alone();
}

void Strand::close_alone() {
  if (closed) return;
  const auto self = shared_from_this();
  closed = true;  // nothing new from those who are told of it
  drop_all(closed_error());
  if (running_) {
    const auto operation = running_;
    operation->cancel(*this);
  }
  if (sequence) owner.engine.close(*std::exchange(sequence, std::nullopt));
  const auto above = parent.lock();
  if (above) std::erase_if(above->children, [&](const auto& child) { return child.lock() == self; });
  for (const auto& child : std::exchange(children, {})) {
    const auto strand = child.lock();
    if (!strand) continue;
    strand->parent = parent;
    if (above) above->children.push_back(child);
  }
  owner.strands.erase(id);
  emit({.kind = StrandEvent::Kind::closed});
}

std::shared_ptr<Strand> Strand::new_child() {
  auto child = std::make_shared<Strand>(owner, tree, std::nullopt);
  child->seed = base::child_seed(seed, forks_++);
  child->parent = weak_from_this();
  child->forked_from = id;
  children.push_back(child);
  return child;
}

void Strand::be_born(const Strand& from, engine::SequenceId its_sequence,
                     std::shared_ptr<const std::vector<base::TokenId>> tokens) {
  sequence = its_sequence;
  length = from.length;
  joined_end = from.joined_end;
  critical_path = from.critical_path;
  captures = from.captures;
  captures_before_fork = captures.size();
  run_ = from.run_;
  chat_ = from.chat_;
  at_fork_ = std::move(tokens);
  born_ = true;
  pump();
}

void Strand::stay_unborn(const Error& error) {
  if (closed) return;
  const auto self = shared_from_this();
  failed = error;
  failed->context.emplace_back("its parent never came to the fork");
  emit({.kind = StrandEvent::Kind::failed, .error = &*failed});
  drop_all(*failed);
}

void Strand::charge(const engine::Usage& usage, std::size_t generated, std::size_t scored) {
  for (Ledger* one : {&ledger, &tree->ledger}) {
    one->generated_tokens += generated;
    one->prefill_tokens += usage.computed_tokens;
    one->cached_tokens += usage.cached_tokens;
    one->scored_tokens += scored;
    one->cost += usage.cost;
  }
}

std::uint64_t Strand::next_seed() {
  const std::uint64_t count = generations_++;
  return count == 0 ? seed : base::random_u64(seed, count);
}

}  // namespace plait::reasoning
