// SPDX-License-Identifier: Apache-2.0
//
// The tiny random model with its byte-level tokenizer and chat template, for this area's tests and fuzz targets.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "models/chat_template.h"
#include "models/gguf.h"
#include "models/tokenizer.h"
#include "serving/request.h"
#include "testing/tiny_model.h"

namespace plait::serving {

struct TinyTarget {
  TinyTarget() : bytes(testing::make_tiny_model({})) {
    const auto file = models::GgufFile::parse(bytes);
    PLAIT_CHECK(file.has_value());
    tokenizer = *models::Tokenizer::load(*file);
    chat = std::make_unique<models::ChatTemplate>(*models::ChatTemplate::make(
        file->get<std::string_view>("tokenizer.chat_template"), models::special_texts(*tokenizer)));
    target = {.model = "tiny",
              .tokenizer = tokenizer.get(),
              .chat = chat.get(),
              .context = 256,
              .vocabulary = testing::kTinyVocabulary,
              .width = 256};
  }
  std::vector<std::byte> bytes;  ///< The model file.
  std::unique_ptr<models::Tokenizer> tokenizer;
  std::unique_ptr<models::ChatTemplate> chat;
  Target target;
};

}  // namespace plait::serving
