// SPDX-License-Identifier: Apache-2.0
//
// The lines of OpenAI's batch files: {"custom_id", "method", "url", "body"} in, {"id", "custom_id", "response":
// {"status_code", "request_id", "body"}, "error"} out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "serving/exchange.h"
#include "serving/request.h"
#include "text/json.h"

namespace plait::serving {

/// A longer line is refused.
inline constexpr std::size_t kBatchLineBytesMax = std::size_t{64} << 20U;

/// One request of a batch. `endpoint` or `body` may be wrong in a way that only the reply tells: then `refusal` is set.
struct BatchLine {
  std::string custom_id = {};
  Endpoint endpoint = Endpoint::chat_completions;
  text::Json body = {};
  std::optional<Refusal> refusal = {};
};

/// Reads a line. The error is for people: the line has no custom_id, so that there is nothing to reply to.
[[nodiscard]] std::expected<BatchLine, std::string> read_batch_line(std::string_view line);

/// The seed of a request that brings none: a pure function of its custom_id.
[[nodiscard]] std::uint64_t batch_seed(std::string_view custom_id);
/// Names a line of the input, counted from 1, in the results: "batch_req_7".
[[nodiscard]] std::string batch_result_id(std::uint64_t number);

/// A result line, without newline, for a request that got a reply.
[[nodiscard]] std::string batch_result(std::uint64_t number, std::string_view custom_id, Reply reply);
/// A result line for a line that is no request, repeats a custom_id, or was not reached in time: `response` is null and
/// `error` says why.
enum class LineFault { invalid_line, duplicate_custom_id, batch_expired };
[[nodiscard]] std::string_view name(LineFault fault);
[[nodiscard]] std::string batch_fault(std::uint64_t number, std::string_view custom_id, LineFault fault,
                                      std::string message);

/// What a file of results says has been done: for going on where a run was ended.
class BatchDone {
 public:
  /// Takes a line of the file. False if it is no result.
  bool note(std::string_view line);
  /// Whether a request has its result.
  [[nodiscard]] bool has_request(const std::string& custom_id) const { return requests_.contains(custom_id); }
  /// Whether the fault of an input line has been reported.
  [[nodiscard]] bool has_fault(std::uint64_t number) const { return faults_.contains(batch_result_id(number)); }
  /// Takes a line of a file that is being sorted: whether it is an answer, that is, has status 200.
  [[nodiscard]] static bool is_answer(std::string_view line);
  /// Results with status 200, and others.
  [[nodiscard]] std::size_t answered() const { return answered_; }
  [[nodiscard]] std::size_t failed() const { return failed_; }

 private:
  std::unordered_set<std::string> requests_;  // custom_id
  std::unordered_set<std::string> faults_;    // id
  std::size_t answered_ = 0;
  std::size_t failed_ = 0;
};

}  // namespace plait::serving
