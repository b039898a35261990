// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::os {

/// Seconds for which all threads of this process together have computed so far, in user mode and in the system.
[[nodiscard]] double processor_seconds();

}  // namespace plait::os
