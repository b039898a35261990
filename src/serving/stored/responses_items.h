// SPDX-License-Identifier: Apache-2.0
//
// The items of /v1/responses that come in: messages, thoughts, calls of functions and what came of them.
#pragma once

#include <set>
#include <string>

#include "serving/fields.h"
#include "text/json.h"

namespace plait::serving {

/// The ids of calls that results may name: of whole calls only.
using CallIds = std::set<std::string>;
void add_call_ids(const text::Json& items, CallIds& ids);

/// The field `input` as items that are kept, each with a new id; those that say nothing to a model are left out.
/// `calls`: the calls of the conversation before. Refused: what is no item, parts that are no text, and the result of a
/// call that is not there.
[[nodiscard]] Accepted<text::Json> read_input(Fields& fields, CallIds calls);

/// Kept items as the messages of a chat. A message, a thought before it and calls behind it are one message; a call
/// that was cut off is left out.
void add_messages(const text::Json& items, text::Json& messages);

}  // namespace plait::serving
