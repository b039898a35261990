// SPDX-License-Identifier: Apache-2.0
//
// What strategies say (reasoning/strategy.h), in JSON: for the API and for `plait think --json`.
#pragma once

#include <vector>

#include "reasoning/strategy.h"
#include "reasoning/thinking.h"
#include "serving/reply.h"
#include "text/json.h"

namespace plait::serving {

/// What a run used. Its prompt is that of its first call.
[[nodiscard]] UsageNumbers usage_numbers(const std::vector<reasoning::CallRecord>& calls);
/// A row of the ledger: id, parent, role, label, tokens, seconds, PTE.
[[nodiscard]] text::Json call_json(const reasoning::CallRecord& call);
/// {"event": "opened", "call": {...}} and so on: `text` carries the call's id and label only, `closed` all of it.
[[nodiscard]] text::Json thought_event_json(const reasoning::ThoughtEvent& event);
/// Everything but the answer: selector, finish_reason, usage, counts, paths, and the ledger's calls.
[[nodiscard]] text::Json thought_json(const reasoning::Thought& thought);
[[nodiscard]] text::Json bound_json(const reasoning::Bound& bound);

}  // namespace plait::serving
