// SPDX-License-Identifier: Apache-2.0
//
// What there is to tell about one request when it is over. Whoever serves it fills this in; spans, the trace file and
// the list of recent requests are made from it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operations/trace_context.h"

namespace plait::operations {

/// The status of a request whose client left before its end; nobody gets to see it.
inline constexpr int kStatusGone = 499;

/// One answer of a request: a choice, or a call of the model by a strategy. Times are seconds.
struct GenerationRecord {
  std::string reason = {};    ///< "stop", "length", "cancelled", "deadline", "failed".
  double waited_seconds = 0;  ///< From the engine's getting it to its first row of the batch.
  double prompt_seconds = 0;  ///< From there to the first token.
  double decode_seconds = 0;  ///< From there to the end.
  std::size_t tokens = 0;     ///< Generated.
  std::size_t cached = 0;     ///< Tokens of its prompt that were found computed.
  std::size_t computed = 0;   ///< Rows of prompt really computed.
  std::size_t preemptions = 0;
  std::vector<double> preempted_at = {};  ///< Of the first of these: seconds since the engine got it.
  double begin_seconds = 0;  ///< When the engine got it, since it got the request: a strategy's later call.
};

/// How a request wants to be answered.
struct RequestParameters {
  double temperature = 0;
  double top_p = 1;
  std::size_t top_k = 0;  ///< 0: none.
  double presence_penalty = 0;
  double frequency_penalty = 0;
  std::uint64_t seed = 0;      ///< The one used, also where the client gave none.
  std::size_t tokens_max = 0;  ///< 0: as many as fit.
  std::size_t choices = 1;     ///< Of each prompt.
  std::size_t prompts = 1;
  bool stream = false;
};

struct RequestRecord {
  std::uint64_t number = 0;           ///< Since the start of the program, from 1.
  TraceContext context = {};          ///< Of the request's own span; `sampled`: whether it is sent to a collector.
  std::optional<SpanId> parent = {};  ///< The client's span.
  std::string tracestate = {};        ///< The client's.

  std::string id = {};           ///< As in `x-request-id`.
  std::string response_id = {};  ///< "chatcmpl-…"; empty: the reply has none.
  std::string endpoint = {};     ///< "/v1/chat/completions"
  std::string operation = {};    ///< "chat", "text_completion", "embeddings".
  std::string client = {};       ///< The key's name, else the address.
  std::string payer = {};        ///< Whose share of the machine it takes: as `client`, or the field `user`.
  std::string host = {};         ///< By which the client called the server, without port.
  std::uint16_t port = 0;        ///< 0: unknown.
  std::string model_asked = {};
  std::string model = {};                            ///< That answered; empty: it did not come to that.
  std::optional<RequestParameters> parameters = {};  ///< Once it was read.

  std::chrono::system_clock::time_point arrived = {};
  // Seconds since then:
  double model_asked_seconds = 0;  ///< Its model was asked for, and was there: it may have had to be loaded.
  double model_came_seconds = 0;
  double read_seconds = 0;                        ///< JSON read, text made tokens. 0: it did not come to that.
  std::optional<double> submitted_seconds = {};   ///< The engine got it.
  std::optional<double> first_text_seconds = {};  ///< First text of an answer.
  double seconds = 0;                             ///< Its end.

  int status = 200;                                ///< As in HTTP, or kStatusGone.
  std::string error = {};                          ///< "context_length_exceeded"; empty: an answer.
  std::vector<GenerationRecord> generations = {};  ///< Empty if the engine never got it.

  // Of all answers; tokens of a prompt count once, however many answers it gets.
  std::size_t prompt_tokens = 0;
  std::size_t cached_tokens = 0;
  std::size_t prefill_tokens = 0;  ///< Rows of prompts really computed.
  std::size_t generated_tokens = 0;
  double pte = 0;  ///< Cost in prefill token equivalents.

  /// Text, only where that was switched on: JSON in the shape of OpenTelemetry's gen_ai.input.messages and
  /// gen_ai.output.messages.
  std::string input_messages = {};
  std::string output_messages = {};
  bool content_left_out = false;  ///< One of them was too long.
};

}  // namespace plait::operations
