// SPDX-License-Identifier: Apache-2.0
//
// What tells right answers from wrong ones without a model. Selection by a verifier is selection by an oracle: say so
// wherever its figures stand.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/json.h"

namespace plait::reasoning {

class Verifier {
 public:
  Verifier() = default;
  virtual ~Verifier() = default;
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  /// "countdown", "equals", … Lives for ever.
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// 1: the answer is right; 0: it is wrong or cannot be read; between: wrong, but the nearer to 1 the better, where
  /// there is a measure. Depends on the answer alone. Errors: only where checking itself fails, never because of what
  /// the answer is.
  [[nodiscard]] virtual base::Result<double> score(std::string_view answer) const = 0;
};

/// The score that counts as verified.
inline constexpr double kVerified = 1.0;

/// An expression or steps of all numbers (check_countdown()), or a path in the language of reasoning/search_trace.h. A
/// legal one that ends elsewhere gets 1 / (1 + its distance to the target): at most a half. Requires: at least one
/// number.
[[nodiscard]] std::unique_ptr<Verifier> countdown_verifier(std::vector<std::int64_t> numbers, std::int64_t target);

/// A whole number of this value, as digits with an optional sign; commas between groups of three are allowed.
[[nodiscard]] std::unique_ptr<Verifier> value_verifier(std::int64_t value);

/// The same text in normal form (normal_answer()).
[[nodiscard]] std::unique_ptr<Verifier> equals_verifier(std::string_view expected);

/// One JSON document that `accepts`, if there is one, holds true of: a place for a schema.
[[nodiscard]] std::unique_ptr<Verifier> json_verifier(std::function<bool(const text::Json&)> accepts = {});

/// What `kind` or `kind:argument` says:
///
///   countdown:3,5,7,9=24   up to 16 numbers and a target
///   value:12*34+56         what the expression gives
///   equals:42              the rest, also with colons in it
///   json                   any JSON document
///
/// Errors: invalid_argument (no such kind; an argument that cannot be read, or none where one is needed); unsupported
/// (`command:…`, which needs a sandbox that is not there).
[[nodiscard]] base::Result<std::unique_ptr<Verifier>> make_verifier(std::string_view spec);

}  // namespace plait::reasoning
