// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <iterator>

#include "kernels/cpu/probe_kernels.h"

namespace plait::kernels::cpu {
namespace {

// Full tiles: 16 rows of 64 bytes. Static storage, see matmul_amx.cc.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t column_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constinit const TileConfig kFull{};

void open_tiles() { asm volatile("ldtilecfg %0" ::"m"(kFull)); }
void close_tiles() { asm volatile("tilerelease"); }

void int8(long rounds) {
  open_tiles();
  for (; rounds > 0; --rounds) {
    asm volatile(
        "tdpbssd %tmm6, %tmm4, %tmm0\n tdpbssd %tmm7, %tmm4, %tmm1\n"
        "tdpbssd %tmm6, %tmm5, %tmm2\n tdpbssd %tmm7, %tmm5, %tmm3\n");
  }
  close_tiles();
}

void bf16(long rounds) {
  open_tiles();
  for (; rounds > 0; --rounds) {
    asm volatile(
        "tdpbf16ps %tmm6, %tmm4, %tmm0\n tdpbf16ps %tmm7, %tmm4, %tmm1\n"
        "tdpbf16ps %tmm6, %tmm5, %tmm2\n tdpbf16ps %tmm7, %tmm5, %tmm3\n");
  }
  close_tiles();
}

constexpr NamedPeak kPeaks[] = {
    {"tdpbssd", "int8", 4.0 * 16 * 16 * 64 * 2, int8},
    {"tdpbf16ps", "bf16", 4.0 * 16 * 16 * 32 * 2, bf16},
};

}  // namespace

constinit const ProbeTable kAmxProbes{nullptr, 0, kPeaks, std::size(kPeaks)};

}  // namespace plait::kernels::cpu
