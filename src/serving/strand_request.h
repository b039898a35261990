// SPDX-License-Identifier: Apache-2.0
//
// What a client asks of strands, from the JSON of /v1/strands and what lies below. Fields that /v1/completions has too
// mean the same here. Any thread; cost: tokenising what is appended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reasoning/state.h"
#include "serving/request.h"

namespace plait::serving {

/// What strands need to know of the model that answers.
[[nodiscard]] reasoning::StrandModel strand_model(const Target& target);

/// What every request may say besides.
struct StrandAnswer {
  bool wait = true;                        ///< The reply comes when it is done; else at once.
  bool stream = false;                     ///< Of gen: text as it comes.
  bool logprobs = false;                   ///< Of gen: the captures carry them,
  bool token_ids = false;                  ///< and the ids of their tokens.
  std::vector<std::string> warnings = {};  ///< One for each field that was ignored.
};

struct CreateRequest {
  reasoning::StateOptions options = {};
  std::optional<reasoning::Piece> piece = {};  ///< What it begins with.
  StrandAnswer answer = {};
};
/// `seed` is taken where the request has none.
[[nodiscard]] Accepted<CreateRequest> read_create(const text::Json& body, const Target& target, std::uint64_t seed);

struct AppendRequest {
  reasoning::Piece piece = {};
  StrandAnswer answer = {};
};
/// One of `text`, `messages` and `token_ids`.
[[nodiscard]] Accepted<AppendRequest> read_append(const text::Json& body, const Target& target);

struct GenRequest {
  std::string name = {};
  reasoning::GenOptions options = {};
  StrandAnswer answer = {};
};
[[nodiscard]] Accepted<GenRequest> read_gen(const text::Json& body, const Target& target);

struct SelectRequest {
  std::string name = {};
  std::vector<std::string> options = {};
  reasoning::ScoreRule rule = reasoning::ScoreRule::mean;
  StrandAnswer answer = {};
};
[[nodiscard]] Accepted<SelectRequest> read_select(const text::Json& body);

struct ForkRequest {
  std::size_t count = 1;
  StrandAnswer answer = {};
};
[[nodiscard]] Accepted<ForkRequest> read_fork(const text::Json& body, std::size_t most);

struct JoinRequest {
  reasoning::JoinOptions options = {};     ///< Without children:
  std::vector<std::string> children = {};  ///< their names as the client knows them; none: all.
  StrandAnswer answer = {};
};
[[nodiscard]] Accepted<JoinRequest> read_join(const text::Json& body);

}  // namespace plait::serving
