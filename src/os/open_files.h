// SPDX-License-Identifier: Apache-2.0
//
// How many files, sockets among them, this process may have open at a time.
#pragma once

#include <cstddef>

namespace plait::os {

/// Raises the limit to the highest that this process may ask for, and returns what holds then. Programs that it starts
/// inherit it.
std::size_t raise_open_files_max();

}  // namespace plait::os
