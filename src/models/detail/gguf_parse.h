// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one GGUF file, taken apart and checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/gguf.h"

namespace plait::models::detail {

/// Reads little-endian fields and never past the end: every method that cannot have what it asks for returns false and
/// changes nothing.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }

  [[nodiscard]] bool take(std::uint64_t length, std::span<const std::byte>& out) {
    if (length > remaining()) return false;
    out = bytes_.subspan(position_, static_cast<std::size_t>(length));
    position_ += static_cast<std::size_t>(length);
    return true;
  }
  template <class T>
  [[nodiscard]] bool read(T& out) {
    std::span<const std::byte> field;
    if (!take(sizeof(T), field)) return false;
    std::memcpy(&out, field.data(), sizeof(T));
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

struct ParsedGguf {
  std::uint32_t version = 0;
  std::vector<GgufEntry> entries;   ///< In the order of the file; keys may repeat.
  std::vector<TensorInfo> tensors;  ///< In the order of the file; bytes inside the file and disjoint; names may repeat.
};

/// Parses and checks one file. Errors: invalid_data, unsupported.
[[nodiscard]] base::Result<ParsedGguf> parse_gguf(std::span<const std::byte> bytes);

/// Bytes of one value of a number or boolean kind; 0 for strings and arrays.
[[nodiscard]] std::size_t bytes_of(GgufKind kind);

/// Text from a file as it may stand in a one-line message: in quotes, with everything that is no printable character
/// escaped, cut after about `bytes_max` bytes.
[[nodiscard]] std::string quoted(std::string_view text, std::size_t bytes_max = 100, char quote = '\'');

/// The places 0 … n-1 of `names` in the order of their names; equal names stand side by side.
[[nodiscard]] std::vector<std::uint32_t> sorted_places(std::span<const std::string_view> names);

/// Goes through the elements of an array of strings or arrays of `count` elements whose lengths have been checked
/// before. False if they do not fit after all: the file changed underneath.
[[nodiscard]] bool read_strings(std::span<const std::byte> payload, std::uint64_t count,
                                std::vector<std::string_view>& out);

}  // namespace plait::models::detail
