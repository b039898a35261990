// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a line of a batch and as the body of a request, also of /v1/responses: what is accepted can be run, what
// is refused says why.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "models/sampler.h"
#include "serving/batch_line.h"
#include "serving/request.h"
#include "serving/stored/responses.h"
#include "serving/tiny_test_target.h"

namespace {

using namespace plait;

void read(serving::Endpoint endpoint, const text::Json& body) {
  static const serving::TinyTarget tiny;
  const auto request = serving::read_request(endpoint, body, tiny.target, 1);
  if (!request) {
    PLAIT_CHECK(request.error().status >= 400 && !request.error().message.empty());
    PLAIT_CHECK(!text::dump_json(serving::refusal_body(request.error())).empty());
    return;
  }
  PLAIT_CHECK(!request->prompts.empty());
  PLAIT_CHECK(models::StopStream::make(request->stop).has_value());
  for (const engine::Request& prompt : request->prompts) {
    PLAIT_CHECK(!prompt.prompt.empty() && prompt.samples > 0);
    PLAIT_CHECK(prompt.prompt.size() + prompt.generate.tokens_max <= tiny.target.context);
    PLAIT_CHECK(prompt.generate.prompt_only == (prompt.generate.tokens_max == 0));
    PLAIT_CHECK(models::Sampler::make(prompt.generate.sampler).has_value());
    PLAIT_CHECK(prompt.generate.pooling.has_value() == (endpoint == serving::Endpoint::embeddings));
    for (const base::TokenId token : prompt.prompt) {
      PLAIT_CHECK(token.value() >= 0 && token.value() < static_cast<int>(testing::kTinyVocabulary), token.value());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  serving::BatchDone done;
  static_cast<void>(done.note(input));
  if (const auto line = serving::read_batch_line(input); line && !line->refusal) read(line->endpoint, line->body);
  const auto body = text::parse_json(input, {.bytes_max = 65'536});
  if (!body) return 0;
  static const serving::TinyTarget tiny;
  static const serving::Dialect responses = serving::responses_dialect(nullptr);
  const auto asked = responses.read(*body, {.target = tiny.target});
  if (!asked) PLAIT_CHECK(asked.error().status == 400 && !asked.error().message.empty());
  read(serving::Endpoint::completions, *body);
  read(serving::Endpoint::chat_completions, *body);
  read(serving::Endpoint::embeddings, *body);
  return 0;
}
