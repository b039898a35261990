// SPDX-License-Identifier: Apache-2.0
//
// How batches run. Each status of a batch is on the disk before what follows from it is done, and each step can be
// done again: results know what has been answered, and files of results are named in the same transaction that ends
// the batch.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "engine/fairness.h"
#include "serving/stored/batch_job.h"
#include "serving/stored/batches.h"
#include "serving/stored/loop_answers.h"
#include "store/result_file.h"

namespace plait::serving {
namespace {

using base::Result;
using text::Json;

constexpr int kThreads = 4;                   // batches at a time, of different owners if there are several
constexpr std::size_t kRequestsMax = 50'000;  // of a batch, as OpenAI's API has it
constexpr std::size_t kErrorsShown = 20;

Json error_json(std::string_view code, std::string message, const Json& line, std::string_view param = {}) {
  return {
      {"code", code}, {"message", std::move(message)}, {"param", param.empty() ? Json() : Json(param)}, {"line", line}};
}

Json input_missing_json() { return Json::array({error_json("input_missing", "the input file is gone", nullptr)}); }

// A whole input's faults, and how many requests it has.
class InputCheck {
 public:
  explicit InputCheck(std::string_view endpoint) : endpoint_(find_endpoint(endpoint)) {}

  /// False: there is no need to read on.
  bool take(std::string_view text) {
    ++number_;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) return true;
    ++requests_;
    if (requests_ > kRequestsMax) {
      fault("too_many_requests", fmt::format("a batch has at most {} requests", kRequestsMax));
      return false;
    }
    const auto line = read_batch_line(text);
    if (!line) {
      fault(name(LineFault::invalid_line), line.error());
    } else if (const auto [first, is_new] = ids_.emplace(line->custom_id, number_); !is_new) {
      fault(name(LineFault::duplicate_custom_id), fmt::format("line {} has the same custom_id", first->second),
            "custom_id");
    } else if (line->refusal) {
      fault(name(LineFault::invalid_line), line->refusal->message, line->refusal->param);
    } else if (line->endpoint != endpoint_) {
      fault("invalid_url", "the url must be the batch's endpoint", "url");
    }
    return errors_.size() < kErrorsShown;
  }
  [[nodiscard]] std::size_t requests() const { return requests_; }
  /// Empty if all is well.
  [[nodiscard]] Json errors() const {
    if (requests_ > 0) return errors_;
    return Json::array({error_json("empty_file", "the input file has no requests", nullptr)});
  }

 private:
  void fault(std::string_view code, std::string message, std::string_view param = {}) {
    errors_.push_back(error_json(code, std::move(message), number_, param));
  }

  const std::optional<Endpoint> endpoint_;
  std::uint64_t number_ = 0;
  std::size_t requests_ = 0;
  std::unordered_map<std::string, std::uint64_t> ids_;
  Json errors_ = Json::array();
};

// The file that results go to: answers or errors. It is begun with its first line.
class Sorted {
 public:
  Sorted(const store::Blobs& blobs, FileCard card) : blobs_(blobs), card_(std::move(card)) {}

  Result<void> append(std::string_view line) {
    if (!writer_) {
      PLAIT_TRY(writer_, blobs_.begin(card_.id));
    }
    ++lines_;
    PLAIT_TRY_VOID(writer_->append(line));
    return writer_->append("\n");
  }
  /// Then the file is there, and `changes` make it known.
  Result<void> keep(std::vector<store::Change>& changes) {
    if (!writer_) return {};
    PLAIT_TRY_VOID(writer_->keep());
    card_.bytes = writer_->size();
    changes.push_back(store::put(file_object(card_)));
    return {};
  }
  [[nodiscard]] std::size_t lines() const { return lines_; }
  [[nodiscard]] Json id() const { return writer_ ? Json(card_.id) : Json(); }

 private:
  const store::Blobs& blobs_;
  FileCard card_;
  std::unique_ptr<store::Blobs::Writer> writer_;
  std::size_t lines_ = 0;
};

}  // namespace

