// SPDX-License-Identifier: Apache-2.0
//
// Which tokens may come next so that the text stays within a grammar, and which must.
//
//   const auto table = std::make_shared<const TokenMaskTable>(*tokenizer);       // once for each tokenizer
//   MaskCache masks(grammar, table);                                             // once for each grammar
//   GrammarState at = masks.start();
//   PLAIT_TRY(const auto mask, masks.mask(at));                                  // bit t % 64 of word t / 64
//   at = masks.advance(at, token);
//
// A token is allowed if the text with all its bytes can still be finished. The vocabulary is a tree of bytes and the
// walk turns back where the grammar refuses, so a mask costs as many steps as there are beginnings of tokens that fit.
// Within strings nearly all of them do: there words are taken by their plain beginnings together (plain_words.h).
// Masks are kept by state, the last used ones first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "models/plain_words.h"
#include "models/token_trie.h"
#include "models/tokenizer.h"
#include "text/grammar/code_points.h"
#include "text/grammar/states.h"

namespace plait::models {

/// Where a text stands in a grammar, and where it does when it has left it.
using GrammarState = text::StateId;
inline constexpr GrammarState kOffGrammar = text::kRefused;

/// What masks need to know of a vocabulary. The tokenizer must outlive it.
struct TokenMaskTable {  // immutable; any thread
  /// `marks`: control tokens that a grammar's text may have, by their names.
  explicit TokenMaskTable(const Tokenizer& tokenizer_in, std::vector<base::TokenId> text_marks = {});
  /// Stands for text. Ends of generation do not.
  [[nodiscard]] bool is_text(base::TokenId token) const;

  const Tokenizer& tokenizer;
  std::vector<base::TokenId> marks;
  TokenTrie trie;
  PlainWords plain;
};

struct MaskCacheOptions {
  std::size_t bytes_max = std::size_t{32} << 20U;  ///< Of masks; two are always kept.
  text::StateLimits states = {};
  bool plain_words = true;  ///< No: every mask by a walk over all words, as a reference.
};

class MaskCache {  // one thread; may serve many generations
 public:
  using Mask = std::span<const std::uint64_t>;
  static constexpr std::uint32_t kNever = text::Grammar::kNever;

  MaskCache(std::shared_ptr<const text::Grammar> grammar, std::shared_ptr<const TokenMaskTable> table,
            const MaskCacheOptions& options = {});

  [[nodiscard]] GrammarState start() const { return states_.start(); }
  /// The tokens that may come next, ends of generation included where the text may end. Valid until the next call of a
  /// method. No allocation where it is kept already. Errors: out_of_resources (limits of states).
  [[nodiscard]] base::Result<Mask> mask(GrammarState state);
  /// Of these, those after which `left` - 1 tokens suffice to end, the end of generation counted. Where `left` is too
  /// small, the tokens of shortest ends. Errors: those of mask(); unsupported (the vocabulary has no words for a byte
  /// that is needed).
  [[nodiscard]] base::Result<Mask> mask_within(GrammarState state, std::size_t left);
  /// The state behind a token; kOffGrammar if the mask forbids it or if it is an end of generation.
  [[nodiscard]] GrammarState advance(GrammarState state, base::TokenId token);
  /// Tokens that suffice to come to an end, the end of generation not counted: the fewest for the shortest rest in
  /// bytes, so at least as many as are possible, and never more than cost(). kNever if words are missing.
  [[nodiscard]] std::uint32_t tokens_to_end(GrammarState state);
  /// What must follow as tokens, as the tokenizer writes it; cut where a longer token could go on beyond it. Valid
  /// until the next call.
  [[nodiscard]] std::span<const base::TokenId> forced(GrammarState state);
  /// The text may end here.
  [[nodiscard]] bool accepts(GrammarState state) const { return states_.accepts(state); }
  /// Errors: out_of_resources once a limit of states was hit; then the cache is of no more use.
  [[nodiscard]] base::Result<void> check() const { return states_.check(); }

  [[nodiscard]] text::GrammarStates& states() { return states_; }
  [[nodiscard]] const TokenMaskTable& table() const { return *table_; }
  [[nodiscard]] std::size_t masks_made() const { return made_; }

 private:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF, kDiffers = 0xFFFF'FFFE;
  struct Slot {
    GrammarState state = kOffGrammar;
    std::uint32_t newer = kNone, older = kNone;
    std::uint32_t bytes_after = 0;       // most bytes to the end behind an allowed token
    std::uint32_t tokens_after = kNone;  // the same in tokens, once somebody asked
    std::vector<std::uint64_t> bits = {};
  };
  /// Calls visit(tokens, state behind them) for all tokens below `root`, which stands for `state`, that the grammar
  /// allows, until that returns false. Requires: the trie is the table's or shorter.
  template <class Visit>
  void walk(const TokenTrie& trie, GrammarState state, std::uint32_t root, Visit visit);
  /// The one state behind every plain character, kOffGrammar if it allows none; nothing if that depends on which.
  [[nodiscard]] std::optional<GrammarState> behind_plain(GrammarState state);
  [[nodiscard]] std::optional<GrammarState> find_behind_plain(GrammarState state);
  [[nodiscard]] bool all_lead_to(GrammarState state, const text::Utf8Range& range, std::uint32_t at, GrammarState end);
  /// Fills in plain_path_. False: the walk over all words has to do.
  [[nodiscard]] bool find_plain_path(GrammarState state);
  void fill_along_plain_path(Slot& slot);
  /// The classes of bytes (token_trie.h) that all lead from a state back to it.
  [[nodiscard]] std::uint32_t loops_of(GrammarState state);
  Slot& slot_of(GrammarState state);
  void unlink(std::uint32_t slot);
  void make_newest(std::uint32_t slot);
  void fill(Slot& slot);
  void fill_from(const TokenTrie& trie, GrammarState state, Slot& slot);
  void allow_end(GrammarState state, std::vector<std::uint64_t>& bits) const;
  void allow(std::span<const base::TokenId> tokens, std::vector<std::uint64_t>& bits) const;
  void follow_shortest(GrammarState state);
  void write_forced(std::string_view bytes);
  void write_fewest(std::string_view bytes);
  void cut_open_end(std::string_view bytes, GrammarState end);

  std::shared_ptr<const TokenMaskTable> table_;
  bool bytes_suffice_;
  bool use_plain_words_;
  text::GrammarStates states_;
  std::size_t words_;  // of a mask
  std::size_t slots_max_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> slot_of_state_;
  std::uint32_t newest_ = kNone, oldest_ = kNone;
  std::size_t made_ = 0;
  std::vector<std::uint64_t> within_;
  std::vector<text::GrammarStates::Row*> rows_;  // [depth] of a walk
  std::vector<GrammarState> reached_;            // [depth]
  std::vector<std::uint32_t> tokens_to_end_;     // [state], kNone: not known yet
  std::vector<std::uint32_t> behind_plain_;      // [state], kNone: not known yet, kDiffers
  std::vector<GrammarState> plain_path_;         // [count]: the state behind so many plain characters
  std::vector<GrammarState> path_;
  std::string path_bytes_;
  std::vector<base::TokenId> forced_;
};

}  // namespace plait::models
