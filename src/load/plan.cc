// SPDX-License-Identifier: Apache-2.0
#include "load/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/random.h"

namespace plait::load {
namespace {

using base::child_seed;
using base::random_u64;
using text::Json;

constexpr std::array<std::pair<std::string_view, LoadKind>, kLoadKinds> kNames = {{
    {"single", LoadKind::single},
    {"strangers", LoadKind::strangers},
    {"shared", LoadKind::shared},
    {"samples", LoadKind::samples},
    {"sessions", LoadKind::sessions},
    {"fairness", LoadKind::fairness},
}};

constexpr std::array<std::string_view, 96> kWords = {
    "time",    "year",        "people", "way",      "day",       "man",     "thing",  "woman",   "life",
    "child",   "world",       "school", "state",    "family",    "student", "group",  "country", "problem",
    "hand",    "part",        "place",  "case",     "week",      "company", "system", "program", "question",
    "work",    "government",  "number", "night",    "point",     "home",    "water",  "room",    "mother",
    "area",    "money",       "story",  "fact",     "month",     "lot",     "right",  "study",   "book",
    "eye",     "job",         "word",   "business", "issue",     "side",    "kind",   "head",    "house",
    "service", "friend",      "father", "power",    "hour",      "game",    "line",   "end",     "member",
    "law",     "car",         "city",   "name",     "president", "team",    "minute", "idea",    "kid",
    "body",    "information", "back",   "parent",   "face",      "others",  "level",  "office",  "door",
    "health",  "person",      "art",    "war",      "history",   "party",   "result", "change",  "morning",
    "reason",  "research",    "girl",   "guy",      "moment",    "air",
};

// What a seed is for. The numbers of tasks come behind them.
constexpr std::uint64_t kSharedSeed = 1;
constexpr std::uint64_t kSourceSeeds = 2;

constexpr std::size_t kCountMax = 1'000'000;

}  // namespace

std::string_view name(LoadKind kind) {
  return std::ranges::find(kNames, kind, &std::pair<std::string_view, LoadKind>::second)->first;
}

std::optional<LoadKind> load_kind(std::string_view name) {
  const auto* const at = std::ranges::find(kNames, name, &std::pair<std::string_view, LoadKind>::first);
  return at == kNames.end() ? std::nullopt : std::optional(at->second);
}

LoadOptions usual_options(LoadKind kind) {
  LoadOptions options{.kind = kind};
  switch (kind) {
    case LoadKind::single:
      options.users = 1;
      options.requests = 5;
      options.prompt = 512;
      break;
    case LoadKind::strangers:
      options.users = options.requests = 32;
      break;
    case LoadKind::shared:
      options.users = options.requests = 16;
      options.prompt = 32;
      options.shared = 896;
      break;
    case LoadKind::samples:
      options.users = 1;
      options.requests = 4;
      options.prompt = 896;
      options.samples = 8;
      break;
    case LoadKind::sessions:
      options.users = options.requests = 16;
      options.chat = true;
      options.prompt = 256;
      options.turns = 5;
      options.turn_prompt = 64;
      options.pause = 1;
      break;
    case LoadKind::fairness:
      options.users = 1;
      options.requests = 20;
      options.prompt = 32;
      options.output = 32;
      options.pause = 0.5;
      break;
  }
  return options;
}

base::Result<void> check(const LoadOptions& options) {
  const auto wrong = [](std::string message) {
    return base::fail(base::ErrorCode::invalid_argument, std::move(message));
  };
  const std::array<std::pair<const char*, std::size_t>, 9> counts = {{{"--users", options.users},
                                                                      {"--requests", options.requests},
                                                                      {"--prompt", options.prompt},
                                                                      {"--output", options.output},
                                                                      {"--samples", options.samples},
                                                                      {"--turns", options.turns},
                                                                      {"--heavy", options.heavy},
                                                                      {"--heavy-output", options.heavy_output},
                                                                      {"--open-max", options.open_max}}};
  for (const auto& [flag, count] : counts) {
    if (count < 1 || count > kCountMax) return wrong(fmt::format("{} must be from 1 to {}", flag, kCountMax));
  }
  if (options.shared > kCountMax || options.turn_prompt > kCountMax || options.heavy_prompt > kCountMax) {
    return wrong(fmt::format("a prompt of more than {} tokens", kCountMax));
  }
  if (options.turns > 1 && options.turn_prompt < 1) return wrong("--turn-prompt must be 1 at least");
  if (options.heavy_prompt < 1) return wrong("--heavy-prompt must be 1 at least");
  if (options.ids_below < 16) return wrong("--ids-below must be 16 at least");
  if (!(options.rate >= 0 && options.rate <= 1e6)) return wrong("--rate must be from 0 to 1000000");
  if (!(options.pause >= 0 && options.pause <= 86'400)) return wrong("--pause must be from 0 to 86400");
  return {};
}

std::vector<Source> sources(const LoadOptions& options) {
  Source main{.name = std::string(name(options.kind)),
              .users = options.users,
              .tasks = options.requests,
              .rate = options.rate,
              .prompt = options.prompt,
              .output = options.output};
  if (options.kind != LoadKind::fairness) return {main};
  main.name = "light";
  main.pause = options.pause;
  main.start = 1;  // by then the heavy client has what it wants
  return {{.name = "heavy", .users = options.heavy, .prompt = options.heavy_prompt, .output = options.heavy_output},
          std::move(main)};
}

double exponential(std::uint64_t seed, std::uint64_t number, double mean) {
  return -mean * std::log1p(-base::random_unit(seed, number));
}

double pause_seconds(std::uint64_t seed, std::uint64_t number, double mean) {
  return mean * (0.5 + base::random_unit(seed, number));
}

std::string_view path(const LoadOptions& options) { return options.chat ? "/v1/chat/completions" : "/v1/completions"; }

Conversation::Conversation(const LoadOptions& options, const Source& of, std::size_t source, std::size_t number)
    : options_(options), source_(of), seed_(child_seed(child_seed(options.seed, kSourceSeeds + source), number)) {}

std::string Conversation::words(std::uint64_t seed, std::size_t count) const {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    text += kWords[random_u64(seed, i) % kWords.size()];
  }
  return text;
}

std::string Conversation::next_words() {
  const std::uint64_t seed = child_seed(seed_, turn_);
  if (turn_ > 0) return words(seed, options_.turn_prompt);
  std::string text = words(child_seed(options_.seed, kSharedSeed), options_.shared);
  if (!text.empty()) text += ' ';
  return text + words(seed, source_.prompt);
}

Json Conversation::ids() const {
  const std::uint64_t shared = child_seed(options_.seed, kSharedSeed);
  const std::uint64_t own = child_seed(seed_, turn_);
  const std::size_t first = options_.ids_below / 8;
  Json list = Json::array();
  for (std::size_t i = 0; i < options_.shared + source_.prompt; ++i) {
    const std::uint64_t draw = random_u64(i < options_.shared ? shared : own, i);
    list.push_back(first + draw % (options_.ids_below - first));
  }
  return list;
}

std::string Conversation::next_body() {
  Json body = Json::object();
  if (!options_.model.empty()) body["model"] = options_.model;
  if (options_.chat) {
    messages_.push_back({{"role", "user"}, {"content", next_words()}});
    body["messages"] = messages_;
  } else if (options_.words || options_.turns > 1) {
    if (turn_ > 0) transcript_ += '\n';
    transcript_ += next_words();
    body["prompt"] = transcript_;
  } else {
    body["prompt"] = ids();
  }
  body["max_tokens"] = source_.output;
  body["ignore_eos"] = true;
  body["temperature"] = options_.samples > 1 ? 1 : 0;
  body["seed"] = child_seed(seed_, turn_) % 0x7fffffffU;  // some servers know 31 bits only
  if (options_.samples > 1) body["n"] = options_.samples;
  body["user"] = source_.name;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  ++turn_;
  return text::dump_json(body);
}

void Conversation::answer(std::string_view text) {
  if (options_.chat) {
    messages_.push_back({{"role", "assistant"}, {"content", text}});
  } else {
    transcript_ += text;
  }
}

}  // namespace plait::load
