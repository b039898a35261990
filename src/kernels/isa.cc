// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "os/cpu.h"

namespace plait::kernels {
namespace {

constexpr std::array<std::string_view, 5> kNames{"generic", "avx2", "avxvnni", "avx512", "amx"};

std::vector<Isa> detect() {
  std::vector<Isa> isas{Isa::generic};
  const os::CpuFeatures& cpu = os::cpu_features();
  const bool avx2 = cpu.avx2 && cpu.fma && cpu.f16c;
  const bool avx512 =
      avx2 && cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl && cpu.avx512_vnni && cpu.avx512_vbmi;
  if (avx2) isas.push_back(Isa::avx2);
  if (avx2 && cpu.avx_vnni) isas.push_back(Isa::avxvnni);
  if (avx512) isas.push_back(Isa::avx512);
  if (avx512 && cpu.avx512_bf16 && cpu.amx_int8 && cpu.amx_bf16 && os::enable_amx()) isas.push_back(Isa::amx);
  return isas;
}

}  // namespace

std::string_view name(Isa isa) { return kNames[static_cast<std::size_t>(isa)]; }

std::span<const Isa> usable_isas() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

Isa best_isa() { return usable_isas().back(); }

base::Result<Isa> parse_isa(std::string_view text) {
  if (text == "auto") return best_isa();
  const auto found = std::ranges::find(kNames, text);
  if (found == kNames.end()) {
    return base::fail(base::ErrorCode::invalid_argument,
                      fmt::format("unknown instruction set '{}'; choose auto, {}", text, fmt::join(kNames, ", ")));
  }
  const auto isa = static_cast<Isa>(found - kNames.begin());
  if (std::ranges::find(usable_isas(), isa) == usable_isas().end()) {
    return base::fail(base::ErrorCode::unsupported,
                      fmt::format("this machine cannot run '{}'; the best it has is '{}'", text, name(best_isa())));
  }
  return isa;
}

}  // namespace plait::kernels
