// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/door_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "base/random.h"
#include "engine/engine.h"
#include "evaluation/experiments/forced_guide.h"

namespace plait::evaluation {
namespace {

using base::Result;
using base::TokenId;
using engine::SequenceId;

constexpr std::size_t kDigits = 4;
constexpr std::string_view kPrompt =
    "Alice and Bob work on one report. Both write at the same time, and each can read what the other one writes.\n\n";
constexpr std::string_view kAlice = "The door code is ";
constexpr std::string_view kAliceEnd =
    ". It opens the back door of the house, and nobody but the two of us should know about it at all.";
constexpr std::string_view kWithheld = "The door of the house is painted green";
constexpr std::string_view kBob = "I am reading what Alice writes and then I report it. The door code is ";
constexpr std::string_view kHeader = "\n\n### Work in progress (own)\n\n";

/// A text that is fed token by token; keeps how surprised the model was at each.
class Fed final : public engine::Listener {
 public:
  bool on_token(SequenceId /*sequence*/, const models::Sample& sample) override {
    nats.push_back(sample.logprobs ? -static_cast<double>(sample.logprobs->chosen) : 0);
    return true;
  }
  void on_end(SequenceId /*sequence*/, const engine::Ending& ending) override {
    if (ending.error) error = ending.error;
  }
  std::vector<double> nats = {};
  std::optional<base::Error> error = {};
};

struct Texts {
  std::vector<TokenId> prompt = {};
  std::vector<TokenId> alice = {};
  std::vector<TokenId> bob = {};
  std::vector<TokenId> header = {};
  std::size_t alice_digits = 0;  ///< Where her digits begin,
  std::size_t bob_digits = 0;    ///< and his.
};

/// How two who write at the same time stand to each other.
struct Pace {
  std::size_t lead = 0;       ///< Her digits are fed so many steps before his.
  bool views_before = false;  ///< What each sees of a step ends before what the other feeds in it.
};

std::optional<Pace> pace_of(DoorCase which) {
  switch (which) {
    case DoorCase::lead_2:
      return Pace{.lead = 2};
    case DoorCase::lead_1:
      return Pace{.lead = 1};
    case DoorCase::lead_0:
      return Pace{.lead = 0};
    case DoorCase::views_before:
      return Pace{.lead = 1, .views_before = true};
    default:
      return {};
  }
}

class DoorRun {
 public:
  DoorRun(engine::Runner& runner, const models::Tokenizer& tokenizer) : runner_(runner), tokenizer_(tokenizer) {}

  Result<void> open() {
    const base::Bytes page = runner_.layout().page_bytes(0) + runner_.layout().page_bytes(1);
    PLAIT_TRY(engine_, engine::Engine::make(runner_, {.kv_bytes = 64 * page, .share_prefixes = false}));
    return {};
  }

  [[nodiscard]] Texts texts(const std::string& code, bool withheld) const {
    Texts texts{.prompt = tokenizer_.encode(kPrompt), .header = encode(kHeader)};
    texts.alice = encode(withheld ? kWithheld : kAlice);
    texts.alice_digits = texts.alice.size();
    if (!withheld) append(texts.alice, encode(code));
    append(texts.alice, encode(kAliceEnd));
    texts.bob = encode(kBob);
    texts.bob_digits = texts.bob.size();
    append(texts.bob, encode(code));
    return texts;
  }

  /// Nats per digit of Bob.
  Result<double> measure(DoorCase which, const Texts& texts) {
    PLAIT_TRY(const SequenceId prompt, computed({}, texts.prompt));
    std::vector<SequenceId> all{prompt};
    Result<double> nats = measure(which, texts, prompt, all);
    for (const SequenceId one : all) engine_->close(one);
    return nats;
  }

 private:
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const {
    return tokenizer_.encode(text, {.add_special = false});
  }
  static void append(std::vector<TokenId>& to, const std::vector<TokenId>& more) {
    to.insert(to.end(), more.begin(), more.end());
  }

  Result<void> run() {
    while (engine_->step()) {
    }
    return {};
  }

  /// A sequence behind others, its tokens computed in one go.
  Result<SequenceId> computed(const std::vector<SequenceId>& behind, const std::vector<TokenId>& tokens) {
    PLAIT_TRY(const SequenceId id, engine_->create({}));
    for (const SequenceId other : behind) PLAIT_TRY_VOID(engine_->join(id, other, 0));
    if (tokens.empty()) return id;
    PLAIT_TRY_VOID(engine_->append(id, tokens));
    PLAIT_TRY_VOID(engine_->generate(id, {.prompt_only = true, .listener = &quiet_}));
    PLAIT_TRY_VOID(run());
    return id;
  }

  Result<double> measure(DoorCase which, const Texts& texts, SequenceId prompt, std::vector<SequenceId>& all) {
    const auto keep = [&](SequenceId id) {
      all.push_back(id);
      return id;
    };
    if (const auto pace = pace_of(which)) return together(texts, prompt, *pace, all);
    std::vector<SequenceId> behind{prompt};
    if (which == DoorCase::concatenated || which == DoorCase::concatenated_header) {
      std::vector<TokenId> text = texts.alice;
      if (which == DoorCase::concatenated_header) append(text, texts.header);
      const std::size_t before = text.size();
      append(text, texts.bob);
      return alone(behind, text, before + texts.bob_digits, all);
    }
    if (which != DoorCase::isolated) {
      PLAIT_TRY(const SequenceId alice, computed(behind, texts.alice));
      behind.push_back(keep(alice));
    }
    if (which == DoorCase::finished_in_history) {
      PLAIT_TRY(const SequenceId header, computed({prompt}, texts.header));
      behind.push_back(keep(header));
    }
    return alone(behind, texts.bob, texts.bob_digits, all);
  }

