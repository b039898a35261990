// SPDX-License-Identifier: Apache-2.0
//
// What the machine can do at most: how fast memory of a given footprint is read, and how many operations a second each
// instruction set reaches with operands in registers. The rulers beside which kernels are judged; a kernel above 100 %
// of its ruler shows that the ruler is wrong.
#pragma once

#include <string_view>
#include <vector>

#include "base/units.h"
#include "parallel/team.h"

namespace plait::kernels {

struct ReadVariant {
  std::string_view name;        ///< How it reads, as in "avx512 x8, prefetch 4 KiB".
  double bytes_per_second = 0;  ///< Its best pass.
};

struct ReadLimit {
  base::Bytes footprint = 0;  ///< As read: rounded up to 4 KiB for each thread.
  int threads = 0;
  ReadVariant best;                   ///< The fastest of `variants`.
  std::vector<ReadVariant> variants;  ///< All that this machine can run, at least four.
};

/// Reads a buffer of `footprint` bytes with all members of the team, each its own contiguous part, which it has touched
/// first. All variants take turns until `seconds` have passed, at least three passes each. Takes footprint bytes of
/// memory; `best` is zero when they cannot be had. Requires: footprint > 0.
[[nodiscard]] ReadLimit probe_read(base::Bytes footprint, parallel::Team& team, double seconds = 0.3);

struct PeakProbe {
  std::string_view name;      ///< Instruction, as in "vpdpbusd zmm".
  std::string_view isa;       ///< Instruction set it belongs to, a name of kernels.isa.
  std::string_view operands;  ///< "f32", "int8", "bf16".
  int threads = 0;
  double operations_per_second = 0;  ///< Multiplications and additions counted separately, over all threads.
};

/// Every instruction that linear layers can be built from and this machine has, on all members of the team at once;
/// `seconds` for each of them.
[[nodiscard]] std::vector<PeakProbe> probe_peaks(parallel::Team& team, double seconds = 0.1);

}  // namespace plait::kernels
