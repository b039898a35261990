// SPDX-License-Identifier: Apache-2.0
//
// Members of JSON from another program that is believed as far as it goes: what is not there, or of another kind, is
// nothing. For what must be complained of see serving/fields.h.
#pragma once

#include <cstddef>
#include <string_view>

#include "text/json.h"

namespace plait::text {

/// A member of an object; null if there is none, or it is no object. Lives as long as `value`.
[[nodiscard]] const Json& member(const Json& value, const char* name);
/// A finite number, else 0.
[[nodiscard]] double number_of(const Json& value, const char* name);
/// A number as a count, 0 to 10^15.
[[nodiscard]] std::size_t count_of(const Json& value, const char* name);
/// A string, else an empty one. Lives as long as `value`.
[[nodiscard]] std::string_view text_of(const Json& value, const char* name);

}  // namespace plait::text
