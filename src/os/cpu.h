// SPDX-License-Identifier: Apache-2.0
//
// What the processor can do, and how many cores this process may use.
#pragma once

#include <string>

namespace plait::os {

/// Instruction sets that both the processor and the operating system offer. All false on other architectures than
/// x86-64.
struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool f16c = false;
  bool avx_vnni = false;
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512vl = false;
  bool avx512dq = false;
  bool avx512_vnni = false;
  bool avx512_vbmi = false;
  bool avx512_bf16 = false;
  bool amx_tile = false;  ///< Tile state is offered; a process must still ask for it with enable_amx().
  bool amx_int8 = false;
  bool amx_bf16 = false;
  std::string model_name;  ///< As the processor names itself; empty when it does not.
};

/// Read once, then the same object. Any thread.
[[nodiscard]] const CpuFeatures& cpu_features();

/// Asks the operating system for the tile registers, once per process; threads made later inherit the permission, and
/// so do the ones that exist. True when tiles may be used from now on. Any thread.
bool enable_amx();

/// Cores this process may keep busy: affinity mask and cgroup CPU quota (rounded up) counted; at least 1.
[[nodiscard]] int usable_cores();

}  // namespace plait::os
