// SPDX-License-Identifier: Apache-2.0
#include "models/routing.h"

#include "base/check.h"

namespace plait::models {

void Routing::resize(std::size_t rows, std::size_t used) {
  used_ = used;
  choices_.resize(rows * used);
  at_.resize(rows * used);
}

void Routing::order(std::size_t experts) {
  count_.assign(experts, 0);
  for (const Choice& choice : choices_) {
    PLAIT_CHECK(choice.expert < experts, choice.expert, experts);
    ++count_[choice.expert];
  }
  groups_.clear();
  std::size_t first = 0;
  for (std::size_t expert = 0; expert < experts; ++expert) {
    const std::size_t count = count_[expert];
    count_[expert] = first;
    if (count != 0) groups_.push_back({expert, first, count});
    first += count;
  }
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    choices_[i].place = count_[choices_[i].expert]++;
    at_[choices_[i].place] = i;
  }
}

}  // namespace plait::models