Result<void> Batches::start(ServedModels& models) {
  PLAIT_TRY(const auto left, objects_.all(kBatchKind, "open"));
  for (const store::Object& object : left) {
    PLAIT_TRY(Json shown, text::parse_json(object.content));
    PLAIT_TRY(const Json more, text::parse_json(object.more));
    const auto job = std::shared_ptr<Job>(new Job{.id = object.id,
                                                  .owner = object.owner,
                                                  .client = more.value("client", ""),
                                                  .weight = more.value("weight", 1.0),
                                                  .input = shown.value("input_file_id", ""),
                                                  .endpoint = shown.value("endpoint", ""),
                                                  .expires = shown.value("expires_at", std::int64_t{0}),
                                                  .shown = std::move(shown)});
    const std::scoped_lock lock(mutex_);
    job->arrival = ++arrivals_;
    jobs_.emplace(job->id, job);
  }
  for (int i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this, &models] { work(models); });
  }
  return {};
}

void Batches::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  threads_.clear();
}

// The next to run: of the owner of whom least runs, then whoever came first. Null when it is time to stop.
Batches::JobPointer Batches::take(std::unique_lock<std::mutex>& lock) {
  while (!stopping_) {
    std::unordered_map<std::string_view, std::size_t> runs;
    for (const auto& [id, job] : jobs_) runs[job->owner] += job->runs ? 1 : 0;
    const double now = base::steady_clock().now();
    double next = now + 60;
    JobPointer best;
    for (const auto& [id, job] : jobs_) {
      if (job->runs) continue;
      if (job->not_before > now) {
        next = std::min(next, job->not_before);
        continue;
      }
      const auto rank = [&](const Job& one) { return std::pair(runs[one.owner], one.arrival); };
      if (!best || rank(*job) < rank(*best)) best = job;
    }
    if (best) return best;
    wake_.wait_for(lock, std::chrono::duration<double>(next - now));
  }
  return nullptr;
}

void Batches::work(ServedModels& models) {
  std::unique_lock lock(mutex_);
  while (const JobPointer job = take(lock)) {
    job->runs = true;
    ++running_;
    lock.unlock();
    const auto over = run(*job, models);
    lock.lock();
    --running_;
    job->runs = false;
    job->not_before = base::steady_clock().now() + options_.retry_seconds;
    if (over.value_or(false)) jobs_.erase(job->id);
  }
}

std::string Batches::status_of(const Job& job) {
  const std::scoped_lock lock(mutex_);
  return job.shown["status"].get<std::string>();
}

bool Batches::expired(const Job& job) { return options_.now() >= job.expires; }

bool Batches::must_end(const Job& job) {
  if (expired(job)) return true;
  const std::scoped_lock lock(mutex_);
  return stopping_ || job.shown["status"] != "in_progress";
}

std::size_t Batches::share() {
  const std::scoped_lock lock(mutex_);
  return std::max<std::size_t>(1, options_.rows / std::max<std::size_t>(1, running_));
}

Result<bool> Batches::run(Job& job, ServedModels& models) {
  while (true) {
    const std::string status = status_of(job);
    if (status == "validating") {
      PLAIT_TRY_VOID(validate(job));
    } else if (status == "in_progress") {
      PLAIT_TRY(const bool goes_on, answer(job, models));
      if (!goes_on) return false;
    } else {
      PLAIT_TRY_VOID(finish(job));
      return true;
    }
  }
}

store::Lines Batches::input_of(const Job& job, bool& missing) const {
  return store::Lines([this, id = job.input, &missing,
                       offset = base::Bytes{0}](std::span<std::byte> into) mutable -> Result<std::size_t> {
    auto got = blobs_.read(id, offset, into);
    missing = !got && got.error().code == base::ErrorCode::not_found;
    offset += got.value_or(0);
    return got;
  });
}

