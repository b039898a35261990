// SPDX-License-Identifier: Apache-2.0
//
// Forks and joins.
//
// A join puts a barrier into each child's queue when it is asked for: where the child reaches it, it has done all that
// it was asked before, and stands still until the join is over. Children never wait for a parent but to be born, so no
// two wait for each other.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "reasoning/detail/strand.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::TokenId;

class Fork final : public Operation {
 public:
  explicit Fork(std::vector<std::shared_ptr<Strand>> children) : children_(std::move(children)) {}

  void start(Strand& strand) override;
  void cancel(Strand& /*strand*/) override {}
  void fail_with(const base::Error& error) override {
    for (const auto& child : children_) child->stay_unborn(error);
  }

 private:
  std::vector<std::shared_ptr<Strand>> children_;
};

void Fork::start(Strand& strand) {
  const auto tokens = std::make_shared<const std::vector<TokenId>>(strand.tokens());
  std::vector<std::pair<std::shared_ptr<Strand>, engine::SequenceId>> born;
  for (const auto& child : children_) {
    if (child->closed) continue;
    auto sequence = strand.owner.engine.fork(*strand.sequence);
    if (!sequence) {
      for (const auto& [other, its] : born) strand.owner.engine.close(its);
      return strand.fail_running(sequence.error());
    }
    born.emplace_back(child, *sequence);
  }
  const Strand& parent = strand;
  strand.finish();
  for (const auto& [child, sequence] : born) {
    if (child->closed) {
      strand.owner.engine.close(sequence);
    } else {
      child->be_born(parent, sequence, tokens);
    }
  }
}

class Join;

/// In a child's queue.
class Barrier final : public Operation {
 public:
  explicit Barrier(std::weak_ptr<Join> join, std::size_t index) : join_(std::move(join)), index_(index) {}
  void start(Strand& strand) override;
  void cancel(Strand& strand) override;
  void fail_with(const base::Error& error) override;

 private:
  std::weak_ptr<Join> join_;
  std::size_t index_;
};

class Join final : public Operation, public std::enable_shared_from_this<Join>, private engine::Listener {
 public:
  Join(JoinOptions options, Promise<Joined> promise) : options_(std::move(options)), promise_(std::move(promise)) {}

  void add_child(const std::shared_ptr<Strand>& child) { children_.push_back({.strand = child}); }
  void ask_children() {
    for (std::size_t i = 0; i < children_.size(); ++i) {
      const auto child = children_[i].strand;
      child->ask_unnumbered(std::make_shared<Barrier>(weak_from_this(), i));
    }
  }

  void start(Strand& strand) override {
    strand_ = &strand;
    go_on();
  }
  void cancel(Strand& strand) override;
  void fail_with(const base::Error& error) override {
    release();
    promise_.keep(std::unexpected(error));
  }
  /// A child has come to its barrier, and stands there from now on; false if nobody waits for it any more.
  bool arrived(std::size_t index) {
    if (over_) return false;
    children_[index].stands = true;
    go_on();
    return true;
  }
  /// A child will not come, or leaves its barrier.
  void lost(std::size_t index, const base::Error& error);

 private:
  struct Child {
    std::shared_ptr<Strand> strand;
    bool stands = false;
    std::optional<base::Error> error = {};
  };
  void go_on();
  void release();
  void give_up(const base::Error& error);
  [[nodiscard]] Result<void> choose();
  [[nodiscard]] Result<void> append();
  [[nodiscard]] Result<void> append_child(const Strand& child);
  [[nodiscard]] Result<std::string> text_of(const Strand& child) const;
  [[nodiscard]] Result<void> compute();
  [[nodiscard]] Result<void> see();
  bool on_token(engine::SequenceId /*sequence*/, const models::Sample& /*sample*/) override { return true; }
  void on_end(engine::SequenceId sequence, const engine::Ending& ending) override;
  void conclude();

