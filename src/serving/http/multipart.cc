// SPDX-License-Identifier: Apache-2.0
#include "serving/http/multipart.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"

namespace plait::serving {
namespace {

constexpr std::size_t kBoundaryBytesMax = 70;  // RFC 2046, 5.1.1
constexpr std::string_view kLineEnd = "\r\n";

std::unexpected<Refusal> malformed(std::string what) {
  return std::unexpected(Refusal{.message = "the form " + std::move(what), .code = "invalid_form"});
}

// Takes `; name=value` or `; name="value"` from the front; a backslash in quotes makes the next character mean itself.
// Nothing when what is left is no parameter.
std::optional<std::pair<std::string_view, std::string>> take_parameter(std::string_view& text) {
  text = base::trimmed(text);
  if (!text.starts_with(';')) return std::nullopt;
  text.remove_prefix(1);
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view name = base::trimmed(text.substr(0, equals));
  text = text.substr(equals + 1);
  std::string value;
  if (!text.starts_with('"')) {
    const std::size_t end = std::min(text.find(';'), text.size());
    value = base::trimmed(text.substr(0, end));
    text.remove_prefix(end);
    return std::pair(name, std::move(value));
  }
  for (text.remove_prefix(1); !text.empty() && text.front() != '"'; text.remove_prefix(1)) {
    const bool escaped = text.starts_with("\\\"") || text.starts_with("\\\\");
    if (escaped) text.remove_prefix(1);
    value += text.front();
  }
  if (text.empty()) return std::nullopt;
  text.remove_prefix(1);
  return std::pair(name, std::move(value));
}

Accepted<std::string> boundary_of(std::string_view content_type) {
  constexpr std::string_view kType = "multipart/form-data";
  const std::size_t end = std::min(content_type.find(';'), content_type.size());
  if (!base::same_word(base::trimmed(content_type.substr(0, end)), kType)) {
    return std::unexpected(Refusal{.status = 415,
                                   .message = "the body must be a form: content-type multipart/form-data",
                                   .code = "unsupported_content_type"});
  }
  content_type.remove_prefix(end);
  while (const auto parameter = take_parameter(content_type)) {
    if (!base::same_word(parameter->first, "boundary")) continue;
    if (parameter->second.empty() || parameter->second.size() > kBoundaryBytesMax) break;
    return parameter->second;
  }
  return malformed("has no boundary of 1 to 70 characters in its content-type");
}

// The lines of a part's head. Only content-disposition says anything that is needed here.
Accepted<FormPart> read_head(std::string_view head) {
  while (!head.empty()) {
    const std::size_t end = std::min(head.find(kLineEnd), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + kLineEnd.size(), head.size()));
    const std::size_t colon = std::min(line.find(':'), line.size());
    if (!base::same_word(base::trimmed(line.substr(0, colon)), "content-disposition")) continue;
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    const std::size_t kind = std::min(value.find(';'), value.size());
    if (!base::same_word(base::trimmed(value.substr(0, kind)), "form-data")) break;
    value.remove_prefix(kind);
    FormPart part;
    bool named = false;
    while (auto parameter = take_parameter(value)) {
      if (base::same_word(parameter->first, "name")) {
        part.name = std::move(parameter->second);
        named = true;
      } else if (base::same_word(parameter->first, "filename")) {
        part.filename = std::move(parameter->second);
      }
    }
    if (named) return part;
    break;
  }
  return malformed("has a part without a name");
}

}  // namespace

Accepted<std::vector<FormPart>> read_form(std::string_view content_type, std::string_view body) {
  PLAIT_TRY(const std::string boundary, boundary_of(content_type));
  const std::string delimiter = "\r\n--" + boundary;
  std::vector<FormPart> parts;
  // The first one may stand at the very beginning; what comes before it is for nobody.
  std::size_t at = 0;
  if (body.starts_with(std::string_view(delimiter).substr(kLineEnd.size()))) {
    at = delimiter.size() - kLineEnd.size();
  } else {
    at = body.find(delimiter);
    if (at == std::string_view::npos) return malformed("does not hold its boundary");
    at += delimiter.size();
  }
  while (!body.substr(at).starts_with("--")) {
    const std::size_t line_end = body.find_first_not_of(" \t", at);
    if (line_end == std::string_view::npos || !body.substr(line_end).starts_with(kLineEnd)) {
      return malformed("has more than its boundary in a line");
    }
    // The line's end begins the head too, so that an empty head ends with it as well.
    const std::string_view rest = body.substr(line_end, kFormHeadBytesMax);
    const std::size_t head_end = rest.find("\r\n\r\n");
    if (head_end == std::string_view::npos) return malformed("has a part whose head does not end");
    PLAIT_TRY(FormPart part, read_head(rest.substr(0, head_end)));
    const std::size_t begin = line_end + head_end + 2 * kLineEnd.size();
    // An empty content's delimiter shares its line break with the head's end.
    const std::size_t end = body.find(delimiter, begin - kLineEnd.size());
    if (end == std::string_view::npos) return malformed("ends in the middle of a part");
    part.content = end < begin ? std::string_view() : body.substr(begin, end - begin);
    if (parts.size() == kFormPartsMax) return malformed("has too many parts");
    parts.push_back(std::move(part));
    at = end + delimiter.size();
  }
  return parts;
}

const FormPart* find_part(const std::vector<FormPart>& parts, std::string_view name) {
  const auto at = std::ranges::find(parts, name, &FormPart::name);
  return at == parts.end() ? nullptr : &*at;
}

}  // namespace plait::serving
