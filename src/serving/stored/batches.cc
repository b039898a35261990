// SPDX-License-Identifier: Apache-2.0
//
// What clients ask about batches; batch_runs.cc runs them.
#include "serving/stored/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "serving/stored/batch_job.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

constexpr std::size_t kOpenMax = 100;           // of one owner
constexpr base::Bytes kRememberedMax = 10'000;  // of one owner: each counts for one
constexpr std::int64_t kHoursMax = 168;

Accepted<std::int64_t> read_window(Fields& fields) {
  PLAIT_TRY(const auto window, fields.text("completion_window"));
  const std::string text = window.value_or("");
  std::int64_t hours = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), hours);
  if (parsed.ec != std::errc() || std::string_view(parsed.ptr) != "h" || hours < 1 || hours > kHoursMax) {
    return bad_value("completion_window", fmt::format("must be a number of hours from \"1h\" to \"{}h\"", kHoursMax));
  }
  return hours * 3600;
}

Accepted<std::string> read_endpoint(Fields& fields) {
  PLAIT_TRY(auto endpoint, fields.text("endpoint"));
  if (!endpoint || !find_endpoint(*endpoint)) {
    return bad_value("endpoint", fmt::format("must be {}", kEndpointList));
  }
  return *std::move(endpoint);
}

// As OpenAI's API shows it. Times that have not come are null.
Json new_batch(std::string_view endpoint, std::string_view input, const Json& window, Json metadata) {
  Json batch{{"id", new_id("batch_")}, {"object", "batch"},         {"endpoint", endpoint},
             {"errors", nullptr},      {"input_file_id", input},    {"completion_window", window},
             {"status", "validating"}, {"output_file_id", nullptr}, {"error_file_id", nullptr}};
  for (const char* time : {"created_at", "in_progress_at", "expires_at", "finalizing_at", "completed_at", "failed_at",
                           "expired_at", "cancelling_at", "cancelled_at"}) {
    batch[time] = nullptr;
  }
  batch["request_counts"] = {{"total", 0}, {"completed", 0}, {"failed", 0}};
  batch["metadata"] = std::move(metadata);
  return batch;
}

}  // namespace

bool is_over(std::string_view status) {
  return status == "completed" || status == "failed" || status == "expired" || status == "cancelled";
}

Batches::Batches(store::Objects& objects, const store::Blobs& blobs, const Files& files, BatchesOptions options)
    : objects_(objects), blobs_(blobs), files_(files), options_(std::move(options)) {}

Batches::~Batches() { stop(); }

void Batches::add_routes(HttpRouter& router, Desk& desk) {
  const auto add = [&](HttpMethod method, std::string_view pattern, auto reply) {
    desk.add(router, method, pattern,
             Desk::Answer([this, reply](const HttpRequest& request) { return (this->*reply)(request); }));
  };
  add(HttpMethod::post, "/v1/batches", &Batches::create);
  add(HttpMethod::get, "/v1/batches", &Batches::list);
  add(HttpMethod::get, "/v1/batches/{id}", &Batches::show);
  add(HttpMethod::post, "/v1/batches/{id}/cancel", &Batches::cancel);
}

// Results are kept whatever they take; so who has no room left must not ask for more of them.
Accepted<void> Batches::check_room(const std::string& owner) {
  const auto bytes = objects_.bytes({.kind = kFileKind, .owner = owner});
  if (!bytes) return std::unexpected(storage_refusal(bytes.error()));
  if (*bytes >= options_.files_bytes_max) {
    return std::unexpected(storage_refusal({base::ErrorCode::out_of_resources, "files"}));
  }
  const std::scoped_lock lock(mutex_);
  const auto open = std::ranges::count_if(jobs_, [&](const auto& entry) { return entry.second->owner == owner; });
  if (static_cast<std::size_t>(open) < kOpenMax) return {};
  return std::unexpected(Refusal{.status = 429,
                                 .message = fmt::format("{} batches are not done yet: that is the most", kOpenMax),
                                 .code = "too_many_batches"});
}

