// SPDX-License-Identifier: Apache-2.0
//
// Vectors of texts as /v1/embeddings words them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serving/reply.h"
#include "serving/request.h"
#include "text/json.h"

namespace plait::serving {

/// The vector that the client gets of pooled hidden states: their first shape.dimensions, made to length 1 if
/// shape.normalised. What has no length stays as it is. Requires: at least so many.
[[nodiscard]] std::vector<float> embedding_of(std::span<const float> pooled, const EmbeddingShape& shape);

/// A list of numbers that read back as these floats.
[[nodiscard]] text::Json numbers_json(std::span<const float> numbers);

/// The bytes of little-endian floats in base64 (RFC 4648).
[[nodiscard]] std::string base64_of(std::span<const float> numbers);

/// {"object": "list", "data": [{"object": "embedding", "index", "embedding"}], "model", "usage"}. `pooled`: of the
/// choices, in their order.
[[nodiscard]] text::Json embeddings_body(const ReplyHead& head, const EmbeddingShape& shape,
                                         std::span<const std::span<const float>> pooled,
                                         std::span<const Choice> choices);

}  // namespace plait::serving
