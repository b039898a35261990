// SPDX-License-Identifier: Apache-2.0
#include "serving/models.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <future>
#include <limits>
#include <utility>

#include "base/check.h"
#include "text/utf8.h"

namespace plait::serving {
namespace {

constexpr auto kLook = std::chrono::milliseconds(200);  // how often the loader looks for what is no longer used
constexpr std::string_view kLatest = ":latest";         // what ollama's clients say of a name without a tag

Refusal busy(std::string message) {
  return {.status = 503, .message = std::move(message), .param = "model", .code = "overloaded"};
}

// What grows only.
void add_work(engine::EngineCounters& sum, const engine::EngineCounters& one) {
  sum.steps += one.steps;
  sum.prompt_rows += one.prompt_rows;
  sum.decode_rows += one.decode_rows;
  sum.preemptions += one.preemptions;
  sum.prefixes.lookups += one.prefixes.lookups;
  sum.prefixes.tokens_hit += one.prefixes.tokens_hit;
  sum.prefixes.pages_added += one.prefixes.pages_added;
  sum.prefixes.pages_evicted += one.prefixes.pages_evicted;
  sum.swap.swap_outs += one.swap.swap_outs;
  sum.swap.swap_ins += one.swap.swap_ins;
  sum.swap.bytes_out += one.swap.bytes_out;
  sum.swap.bytes_in += one.swap.bytes_in;
  sum.swap.operations_out += one.swap.operations_out;
  sum.swap.operations_in += one.swap.operations_in;
  sum.swap.bytes_reused += one.swap.bytes_reused;
  sum.swap.waits += one.swap.waits;
  sum.swap.recomputes += one.swap.recomputes;
}

void add_work(EngineProgress& sum, const EngineProgress& one) {
  add_work(sum.counters, one.counters);
  sum.steps.seconds.add(one.steps.seconds);
  sum.steps.rows.add(one.steps.rows);
}

}  // namespace

std::string model_named(const text::Json& body) {
  const text::Json name = body.is_object() ? body.value("model", text::Json()) : text::Json();
  return name.is_string() ? name.get<std::string>() : std::string();
}

ServedModels::ServedModels(EngineThread& thread, ServedModelsOptions options, const base::Clock& clock)
    : thread_(thread), options_(std::move(options)), clock_(clock) {
  PLAIT_CHECK(options_.make);
  for (const ModelOffer& offer : options_.offers) names_.try_emplace(offer.name, offer.name);
  for (const ModelOffer& offer : options_.offers) {  // a name is stronger than an alias
    for (const std::string& alias : offer.aliases) names_.try_emplace(alias, offer.name);
    entries_.push_back(std::make_unique<Entry>(Entry{.offer = offer, .keep_alive = options_.keep_alive}));
  }
  PLAIT_CHECK(names_.contains(options_.usual), options_.usual);
  loader_ = std::jthread([this](const std::stop_token& stop) { load_loop(stop); });
}

ServedModels::~ServedModels() {
  loader_.request_stop();
  loader_.join();
  for (const auto& entry : entries_) {
    if (entry->served) entry->served->loop->close();  // what was posted may hold leases
  }
  for (const auto& entry : entries_) PLAIT_CHECK(entry->leases == 0, entry->offer.name);
}

void ServedModels::note(std::string_view line) const {
  if (options_.note) options_.note(line);
}

base::Result<void> ServedModels::preload() {
  const Lock lock(mutex_);
  const auto usual = std::ranges::find_if(entries_, [&](const auto& one) { return one->offer.name == options_.usual; });
  PLAIT_TRY(auto model, options_.make((*usual)->offer, room()));
  put(**usual, std::move(model));
  return {};
}

Accepted<std::string> ServedModels::find(std::string_view asked) const {
  if (asked.empty()) return options_.usual;
  auto name = names_.find(asked);
  if (name == names_.end() && asked.ends_with(kLatest))
    name = names_.find(asked.substr(0, asked.size() - kLatest.size()));
  if (name != names_.end()) return name->second;
  std::vector<std::string_view> there;
  for (const ModelOffer& offer : options_.offers) there.push_back(offer.name);
  return std::unexpected(Refusal{.status = 404,
                                 .message = fmt::format("there is no model \"{}\"; this server has {}",
                                                        text::sanitize(asked.substr(0, 100)), fmt::join(there, ", ")),
                                 .param = "model",
                                 .code = "model_not_found"});
}

void ServedModels::acquire(std::string_view asked, std::optional<double> keep_alive, Then then) {
  const auto name = find(asked);
  if (!name) return then(std::unexpected(name.error()));
  Lock lock(mutex_);
  Entry& entry = **std::ranges::find_if(entries_, [&](const auto& one) { return one->offer.name == *name; });
  entry.keep_alive = keep_alive.value_or(options_.keep_alive);
  if (entry.served) {
    ModelLease taken = lease(entry);
    lock.unlock();
    return then(std::move(taken));
  }
  if (waiting_ >= options_.waiting_max) {
    lock.unlock();
    return then(std::unexpected(busy("too many requests wait for models to be loaded")));
  }
  ++waiting_;
  entry.waiting.push_back({.then = std::move(then), .since = clock_.now()});
  news_ = true;
  changed_.notify_one();
}

ModelLease ServedModels::lease(Entry& entry) {
  ++entry.leases;
  return {entry.served.get(), [this, &entry](const ServedModel*) { release(entry); }};
}

void ServedModels::release(Entry& entry) {
  const Lock lock(mutex_);
  --entry.leases;
  entry.used_at = clock_.now();
  if (entry.leases > 0) return;
  news_ = true;
  changed_.notify_one();
}

std::vector<ModelStanding> ServedModels::list() const {
  const Lock lock(mutex_);
  std::vector<ModelStanding> list;
  for (const auto& entry : entries_) {
    ModelStanding& one = list.emplace_back();
    one.name = entry->offer.name;
    one.aliases = entry->offer.aliases;
    one.bytes = entry->model ? entry->model->bytes() : entry->offer.bytes;
    one.leases = entry->leases;
    if (entry->loading) one.state = ModelStanding::State::loading;
    if (!entry->served) continue;
    one.state = ModelStanding::State::ready;
    one.since = entry->served->since;
    one.context = entry->served->target.context;
    one.thinks = thinks(entry->served->target);
    one.counters = entry->served->loop->counters();
    if (entry->leases == 0 && entry->keep_alive >= 0 && entry->offer.name != options_.usual) {
      one.seconds_left = std::max(0.0, entry->used_at + entry->keep_alive - clock_.now());
    }
  }
  return list;
}

std::vector<LoopOfModel> ServedModels::loops() const {
  const Lock lock(mutex_);
  std::vector<LoopOfModel> loops;
  for (const auto& entry : entries_) {
    if (entry->served) loops.push_back({.name = entry->offer.name, .loop = entry->served->loop});
  }
  return loops;
}

std::vector<MetricsSources::Model> ServedModels::work() const {
  const Lock lock(mutex_);
  std::vector<MetricsSources::Model> all;
  for (const auto& entry : entries_) {
    if (!entry->served && !entry->gone) continue;
    EngineProgress now = entry->served ? entry->served->loop->progress() : EngineProgress();
    if (entry->gone) add_work(now, *entry->gone);
    all.push_back({.name = entry->offer.name,
                   .engine = now.counters,
                   .steps = now.steps,
                   .pages_reclaimable = now.pages_reclaimable});
  }
  return all;
}

engine::EngineCounters ServedModels::counters() const {
  engine::EngineCounters sum;
  for (const MetricsSources::Model& one : work()) {
    add_work(sum, one.engine);
    sum.sequences += one.engine.sequences;
    sum.running += one.engine.running;
    sum.waiting += one.engine.waiting;
    sum.pages += one.engine.pages;
    sum.pages_free += one.engine.pages_free;
  }
  return sum;
}

// ---- the loader

void ServedModels::load_loop(const std::stop_token& stop) {
  Lock lock(mutex_);
  while (!stop.stop_requested()) {
    changed_.wait_for(lock, stop, kLook, [&] { return news_; });
    news_ = false;
    if (!stop.stop_requested()) look_after(lock);
  }
}

// Entries that somebody waits for, who has waited longest first.
std::vector<ServedModels::Entry*> ServedModels::wanted() const {
  std::vector<Entry*> wanted;
  for (const auto& entry : entries_) {
    if (!entry->waiting.empty()) wanted.push_back(entry.get());
  }
  std::ranges::sort(wanted, {}, [](const Entry* entry) { return entry->waiting.front().since; });
  return wanted;
}

void ServedModels::look_after(Lock& lock) {
  for (Entry* entry : wanted()) try_load(*entry, lock);
  while (Entry* entry = spare(true)) unload(*entry, lock);
}

// A model without leases: the one that was used longest ago.
ServedModels::Entry* ServedModels::spare(bool expired_only) const {
  Entry* found = nullptr;
  for (const auto& entry : entries_) {
    if (!entry->served || entry->leases > 0) continue;
    const bool stays = entry->keep_alive < 0 || entry->offer.name == options_.usual;
    const bool expired = !stays && clock_.now() >= entry->used_at + entry->keep_alive;
    if (expired_only && !expired) continue;
    if (found == nullptr || entry->used_at < found->used_at) found = entry.get();
  }
  return found;
}

base::Bytes ServedModels::used() const {
  base::Bytes used = leaving_;
  for (const auto& entry : entries_) used += entry->model ? entry->model->bytes() : 0;
  return used;
}

base::Bytes ServedModels::room() const {
  if (options_.bytes_max == 0) return std::numeric_limits<base::Bytes>::max();
  return options_.bytes_max - std::min(options_.bytes_max, used());
}

Refusal ServedModels::no_memory(const Entry& entry) const {
  return busy(fmt::format("{} takes at least {} of memory; {} of {} are in use", entry.offer.name,
                          base::human_bytes(entry.offer.bytes), base::human_bytes(used()),
                          base::human_bytes(options_.bytes_max)));
}

void ServedModels::try_load(Entry& entry, Lock& lock) {
  const bool never = options_.bytes_max > 0 && entry.offer.bytes > options_.bytes_max;
  while (!never && room() < entry.offer.bytes) {
    Entry* other = spare(false);
    if (other == nullptr) break;
    unload(*other, lock);
  }
  if (room() >= entry.offer.bytes) return load(entry, lock);
  if (never || clock_.now() - entry.waiting.front().since >= options_.wait_max) refuse(entry, no_memory(entry), lock);
}

void ServedModels::load(Entry& entry, Lock& lock) {
  const base::Bytes bytes = room();
  entry.loading = true;
  lock.unlock();
  const double start = clock_.now();
  auto model = options_.make(entry.offer, bytes);
  note(model ? fmt::format("{} was loaded in {:.1f} s", entry.offer.name, clock_.now() - start)
             : fmt::format("{} cannot be loaded: {}", entry.offer.name, model.error().message));
  lock.lock();
  entry.loading = false;
  if (!model)
    return refuse(entry, busy(fmt::format("{} cannot be loaded: {}", entry.offer.name, model.error().message)), lock);
  put(entry, *std::move(model));
  std::vector<std::pair<Then, ModelLease>> served;
  for (Waiting& one : entry.waiting) served.emplace_back(std::move(one.then), lease(entry));
  waiting_ -= entry.waiting.size();
  entry.waiting.clear();
  lock.unlock();
  for (auto& [then, taken] : served) then(std::move(taken));
  served.clear();  // leases are given back without the lock
  lock.lock();
}

void ServedModels::put(Entry& entry, std::unique_ptr<ReadyModel> model) {
  entry.model = std::move(model);
  entry.served = std::make_unique<ServedModel>(ServedModel{.target = entry.model->target(),
                                                           .loop = thread_.add(entry.model->engine()),
                                                           .since = static_cast<std::int64_t>(std::time(nullptr))});
  entry.used_at = clock_.now();
}

void ServedModels::unload(Entry& entry, Lock& lock) {
  std::unique_ptr<ReadyModel> model = std::move(entry.model);
  const base::Bytes bytes = model->bytes();
  leaving_ += bytes;
  auto loop = std::move(entry.served->loop);
  add_work(entry.gone ? *entry.gone : entry.gone.emplace(), loop->progress());
  entry.served.reset();
  const auto removed = std::make_shared<std::promise<void>>();
  auto nobodys = removed->get_future();
  thread_.remove(std::move(loop), [removed] { removed->set_value(); });
  lock.unlock();
  // At the end nothing runs that could say so.
  while (nobodys.wait_for(kLook) != std::future_status::ready && !loader_.get_stop_token().stop_requested()) {
  }
  model.reset();
  note(fmt::format("{} was unloaded", entry.offer.name));
  lock.lock();
  leaving_ -= bytes;
}

void ServedModels::refuse(Entry& entry, const Refusal& refusal, Lock& lock) {
  std::vector<Waiting> refused = std::move(entry.waiting);
  entry.waiting.clear();
  waiting_ -= refused.size();
  lock.unlock();
  for (Waiting& one : refused) one.then(std::unexpected(refusal));
  lock.lock();
}

}  // namespace plait::serving
