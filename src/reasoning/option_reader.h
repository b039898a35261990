// SPDX-License-Identifier: Apache-2.0
//
// The options of a strategy, from outside: each has a kind, a range and a default, and what nobody asked for is an
// error.
//
//   OptionReader options(json);
//   const auto n = options.whole("n", 8, 1, 64);
//   PLAIT_TRY_VOID(options.done());                 // the first thing that was wrong
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/json.h"

namespace plait::reasoning {

class OptionReader {
 public:
  /// `options`: an object or null. It must outlive the reader.
  explicit OptionReader(const text::Json& options);

  /// The member, or its default where it is absent, null or wrong; what was wrong is remembered.
  [[nodiscard]] std::size_t whole(std::string_view name, std::size_t otherwise, std::size_t low, std::size_t high);
  [[nodiscard]] bool flag(std::string_view name, bool otherwise);
  [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise);
  /// One of `choices`; returns its index.
  [[nodiscard]] std::size_t choice(std::string_view name, std::span<const std::string_view> choices,
                                   std::size_t otherwise = 0);
  /// A list of at most `most` whole numbers, or one alone.
  [[nodiscard]] std::vector<std::size_t> list(std::string_view name, std::vector<std::size_t> otherwise,
                                              std::size_t most, std::size_t low, std::size_t high);
  /// Errors: invalid_argument naming what was wrong first, or a member that nobody asked for.
  [[nodiscard]] base::Result<void> done() const;

 private:
  [[nodiscard]] const text::Json* find(std::string_view name);
  void wrong(std::string_view name, std::string_view what);

  const text::Json& options_;
  std::vector<std::string_view> known_;
  std::optional<std::string> wrong_;
};

}  // namespace plait::reasoning