Result<void> Batches::validate(Job& job) {
  InputCheck check(job.endpoint);
  bool missing = false;
  store::Lines input = input_of(job, missing);
  while (true) {
    const auto line = input.next(kBatchLineBytesMax);
    if (missing) return begin_finish(job, "failed", input_missing_json());
    if (!line) return std::unexpected(line.error());
    if (!*line || !check.take(**line)) break;
  }
  if (Json errors = check.errors(); !errors.empty()) return begin_finish(job, "failed", errors);
  PLAIT_TRY_VOID(change(job, [&](Json& shown) {
    if (shown["status"] != "validating") return false;  // cancelled meanwhile
    shown["status"] = "in_progress";
    shown["in_progress_at"] = options_.now();
    shown["request_counts"]["total"] = check.requests();
    return true;
  }));
  return {};
}

Result<bool> Batches::answer(Job& job, ServedModels& models) {
  bool missing = false;
  bool all = false;
  if (!expired(job)) {
    const auto answered = answer_all(job, models, missing);
    if (!answered && !missing) return std::unexpected(answered.error());
    all = answered.value_or(false);
  }
  if (missing) {
    PLAIT_TRY_VOID(begin_finish(job, "failed", input_missing_json()));
  } else if (all) {
    PLAIT_TRY_VOID(begin_finish(job, "completed"));
  } else if (expired(job)) {
    PLAIT_TRY_VOID(expire_rest(job));
    PLAIT_TRY_VOID(begin_finish(job, "expired"));
  } else if (status_of(job) == "in_progress") {
    return false;
  }
  return true;
}

// The model that the first request names, or the usual one. Waits until it is loaded.
Result<ModelLease> Batches::lease(const Job& job, ServedModels& models, bool& input_missing) {
  store::Lines input = input_of(job, input_missing);
  std::string asked;
  while (true) {
    PLAIT_TRY(const auto text, input.next(kBatchLineBytesMax));
    if (!text) break;
    const auto line = read_batch_line(*text);
    if (!line) continue;  // blank
    if (std::string named = model_named(line->body); models.find(named)) asked = std::move(named);
    break;
  }
  const auto promise = std::make_shared<std::promise<Accepted<ModelLease>>>();
  auto future = promise->get_future();
  models.acquire(asked, {}, [promise](Accepted<ModelLease> there) { promise->set_value(std::move(there)); });
  while (future.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
    if (must_end(job)) return base::fail(base::ErrorCode::interrupted, "ended before the model was there");
  }
  auto there = future.get();
  if (!there) return base::fail(base::ErrorCode::busy, there.error().message);
  return *std::move(there);
}

// Answers what is left; false if that was ended before.
Result<bool> Batches::answer_all(Job& job, ServedModels& models, bool& input_missing) {
  PLAIT_TRY(const ModelLease model, lease(job, models, input_missing));
  BatchDone done;
  PLAIT_TRY(const auto path, blobs_.path_of(job.id));
  PLAIT_TRY(const auto results,
            store::ResultFile::open(blobs_.layer(), path, [&](std::string_view line) { return done.note(line); }));
  const auto prepare = [&](Request& request) {
    for (engine::Request& prompt : request.prompts) {
      // A client of its own: a client's level is that of its first request, and live ones must not wait for this.
      prompt.options.client = job.client + '\0' + "batch";
      prompt.options.weight = job.weight;
      prompt.options.level = engine::Fairness::kLevels - 1;
      if (!job.owner.empty()) prompt.options.salt = job.owner + '\0' + prompt.options.salt;
    }
  };
  LoopAnswers answers(model, [this] { return share(); });
  const auto refuse_model = [&](const std::string& asked) -> std::optional<Refusal> {
    const auto found = models.find(asked);
    if (!found) return found.error();
    if (*found == model->target.model) return std::nullopt;
    return Refusal{.status = 404,
                   .message = fmt::format("one model answers a batch, here {}", model->target.model),
                   .param = "model",
                   .code = "model_not_found"};
  };
  Batch batch(answers, model->target, *results, done, {.refuse_model = refuse_model, .prepare = prepare});
  store::Lines input = input_of(job, input_missing);
  const auto watch = [&](const BatchCounts& counts) {
    {
      const std::scoped_lock lock(mutex_);
      job.completed = done.answered() + counts.answered;
      job.failed = done.failed() + counts.failed;
    }
    return !must_end(job);
  };
  PLAIT_TRY(const BatchCounts counts, batch.run([&] { return input.next(kBatchLineBytesMax); }, watch));
  return !counts.ended_early;
}

