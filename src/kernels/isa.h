// SPDX-License-Identifier: Apache-2.0
//
// Instruction sets that kernels are compiled for. Every one gives the same bits; they differ in speed only.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace plait::kernels {

/// In ascending preference. `generic` is portable C++.
enum class Isa { generic, avx2, avxvnni, avx512, amx };

/// The name as in the setting kernels.isa: "avx512".
[[nodiscard]] std::string_view name(Isa isa);

/// What this build has and this machine can run, ascending; never empty. `amx` is listed only after the operating
/// system granted the tile registers, which the first call asks for. avx512 means F, BW, DQ, VL, VNNI and VBMI,
/// amx BF16 of AVX-512 as well.
[[nodiscard]] std::span<const Isa> usable_isas();

/// The last of usable_isas().
[[nodiscard]] Isa best_isa();

/// From a setting: "auto" is best_isa(). Errors: invalid_argument for an unknown name, unsupported when this machine
/// lacks it.
[[nodiscard]] base::Result<Isa> parse_isa(std::string_view text);

}  // namespace plait::kernels
