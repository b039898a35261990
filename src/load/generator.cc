// SPDX-License-Identifier: Apache-2.0
#include "load/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "load/answer_reader.h"
#include "load/sse_reader.h"
#include "net/exchanges.h"
#include "os/processor_time.h"

namespace plait::load {
namespace {

using base::Result;

constexpr double kLook = 0.1;               // how often the watch is called, seconds
constexpr double kPauseAfterFailure = 0.2;  // of a user: a server that refuses is not flooded
constexpr std::size_t kErrorBytesMax = 4096;

double now() { return base::steady_clock().now(); }

std::string base_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  if (url.ends_with("/v1")) url.resize(url.size() - 3);
  return url;
}

class Run;

/// One task under way: its conversation, and the request that is due or open.
class Flow final : public net::ExchangeListener {
 public:
  Flow(Run& run, const LoadOptions& options, const Source& of, std::size_t its_source, std::size_t number, double when)
      : source(its_source),
        due(when),
        conversation(options, of, its_source, number),
        run_(run),
        last_text_(options.samples) {}

  /// The request was sent.
  void begin(double at);
  void on_body(int status, std::span<const std::byte> piece) override;
  void on_end(const Result<int>& status) override;
  /// What the model has said, if there is a next turn.
  [[nodiscard]] const std::string& said() const { return said_; }

  std::size_t source;  ///< Its place among the sources.
  double due;
  Conversation conversation;
  net::ExchangeId exchange = {};
  bool open = false;

 private:
  void text(std::size_t choice, std::string_view text);
  [[nodiscard]] std::optional<std::string> failure(const Result<int>& status) const;

  Run& run_;
  double arrived_ = 0;  // the piece that is being read
  std::optional<double> first_text_ = {};
  std::vector<double> last_text_;  // [choice], 0: none yet
  double longest_gap_ = 0;
  std::size_t pieces_ = 0;
  std::string said_ = {};        // of choice 0
  std::string error_body_ = {};  // of another status than 200
  bool too_long_ = false;
  SseReader events_ = {};
  AnswerReader answer_ = {};
};

class Run {
 public:
  Run(const LoadOptions& options, const LoadTarget& target, const LoadWatch& watch, net::Exchanges& exchanges)
      : options_(options), target_(target), watch_(watch), exchanges_(exchanges), sources_(sources(options)) {
    url_ = base_url(target.url).append(path(options));
    for (const Source& source : sources_) {
      clients_.push_back({.left = source.tasks});
      if (source.tasks) total_ += *source.tasks * options.turns;
    }
    if (options.turns > 1) {
      report_.groups = {{.name = "first turns"}, {.name = "later turns"}};
    } else {
      for (const Source& source : sources_) report_.groups.push_back({.name = source.name});
    }
  }

  Result<LoadReport> run();

  GroupReport& group_of(const Flow& flow) {
    return report_.groups[options_.turns > 1 ? std::min<std::size_t>(flow.conversation.turn(), 1) : flow.source];
  }
  /// The flow's request is over. Nothing: it was answered.
  void ended(Flow& flow, const std::optional<std::string>& failure, double at);

 private:
  struct ClientState {
    std::optional<std::size_t> left = {};  // tasks to begin
    std::size_t begun = 0;
    double arrival = 0;  // of the last task, with a rate
  };

  void launch(std::size_t source, double due);
  void launch_arrival(std::size_t source);
  Result<void> send_due();
  Result<void> send(Flow& flow);
  void finish(Flow& flow);
  void count_error(const std::string& what);
  void drop_open();
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> headers(const Source& source) const;

