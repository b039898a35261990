// SPDX-License-Identifier: Apache-2.0
#include "reasoning/thread_weaver.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "reasoning/option_reader.h"
#include "reasoning/outline_grammar.h"
#include "reasoning/thinking.h"

namespace plait::reasoning {
namespace {

using base::Result;

constexpr std::string_view kOutlinesEnd = "</Outlines>";
constexpr std::string_view kThreadEnd = "</Thread>";
constexpr std::string_view kParallelEnd = "</Parallel>";

/// A thread of the block that is being worked on.
struct Thread {
  State strand;
  Value<Appended> header;
  Program<Said> saying;
};

/// What a block of threads has become.
struct Block {
  State strand;  ///< Goes on behind all of them.
  std::string text = {};
  std::vector<ThoughtPath> paths = {};
  bool broken = false;  ///< A thread did not end by itself.
};

std::string header_of(const Outline& outline, bool first) {
  return fmt::format("{}<Thread>\n{}:", first ? "\n" : "", outline.number);
}

/// What the user sees of a text: behind its last block, if something is there.
std::string answer_of(const std::string& text) {
  const std::size_t end = text.rfind(kParallelEnd);
  if (end == std::string::npos) return text;
  const std::string behind = text.substr(end + kParallelEnd.size());
  return behind.find_first_not_of(" \n") == std::string::npos ? text : behind;
}

class ThreadWeaver final : public Strategy {
 public:
  explicit ThreadWeaver(const ThreadWeaverOptions& options) : options_(options) {}

  [[nodiscard]] std::string_view name() const override { return "threads"; }
  [[nodiscard]] Bound bound(std::size_t question, std::size_t call) const override {
    const std::size_t calls = options_.blocks_max * (options_.threads_max + 1) + 1;
    return {.calls = 1,  // those that must be
            .rows = options_.threads_max,
            .generated_tokens = calls * call,
            .critical_path_tokens = (2 * options_.blocks_max + 1) * call,
            .prompt_tokens = question + options_.blocks_max * options_.threads_max * call};
  }
  [[nodiscard]] Program<Thought> think(Thinking& thinking) const override;

 private:
  [[nodiscard]] Program<Block> weave(Thinking& thinking, State main, std::vector<Outline> outlines, std::size_t number,
                                     std::uint64_t parent) const;

  ThreadWeaverOptions options_;
};

Program<Thought> ThreadWeaver::think(Thinking& thinking) const {
  PLAIT_CO_TRY(State main, thinking.open("threads.start"));
  Thought thought;
  std::string text;
  std::optional<std::uint64_t> parent;
  for (std::size_t block = 0;; ++block) {
    Call call{.label = "main", .tokens = thinking.share(), .seed = thinking.seed(block), .parent = parent};
    if (block < options_.blocks_max) {
      call.stop = {std::string(kOutlinesEnd)};
      call.stop_text = true;
    }
    const Program<Said> saying = thinking.call(main, call);
    PLAIT_CO_TRY(const Said said, co_await saying);
    text += said.text;
    parent = said.call;
    if (said.reason == engine::EndReason::length) thought.reason = said.reason;
    if (said.stop_string != kOutlinesEnd) break;
    std::vector<Outline> outlines = outlines_behind(text);
    if (outlines.size() > options_.threads_max) {
      thinking.count("outlines_left_out", outlines.size() - options_.threads_max);
      outlines.resize(options_.threads_max);
    }
    if (outlines.empty()) {
      thinking.count("blocks_without_outlines");
      break;
    }
    const Program<Block> weaving = weave(thinking, main, std::move(outlines), block + 1, said.call);
    PLAIT_CO_TRY(Block woven, co_await weaving);
    thinking.count("blocks");
    main = woven.strand;
    text += woven.text;
    std::ranges::move(woven.paths, std::back_inserter(thought.paths));
    if (woven.broken) break;
  }
  thought.answer = answer_of(text);
  thought.paths.push_back({.label = "all", .text = std::move(text), .chosen = true});
  co_return thought;
}

Program<Block> ThreadWeaver::weave(Thinking& thinking, State main, std::vector<Outline> outlines, std::size_t number,
                                   std::uint64_t parent) const {
  const Program<Said> committing = thinking.commit(main, fmt::format("block {}", number));
  PLAIT_CO_TRY([[maybe_unused]] const Said committed, co_await committing);
  const models::Tokenizer& tokenizer = *thinking.model().tokenizer;
  const std::size_t tokens = thinking.share(outlines.size());
  const std::vector<State> strands = main.fork(outlines.size());
  std::vector<Thread> threads;
  for (std::size_t i = 0; i < outlines.size(); ++i) {
    Value<Appended> header = strands[i].append(text_piece(tokenizer, header_of(outlines[i], true), true));
    Call call{.role = CallRole::child,
              .label = fmt::format("thread {}.{}", number, outlines[i].number),
              .tokens = tokens,
              .seed = thinking.seed(1000 + number, i),
              .stop = {std::string(kThreadEnd)},
              .parent = parent};
    threads.push_back({strands[i], std::move(header), thinking.call(strands[i], std::move(call))});
  }
  Block block{.strand = strands.front()};
  std::vector<Result<Said>> said;
  for (const Thread& thread : threads) {
    Result<Said> one = co_await thread.saying;
    said.push_back(std::move(one));
  }
  for (const auto& one : said) {
    if (!one) co_return std::unexpected(one.error());
  }
  for (std::size_t i = 0; i < threads.size(); ++i) {
    const bool first = i == 0;
    if (said[i]->stop_string != kThreadEnd) {
      block.broken = true;
      thinking.count("broken_threads");
    }
    if (!first) {
      const std::vector<base::TokenId> all = threads[i].strand.tokens();
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(threads[i].header.result()->length);
      static_cast<void>(block.strand.append(text_piece(tokenizer, header_of(outlines[i], false), true)));
      static_cast<void>(block.strand.append(token_piece({begin, all.end()})));
    }
    std::string end(kThreadEnd);
    if (i + 1 == threads.size()) end += block.broken ? kParallelEnd : "\n";
    static_cast<void>(block.strand.append(text_piece(tokenizer, end, true)));
    block.text += header_of(outlines[i], first) + said[i]->text + end;
    block.paths.push_back({.label = fmt::format("thread {}.{}: {}", number, outlines[i].number, outlines[i].text),
                           .text = said[i]->text});
  }
  co_return block;
}

}  // namespace

std::unique_ptr<Strategy> make_thread_weaver(const ThreadWeaverOptions& options) {
  return std::make_unique<ThreadWeaver>(options);
}

StrategyEntry thread_weaver_strategy() {
  return {.name = "threads",
          .about = "what the model outlines as independent is worked out at the same time",
          .options = "max_threads=8 max_blocks=16",
          .make = [](const text::Json& json) -> Result<std::unique_ptr<Strategy>> {
            OptionReader reader(json);
            ThreadWeaverOptions options;
            options.threads_max = reader.whole("max_threads", options.threads_max, 1, kOutlinesMax);
            options.blocks_max = reader.whole("max_blocks", options.blocks_max, 1, 64);
            PLAIT_TRY_VOID(reader.done());
            return make_thread_weaver(options);
          }};
}

}  // namespace plait::reasoning
