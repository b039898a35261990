// SPDX-License-Identifier: Apache-2.0
//
// The border of the template engine: inside it gives up with exceptions, outside there are only Results.
#include "text/template.h"

#include <fmt/format.h>

#include <new>

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"
#include "text/utf8.h"

namespace plait::text {
namespace {

using base::ErrorCode;

std::unexpected<base::Error> failure(const jinja::Failure& failed, int line) {
  const int where = failed.line > 0 ? failed.line : line;
  return base::fail(failed.code, fmt::format("template, line {}: {}", where, failed.message));
}

}  // namespace

base::Result<Template> Template::parse(std::string_view source, TemplateLimits limits) {
  if (source.size() > limits.source_bytes_max) {
    return base::fail(ErrorCode::out_of_resources, fmt::format("template: {} bytes, at most {} are allowed",
                                                               source.size(), limits.source_bytes_max));
  }
  try {
    jinja::Parser parser(jinja::tokenize(sanitize(source)));
    return Template(std::make_shared<const jinja::Program>(parser.parse()));
  } catch (const jinja::Failure& failed) {
    return failure(failed, 1);
  } catch (const std::bad_alloc&) {
    return base::fail(ErrorCode::out_of_resources, "template: not enough memory");
  }
}

base::Result<std::string> Template::render(const Json& variables, const RenderOptions& options) const {
  try {
    jinja::Interpreter interpreter(variables, options);
    try {
      return interpreter.render(*program_);
    } catch (const jinja::Failure& failed) {
      return failure(failed, interpreter.line());
    }
  } catch (const jinja::Failure& failed) {
    return failure(failed, 1);
  } catch (const std::bad_alloc&) {
    return base::fail(ErrorCode::out_of_resources, "template: not enough memory");
  }
}

}  // namespace plait::text
