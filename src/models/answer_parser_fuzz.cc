// SPDX-License-Identifier: Apache-2.0
//
// Any text as an answer in any format: the first byte chooses what it is read as.
#include <cstdint>
#include <string_view>

#include "models/answer_parser_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plait::models;
  if (size == 0 || size > 600) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const unsigned choice = data[0];
  AnswerSyntax syntax{.names = {"f", "get"}, .thinks = (choice & 8U) != 0, .thought_open = (choice & 16U) != 0};
  if (choice % 8 < 5) syntax.tools = static_cast<ToolFormat>(choice % 8);
  for_every_split(text, syntax);
  return 0;
}
