// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a template, rendered over a small conversation within tight limits.
#include <cstdint>
#include <string_view>

#include "text/template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using plait::text::Json;
  static const Json variables = {
      {"messages",
       {{{"role", "user"}, {"content", "h\u00e9llo"}}, {{"role", "assistant"}, {"content", nullptr}, {"n", {1, 2.5}}}}},
      {"s", "a <b> \u65e5\u672c"},
      {"n", 7},
      {"l", {3, 1, 2}},
      {"d", {{"k", "v"}, {"x", nullptr}}},
  };
  plait::text::RenderOptions options;
  options.limits.steps_max = 20'000;
  options.limits.work_bytes_max = std::uint64_t{4} << 20U;
  options.limits.output_bytes_max = std::size_t{1} << 20U;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  if (const auto parsed = plait::text::Template::parse(source, {.source_bytes_max = 65'536})) {
    static_cast<void>(parsed->render(variables, options));
  }
  return 0;
}
