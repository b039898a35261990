// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a GGUF file: refused or usable, never a crash. tools/make_gguf_corpus.sh rewrites the corpus;
// tools/planted_bug.py shows that this target finds a removed bound within a minute.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "models/gguf.h"
#include "models/gguf_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = plait::models::GgufFile::parse(std::as_bytes(std::span(data, size)));
  if (!file && (file.error().message.empty() || file.error().message.find('\n') != std::string::npos)) std::abort();
  if (file && plait::models::exercise(*file) == 0) std::abort();  // the version alone is more
  return 0;
}