  /// A text behind others, fed token by token.
  Result<double> alone(const std::vector<SequenceId>& behind, const std::vector<TokenId>& text, std::size_t digits,
                       std::vector<SequenceId>& all) {
    PLAIT_TRY(const SequenceId bob,
              computed(behind, {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(digits)}));
    all.push_back(bob);
    Fed fed;
    ForcedGuide guide({text.begin() + static_cast<std::ptrdiff_t>(digits), text.end()}, runner_.vocabulary());
    PLAIT_TRY_VOID(engine_->generate(bob, options(text.size() - digits, guide, fed)));
    PLAIT_TRY_VOID(run());
    return mean(fed, 0);
  }

  /// Both write at the same time.
  Result<double> together(const Texts& texts, SequenceId prompt, const Pace& pace, std::vector<SequenceId>& all) {
    // Whoever would be too late has the beginning of the text computed before.
    const std::size_t alice_at = texts.alice_digits + pace.lead;
    const std::size_t bob_first = 1 + (texts.bob_digits > alice_at ? texts.bob_digits - alice_at : 0);
    const std::size_t alice_first = 1 + (alice_at > texts.bob_digits ? alice_at - texts.bob_digits : 0);
    const auto begin_of = [](const std::vector<TokenId>& text, std::size_t count) {
      return std::vector<TokenId>(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(count));
    };
    PLAIT_TRY(const SequenceId alice, computed({prompt}, begin_of(texts.alice, alice_first)));
    all.push_back(alice);
    PLAIT_TRY(const SequenceId bob, computed({prompt}, begin_of(texts.bob, bob_first)));
    all.push_back(bob);
    PLAIT_TRY(const SequenceId header, computed({prompt}, texts.header));
    all.push_back(header);
    for (const auto& [one, other] : {std::pair{alice, bob}, std::pair{bob, alice}}) {
      PLAIT_TRY_VOID(engine_->watch(one, other, {.late = pace.views_before}));
      PLAIT_TRY_VOID(engine_->watch(one, header));
    }
    Fed alice_fed;
    Fed bob_fed;
    ForcedGuide alice_guide({texts.alice.begin() + static_cast<std::ptrdiff_t>(alice_first), texts.alice.end()},
                            runner_.vocabulary());
    ForcedGuide bob_guide({texts.bob.begin() + static_cast<std::ptrdiff_t>(bob_first), texts.bob.end()},
                          runner_.vocabulary());
    PLAIT_TRY_VOID(engine_->generate(alice, options(texts.alice.size() - alice_first, alice_guide, alice_fed)));
    PLAIT_TRY_VOID(engine_->generate(bob, options(texts.bob.size() - bob_first, bob_guide, bob_fed)));
    PLAIT_TRY_VOID(run());
    return mean(bob_fed, texts.bob_digits - bob_first);
  }

  static engine::GenerateOptions options(std::size_t tokens, ForcedGuide& guide, Fed& fed) {
    engine::GenerateOptions options;
    options.sampler.top_logprobs = 0;
    options.tokens_max = tokens;
    options.guide = &guide;
    options.listener = &fed;
    return options;
  }

  static Result<double> mean(const Fed& fed, std::size_t from) {
    if (fed.error) return std::unexpected(*fed.error);
    double sum = 0;
    for (std::size_t i = 0; i < kDigits; ++i) sum += fed.nats.at(from + i);
    return sum / kDigits;
  }

  engine::Runner& runner_;
  const models::Tokenizer& tokenizer_;
  std::unique_ptr<engine::Engine> engine_;
  Fed quiet_;
};

}  // namespace

std::string_view name(DoorCase which) {
  constexpr std::array<std::string_view, 10> kNames{"isolated",
                                                    "one text",
                                                    "one text with a header",
                                                    "finished",
                                                    "finished, behind a header",
                                                    "two steps ahead",
                                                    "one step ahead",
                                                    "the same step",
                                                    "one step ahead, seen late",
                                                    "withheld"};
  return kNames[static_cast<std::size_t>(which)];
}

Result<DoorFigures> run_door_codes(engine::Runner& runner, const models::Tokenizer& tokenizer,
                                   const DoorOptions& options) {
  DoorRun run(runner, tokenizer);
  PLAIT_TRY_VOID(run.open());
  DoorFigures figures;
  for (std::size_t i = 0; i < options.codes; ++i) {
    const std::string code = fmt::format("{:04}", base::random_u64(options.seed, i) % 10000);
    if (tokenizer.encode(code, {.add_special = false}).size() != kDigits) {
      return base::fail(base::ErrorCode::unsupported, "the vocabulary has no token for each digit");
    }
    for (const DoorCase which : {DoorCase::isolated, DoorCase::concatenated, DoorCase::concatenated_header,
                                 DoorCase::finished, DoorCase::finished_in_history, DoorCase::lead_2, DoorCase::lead_1,
                                 DoorCase::lead_0, DoorCase::views_before, DoorCase::withheld}) {
      PLAIT_TRY(const double nats, run.measure(which, run.texts(code, which == DoorCase::withheld)));
      figures[which].push_back(nats);
    }
  }
  return figures;
}

}  // namespace plait::evaluation
