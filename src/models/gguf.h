// SPDX-License-Identifier: Apache-2.0
//
// A model file in the GGUF format, versions 2 and 3, little endian: metadata and tensors, with every count, length and
// offset checked before anything is believed. A GgufFile that exists is consistent: keys and tensor names are unique,
// every tensor's bytes lie inside its file, aligned, and overlap no other's. Files in parts (`x-00001-of-00003.gguf`)
// open as one.
//
//   PLAIT_TRY(const GgufFile file, GgufFile::open(path));
//   PLAIT_TRY(const auto layers, file.require<std::uint32_t>("llama.block_count"));
//   const TensorInfo* embedding = file.find("token_embd.weight");
//
// Cost of opening: a pass over the metadata and the list of tensors; no tensor is touched.
// Threads: immutable after opening; every const method may be called from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "os/mapped_file.h"
#include "tensor/matrix_view.h"
#include "tensor/type.h"

namespace plait::models {

/// Kind of a metadata value. Values are the format's numbers.
enum class GgufKind : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

/// "u32", "string", "array" …
[[nodiscard]] std::string_view name(GgufKind kind);

/// One metadata entry. Its views point into the file.
struct GgufEntry {
  std::string_view key = {};
  GgufKind kind = GgufKind::u8;
  GgufKind element = GgufKind::u8;          ///< Kind of an array's elements; `kind` itself otherwise.
  std::uint64_t count = 1;                  ///< An array's elements; 1 otherwise.
  std::span<const std::byte> payload = {};  ///< A number's bytes, a string's characters, an array's elements as stored.

  /// The value for people, in one line of at most about `characters_max`: `1e-05`, `"llama"`, `[49152 x string: "a",
  /// …]`.
  [[nodiscard]] std::string text(std::size_t characters_max = 80) const;
};

/// One stored tensor. `dims` in the order of the file: dims[0] is the number of columns, the fastest index.
struct TensorInfo {
  std::string_view name = {};
  tensor::Type type = tensor::Type::f32;
  std::array<std::uint64_t, 4> dims = {1, 1, 1, 1};  ///< Unused ones are 1.
  int dim_count = 1;                                 ///< 1 to 4.
  base::Bytes offset = 0;                            ///< From the start of its file.
  base::Bytes bytes = 0;
  std::size_t part = 0;  ///< Which file of a model in parts, from 0.

  [[nodiscard]] std::uint64_t columns() const { return dims[0]; }
  [[nodiscard]] std::uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
  [[nodiscard]] std::uint64_t elements() const { return rows() * columns(); }
};

class GgufFile {  // move-only; views into it live as long as it does and survive a move
 public:
  /// Opens a model file; any part of a model in parts opens all of it. Errors: not_found (file or part); invalid_data,
  /// with the field that is wrong; unsupported (version, byte order, tensor type, by name); io.
  [[nodiscard]] static base::Result<GgufFile> open(const std::filesystem::path& path);

  /// The same for a file in memory, which must outlive the object. A model in parts is refused as unsupported.
  [[nodiscard]] static base::Result<GgufFile> parse(std::span<const std::byte> bytes);

  /// The value of `key` as T: std::uint32_t, std::int32_t, std::uint64_t, std::int64_t, float, double, bool,
  /// std::string_view. Whole numbers convert from any whole kind if the value fits; floats from any number. Nothing if
  /// absent, of another kind or out of range.
  template <class T>
  [[nodiscard]] std::optional<T> get(std::string_view key) const;
  /// The same as an error that names the key, the wanted and the found kind. Errors: not_found, invalid_data.
  template <class T>
  [[nodiscard]] base::Result<T> require(std::string_view key) const;
  /// `fallback` if the key is absent; an error if it is there with a value that is no T.
  template <class T>
  [[nodiscard]] base::Result<T> get_or(std::string_view key, T fallback) const;

  /// An array of strings. Errors: not_found, invalid_data.
  [[nodiscard]] base::Result<std::vector<std::string_view>> strings(std::string_view key) const;
  /// An array of numbers as T (the number types of get(), by the same rules). Errors: not_found, invalid_data.
  template <class T>
  [[nodiscard]] base::Result<std::vector<T>> numbers(std::string_view key) const;

  [[nodiscard]] bool has(std::string_view key) const { return entry(key) != nullptr; }
  /// The entry, or null. O(log n).
  [[nodiscard]] const GgufEntry* entry(std::string_view key) const;
  /// All metadata, in the order of the file; of a model in parts, that of its first part.
  [[nodiscard]] std::span<const GgufEntry> metadata() const { return entries_; }

  /// All tensors, in the order of the file.
  [[nodiscard]] std::span<const TensorInfo> tensors() const { return tensors_; }
  /// The tensor, or null. O(log n).
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;

  /// The tensor's bytes as [rows(), columns()]. Requires: `tensor` is one of tensors(). Pages come from disk when
  /// touched; after copying out of it, check() says whether what was read was the file.
  [[nodiscard]] tensor::MatrixView matrix(const TensorInfo& tensor) const;
  /// Gives the tensor's pages back; a later access reads the file again.
  void drop_pages(const TensorInfo& tensor) const;
  /// Fails with io if a part was cut short, grew or could not be read since it was opened.
  [[nodiscard]] base::Result<void> check() const;

  [[nodiscard]] std::uint32_t version() const { return version_; }
  [[nodiscard]] base::Bytes file_bytes() const;  ///< All parts together.
  [[nodiscard]] std::size_t part_count() const { return parts_.size(); }

 private:
  struct Part {
    std::optional<os::MappedFile> map;  ///< Empty for parse().
    std::span<const std::byte> bytes;
  };
  GgufFile() = default;
  static base::Result<GgufFile> open_single(const std::filesystem::path& path);
  static base::Result<GgufFile> open_parts(const std::filesystem::path& path, GgufFile opened);
  void add_part(GgufFile part);
  base::Result<void> index();

  std::uint32_t version_ = 0;
  std::vector<Part> parts_;
  std::vector<GgufEntry> entries_;
  std::vector<TensorInfo> tensors_;
  std::vector<std::uint32_t> by_key_;   ///< Places in entries_, sorted by key.
  std::vector<std::uint32_t> by_name_;  ///< Places in tensors_, sorted by name.
};

}  // namespace plait::models
