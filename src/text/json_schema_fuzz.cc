// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a JSON Schema. The shortest text of what compiles must be JSON.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "text/grammar/json_schema.h"
#include "text/grammar/states.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plait::text;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto schema = parse_json(input, {.bytes_max = 1U << 16U, .depth_max = 64, .values_max = 2'000});
  if (!schema) return 0;
  auto grammar =
      json_schema_grammar(*schema, {.schemas_max = 500, .limits = {.states_max = 20'000, .work_max = 2'000'000}});
  if (!grammar) return 0;
  GrammarStates states(std::make_shared<const Grammar>(*std::move(grammar)), {.bytes_max = 16U << 20U});
  std::string text;
  StateId at = states.start();
  while (at != kRefused && states.cost(at) > 0 && text.size() < 4'000) {
    text += static_cast<char>(states.shortest_byte(at));
    at = states.advance(at, states.shortest_byte(at));
  }
  if (at != kRefused && states.cost(at) == 0 && !parse_json(text)) std::abort();
  return 0;
}
