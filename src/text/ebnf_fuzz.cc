// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a grammar. What compiles must lead from every state to an end, in as many bytes as it says.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "text/grammar/ebnf.h"
#include "text/grammar/states.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plait::text;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  auto grammar = ebnf_grammar(input, {.states_max = 5'000, .work_max = 500'000});
  if (!grammar) return 0;
  GrammarStates states(std::make_shared<const Grammar>(*std::move(grammar)),
                       {.bytes_max = 4U << 20U, .entries_max = 64, .depth_max = 64});
  StateId at = states.start();
  for (std::size_t i = 0; i < size && at != kRefused; ++i) {
    const StateId next = states.advance(at, data[i]);
    if (next != kRefused) at = next;
  }
  for (int steps = 0; steps < 1000 && at != kRefused && states.cost(at) > 0; ++steps) {
    const StateId next = states.advance(at, states.shortest_byte(at));
    if (next != kRefused && states.cost(at) < Grammar::kNever && states.cost(next) + 1 != states.cost(at)) std::abort();
    at = next;
  }
  return 0;
}