  const LoadOptions& options_;
  const LoadTarget& target_;
  const LoadWatch& watch_;
  net::Exchanges& exchanges_;
  std::vector<Source> sources_;
  std::string url_;
  std::vector<ClientState> clients_;  // [source]
  std::unordered_map<Flow*, std::unique_ptr<Flow>> flows_;
  std::vector<std::unique_ptr<Flow>> over_;  // until nobody calls them any more
  std::multimap<double, Flow*> due_;
  std::size_t bounded_ = 0;  // flows of sources that end by themselves
  std::size_t ended_ = 0;    // requests of such sources
  std::size_t total_ = 0;
  std::size_t failures_in_row_ = 0;
  double started_ = 0;
  double last_end_ = 0;
  LoadReport report_;
};

// ---- a request

void Flow::begin(double at) {
  open = true;
  arrived_ = at;
  first_text_.reset();
  std::ranges::fill(last_text_, 0.0);
  longest_gap_ = 0;
  pieces_ = 0;
  said_.clear();
  error_body_.clear();
  events_ = {};
  answer_ = {};
}

void Flow::on_body(int status, std::span<const std::byte> piece) {
  arrived_ = now();
  const std::string_view bytes(reinterpret_cast<const char*>(piece.data()), piece.size());
  if (status != 200) {
    error_body_ += bytes.substr(0, kErrorBytesMax - std::min(kErrorBytesMax, error_body_.size()));
    return;
  }
  const bool taken = events_.feed(bytes, [this](std::string_view data) {
    answer_.event(data, [this](std::size_t choice, std::string_view piece_of_text) { text(choice, piece_of_text); });
  });
  too_long_ = too_long_ || !taken;
}

void Flow::text(std::size_t choice, std::string_view text) {
  ++pieces_;
  if (!first_text_) first_text_ = arrived_;
  if (choice == 0 && conversation.turns_left() > 0) said_ += text;
  if (choice >= last_text_.size()) return;
  double& last = last_text_[choice];
  if (last > 0) {
    run_.group_of(*this).gap.add(arrived_ - last);
    longest_gap_ = std::max(longest_gap_, arrived_ - last);
  }
  last = arrived_;
}

std::optional<std::string> Flow::failure(const Result<int>& status) const {
  if (!status) return status.error().message;
  if (*status != 200) return fmt::format("HTTP {}: {}", *status, error_message(error_body_));
  if (answer_.error()) return "in the stream: " + *answer_.error();
  if (too_long_) return "an event that is longer than the reader takes";
  if (!answer_.done()) return "the answer broke off";
  return std::nullopt;
}

void Flow::on_end(const Result<int>& status) {
  open = false;
  const double at = now();
  const auto failed = failure(status);
  GroupReport& group = run_.group_of(*this);
  if (!failed) {
    ++group.done;
    if (first_text_) group.first_token.add(*first_text_ - due);
    if (!first_text_) ++group.silent;
    if (pieces_ > 1) group.longest_gap.add(longest_gap_);
    group.whole.add(at - due);
    group.generated_tokens += answer_.usage() ? answer_.usage()->generated_tokens : pieces_;
    if (answer_.usage()) {
      group.prompt_tokens += answer_.usage()->prompt_tokens;
      group.cached_tokens += answer_.usage()->cached_tokens;
    }
  } else {
    ++group.failed;
  }
  run_.ended(*this, failed, at);
}

// ---- all of them

std::vector<std::pair<std::string, std::string>> Run::headers(const Source& source) const {
  std::vector<std::pair<std::string, std::string>> headers = {{"Content-Type", "application/json"}};
  const bool light = source.name == "light" && !target_.light_key.empty();
  const std::string& key = light ? target_.light_key : target_.key;
  if (!key.empty()) headers.emplace_back("Authorization", "Bearer " + key);
  return headers;
}

void Run::launch(std::size_t source, double due) {
  ClientState& client = clients_[source];
  if (client.left && *client.left == 0) return;
  if (client.left) {
    --*client.left;
    ++bounded_;
  }
  auto flow = std::make_unique<Flow>(*this, options_, sources_[source], source, client.begun++, due);
  due_.emplace(due, flow.get());
  flows_.emplace(flow.get(), std::move(flow));
}

// One arrival at a time is in the list: the next is drawn when it is sent.
void Run::launch_arrival(std::size_t source) {
  ClientState& client = clients_[source];
  const std::uint64_t seed = options_.seed + source;
  client.arrival += exponential(seed, client.begun, 1 / sources_[source].rate);
  launch(source, client.arrival);
}

Result<void> Run::send(Flow& flow) {
  const Source& source = sources_[flow.source];
  net::ExchangeRequest request{.url = url_, .headers = headers(source), .body = flow.conversation.next_body()};
  const double at = now();
  flow.begin(at);
  PLAIT_TRY(flow.exchange, exchanges_.start(std::move(request), flow));
  report_.late_seconds_max = std::max(report_.late_seconds_max, at - flow.due);
  report_.open_most = std::max(report_.open_most, exchanges_.open());
  ++group_of(flow).sent;
  if (source.rate > 0 && flow.conversation.turn() == 0) launch_arrival(flow.source);
  return {};
}

Result<void> Run::send_due() {
  while (!due_.empty() && due_.begin()->first <= now() && exchanges_.open() < options_.open_max) {
    Flow& flow = *due_.begin()->second;
    due_.erase(due_.begin());
    PLAIT_TRY_VOID(send(flow));
  }
  return {};
}

void Run::count_error(const std::string& what) {
  const bool room = report_.errors.size() < kErrorsMax - 1 || report_.errors.contains(what);
  ++report_.errors[room ? what : "others"];
}

void Run::ended(Flow& flow, const std::optional<std::string>& failure, double at) {
  last_end_ = at;
  if (failure) count_error(*failure);
  failures_in_row_ = failure ? failures_in_row_ + 1 : 0;
  report_.gave_up = failures_in_row_ >= kFailuresInRow;
  if (sources_[flow.source].tasks) ++ended_;
  if (!failure && flow.conversation.turns_left() > 0) {
    flow.conversation.answer(flow.said());
    flow.due = at + flow.conversation.pause();
    due_.emplace(flow.due, &flow);
    return;
  }
  const Source& source = sources_[flow.source];
  if (source.tasks) ended_ += flow.conversation.turns_left();  // of a conversation that failed
  double next = at + (failure ? kPauseAfterFailure : 0);
  if (source.pause > 0) next += pause_seconds(options_.seed, clients_[flow.source].begun, source.pause);
  if (source.rate == 0) launch(flow.source, next);
  finish(flow);
}

void Run::finish(Flow& flow) {
  if (sources_[flow.source].tasks) --bounded_;
  const auto at = flows_.find(&flow);
  over_.push_back(std::move(at->second));
  flows_.erase(at);
}

void Run::drop_open() {
  for (const auto& [pointer, flow] : flows_) {
    if (!flow->open) continue;
    exchanges_.cancel(flow->exchange);
    ++group_of(*flow).dropped;
  }
}

Result<LoadReport> Run::run() {
  started_ = now();
  last_end_ = started_;
  const double processor = os::processor_seconds();
  for (std::size_t source = 0; source < sources_.size(); ++source) {
    const double begin = started_ + sources_[source].start;
    clients_[source].arrival = begin;
    if (sources_[source].rate > 0) launch_arrival(source);
    for (std::size_t i = 0; sources_[source].rate == 0 && i < sources_[source].users; ++i) launch(source, begin);
  }
  double looked = started_;
  while (bounded_ > 0 && !report_.gave_up && !report_.interrupted) {
    PLAIT_TRY_VOID(send_due());
    const bool full = exchanges_.open() >= options_.open_max;
    const double until = due_.empty() || full ? kLook : std::min(due_.begin()->first - now(), kLook);
    exchanges_.wait(std::max(until, 0.0));
    over_.clear();
    if (now() - looked < kLook) continue;
    looked = now();
    if (watch_.progress) watch_.progress(ended_, total_);
    report_.interrupted = watch_.keep_going && !watch_.keep_going();
  }
  drop_open();
  report_.seconds = (report_.interrupted ? now() : last_end_) - started_;
  report_.processor_seconds = os::processor_seconds() - processor;
  return std::move(report_);
}

}  // namespace

Result<LoadReport> run_load(const LoadOptions& options, const LoadTarget& target, const LoadWatch& watch) {
  PLAIT_TRY(const auto exchanges, net::Exchanges::make());
  return Run(options, target, watch, *exchanges).run();
}

}  // namespace plait::load
