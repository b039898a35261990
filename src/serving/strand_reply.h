// SPDX-License-Identifier: Apache-2.0
//
// The JSON that tells of strands.
#pragma once

#include <functional>
#include <string>

#include "models/tokenizer.h"
#include "reasoning/state.h"
#include "serving/fields.h"
#include "serving/strand_request.h"
#include "text/json.h"

namespace plait::serving {

/// How clients know a strand.
using StrandNames = std::function<std::string(reasoning::StrandId)>;

/// {"id", "object": "strand", "root", "parent", "children", "status", "length", "captures", "ledger", "tree_ledger"},
/// and "error" of one that failed. `with_text`: "text" as well.
[[nodiscard]] text::Json strand_json(const reasoning::State& state, const StrandNames& names, bool with_text);
/// {"object": "strand.capture", "name", "text", "finish_reason", "usage"}, and as far as there are: "stop_string",
/// "logprobs", "token_ids", "selection".
[[nodiscard]] text::Json capture_json(const reasoning::Capture& capture, const StrandAnswer& answer,
                                      const models::Tokenizer& tokenizer);
[[nodiscard]] text::Json joined_json(const reasoning::Joined& joined, const StrandNames& names,
                                     const models::Tokenizer& tokenizer);
[[nodiscard]] text::Json event_json(const reasoning::StrandEvent& event, const StrandNames& names,
                                    const models::Tokenizer& tokenizer);
/// What an operation's error is to its client: a cancelled one 409, a closed strand 404.
[[nodiscard]] Refusal strand_refusal(const base::Error& error);

}  // namespace plait::serving