  JoinOptions options_;
  Promise<Joined> promise_;
  Strand* strand_ = nullptr;
  std::vector<Child> children_;                 // [barrier]
  std::vector<std::shared_ptr<Strand>> joins_;  // of them, those that have not failed
  std::vector<engine::SequenceId> computing_;
  std::size_t before_ = 0;  // length of the strand
  std::optional<base::Error> error_;
  bool begun_ = false;
  bool over_ = false;
  bool cancelled_ = false;
};

void Barrier::start(Strand& strand) {
  const auto join = join_.lock();
  if (!join || !join->arrived(index_)) strand.finish();
}
void Barrier::cancel(Strand& strand) {
  if (const auto join = join_.lock()) join->lost(index_, {ErrorCode::interrupted, "it was cancelled"});
  strand.finish();
}
void Barrier::fail_with(const base::Error& error) {
  if (const auto join = join_.lock()) join->lost(index_, error);
}

// Begins once its own turn has come and every child stands or has failed.
void Join::go_on() {
  if (strand_ == nullptr || begun_ || over_) return;
  if (std::ranges::any_of(children_, [](const Child& child) { return !child.stands && !child.error; })) return;
  begun_ = true;
  before_ = strand_->length;
  Result<void> done = choose();
  if (done) done = options_.how == JoinOptions::How::spans ? compute() : append();
  if (!done) return give_up(done.error());
  if (computing_.empty()) conclude();
}

void Join::lost(std::size_t index, const base::Error& error) {
  const auto self = shared_from_this();
  Child& child = children_[index];
  child.stands = false;
  if (over_) return;
  child.error = error;
  if (child.strand->sequence && std::ranges::find(computing_, *child.strand->sequence) != computing_.end()) {
    child.strand->end_generation();
  }
  go_on();
}

Result<void> Join::choose() {
  for (const Child& child : children_) {
    if (!child.error) {
      joins_.push_back(child.strand);
    } else if (!options_.skip_failed) {
      return fail(*child.error, fmt::format("in strand {}, which was to be joined", child.strand->id.value()));
    }
  }
  return {};
}

Result<std::string> Join::text_of(const Strand& child) const {
  if (options_.capture.empty()) return child.text_since_fork();
  for (std::size_t i = child.captures.size(); i > child.captures_before_fork; --i) {
    const Capture& capture = child.captures[i - 1];
    if (capture.name == options_.capture) return capture.text;
  }
  return fail(ErrorCode::not_found,
              fmt::format("strand {} has no capture `{}`", child.id.value(), options_.capture.substr(0, 100)));
}

/// Token by token what a child has, as far as the tokens before that are the same in both.
Result<void> Join::append_child(const Strand& child) {
  const auto tokens = options_.capture.empty() ? child.tokens_since_fork() : std::nullopt;
  if (tokens) return strand_->append_tokens(*tokens);
  PLAIT_TRY(const std::string text, text_of(child));
  return strand_->append_text(text, options_.capture.empty());
}

Result<void> Join::append() {
  if (options_.how == JoinOptions::How::variables) return {};
  const std::vector<TokenId> before = strand_->tokens();
  for (std::size_t i = 0; i < joins_.size(); ++i) {
    Result<void> done;
    if (i > 0 && !options_.separator.empty()) done = strand_->append_text(options_.separator, false);
    if (done) done = append_child(*joins_[i]);
    if (done) continue;
    const std::size_t kept = strand_->joined_end;
    PLAIT_TRY_VOID(strand_->replace_end(kept, std::span(before).subspan(kept)));
    return done;
  }
  return {};
}

