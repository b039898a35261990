// SPDX-License-Identifier: Apache-2.0
//
// Writes GGUF files for tests, byte by byte, and remembers where every field lies, so that a test can cut or change any
// of them.
//
//   GgufWriter writer;
//   writer.string("general.architecture", "llama").number<std::uint32_t>("llama.block_count", 2);
//   writer.tensor("output_norm.weight", {4}, std::vector<float>{1, 1, 1, 1});
//   const std::string bytes = writer.bytes();
//
// Nothing is checked: a test may write nonsense on purpose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tensor/type.h"

namespace plait::testing {

/// A place in a written file: `magic`, `version`, `tensor count`, `metadata count`, `<key> key length`, `<key> key`,
/// `<key> type`,
/// `<key> value length`, `<key> value`, `<name> name length`, …, `<name> data`.
struct GgufField {
  std::string name;
  std::size_t offset = 0;
  std::size_t length = 0;
};

class GgufWriter {
 public:
  explicit GgufWriter(std::uint32_t version = 3) : version_(version) {}

  /// A number or boolean of the GGUF kind that fits T.
  template <class T>
  GgufWriter& number(std::string_view key, T value) {
    return raw(key, kind_of<T>(), bytes_of(value));
  }
  GgufWriter& string(std::string_view key, std::string_view value);
  template <class T>
  GgufWriter& numbers(std::string_view key, const std::vector<T>& values) {
    std::string payload;
    for (const T& value : values) payload += bytes_of(value);
    return array(key, kind_of<T>(), values.size(), payload);
  }
  GgufWriter& strings(std::string_view key, const std::vector<std::string>& values);
  /// An array with its elements as they stand in the file; `count` and `payload` need not agree.
  GgufWriter& array(std::string_view key, std::uint32_t element_kind, std::uint64_t count, std::string_view payload);
  /// Any entry: kind and the bytes that follow it.
  GgufWriter& raw(std::string_view key, std::uint32_t kind, std::string_view payload);

  /// `dims` in the file's order, dims[0] = columns. `data`: the tensor's bytes.
  GgufWriter& tensor(std::string_view name, tensor::Type type, std::vector<std::uint64_t> dims, std::string data);
  /// F32 values.
  GgufWriter& tensor(std::string_view name, std::vector<std::uint64_t> dims, const std::vector<float>& values);
  /// A tensor of zeros of the size that type and dims ask for.
  GgufWriter& zeros(std::string_view name, tensor::Type type, std::vector<std::uint64_t> dims);

  /// Alignment of the tensor data; other than 32 it is also written as `general.alignment`.
  GgufWriter& alignment(std::uint32_t bytes);

  /// The whole file.
  [[nodiscard]] std::string bytes() const;
  /// All fields of bytes(), in the order of the file and without gaps except padding.
  [[nodiscard]] std::vector<GgufField> fields() const;
  [[nodiscard]] std::size_t tensor_count() const { return tensors_.size(); }

  template <class T>
  static std::string bytes_of(T value) {
    std::string out(sizeof(T), '\0');
    std::memcpy(out.data(), &value, sizeof(T));
    return out;
  }

 private:
  struct Entry {
    std::string key;
    std::uint32_t kind;
    std::string payload;  ///< What follows the kind.
  };
  struct Tensor {
    std::string name;
    tensor::Type type;
    std::vector<std::uint64_t> dims;
    std::string data;
  };
  struct Output;

  template <class T>
  static constexpr std::uint32_t kind_of() {
    if constexpr (std::is_same_v<T, bool>) return 7;
    if constexpr (std::is_same_v<T, float>) return 6;
    if constexpr (std::is_same_v<T, double>) return 12;
    constexpr std::uint32_t kUnsigned = std::is_unsigned_v<T> ? 0 : 1;
    return sizeof(T) == 8 ? 10 + kUnsigned : (sizeof(T) == 4 ? 4 : sizeof(T) == 2 ? 2 : 0) + kUnsigned;
  }
  [[nodiscard]] Output write() const;

  std::uint32_t version_;
  std::uint32_t alignment_ = 32;
  std::vector<Entry> entries_;
  std::vector<Tensor> tensors_;
};

/// Writes `parts` as `folder/stem-00001-of-0000N.gguf` …, with the split metadata added; returns the paths.
std::vector<std::filesystem::path> write_gguf_parts(const std::filesystem::path& folder, const std::string& stem,
                                                    std::vector<GgufWriter> parts);

/// Writes bytes to a file, replacing it.
void write_bytes(const std::filesystem::path& path, std::string_view bytes);

}  // namespace plait::testing
