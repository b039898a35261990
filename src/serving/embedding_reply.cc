// SPDX-License-Identifier: Apache-2.0
#include "serving/embedding_reply.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace plait::serving {

using text::Json;

namespace {

// Shorter by half than the digits of the double that the float is, and the same float.
double short_number(float number) {
  std::array<char, 32> text = {};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), number);
  double value = static_cast<double>(number);
  std::from_chars(text.data(), written.ptr, value);
  return value;
}

}  // namespace

Json numbers_json(std::span<const float> numbers) {
  Json list = Json::array();
  for (const float number : numbers) list.push_back(short_number(number));
  return list;
}

std::vector<float> embedding_of(std::span<const float> pooled, const EmbeddingShape& shape) {
  PLAIT_CHECK(shape.dimensions <= pooled.size(), shape.dimensions, pooled.size());
  if (shape.dimensions != 0) pooled = pooled.first(shape.dimensions);
  std::vector<float> embedding(pooled.begin(), pooled.end());
  if (!shape.normalised) return embedding;
  double squares = 0;
  for (const float value : embedding) squares += static_cast<double>(value) * static_cast<double>(value);
  if (squares == 0 || !std::isfinite(squares)) return embedding;
  const double length = std::sqrt(squares);
  for (float& value : embedding) value = static_cast<float>(static_cast<double>(value) / length);
  return embedding;
}

std::string base64_of(std::span<const float> numbers) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((numbers.size() * sizeof(float) + 2) / 3 * 4);
  std::uint32_t bits = 0;
  int count = 0;  // of bits
  const auto digit = [&](std::uint32_t six) { text += kDigits[six & 63U]; };
  for (const float number : numbers) {
    for (unsigned byte = 0; byte < sizeof(float); ++byte) {
      bits = bits << 8U | (std::bit_cast<std::uint32_t>(number) >> (8 * byte) & 0xFFU);
      for (count += 8; count >= 6; count -= 6) digit(bits >> (count - 6));
    }
  }
  if (count > 0) digit(bits << (6 - count));
  while (text.size() % 4 != 0) text += '=';
  return text;
}

Json embeddings_body(const ReplyHead& head, const EmbeddingShape& shape, std::span<const std::span<const float>> pooled,
                     std::span<const Choice> choices) {
  Json data = Json::array();
  for (std::size_t i = 0; i < pooled.size(); ++i) {
    const std::vector<float> embedding = embedding_of(pooled[i], shape);
    Json one{{"object", "embedding"}, {"index", i}};
    one["embedding"] = shape.base64 ? Json(base64_of(embedding)) : numbers_json(embedding);
    data.push_back(std::move(one));
  }
  const Json usage = usage_body(choices, 1);
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", head.model},
          {"usage",
           {{"prompt_tokens", usage["prompt_tokens"]},
            {"total_tokens", usage["total_tokens"]},
            {"prompt_tokens_details", usage["prompt_tokens_details"]},
            {"plait", usage["plait"]}}}};
}

}  // namespace plait::serving
