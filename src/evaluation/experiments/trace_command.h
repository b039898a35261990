// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace plait::evaluation {

/// `plait-lab traces KIND COUNT [OPTIONS]`, with the words behind `traces`: gives `write` a JSON object a line,
/// {"prompt", "text"}, for the texts that learners are trained on (evaluation/training_texts.h), those of COUNT
/// problems. `refined` texts hold drafts of a learner; `products` are sums (evaluation/experiments/product_texts.h).
/// Errors: invalid_argument (a word); out_of_resources (there are not so many problems); those of ModelThinking.
[[nodiscard]] base::Result<void> write_traces(const std::vector<std::string>& words,
                                              const std::function<void(std::string_view)>& write);

}  // namespace plait::evaluation