/// All that is to be seen has to be computed, and so has what will see it.
Result<void> Join::compute() {
  std::vector<Strand*> all;
  for (const auto& child : joins_) {
    const auto tokens = child->tokens_since_fork();
    if (!tokens || child->joined_end + tokens->size() > child->length) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("strand {} went on within the last token before the fork, or has joined others by spans: "
                              "join it by text, or create the strands with heal off",
                              child->id.value()));
    }
    if (!tokens->empty()) all.push_back(child.get());
  }
  if (all.empty()) return {};
  if (strand_->length > strand_->joined_end) all.push_back(strand_);
  for (const Strand* strand : all) computing_.push_back(*strand->sequence);
  const auto sequences = computing_;
  for (const engine::SequenceId sequence : sequences) {
    const engine::GenerateOptions only{.tokens_max = 1, .prompt_only = true, .patient = true, .listener = this};
    if (auto begun = strand_->owner.engine.generate(sequence, only); !begun) {
      std::erase(computing_, sequence);
      error_ = begun.error();
    }
  }
  if (error_ && computing_.empty()) return std::unexpected(*error_);
  return {};
}

void Join::on_end(engine::SequenceId sequence, const engine::Ending& ending) {
  const auto self = shared_from_this();
  const auto strand = strand_->shared_from_this();
  std::erase(computing_, sequence);
  strand->charge(ending.usage, 0, 0);
  if (ending.reason != engine::EndReason::length && !error_) {
    error_ = ending.error.value_or(base::Error{ErrorCode::interrupted, "it was cancelled"});
  }
  if (!computing_.empty()) return;
  if (!error_) {
    if (auto seen = see(); !seen) error_ = seen.error();
  }
  if (error_) return give_up(*error_);
  conclude();
}

Result<void> Join::see() {
  for (const auto& child : joins_) {
    const auto tokens = child->tokens_since_fork();
    if (tokens->empty()) continue;
    const std::size_t first = child->length - tokens->size() - child->joined_end;
    PLAIT_TRY_VOID(strand_->owner.engine.join(*strand_->sequence, *child->sequence, first));
  }
  strand_->settle(true);
  strand_->joined_end = strand_->length;
  return {};
}

void Join::release() {
  over_ = true;
  for (Child& child : children_) {
    if (std::exchange(child.stands, false)) child.strand->finish();
  }
}

void Join::cancel(Strand& strand) {
  cancelled_ = true;
  const auto self = shared_from_this();
  if (computing_.empty()) return give_up(cancelled_error());
  const auto sequences = computing_;
  for (const engine::SequenceId sequence : sequences) strand.owner.engine.cancel(sequence);
}

void Join::give_up(const base::Error& error) {
  const auto self = shared_from_this();
  if (!cancelled_) return strand_->fail_running(error);  // which releases the children
  over_ = true;
  strand_->finish();
  fail_with(error);
}

void Join::conclude() {
  const auto self = shared_from_this();
  Strand& strand = *strand_;
  Joined joined{.tokens = strand.length - before_, .length = strand.length};
  for (std::size_t i = 0; i < joins_.size(); ++i) {
    const Strand& child = *joins_[i];
    joined.children.push_back(child.id);
    strand.critical_path = std::max(strand.critical_path, child.critical_path);
    const auto first = child.captures.begin() + static_cast<std::ptrdiff_t>(child.captures_before_fork);
    joined.captures.emplace_back(first, child.captures.end());
    for (Capture capture : joined.captures.back()) {
      capture.name += fmt::format("[{}]", i);
      strand.record(std::move(capture));
    }
  }
  strand.emit({.kind = StrandEvent::Kind::joined, .tokens = joined.tokens});
  strand.finish();
  release();
  promise_.keep(std::move(joined));
}

}  // namespace

std::shared_ptr<Operation> fork_operation(std::vector<std::shared_ptr<Strand>> children) {
  return std::make_shared<Fork>(std::move(children));
}

std::shared_ptr<Operation> join_operation(JoinOptions options, std::vector<std::shared_ptr<Strand>> children,
                                          Promise<Joined> promise) {
  auto join = std::make_shared<Join>(std::move(options), std::move(promise));
  for (const auto& child : children) join->add_child(child);
  join->ask_children();
  return join;
}

}  // namespace plait::reasoning
