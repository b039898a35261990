// SPDX-License-Identifier: Apache-2.0
//
// The template language of model files: Jinja as Python's jinja2 3.1 renders it in an immutable sandboxed environment
// with trim_blocks and lstrip_blocks, loop controls, `raise_exception`, `strftime_now`, and a `tojson` that writes
// UTF-8.
//
//   PLAIT_TRY(auto greeting, Template::parse("Hello {{ name | upper }}!"));
//   PLAIT_TRY(auto text, greeting.render({{"name", "you"}}));
//
// A template can only compute text: no attribute reaches outside of the values it was given, nothing can be changed but
// its own namespaces, and work, memory and nesting are bounded. Loading other templates (include, import, extends,
// block) is refused. What differs from Python: whole numbers have 128 bits and overflow is an error; `lipsum`,
// `urlize`, `random`, `pprint` and locale matters are absent; a string is UTF-8, so lone surrogates do not exist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/json.h"

namespace plait::text {

namespace jinja {
struct Program;
}

/// Beyond these a template fails with out_of_resources.
struct TemplateLimits {
  std::size_t source_bytes_max = std::size_t{1} << 20U;
  std::size_t output_bytes_max = std::size_t{64} << 20U;
  std::uint64_t steps_max = 5'000'000;  ///< Evaluated nodes and loop turns.
  std::uint64_t work_bytes_max = std::uint64_t{1}
                                 << 30U;  ///< Bytes of strings and lists made or read by operations, in all.
};

struct RenderOptions {
  TemplateLimits limits = {};
  std::optional<std::tm> now = {};  ///< What `strftime_now` tells; default: the machine's local time.
};

class Template {  // immutable and cheap to copy; every method may be called from any thread
 public:
  /// Errors: invalid_data with the line number; unsupported for tags that load other templates; out_of_resources.
  static base::Result<Template> parse(std::string_view source, TemplateLimits limits = {});

  /// Renders with the members of the object `variables` as variables.
  /// Errors: invalid_data with the line number (what jinja2 would raise, `raise_exception` included); out_of_resources.
  [[nodiscard]] base::Result<std::string> render(const Json& variables, const RenderOptions& options = {}) const;

 private:
  explicit Template(std::shared_ptr<const jinja::Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const jinja::Program> program_;
};

}  // namespace plait::text
