// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace plait::kernels::cpu {

/// Reads `bytes` bytes (a multiple of 4096, 64-byte aligned) once.
using ReadKernel = void (*)(const std::byte* p, std::size_t bytes);
/// Runs `rounds` rounds of independent operations.
using PeakKernel = void (*)(long rounds);

struct NamedRead {
  const char* name;
  ReadKernel read;
};

struct NamedPeak {
  const char* name;
  const char* operands;
  double operations_per_round;
  PeakKernel run;
};

struct ProbeTable {
  const NamedRead* reads;
  std::size_t read_count;
  const NamedPeak* peaks;
  std::size_t peak_count;
};

extern const ProbeTable kAvx2Probes;
extern const ProbeTable kAvxVnniProbes;
extern const ProbeTable kAvx512Probes;
extern const ProbeTable kAmxProbes;

}  // namespace plait::kernels::cpu
