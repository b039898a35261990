// SPDX-License-Identifier: Apache-2.0
//
// Forms with files (multipart/form-data, RFC 7578): the body of an upload, taken apart without a copy.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/fields.h"

namespace plait::serving {

/// More parts are refused, and so is a part with longer header lines.
inline constexpr std::size_t kFormPartsMax = 64;
inline constexpr std::size_t kFormHeadBytesMax = std::size_t{8} << 10U;

/// One field of a form.
struct FormPart {
  std::string name = {};
  std::optional<std::string> filename = {};  ///< As the client wrote it: whatever that is, it is no path here.
  std::string_view content = {};             ///< Into the body.
};

/// The parts in their order. `content_type` is the request's header field, which names what stands between them. Linear
/// in the body's length. Refused: another type of content (415); a body that is not such a form (400).
[[nodiscard]] Accepted<std::vector<FormPart>> read_form(std::string_view content_type, std::string_view body);

/// The first part of this name; null if there is none.
[[nodiscard]] const FormPart* find_part(const std::vector<FormPart>& parts, std::string_view name);

}  // namespace plait::serving
