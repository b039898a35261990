// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace plait::models {

/// Which experts the rows of a batch go to. A place is one row at one of its experts; places are ordered by expert,
/// then by row, so that an expert's weights are read once for all of its rows. Keeps its memory.
class Routing {
 public:
  struct Choice {
    std::size_t expert = 0;
    float weight = 0;
    std::size_t place = 0;  ///< By order().
  };
  /// One expert's places, [first, first + count).
  struct Group {
    std::size_t expert = 0;
    std::size_t first = 0;
    std::size_t count = 0;
  };

  /// Makes room for `rows` rows with `used` experts each; then the caller fills in experts and weights by row().
  void resize(std::size_t rows, std::size_t used);
  /// The choices of a row, heaviest first.
  [[nodiscard]] std::span<Choice> row(std::size_t row) { return std::span(choices_).subspan(row * used_, used_); }
  /// Numbers the places. Requires: all experts < experts.
  void order(std::size_t experts);

  [[nodiscard]] std::size_t places() const { return choices_.size(); }
  /// Experts with rows, ascending.
  [[nodiscard]] std::span<const Group> groups() const { return groups_; }
  [[nodiscard]] std::size_t row_of(std::size_t place) const { return at_[place] / used_; }
  [[nodiscard]] std::size_t expert_of(std::size_t place) const { return choices_[at_[place]].expert; }

 private:
  std::size_t used_ = 1;
  std::vector<Choice> choices_;     ///< [rows, used]
  std::vector<std::size_t> at_;     ///< [places]: place in choices_
  std::vector<std::size_t> count_;  ///< [experts], then the next place of each
  std::vector<Group> groups_;
};

}  // namespace plait::models
