// SPDX-License-Identifier: Apache-2.0
#include <iterator>

#include "kernels/cpu/probe_kernels.h"

namespace plait::kernels::cpu {
namespace {

void dot(long rounds) {
  for (; rounds > 0; --rounds) {
    asm volatile(
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm0\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm1\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm2\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm3\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm4\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm5\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm6\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm7\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm8\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm9\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm10\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm11\n" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
  }
}

constexpr NamedPeak kPeaks[] = {{"vpdpbusd ymm", "int8", 12 * 32 * 2, dot}};

}  // namespace

constinit const ProbeTable kAvxVnniProbes{nullptr, 0, kPeaks, std::size(kPeaks)};

}  // namespace plait::kernels::cpu
