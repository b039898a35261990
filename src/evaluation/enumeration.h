// SPDX-License-Identifier: Apache-2.0
//
// Tasks that ask for a list, and how much of it a text has named: the coverage of "Group Think" (arXiv 2505.11107),
// min(1, different valid items named / items asked for). What counts as an item is fixed here, with its other names.
// Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plait::evaluation {

class EnumerationTask {
 public:
  /// `items`: `January|Jan, February|Feb, …`, the names of one item with `|` between them.
  EnumerationTask(std::string name, std::string question, std::size_t asked, std::string_view items);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& question() const { return question_; }
  [[nodiscard]] std::size_t asked() const { return asked_; }  ///< Items that are all of it.
  [[nodiscard]] std::size_t items() const { return items_; }
  /// The item that a name means, whatever its case, its article, its plural s and the signs around it.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;

 private:
  struct Name {
    std::string text;
    std::size_t item;
  };
  std::string name_;
  std::string question_;
  std::size_t asked_;
  std::size_t items_ = 0;
  std::vector<Name> names_;  // in order
};

/// Twenty of them: months, days, number words, countries, colours, animals and the like.
[[nodiscard]] const std::vector<EnumerationTask>& enumeration_tasks();

/// An item that a text names.
struct NamedItem {
  std::size_t item = 0;
  std::size_t end = 0;  ///< The byte behind what ends it: a line end, a comma, a stop, the end of the text.
};

/// In the order of the text, repeated ones too. An item stands alone between separators: line ends, commas, semicolons,
/// stops, colons and the word "and"; numbers and bullets before it count for nothing. The last one counts though
/// nothing ends it.
[[nodiscard]] std::vector<NamedItem> named_items(const EnumerationTask& task, std::string_view text);

}  // namespace plait::evaluation
