// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/engine.h"
#include "serving/http/message.h"

namespace plait::serving {

/// Who pays, where the request itself says nothing more exact: the key, else what `options` says already (the field
/// `user`), else the address. What one key computes is found by no other key.
void set_client(const HttpClient& client, engine::SequenceOptions& options);

}  // namespace plait::serving
