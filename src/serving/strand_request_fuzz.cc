// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the body of every request about strands: what is accepted can be asked of a strand, what is refused says
// why.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "models/sampler.h"
#include "serving/strand_request.h"
#include "serving/tiny_test_target.h"

namespace {

using namespace plait;

/// Whether it was accepted.
template <class T>
bool accepted(const serving::Accepted<T>& request) {
  if (request) return true;
  PLAIT_CHECK(request.error().status >= 400 && !request.error().message.empty());
  PLAIT_CHECK(!text::dump_json(serving::refusal_body(request.error())).empty());
  return false;
}

void check(const reasoning::Piece& piece, const serving::Target& target) {
  PLAIT_CHECK(piece.tokens.size() <= target.context);
  for (const base::TokenId token : piece.tokens) {
    PLAIT_CHECK(token.value() >= 0 && token.value() < static_cast<int>(testing::kTinyVocabulary), token.value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const serving::TinyTarget tiny;
  const serving::Target& target = tiny.target;
  const auto body = text::parse_json({reinterpret_cast<const char*>(data), size}, {.bytes_max = 65'536});
  if (!body) return 0;
  if (const auto created = serving::read_create(*body, target, 1); accepted(created) && created->piece) {
    check(*created->piece, target);
  }
  if (const auto append = serving::read_append(*body, target); accepted(append)) check(append->piece, target);
  if (const auto gen = serving::read_gen(*body, target); accepted(gen)) {
    PLAIT_CHECK(models::Sampler::make(gen->options.generate.sampler).has_value());
    PLAIT_CHECK(models::StopStream::make(gen->options.stop).has_value());
    PLAIT_CHECK(gen->options.generate.tokens_max < target.context);
  }
  if (const auto select = serving::read_select(*body); accepted(select)) PLAIT_CHECK(!select->options.empty());
  if (const auto fork = serving::read_fork(*body, 64); accepted(fork))
    PLAIT_CHECK(fork->count >= 1 && fork->count <= 64);
  static_cast<void>(accepted(serving::read_join(*body)));
  return 0;
}
