// SPDX-License-Identifier: Apache-2.0
#include "serving/status_board.h"

#include <algorithm>
#include <array>
#include <utility>

namespace plait::serving {

std::string_view name(RequestPhase phase) {
  constexpr std::array<std::string_view, 3> kNames = {"reading", "prompt", "answering"};
  return kNames[static_cast<std::size_t>(phase)];
}

RequestCard::~RequestCard() { close(); }

void RequestCard::admit(std::string model, std::string client, std::size_t choices) {
  client.resize(std::min(client.size(), StatusBoard::kTextBytes));
  const std::scoped_lock lock(mutex_);
  row_.model = std::move(model);
  row_.client = std::move(client);
  row_.choices = choices;
  row_.phase = RequestPhase::prompt;
}

RequestRow RequestCard::row() const {
  const std::scoped_lock lock(mutex_);
  RequestRow row = row_;
  row.generated_tokens = generated_.load(std::memory_order_relaxed);
  if (row.phase == RequestPhase::prompt && row.generated_tokens > 0) row.phase = RequestPhase::answering;
  return row;
}

void RequestCard::close() {
  if (const auto board = board_.lock()) board->forget(number_);
}

std::shared_ptr<RequestCard> StatusBoard::open(RequestRow row) {
  row.id.resize(std::min(row.id.size(), kTextBytes));
  row.client.resize(std::min(row.client.size(), kTextBytes));
  const std::scoped_lock lock(mutex_);
  const std::uint64_t number = next_++;
  std::shared_ptr<RequestCard> card(new RequestCard(weak_from_this(), number, std::move(row)));
  open_.emplace(number, card);
  return card;
}

void StatusBoard::forget(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  open_.erase(number);
}

std::vector<RequestRow> StatusBoard::open_rows() const {
  std::vector<std::shared_ptr<RequestCard>> cards;  // let go of outside the lock: their end asks for it
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, card] : open_) {
      if (cards.size() == kOpenShown) break;
      if (auto held = card.lock()) cards.push_back(std::move(held));
    }
  }
  std::vector<RequestRow> rows;
  rows.reserve(cards.size());
  for (const auto& card : cards) rows.push_back(card->row());
  return rows;
}

std::size_t StatusBoard::open_count() const {
  const std::scoped_lock lock(mutex_);
  return open_.size();
}

}  // namespace plait::serving
