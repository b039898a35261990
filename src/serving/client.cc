// SPDX-License-Identifier: Apache-2.0
#include "serving/client.h"

namespace plait::serving {

void set_client(const HttpClient& client, engine::SequenceOptions& options) {
  if (!client.key_name.empty() || options.client.empty()) options.client = client.name();
  options.weight = client.limits.weight;
  if (!client.key_name.empty()) options.salt = client.key_name + '\0' + options.salt;
}

}  // namespace plait::serving
