// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "os/detail/transfer.h"
#include "os/direct_io.h"

namespace plait::os::detail {

/// One thread that does one pread or pwrite after the other, in order of submission.
/// Throws std::system_error when the machine refuses a thread.
[[nodiscard]] std::unique_ptr<AsyncFile> make_thread_file(OpenFile file);

}  // namespace plait::os::detail
