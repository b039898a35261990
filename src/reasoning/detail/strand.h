// SPDX-License-Identifier: Apache-2.0
//
// A strand from the inside: its queue of operations, and the text that they change. One operation runs at a time.
//
//   O1  An operation ends once: by finish(), fail_running(), or by its fail_with() when it is dropped before it ran.
//   O2  After finish() or fail_running() an operation touches the strand no more.
//   O3  A strand lives in StrandsState until it is closed; who calls out to strangers holds a pointer to it meanwhile.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "reasoning/state.h"

namespace plait::reasoning {

/// Something that a strand was asked for.
class Operation {
 public:
  virtual ~Operation() = default;
  /// Begins, and ends now or later. The strand is in peace until then.
  virtual void start(Strand& strand) = 0;
  /// Ends what start() began, at once.
  virtual void cancel(Strand& strand) = 0;
  /// The error is its value's.
  virtual void fail_with(const base::Error& error) = 0;

  std::uint64_t number = 0;  ///< On its strand; 0: not one that was asked for.
};

/// What the strands of a tree share.
struct StrandTree {
  StateOptions options;
  Ledger ledger = {};
};

class StrandsState {
 public:
  StrandsState(engine::Engine& the_engine, StrandModel the_model) : engine(the_engine), model(std::move(the_model)) {}

  [[nodiscard]] const models::TokenMaskTable* words();
  [[nodiscard]] std::shared_ptr<StrandLease> add(const std::shared_ptr<Strand>& strand);
  [[nodiscard]] StrandId next_id() { return StrandId(++last_id_); }

  engine::Engine& engine;
  StrandModel model;
  std::map<StrandId, std::shared_ptr<Strand>> strands;

 private:
  std::uint64_t last_id_ = 0;
  bool asked_for_words_ = false;
  std::shared_ptr<const models::TokenMaskTable> words_;
};

struct StrandLease {
  explicit StrandLease(std::shared_ptr<Strand> of) : strand(std::move(of)) {}
  ~StrandLease();
  StrandLease(const StrandLease&) = delete;
  StrandLease& operator=(const StrandLease&) = delete;
  std::shared_ptr<Strand> strand;
};

/// The last token of a text that a generation follows.
struct Boundary {
  base::TokenId token = base::kNoToken;
  std::string_view bytes = {};  ///< Its own, whole UTF-8. The tokenizer's.
  std::uint32_t node = 0;       ///< Of the tree of words: those below it begin with these bytes.
};

class Strand : public std::enable_shared_from_this<Strand> {
 public:
  Strand(StrandsState& owner, std::shared_ptr<StrandTree> tree, std::optional<engine::SequenceId> sequence);
  Strand(const Strand&) = delete;
  Strand& operator=(const Strand&) = delete;

  // Operations. (strand.cc)
  void ask(std::shared_ptr<Operation> operation);
  /// As ask(), but it is none that counts.
  void ask_unnumbered(std::shared_ptr<Operation> operation);
  void finish();
  void fail_running(const base::Error& error);
  std::size_t cancel();
  void close();
  void close_alone();
  void recover();
  [[nodiscard]] bool idle() const { return !running_ && queue_.empty(); }
  [[nodiscard]] std::size_t waiting() const { return queue_.size() + (running_ ? 1 : 0); }
  void emit(StrandEvent event) const;

  // Forks. (strand.cc)
  [[nodiscard]] std::shared_ptr<Strand> new_child();
  /// Takes over what its parent is now.
  void be_born(const Strand& parent, engine::SequenceId its_sequence,
               std::shared_ptr<const std::vector<base::TokenId>> tokens);
  /// Its parent never came to the fork.
  void stay_unborn(const base::Error& error);

