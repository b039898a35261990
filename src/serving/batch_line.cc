// SPDX-License-Identifier: Apache-2.0
#include "serving/batch_line.h"

#include <fmt/format.h>

#include <utility>

#include "base/random.h"

namespace plait::serving {
namespace {

using text::Json;

constexpr text::JsonLimits kLimits{.bytes_max = kBatchLineBytesMax};

// What is wrong around the body.
std::optional<Refusal> read_frame(const Json& line, BatchLine& batch) {
  const Json method = line.value("method", Json());
  if (!method.is_null() && method != "POST") return bad_value("method", "must be POST").error();
  const Json url = line.value("url", Json());
  if (!url.is_string()) return bad_value("url", "must be a string").error();
  const auto endpoint = find_endpoint(url.get_ref<const std::string&>());
  if (!endpoint) {
    return Refusal{.status = 404,
                   .message = fmt::format("there is no such endpoint here: it must be {}", kEndpointList),
                   .param = "url"};
  }
  batch.endpoint = *endpoint;
  if (!line.contains("body") || !line["body"].is_object()) return bad_value("body", "must be an object").error();
  return std::nullopt;
}

}  // namespace

std::string_view name(LineFault fault) {
  switch (fault) {
    case LineFault::invalid_line:
      return "invalid_line";
    case LineFault::duplicate_custom_id:
      return "duplicate_custom_id";
    case LineFault::batch_expired:
      return "batch_expired";
  }
  return "";
}

std::expected<BatchLine, std::string> read_batch_line(std::string_view line) {
  auto parsed = text::parse_json(line, kLimits);
  if (!parsed) return std::unexpected(std::move(parsed).error().message);
  if (!parsed->is_object()) return std::unexpected("the line is not an object");
  const Json id = parsed->value("custom_id", Json());
  if (!id.is_string() || id.get_ref<const std::string&>().empty()) {
    return std::unexpected("custom_id must be a string that is not empty");
  }
  BatchLine batch{.custom_id = id.get<std::string>()};
  batch.refusal = read_frame(*parsed, batch);
  if (!batch.refusal) batch.body = std::move((*parsed)["body"]);
  return batch;
}

std::uint64_t batch_seed(std::string_view custom_id) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a, spread by mix64
  for (const char c : custom_id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return base::mix64(hash);
}

std::string batch_result_id(std::uint64_t number) { return fmt::format("batch_req_{}", number); }

std::string batch_result(std::uint64_t number, std::string_view custom_id, Reply reply) {
  Json response{{"status_code", reply.status}, {"request_id", fmt::format("req_{}", number)}};
  response["body"] = std::move(reply.body);
  Json line{{"id", batch_result_id(number)}, {"custom_id", custom_id}};
  line["response"] = std::move(response);
  line["error"] = nullptr;
  return text::dump_json(line);
}

std::string batch_fault(std::uint64_t number, std::string_view custom_id, LineFault fault, std::string message) {
  Json line{{"id", batch_result_id(number)}, {"custom_id", custom_id.empty() ? Json() : Json(custom_id)}};
  line["response"] = nullptr;
  line["error"] = {{"code", name(fault)}, {"message", fmt::format("line {}: {}", number, message)}};
  return text::dump_json(line);
}

bool BatchDone::is_answer(std::string_view line) {
  BatchDone one;
  return one.note(line) && one.answered_ == 1;
}

bool BatchDone::note(std::string_view line) {
  // A result holds its answer; it may be longer than what a request may be.
  const auto parsed = text::parse_json(line, {.bytes_max = line.size() + 1});
  if (!parsed || !parsed->is_object()) return false;
  const Json id = parsed->value("id", Json());
  const Json custom_id = parsed->value("custom_id", Json());
  const Json response = parsed->value("response", Json());
  const Json error = parsed->value("error", Json());
  if (!id.is_string()) return false;
  if (response.is_object()) {
    if (!custom_id.is_string()) return false;
    requests_.insert(custom_id.get<std::string>());
    ++(response.value("status_code", Json()) == 200 ? answered_ : failed_);
    return true;
  }
  if (!error.is_object()) return false;
  faults_.insert(id.get<std::string>());
  ++failed_;
  return true;
}

}  // namespace plait::serving