// Gives every request without a result the reason.
Result<void> Batches::expire_rest(const Job& job) {
  BatchDone done;
  PLAIT_TRY(const auto path, blobs_.path_of(job.id));
  PLAIT_TRY(const auto results,
            store::ResultFile::open(blobs_.layer(), path, [&](std::string_view line) { return done.note(line); }));
  bool missing = false;
  store::Lines input = input_of(job, missing);
  for (std::uint64_t number = 1;; ++number) {
    const auto text = input.next(kBatchLineBytesMax);
    if (missing) break;
    if (!text) return std::unexpected(text.error());
    if (!*text) break;
    const auto line = read_batch_line(**text);
    if (!line || done.has_request(line->custom_id) || done.has_fault(number)) continue;
    PLAIT_TRY_VOID(results->append(batch_fault(number, line->custom_id, LineFault::batch_expired,
                                               "not answered before the completion window ended")));
  }
  return results->commit();
}

Result<void> Batches::begin_finish(Job& job, const char* end, const Json& errors) {
  PLAIT_TRY_VOID(change(job, [&](Json& shown) {
    const std::string status = shown["status"].get<std::string>();
    if (status != "validating" && status != "in_progress") return false;  // cancelled meanwhile
    shown["status"] = "finalizing";
    shown["finalizing_at"] = options_.now();
    // Which time is set says what the status will be.
    shown[std::string(end) + "_at"] = options_.now();
    if (!errors.is_null()) shown["errors"] = {{"object", "list"}, {"data", errors}};
    return true;
  }));
  return {};
}

// Sorts the results into files and makes those known together with the end. What was left of an earlier try is rubbish
// without a name.
Result<void> Batches::finish(Job& job) {
  const auto card = [&](const char* what) {
    return FileCard{.id = new_file_id(),
                    .owner = job.owner,
                    .filename = fmt::format("{}_{}.jsonl", job.id, what),
                    .purpose = "batch_output",
                    .created = options_.now()};
  };
  Sorted answers(blobs_, card("output"));
  Sorted errors(blobs_, card("error"));
  Result<void> sorted;
  PLAIT_TRY(const auto path, blobs_.path_of(job.id));
  {
    PLAIT_TRY(const auto results, store::ResultFile::open(blobs_.layer(), path, [&](std::string_view line) {
                if (sorted) sorted = (BatchDone::is_answer(line) ? answers : errors).append(line);
                return true;
              }));
  }
  PLAIT_TRY_VOID(sorted);
  std::vector<store::Change> changes;
  PLAIT_TRY_VOID(answers.keep(changes));
  PLAIT_TRY_VOID(errors.keep(changes));
  const auto edit = [&](Json& shown) {
    std::string end = "cancelled";
    for (const char* other : {"completed", "failed", "expired"}) {
      if (!shown[std::string(other) + "_at"].is_null()) end = other;
    }
    shown["status"] = end;
    shown[end + "_at"] = options_.now();
    shown["output_file_id"] = answers.id();
    shown["error_file_id"] = errors.id();
    shown["request_counts"]["completed"] = answers.lines();
    shown["request_counts"]["failed"] = errors.lines();
    return true;
  };
  PLAIT_TRY_VOID(change(job, edit, std::move(changes)));
  static_cast<void>(blobs_.remove(job.id));  // what stays by mistake is swept away at the next start
  return {};
}

}  // namespace plait::serving