  // Its text. (strand_text.cc) All leave it as it was where they fail.
  [[nodiscard]] base::Result<void> append_piece(const Piece& piece);
  [[nodiscard]] base::Result<void> append_tokens(std::span<const base::TokenId> tokens);
  /// `alone`: its tokens at the beginning of a strand, if somebody knows them.
  [[nodiscard]] base::Result<void> append_text(std::string_view text, bool parse_special,
                                               const std::vector<base::TokenId>* alone = nullptr);
  /// Cuts to `kept` tokens and appends others. Whatever was text is none any more.
  [[nodiscard]] base::Result<void> replace_end(std::size_t kept, std::span<const base::TokenId> tokens);
  [[nodiscard]] std::vector<base::TokenId> tokens() const;
  /// The boundary behind which a generation would begin, if its token could be another one.
  [[nodiscard]] std::optional<Boundary> boundary();
  /// Looks up how long it is after a generation; what that wrote is no text. `changed`: so is what stood before it.
  void settle(bool changed);
  /// Ends what its sequence generates, and nothing that was forked from it if it is closed.
  void end_generation();
  /// What it has written since its fork: the tokens, or nothing if the tokens before it are not the same any more.
  [[nodiscard]] std::optional<std::vector<base::TokenId>> tokens_since_fork() const;
  [[nodiscard]] base::Result<std::string> text_since_fork() const;

  // What it has cost.
  void charge(const engine::Usage& usage, std::size_t generated, std::size_t scored);
  void record(Capture capture) { captures.push_back(std::move(capture)); }
  /// Of the next generation whose options have none.
  [[nodiscard]] std::uint64_t next_seed();

  StrandsState& owner;
  const StrandId id;
  const std::shared_ptr<StrandTree> tree;
  std::uint64_t seed = 0;
  std::weak_ptr<Strand> parent;  ///< That it is cancelled with: where that one is closed, the next one above.
  StrandId forked_from = {};
  std::vector<std::weak_ptr<Strand>> children;
  std::weak_ptr<StrandLease> lease;
  std::optional<engine::SequenceId> sequence;  ///< Nothing before the fork, and after close().
  bool closed = false;
  std::size_t length = 0;      ///< In tokens.
  std::size_t joined_end = 0;  ///< Of these, so many are behind the last join by spans and cannot be changed.
  std::size_t critical_path = 0;
  std::vector<Capture> captures;
  std::size_t captures_before_fork = 0;
  Ledger ledger;
  std::optional<base::Error> failed;
  std::uint64_t operations = 0;

 private:
  /// Text at the end that was appended as such.
  struct TextRun {
    std::string text;
    std::size_t start = 0;  ///< Tokens before it.
    bool parse_special = true;
  };
  /// A conversation, up to the beginning of the assistant's turn.
  struct Chat {
    text::Json messages;
    models::ChatOptions options;
    std::size_t end = 0;  ///< In tokens.
  };
  void pump();
  void add_subtree(std::vector<std::shared_ptr<Strand>>& all);
  void drop_all(const base::Error& error);
  [[nodiscard]] base::Result<void> append_messages(const Piece& piece);
  [[nodiscard]] base::Result<void> check_room(std::size_t kept, std::size_t more) const;

  std::deque<std::shared_ptr<Operation>> queue_;
  std::shared_ptr<Operation> running_;
  bool pumping_ = false;
  bool born_ = false;
  std::uint64_t forks_ = 0;
  std::uint64_t generations_ = 0;
  std::optional<TextRun> run_;
  std::optional<Chat> chat_;
  std::shared_ptr<const std::vector<base::TokenId>> at_fork_;
};

// The operations. (append.cc, gen.cc, select.cc, join.cc)
[[nodiscard]] std::shared_ptr<Operation> append_operation(Piece piece, Promise<Appended> promise);
[[nodiscard]] std::shared_ptr<Operation> cut_operation(std::size_t length, Promise<Appended> promise);
[[nodiscard]] std::shared_ptr<Operation> gen_operation(std::string name, GenOptions options, Promise<Capture> promise);
[[nodiscard]] std::shared_ptr<Operation> select_operation(std::string name, std::vector<std::string> options,
                                                          ScoreRule rule, Promise<Capture> promise);
[[nodiscard]] std::shared_ptr<Operation> fork_operation(std::vector<std::shared_ptr<Strand>> children);
/// Asks the children to stand still when they are done.
[[nodiscard]] std::shared_ptr<Operation> join_operation(JoinOptions options,
                                                        std::vector<std::shared_ptr<Strand>> children,
                                                        Promise<Joined> promise);

[[nodiscard]] inline base::Error cancelled_error() {
  return {base::ErrorCode::interrupted, "it was cancelled before it began"};
}
[[nodiscard]] inline base::Error closed_error() { return {base::ErrorCode::not_found, "the strand is closed"}; }

}  // namespace plait::reasoning
