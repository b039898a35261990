// SPDX-License-Identifier: Apache-2.0
//
// Which models there are, as OpenAI's API and ollama's have it. Nothing here loads one.
#pragma once

#include "serving/http/message.h"
#include "serving/models.h"

namespace plait::serving {

/// GET /v1/models. Besides OpenAI's members: `max_model_len` of a loaded model, and under `plait` its `state` (absent,
/// loading, ready), `bytes`, `aliases`, and how long it stays.
[[nodiscard]] HttpReply models_reply(const HttpRequest& request, const ServedModels& models);
/// GET /v1/models/{name...}
[[nodiscard]] HttpReply model_reply(const HttpRequest& request, const ServedModels& models);

/// GET /api/tags, GET /api/ps (the loaded ones), POST /api/show and GET /api/version, of ollama's.
[[nodiscard]] HttpReply ollama_tags_reply(const HttpRequest& request, const ServedModels& models);
[[nodiscard]] HttpReply ollama_ps_reply(const HttpRequest& request, const ServedModels& models);
[[nodiscard]] HttpReply ollama_show_reply(const HttpRequest& request, const ServedModels& models);
[[nodiscard]] HttpReply ollama_version_reply(const HttpRequest& request, const ServedModels& models);

}  // namespace plait::serving
