// SPDX-License-Identifier: Apache-2.0
//
// What a service tells the program that started it and watches it, as systemd has it: sd_notify(3).
#pragma once

#include <string_view>

namespace plait::os {

/// Sends `state` ("READY=1", several lines with line breaks between) as one datagram to the socket that $NOTIFY_SOCKET
/// names: a path, or "@" and an abstract name. False if the variable is not set or nobody takes it. Never blocks.
bool notify_service_manager(std::string_view state);

/// That the service reads its settings again, with the time that the protocol wants. "READY=1" ends it.
bool notify_reloading();

}  // namespace plait::os