Accepted<HttpReply> Batches::create(const HttpRequest& request) {
  PLAIT_TRY(const Json body, parse_body(request.body));
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  Fields fields(body);
  PLAIT_TRY(const auto input, fields.text("input_file_id"));
  PLAIT_TRY(const std::string endpoint, read_endpoint(fields));
  PLAIT_TRY(const std::int64_t seconds, read_window(fields));
  PLAIT_TRY(Json metadata, read_metadata(fields));
  if (!input) return bad_value("input_file_id", "must be the id of a file");
  const std::string& owner = owner_of(request);
  auto card = files_.find(owner, *input);
  if (!card) {
    card.error().param = "input_file_id";
    return std::unexpected(card.error());
  }
  if ((*card)["purpose"] != "batch") return bad_value("input_file_id", "must be a file of the purpose `batch`");
  PLAIT_TRY_VOID(check_room(owner));
  const std::int64_t now = options_.now();
  Json shown = new_batch(endpoint, *input, body["completion_window"], std::move(metadata));
  shown["created_at"] = now;
  shown["expires_at"] = now + seconds;
  const auto job = std::shared_ptr<Job>(new Job{.id = shown["id"].get<std::string>(),
                                                .owner = owner,
                                                .client = request.client.name(),
                                                .weight = request.client.limits.weight,
                                                .input = *input,
                                                .endpoint = endpoint,
                                                .expires = now + seconds,
                                                .shown = std::move(shown)});
  const auto stored = change(*job, [](Json&) { return true; },
                             {store::trim({.kind = kBatchKind, .owner = owner}, kRememberedMax - 1, 0)});
  if (!stored) return std::unexpected(storage_refusal(stored.error()));
  {
    const std::scoped_lock lock(mutex_);
    job->arrival = ++arrivals_;
    jobs_.emplace(job->id, job);
  }
  wake_.notify_all();
  return json_reply(*stored);
}

Batches::JobPointer Batches::job_of(const std::string& owner, std::string_view id) {
  const std::scoped_lock lock(mutex_);
  const auto at = jobs_.find(std::string(id));
  return at == jobs_.end() || at->second->owner != owner ? nullptr : at->second;
}

// What is stored, or what has happened since then.
Json Batches::shown_of(const store::Object& object) {
  const std::scoped_lock lock(mutex_);
  const auto at = jobs_.find(object.id);
  if (at == jobs_.end()) return text::parse_json(object.content).value_or(Json());
  const Job& job = *at->second;
  Json shown = job.shown;
  if (!is_over(shown["status"].get_ref<const std::string&>())) {
    shown["request_counts"]["completed"] = job.completed;
    shown["request_counts"]["failed"] = job.failed;
  }
  return shown;
}

Accepted<HttpReply> Batches::show(const HttpRequest& request) {
  const std::string_view id = request.param("id");
  const auto found = objects_.find({.kind = kBatchKind, .owner = owner_of(request)}, id);
  if (!found) return std::unexpected(storage_refusal(found.error()));
  if (!*found) return std::unexpected(not_there("batch", id));
  return json_reply(shown_of(**found));
}

Accepted<HttpReply> Batches::list(const HttpRequest& request) {
  return list_reply(request, objects_, {.kind = kBatchKind, .owner = owner_of(request)}, "", {},
                    [this](const store::Object& object) { return shown_of(object); });
}

Accepted<HttpReply> Batches::cancel(const HttpRequest& request) {
  const auto job = job_of(owner_of(request), request.param("id"));
  bool too_late = true;
  if (job) {
    const auto changed = change(*job, [&](Json& shown) {
      const std::string status = shown["status"].get<std::string>();
      too_late = is_over(status) || status == "finalizing";
      if (status != "validating" && status != "in_progress") return false;
      shown["status"] = "cancelling";
      shown["cancelling_at"] = options_.now();
      return true;
    });
    if (!changed) return std::unexpected(storage_refusal(changed.error()));
  }
  if (!too_late) {
    wake_.notify_all();
    return show(request);
  }
  PLAIT_TRY(const HttpReply there, show(request));
  return std::unexpected(Refusal{.status = 409,
                                 .message = "the batch is done, or nearly so: it cannot be cancelled any more",
                                 .param = "id",
                                 .code = "batch_over"});
}

base::Result<Json> Batches::change(Job& job, const Edit& edit, std::vector<store::Change> with) {
  const std::scoped_lock one_by_one(changing_);
  Json shown;
  {
    const std::scoped_lock lock(mutex_);
    shown = job.shown;
  }
  if (!edit(shown)) return shown;
  const bool over = is_over(shown["status"].get_ref<const std::string&>());
  const Json more{{"client", job.client}, {"weight", job.weight}};
  with.push_back(store::put({.id = job.id,
                             .kind = std::string(kBatchKind),
                             .owner = job.owner,
                             .label = over ? "over" : "open",
                             .created = shown["created_at"].get<std::int64_t>(),
                             .bytes = 1,
                             .content = dump_json(shown),
                             .more = dump_json(more)}));
  PLAIT_TRY_VOID(objects_.commit(std::move(with)));
  const std::scoped_lock lock(mutex_);
  job.shown = shown;
  return shown;
}

}  // namespace plait::serving
