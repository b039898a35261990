// SPDX-License-Identifier: Apache-2.0
//
// What a run of rounds costs the machine, in prefill token equivalents (PTE): 1 is the work of one prompt token.
// A round is one call of the model between two calls of tools. Source: "Beyond Accuracy: Unveiling Inefficiency
// Patterns in Tool-Integrated Reasoning" (arXiv 2604.05404), its formula as quoted by others:
//
//   PTE       = Σ context + gamma L decoded                   gamma = 2 layers width HOI / parameters
//
// HOI is the machine's intensity, operations per second over bytes per second. Reading the keys and values of one token
// costs b bytes, which take as long as b HOI operations; one prompt token takes 2 parameters operations. Hence
// gamma = b HOI / (2 parameters), and the published form is the case of f16 and as many key heads as query heads. It
// charges models with shared key heads too much, and never counts the weights that a decode step reads. So two more:
//
//   PTE-cache = Σ (context - cached) + gamma' L decoded       gamma' with the real bytes of a token's keys and values
//   PTE-w     = PTE-cache + Σ over decode steps of weight_bytes HOI / (2 parameters rows)
//
// These say what the machine did for a row. What the row waited for is something else: a step lasts until all its rows
// are done, prompts of others included. So a fourth one, ours, which no paper has and which is no price:
//
//   PTE-latency = Σ over all steps from the request to its end of prefilled + weights + gamma' lengths, of all rows
//
// For a row that has the machine for itself it equals PTE-w, but for what it computes again after losing it.
//
// Ours too: the two variants before it; a decode step that feeds several tokens of a row (speculation, blocks) reads
// keys, values and weights once, so its first token is a decode and the others cost what prompt tokens cost in
// PTE-cache and PTE-w. Attention's own arithmetic is in none of them. Everything here is a plain value or a pure
// function.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/model_shape.h"

namespace plait::engine {

/// What the machine can do; both figures of the same run, or of the same data sheet.
struct HardwareProfile {
  std::string_view name = {};    ///< "cpu-amx"; must outlive the profile.
  double flops_per_second = 0;   ///< Multiplications and additions counted separately.
  double bytes_per_second = 0;   ///< Reading memory.
  std::string_view source = {};  ///< Precision and origin, for people.

  /// Operations per byte (HOI). Requires: bytes_per_second > 0.
  [[nodiscard]] double intensity() const;
};

/// The profiles that have a name, sorted by name.
[[nodiscard]] std::span<const HardwareProfile> named_profiles();
/// The profile called `name`, or null.
[[nodiscard]] const HardwareProfile* find_profile(std::string_view name);

/// Which length a round's decode steps are charged for (the setting cost.length). Only with `mean` do the steps of a
/// round add up to the round: the others fix a length at a point that a single step does not know.
enum class CostLength {
  start,  ///< The context before the first decoded token.
  mean,   ///< context + decoded / 2: each token sees the context and half of what the round decodes.
  end,    ///< context + decoded.
};

/// What steps made the machine do, for whomever.
struct StepWork {
  double prefilled = 0;     ///< Prompt tokens, and tokens of decode steps beyond one per row.
  double weight_reads = 0;  ///< Steps in which somebody decoded.
  double lengths = 0;       ///< Over rows that decoded: tokens that they saw, their own counted half.

  StepWork& operator+=(const StepWork& other);
  friend StepWork operator-(StepWork a, const StepWork& b) {
    return {a.prefilled - b.prefilled, a.weight_reads - b.weight_reads, a.lengths - b.lengths};
  }
};

/// What one round of one row made the machine do. Rounds of different rows are never added up into one.
struct RoundCounters {
  double context = 0;    ///< Tokens before the first decoded one: found in the cache and prefilled.
  double cached = 0;     ///< Of the context, found in the cache. At most `context`.
  double prefilled = 0;  ///< Prompt tokens really computed; more than context - cached after a lost cache.
  double decoded = 0;    ///< Decode steps of this row.
  double beside = 0;     ///< Tokens fed in decode steps beyond one per step.
  /// Over decode steps, the sum of 1 / (rows that shared the step). Kept per step because rows come and go in a round.
  double weight_reads = 0;
  StepWork meanwhile = {};  ///< Of all steps from the request to its end, whoever took part.

  /// A new round whose context holds `found` tokens of the cache.
  void start(std::uint64_t found);
  /// A piece of the prompt. `recomputed`: tokens that this round had before and lost, which do not make the context
  /// longer.
  void add_prefill(std::uint64_t tokens, bool recomputed = false);
  /// A decode step of `rows` rows in all that fed `width` tokens of this one. Requires: both ≥ 1.
  void add_decode(std::uint64_t rows, std::uint64_t width = 1);

  /// Tokens that went through the model: the plainest measure that is no fiction, to compare with.
  [[nodiscard]] double computed() const { return prefilled + decoded + beside; }
};

/// What a token costs on a machine with a model, in PTE.
struct CostRates {
  double gamma = 0;        ///< Per decoded token and token of length, the published form.
  double gamma_cache = 0;  ///< The same from the real size of keys and values.
  double weights = 0;      ///< Per decode step that has the weights for itself.
};

/// Requires: shape.parameters > 0, profile.bytes_per_second > 0.
[[nodiscard]] CostRates cost_rates(const ModelShape& shape, const HardwareProfile& profile);

/// The variants of one thing's cost, in PTE.
struct Cost {
  double pte = 0;
  double pte_cache = 0;
  double pte_w = 0;
  double pte_latency = 0;

  Cost& operator+=(const Cost& other);
  friend Cost operator+(Cost a, const Cost& b) { return a += b; }
};

/// Whole steps in PTE.
[[nodiscard]] double work_cost(const StepWork& work, const CostRates& rates);

/// `length` is not for PTE-latency, whose steps know their lengths. Requires: cached ≤ context.
[[nodiscard]] Cost round_cost(const RoundCounters& round, const CostRates& rates, CostLength length = CostLength::mean);

/// In what the fair scheduler counts (the setting fairness.unit).
enum class ChargeUnit {
  pte,     ///< PTE-w.
  tokens,  ///< Tokens through the model, whatever they cost.
};

/// What one row did in one step.
struct StepShare {
  std::uint64_t prefilled = 0;  ///< Tokens of its prompt.
  std::uint64_t decoded = 0;    ///< Tokens fed in a decode step; 0: the row did not decode.
  std::uint64_t context = 0;    ///< Tokens in the row's view before the decode step.
  std::uint64_t rows = 1;       ///< Rows that shared the step.
};

/// What the row adds to a step's work, without the read of the weights.
[[nodiscard]] StepWork step_work(const StepShare& share);

/// What the step costs the row's owner. In PTE the charges of a round's steps, one token each, add up to
/// round_cost().pte_w with CostLength::mean. Requires: rows ≥ 1 if it decoded.
[[nodiscard]] double step_charge(const StepShare& share, const CostRates& rates, ChargeUnit unit = ChargeUnit::pte);

}  // namespace plait::engine
