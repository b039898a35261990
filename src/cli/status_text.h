// SPDX-License-Identifier: Apache-2.0
//
// A server's status for people: the table of `plait ps` and the frame of `plait top`.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/server_status.h"

namespace plait::cli {

/// A table of requests with a head line; `ended`: with what became of them.
[[nodiscard]] std::string requests_text(const std::vector<RequestStatus>& requests, bool ended);

struct FrameSize {
  std::size_t columns = 80;
  std::size_t lines = 24;
};

/// The lines of a frame. Rates are those between the two statuses; where nothing is known of before, they are left
/// blank. Lines are cut to the width; of clients and requests as many are shown as fit.
[[nodiscard]] std::vector<std::string> top_frame(const std::string& url, const ServerStatus* before,
                                                 const ServerStatus& now, const FrameSize& size);

}  // namespace plait::cli
