// SPDX-License-Identifier: Apache-2.0
//
// A pattern and, behind the byte 0xFF, a text: the automaton and the reference must agree.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "text/grammar/reference_matcher.h"
#include "text/grammar/regex.h"
#include "text/grammar/states.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plait::text;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\xFF');
  GrammarSource source;
  const RuleId root = source.declare("root");
  const auto expr = add_regex(source, input.substr(0, cut));
  if (!expr) return 0;
  source.define(root, *expr);
  source.set_root(root);
  auto grammar = Grammar::compile(source, {.states_max = 5'000, .work_max = 500'000});
  if (!grammar || cut == std::string_view::npos) return 0;
  const std::string_view text = input.substr(cut + 1, 12);
  GrammarStates states(std::make_shared<const Grammar>(*std::move(grammar)), {.bytes_max = 1U << 20U});
  StateId at = states.start();
  for (const char c : text) at = states.advance(at, static_cast<std::uint8_t>(c));
  if (!states.check() || source.expressions() > 200) return 0;
  if (states.accepts(at) != ReferenceMatcher(source).matches(text)) std::abort();
  return 0;
}
