// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/loop_answers.h"

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace plait::serving {
namespace {

constexpr std::chrono::seconds kDropSeconds{10};  // much longer than a step
constexpr std::chrono::milliseconds kLook{50};    // how often the batch's thread sees whether it is to end

}  // namespace

struct LoopAnswers::Flights {
  void land(Answer answer) {
    {
      const std::scoped_lock lock(mutex);
      landed.push_back(std::move(answer));
    }
    wake.notify_one();
  }

  ModelLease model;  // first: held until the rest is gone
  // The engine's thread's.
  std::unordered_map<std::size_t, std::unique_ptr<Exchange>> running;
  bool over = false;
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Answer> landed;  // under mutex
};

LoopAnswers::LoopAnswers(ModelLease model, std::function<std::size_t()> generations_max)
    : generations_max_(std::move(generations_max)), flights_(std::make_shared<Flights>()) {
  flights_->model = std::move(model);
}

// What runs belongs to the engine's thread, and the model must not go before that has dropped it.
LoopAnswers::~LoopAnswers() {
  const auto dropped = std::make_shared<std::promise<void>>();
  const auto seen = dropped->get_future();
  flights_->model->loop->post([flights = flights_, dropped](engine::Engine&) mutable {
    flights->over = true;
    flights->running.clear();
    flights.reset();
    dropped->set_value();
  });
  seen.wait_for(kDropSeconds);
}

void LoopAnswers::start(std::size_t order, Request request) {
  flights_->model->loop->post([flights = flights_, order, taken = std::move(request)](engine::Engine& engine) mutable {
    if (flights->over) return;
    // The exchange must not go within a step, and must not hold what holds it.
    const auto done = [weak = std::weak_ptr(flights), order] {
      const auto there = weak.lock();
      if (!there) return;
      there->model->loop->post([weak, order](engine::Engine&) {
        const auto held = weak.lock();
        if (!held || held->over) return;
        held->land({.order = order, .exchange = std::move(held->running.extract(order).mapped())});
      });
    };
    auto exchange = Exchange::start(engine, flights->model->target, std::move(taken), {.done = done});
    if (exchange) {
      flights->running.emplace(order, *std::move(exchange));
    } else {
      flights->land({.order = order, .refusal = exchange.error()});
    }
  });
}

std::vector<BatchAnswers::Answer> LoopAnswers::advance() {
  std::unique_lock lock(flights_->mutex);
  flights_->wake.wait_for(lock, kLook, [&] { return !flights_->landed.empty(); });
  return std::exchange(flights_->landed, {});
}

}  // namespace plait::serving
