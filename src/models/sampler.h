// SPDX-License-Identifier: Apache-2.0
//
// Chooses the next token from logits.
//
// Order of the steps: logit bias, penalties, temperature, top-k, typical, top-p, min-p, one draw. (Temperature comes
// before the cuts, as in most served APIs; with temperature 0 the largest logit after bias and penalties wins and the
// cuts do nothing.) A draw is number `generated` of stream `seed` (base/random.h): the same logits, options and
// position give the same token, whoever else samples. Ties go to the lowest id.
//
// Threads: one Sampler per sequence and thread; it keeps scratch memory and no other state between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "kernels/logits.h"

namespace plait::models {

struct SamplerOptions {
  double temperature = 0;  ///< [0, 100]. 0: greedy. 0.7 to 1 for prose.
  int top_k = 0;           ///< Keep the k most likely. 0: all.
  double top_p = 1;        ///< (0, 1]. Keep the fewest most likely tokens that hold this mass. 1: all.
  double min_p = 0;        ///< [0, 1]. Keep tokens at least this likely relative to the most likely one. 0: all.
  double typical_p = 1;    ///< (0, 1]. Keep the tokens of most typical surprise that hold this mass. 1: all.
  double repetition_penalty =
      1;  ///< (0, 100]. Divides positive and multiplies negative logits of tokens in the window. 1: none.
  double presence_penalty = 0;   ///< [-100, 100]. Subtracted once from tokens generated within the window.
  double frequency_penalty = 0;  ///< [-100, 100]. Subtracted once per generated occurrence within the window.
  int penalty_window = 0;        ///< How many of the last tokens the penalties see. 0: all.
  std::vector<std::pair<base::TokenId, double>> logit_bias = {};  ///< Added; [-100, 100], or -inf to forbid.
  std::uint64_t seed = 0;
  std::optional<int> top_logprobs =
      {};  ///< [0, 128]. If set, Sample carries log-probabilities and this many alternatives.
};

/// What stands before the token to choose. The first `prompt_length` tokens were given; the rest was generated.
struct SampleContext {
  std::span<const base::TokenId> tokens = {};
  std::size_t prompt_length = 0;
  /// What the model gave, where the logits to choose from are a masked copy of it; empty: they are it.
  std::span<const float> given = {};
};

struct TokenLogprob {
  base::TokenId token = base::kNoToken;
  float logprob = 0;  ///< Natural logarithm.
};

/// Log-probabilities of the distribution the model gave: before masks, bias, penalties, temperature and cuts.
struct Logprobs {
  float chosen = 0;
  std::vector<TokenLogprob> top = {};  ///< Most likely first; ties by id.
};

struct Sample {
  base::TokenId token = base::kNoToken;
  std::optional<Logprobs> logprobs = {};
};

/// Log-probability of `token` and the `top` most likely tokens. The same bits as Sampler gives for the same logits.
/// Errors: invalid_argument if `token` is outside; invalid_data if logits hold NaN or +inf or nothing finite.
base::Result<Logprobs> log_probabilities(std::span<const float> logits, base::TokenId token, std::size_t top);

class Sampler {
 public:
  /// Errors: invalid_argument, naming the field that is out of its range or not a number.
  static base::Result<Sampler> make(SamplerOptions options);

  /// Chooses from `logits` [vocabulary]. O(vocabulary) plus the sorting of what the cuts keep.
  /// Errors: invalid_data if logits hold NaN or +inf, or if nothing is left to choose from; invalid_argument if a
  /// biased id is outside of the vocabulary.
  base::Result<Sample> sample(std::span<const float> logits, SampleContext context = {});

  [[nodiscard]] const SamplerOptions& options() const { return options_; }

 private:
  struct Candidate {
    float logit;  // after bias and penalties
    std::int32_t id;
    double weight;  // e^((logit - largest) / temperature)
  };

  explicit Sampler(SamplerOptions options);
  [[nodiscard]] bool adjusts(SampleContext context) const;
  base::Result<void> adjust(SampleContext context);
  void penalise(SampleContext context);
  base::Result<base::TokenId> draw(std::span<const float> logits, double unit);
  [[nodiscard]] base::TokenId draw_from_all(double unit) const;
  void keep_likely(std::span<const float> logits, std::size_t count, double mass);
  void keep_typical();
  void keep_top_p();
  void keep_min_p();
  // Keeps the shortest prefix, in the order `less`, whose weights sum to `mass`.
  template <class Less>
  void keep_mass(double mass, Less less);

  SamplerOptions options_;
  std::vector<float> adjusted_;
  std::vector<float> weights_;  // [vocabulary]
  kernels::TopK top_;
  std::vector<Candidate> candidates_;
  std::vector<std::int32_t> seen_;
};

}  // namespace plait::models
