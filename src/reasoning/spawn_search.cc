// SPDX-License-Identifier: Apache-2.0
#include "reasoning/spawn_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "reasoning/option_reader.h"
#include "reasoning/spawn_grammar.h"
#include "reasoning/thinking.h"
#include "reasoning/verifier.h"

namespace plait::reasoning {
namespace {

using base::Result;

/// The parent's text, and where its last generation begins.
struct Parent {
  State strand;
  std::string text = {};
  std::vector<base::TokenId> tokens = {};  ///< Of the last generation,
  std::size_t length = 0;                  ///< tokens of the strand before it,
  std::size_t begin = 0;                   ///< and bytes of the text.

  /// Cuts the text at a byte of the last generation and goes on with another one. What is computed up to there stays.
  void replace_from(std::size_t at, std::string_view with, const models::Tokenizer& tokenizer);
};

void Parent::replace_from(std::size_t at, std::string_view with, const models::Tokenizer& tokenizer) {
  models::Detokenizer detokenizer(tokenizer);
  std::size_t kept = 0;
  std::size_t bytes = 0;
  for (std::size_t written = 0, i = 0; i < tokens.size(); ++i) {
    written += detokenizer.push(tokens[i]).size();
    if (begin + written > at) break;
    if (!models::Detokenizer(detokenizer).flush().empty()) continue;  // within a character
    kept = i + 1;
    bytes = written;
  }
  std::string rest = text.substr(begin + bytes, at - begin - bytes);
  rest += with;
  text.resize(at);
  text += with;
  static_cast<void>(strand.cut(length + kept));
  static_cast<void>(strand.append(text_piece(tokenizer, std::move(rest), true)));
}

class Spawn final : public Strategy {
 public:
  explicit Spawn(SpawnOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::string_view name() const override { return "spawn"; }
  [[nodiscard]] Bound bound(std::size_t question, std::size_t call) const override {
    const std::size_t child = options_.child_tokens_max > 0 ? std::min(options_.child_tokens_max, call) : call;
    const std::size_t blocks = options_.blocks_max;
    return {.calls = 1,  // those that must be
            .rows = std::max<std::size_t>(1, options_.children_max),
            .generated_tokens = (blocks + 1) * call + blocks * options_.children_max * child,
            .critical_path_tokens = (blocks + 1) * call + blocks * child,
            .prompt_tokens = question};
  }
  [[nodiscard]] Program<Thought> think(Thinking& thinking) const override;

 private:
  [[nodiscard]] Program<std::vector<SubSearchResult>> search(Thinking& thinking, std::vector<SpawnChild> children,
                                                             std::size_t block, std::uint64_t parent) const;

  SpawnOptions options_;
};

Program<Thought> Spawn::think(Thinking& thinking) const {
  PLAIT_CO_TRY(State root, thinking.open("spawn.start"));
  const models::Tokenizer& tokenizer = *thinking.model().tokenizer;
  Parent parent{.strand = std::move(root)};
  Thought thought;
  std::optional<std::uint64_t> before;
  std::size_t blocks = 0;
  for (std::size_t segment = 0; segment <= 2 * options_.blocks_max; ++segment) {
    Call call{.label = fmt::format("segment {}", segment + 1),
              .tokens = thinking.share(),
              .seed = thinking.seed(segment),
              .stop = {std::string(kSpawnEnd), std::string(kJoinBegin)},
              .stop_text = true,
              .parent = before};
    parent.length = parent.strand.length();
    const Program<Said> saying = thinking.call(parent.strand, std::move(call));
    PLAIT_CO_TRY(const Said said, co_await saying);
    before = said.call;
    parent.tokens = said.tokens;
    parent.begin = parent.text.size();
    parent.text += said.text;
    thought.reason = said.reason;
    if (auto instead = spawn_instead_of_join(parent.text); instead && said.stop_string == kJoinBegin) {
      thinking.count("joins_by_the_model");
      parent.replace_from(parent.text.size() - kJoinBegin.size(), kSpawnBegin, tokenizer);
      continue;
    }
    const SpawnBlock block = parse_spawn(parent.text, options_.children_max);
    if (block.ending == SpawnBlock::Ending::unclosed) thinking.count("open_blocks");
    if (block.ending != SpawnBlock::Ending::closed || block.begin < parent.begin || blocks == options_.blocks_max)
      break;
    ++blocks;
    thinking.count("doubled_calls", block.doubled);
    thinking.count("unreadable_calls", block.unreadable);
    thinking.count("calls_beyond_the_limit", block.beyond);
    const Program<std::vector<SubSearchResult>> searching =
        search(thinking, spawn_children(parent.text, block), blocks, said.call);
    PLAIT_CO_TRY(const std::vector<SubSearchResult> results, co_await searching);
    for (const SubSearchResult& result : results) {
      thought.paths.push_back({.label = fmt::format("search {}.{}", blocks, result.call.index),
                               .text = result.path.value_or(""),
                               .abstains = !result.path});
    }
    parent.replace_from(block.begin, join_block(results), tokenizer);
    if (parent.strand.error() || parent.strand.length() >= thinking.model().context) {
      thinking.count("joins_beyond_the_context");
      thought.reason = engine::EndReason::length;
      break;
    }
  }
  const auto path = solution_path(parent.text);
  thought.answer = path ? std::string(*path) : parent.text;
  if (options_.verifier) {
    PLAIT_CO_TRY(const double score, options_.verifier->score(thought.answer));
    thought.selector = fmt::format("verifier {}", options_.verifier->name());
    thinking.count(score >= kVerified ? "verified" : "not_verified");
  }
  thought.paths.push_back({.label = "all", .text = parent.text, .answer = thought.answer, .chosen = true});
  co_return thought;
}

/// The children, side by side, in the order in which they are listed.
Program<std::vector<SubSearchResult>> Spawn::search(Thinking& thinking, std::vector<SpawnChild> children,
                                                    std::size_t block, std::uint64_t parent) const {
  std::vector<std::optional<Program<Said>>> calls;
  std::size_t tokens = thinking.share(children.size());
  if (options_.child_tokens_max > 0) tokens = std::min(tokens, options_.child_tokens_max);
  for (std::size_t i = 0; i < children.size(); ++i) {
    thinking.count("children");
    if (!children[i].state) {
      thinking.count("invented_nodes");
      calls.emplace_back();
      continue;
    }
    PLAIT_CO_TRY(const State strand, thinking.open_text(child_prompt(children[i].call.node, *children[i].state)));
    Call call{.role = CallRole::child,
              .label = fmt::format("search {}.{}", block, children[i].call.index),
              .tokens = tokens,
              .seed = thinking.seed(1000 + block, i),
              .parent = parent};
    calls.emplace_back(thinking.call(strand, std::move(call)));
  }
  std::vector<SubSearchResult> results;
  for (std::size_t i = 0; i < children.size(); ++i) {
    SubSearchResult result{.call = children[i].call};
    if (calls[i]) {
      const Result<Said> said = co_await *calls[i];
      if (!said) thinking.count("failed_children");
      const auto path = said ? solution_path(said->text) : std::nullopt;
      if (path) result.path = std::string(*path);
    }
    results.push_back(std::move(result));
  }
  if (thinking.over()) co_return base::fail(base::ErrorCode::interrupted, "the run is over");
  co_return results;
}

}  // namespace

std::unique_ptr<Strategy> make_spawn(SpawnOptions options) { return std::make_unique<Spawn>(std::move(options)); }

StrategyEntry spawn_strategy() {
  return {.name = "spawn",
          .about = "a search whose parts are searched at the same time, in contexts of their own",
          .options = "children=10 max_child_tokens=0 max_blocks=32 verifier=countdown:…",
          .make = [](const text::Json& json) -> Result<std::unique_ptr<Strategy>> {
            OptionReader reader(json);
            SpawnOptions options;
            options.children_max = reader.whole("children", options.children_max, 0, 64);
            options.child_tokens_max = reader.whole("max_child_tokens", 0, 0, 1'000'000);
            options.blocks_max = reader.whole("max_blocks", options.blocks_max, 1, 256);
            const std::string verifier = reader.text("verifier", "");
            PLAIT_TRY_VOID(reader.done());
            if (!verifier.empty()) {
              PLAIT_TRY(options.verifier, make_verifier(verifier));
            }
            return make_spawn(std::move(options));
          }};
}

}  // namespace plait::reasoning
