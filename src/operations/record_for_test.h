// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "operations/trace_queue.h"

namespace plait::operations {

/// A request that was answered: arrived at 1,000 s after 1970, read in 10 ms, over after 2 s.
inline RequestRecord answered_request() {
  RequestRecord record{.number = 1, .context = {.sampled = true}};
  record.context.trace.fill(0xAB);
  record.context.span.fill(0xCD);
  record.id = "req_1";
  record.response_id = "chatcmpl-req_1";
  record.endpoint = "/v1/chat/completions";
  record.operation = "chat";
  record.client = "alice";
  record.host = "localhost";
  record.port = 7524;
  record.model = "tiny";
  record.parameters = RequestParameters{.temperature = 0.5, .seed = 7, .tokens_max = 20, .stream = true};
  record.arrived = std::chrono::system_clock::time_point(std::chrono::seconds(1000));
  record.read_seconds = 0.01;
  record.submitted_seconds = 0.25;
  record.first_text_seconds = 1.25;
  record.seconds = 2;
  record.generations.push_back({.reason = "length",
                                .waited_seconds = 0.25,
                                .prompt_seconds = 0.5,
                                .decode_seconds = 0.75,
                                .tokens = 20,
                                .cached = 16,
                                .computed = 14,
                                .preemptions = 1,
                                .preempted_at = {1.0}});
  record.prompt_tokens = 30;
  record.cached_tokens = 16;
  record.prefill_tokens = 14;
  record.generated_tokens = 20;
  record.pte = 30.5;
  return record;
}

}  // namespace plait::operations
