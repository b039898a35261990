// SPDX-License-Identifier: Apache-2.0
//
// /v1/batches of OpenAI's API: files of requests that are answered beside live traffic, each of whose requests waits
// for nothing that is more urgent.
//
// A batch is a row in the table of objects and, while it runs, a file of results (store/result_file.h), so that it
// survives whatever ends the server: start() goes on where the last one stopped, and each custom_id has one result in
// the end (serving/batch.h). Its states:
//
//   validating   the input is read and checked; a wrong line fails the batch before anything is answered
//   in_progress  requests are answered
//   cancelling   somebody said so: what is done is kept, the rest is left
//   finalizing   results are sorted into a file of answers and one of errors
//   completed, failed, expired, cancelled: over, with its files
//
// A disk that is full, or fails, does not end a batch: it is tried again until its time is over.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "serving/batch.h"
#include "serving/models.h"
#include "serving/stored/desk.h"
#include "serving/stored/files.h"
#include "store/blobs.h"
#include "store/lines.h"
#include "store/objects.h"

namespace plait::serving {

struct BatchesOptions {
  std::size_t rows = 32;          ///< Most answers that all batches together have in the engine at a time.
  base::Bytes files_bytes_max{};  ///< Who keeps files of so many bytes begins no batch.
  double retry_seconds = 10;      ///< After an error of the disk.
  std::function<std::int64_t()> now = now_seconds;
};

/// Any thread.
class Batches {
 public:
  /// All of them must outlive it.
  Batches(store::Objects& objects, const store::Blobs& blobs, const Files& files, BatchesOptions options);
  /// stop()
  ~Batches();
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  /// POST and GET /v1/batches; GET /v1/batches/{id}; POST /v1/batches/{id}/cancel.
  void add_routes(HttpRouter& router, Desk& desk);
  /// Runs batches from now on, those included that an earlier server has left. The models must outlive stop(). Errors:
  /// those of reading the table. Call it once.
  [[nodiscard]] base::Result<void> start(ServedModels& models);
  /// Commits what is done and leaves the rest for another start. Call it before the engines' thread ends.
  void stop();

 private:
  struct Job;
  using JobPointer = std::shared_ptr<Job>;
  /// Changes a batch's JSON; false leaves it as it was.
  using Edit = std::function<bool(text::Json& shown)>;

  Accepted<HttpReply> create(const HttpRequest& request);
  Accepted<HttpReply> show(const HttpRequest& request);
  Accepted<HttpReply> list(const HttpRequest& request);
  Accepted<HttpReply> cancel(const HttpRequest& request);
  Accepted<void> check_room(const std::string& owner);
  [[nodiscard]] text::Json shown_of(const store::Object& object);
  [[nodiscard]] JobPointer job_of(const std::string& owner, std::string_view id);

  /// One change after the other: edited, stored, and then seen. What it looks like afterwards.
  base::Result<text::Json> change(Job& job, const Edit& edit, std::vector<store::Change> with = {});
  [[nodiscard]] std::string status_of(const Job& job);
  [[nodiscard]] bool expired(const Job& job);
  [[nodiscard]] bool must_end(const Job& job);
  [[nodiscard]] std::size_t share();

  void work(ServedModels& models);
  JobPointer take(std::unique_lock<std::mutex>& lock);
  /// False if the server ends before the batch is over; the same for the next one and its part.
  base::Result<bool> run(Job& job, ServedModels& models);
  base::Result<ModelLease> lease(const Job& job, ServedModels& models, bool& input_missing);
  base::Result<void> validate(Job& job);
  base::Result<bool> answer(Job& job, ServedModels& models);
  base::Result<bool> answer_all(Job& job, ServedModels& models, bool& input_missing);
  base::Result<void> expire_rest(const Job& job);
  base::Result<void> finish(Job& job);
  base::Result<void> begin_finish(Job& job, const char* end, const text::Json& errors = {});
  [[nodiscard]] store::Lines input_of(const Job& job, bool& missing) const;

  store::Objects& objects_;
  const store::Blobs& blobs_;
  const Files& files_;
  const BatchesOptions options_;
  std::mutex changing_;  // held while a batch is changed and stored: one change after the other
  std::mutex mutex_;     // guards all below, and the jobs where they say so
  std::condition_variable wake_;
  std::map<std::string, JobPointer> jobs_;  // by id; those that are not over
  std::uint64_t arrivals_ = 0;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace plait::serving
