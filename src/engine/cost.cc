// SPDX-License-Identifier: Apache-2.0
#include "engine/cost.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace plait::engine {
namespace {

// Dense rates without sparsity, of the vendors' data sheets; the two for processors are round figures of a small
// server with some 30 GB/s, meant for comparing, not for absolute statements.
constexpr std::array kProfiles{
    HardwareProfile{"a100", 312e12, 2.039e12, "bf16 tensor cores, A100 SXM 80 GB data sheet"},
    HardwareProfile{"cpu-amx", 7.5e12, 30e9, "bf16 tiles of a few cores, nominal"},
    HardwareProfile{"cpu-fp32", 0.45e12, 30e9, "fp32 multiply-add of a few cores, nominal"},
    HardwareProfile{"h100", 989e12, 3.35e12, "bf16 tensor cores, H100 SXM data sheet"},
    HardwareProfile{"h200", 989e12, 4.8e12, "bf16 tensor cores, H200 SXM data sheet"},
    HardwareProfile{"rtx4090", 165.2e12, 1.008e12, "f16 tensor cores adding in f32, Ada data sheet"},
    HardwareProfile{"v100", 125e12, 0.9e12, "f16 tensor cores, V100 SXM2 data sheet"},
};
static_assert(std::ranges::is_sorted(kProfiles, {}, &HardwareProfile::name));

double charged_length(const RoundCounters& round, CostLength length) {
  switch (length) {
    case CostLength::start:
      return round.context;
    case CostLength::mean:
      return round.context + round.decoded / 2;
    case CostLength::end:
      return round.context + round.decoded;
  }
  return round.context;
}

}  // namespace

double HardwareProfile::intensity() const {
  PLAIT_CHECK(bytes_per_second > 0, bytes_per_second);
  return flops_per_second / bytes_per_second;
}

std::span<const HardwareProfile> named_profiles() { return kProfiles; }

const HardwareProfile* find_profile(std::string_view name) {
  const auto found = std::ranges::find(kProfiles, name, &HardwareProfile::name);
  return found == kProfiles.end() ? nullptr : &*found;
}

void RoundCounters::start(std::uint64_t found) {
  *this = {};
  cached = static_cast<double>(found);
  context = cached;
}

void RoundCounters::add_prefill(std::uint64_t tokens, bool recomputed) {
  prefilled += static_cast<double>(tokens);
  if (!recomputed) context += static_cast<double>(tokens);
}

void RoundCounters::add_decode(std::uint64_t rows, std::uint64_t width) {
  PLAIT_CHECK(rows >= 1 && width >= 1, rows, width);
  decoded += 1;
  beside += static_cast<double>(width - 1);
  weight_reads += 1 / static_cast<double>(rows);
}

CostRates cost_rates(const ModelShape& shape, const HardwareProfile& profile) {
  PLAIT_CHECK(shape.parameters > 0, shape.parameters);
  const double equivalents_per_byte = profile.intensity() / (2 * shape.parameters);
  constexpr double kPublishedElements = 4;  // bytes of a key and a value in f16, over all of the width
  return {.gamma = kPublishedElements * shape.layers * shape.width * equivalents_per_byte,
          .gamma_cache = shape.kv_bytes_per_token() * equivalents_per_byte,
          .weights = shape.weight_bytes * equivalents_per_byte};
}

StepWork& StepWork::operator+=(const StepWork& other) {
  prefilled += other.prefilled;
  weight_reads += other.weight_reads;
  lengths += other.lengths;
  return *this;
}

Cost& Cost::operator+=(const Cost& other) {
  pte += other.pte;
  pte_cache += other.pte_cache;
  pte_w += other.pte_w;
  pte_latency += other.pte_latency;
  return *this;
}

double work_cost(const StepWork& work, const CostRates& rates) {
  return work.prefilled + rates.weights * work.weight_reads + rates.gamma_cache * work.lengths;
}

Cost round_cost(const RoundCounters& round, const CostRates& rates, CostLength length) {
  PLAIT_CHECK(round.cached <= round.context, round.cached, round.context);
  const double lengths = charged_length(round, length) * round.decoded;
  Cost cost;
  cost.pte = round.context + rates.gamma * lengths;
  cost.pte_cache = round.context - round.cached + round.beside + rates.gamma_cache * lengths;
  cost.pte_w = cost.pte_cache + rates.weights * round.weight_reads;
  cost.pte_latency = work_cost(round.meanwhile, rates);
  return cost;
}

StepWork step_work(const StepShare& share) {
  const auto prefilled = static_cast<double>(share.prefilled);
  if (share.decoded == 0) return {.prefilled = prefilled};
  return {.prefilled = prefilled + static_cast<double>(share.decoded - 1),
          .lengths = static_cast<double>(share.context) + 0.5};
}

double step_charge(const StepShare& share, const CostRates& rates, ChargeUnit unit) {
  const auto prefilled = static_cast<double>(share.prefilled);
  const auto decoded = static_cast<double>(share.decoded);
  if (unit == ChargeUnit::tokens) return prefilled + decoded;
  StepWork work = step_work(share);
  if (share.decoded > 0) {
    PLAIT_CHECK(share.rows >= 1, share.rows);
    work.weight_reads = 1 / static_cast<double>(share.rows);
  }
  return work_cost(work, rates);
}

}  // namespace plait::engine
