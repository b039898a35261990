// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "os/detail/transfer.h"
#include "os/direct_io.h"

namespace plait::os::detail {

/// A ring of the kernel's for one file. Takes `file` only when it succeeds; null where the kernel refuses a ring (not
/// built in, forbidden, no memory to lock). Requires: 1 ≤ depth ≤ 4096.
[[nodiscard]] std::unique_ptr<AsyncFile> make_uring_file(OpenFile& file, unsigned depth);

}  // namespace plait::os::detail
