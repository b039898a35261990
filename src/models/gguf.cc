// SPDX-License-Identifier: Apache-2.0
#include "models/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <utility>
#include <variant>

#include "base/check.h"
#include "models/detail/gguf_parse.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::fail;
using detail::quoted;

using Number = std::variant<std::int64_t, std::uint64_t, double>;

template <class T>
T load(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Requires: `kind` is a number kind and `bytes` holds one.
Number load_number(GgufKind kind, std::span<const std::byte> bytes) {
  switch (kind) {
    case GgufKind::u8:
      return std::uint64_t{load<std::uint8_t>(bytes)};
    case GgufKind::i8:
      return std::int64_t{load<std::int8_t>(bytes)};
    case GgufKind::u16:
      return std::uint64_t{load<std::uint16_t>(bytes)};
    case GgufKind::i16:
      return std::int64_t{load<std::int16_t>(bytes)};
    case GgufKind::u32:
      return std::uint64_t{load<std::uint32_t>(bytes)};
    case GgufKind::i32:
      return std::int64_t{load<std::int32_t>(bytes)};
    case GgufKind::u64:
      return load<std::uint64_t>(bytes);
    case GgufKind::i64:
      return load<std::int64_t>(bytes);
    case GgufKind::f32:
      return double{load<float>(bytes)};
    default:
      return load<double>(bytes);
  }
}

bool is_number(GgufKind kind) {
  return kind != GgufKind::string && kind != GgufKind::array && kind != GgufKind::boolean;
}

template <class T>
constexpr std::string_view wanted_name() {
  if constexpr (std::same_as<T, std::string_view>) return "a string";
  if constexpr (std::same_as<T, bool>) return "a boolean";
  if constexpr (std::floating_point<T>) return "a number";
  return "a whole number";
}

// The number as T, or nothing if it is of the wrong sort or does not fit.
template <class T>
std::optional<T> convert(const Number& number) {
  return std::visit(
      [](auto value) -> std::optional<T> {
        if constexpr (std::floating_point<T>) {
          const auto wide = static_cast<double>(value);
          if (std::isfinite(wide) && std::abs(wide) > static_cast<double>(std::numeric_limits<T>::max()))
            return std::nullopt;
          return static_cast<T>(wide);
        } else if constexpr (std::integral<decltype(value)>) {
          if (!std::in_range<T>(value)) return std::nullopt;
          return static_cast<T>(value);
        } else {
          return std::nullopt;
        }
      },
      number);
}

template <class T>
base::Result<T> convert(const GgufEntry& entry) {
  if constexpr (std::same_as<T, std::string_view>) {
    if (entry.kind == GgufKind::string) {
      return std::string_view(reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size());
    }
  } else if constexpr (std::same_as<T, bool>) {
    if (entry.kind == GgufKind::boolean) return load<std::uint8_t>(entry.payload) != 0;
  } else if (is_number(entry.kind)) {
    if (const auto value = convert<T>(load_number(entry.kind, entry.payload))) return *value;
    return fail(ErrorCode::invalid_data,
                fmt::format("metadata {} is {}, which is not {} within {} and {}", quoted(entry.key), entry.text(),
                            wanted_name<T>(), std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max()));
  }
  return fail(ErrorCode::invalid_data,
              fmt::format("metadata {} is of type {}, not {}", quoted(entry.key), name(entry.kind), wanted_name<T>()));
}

std::unexpected<base::Error> missing(std::string_view key) {
  return fail(ErrorCode::not_found, fmt::format("metadata {} is missing", quoted(key)));
}

std::string number_text(const Number& number, GgufKind kind) {
  if (kind == GgufKind::f32) return fmt::format("{}", static_cast<float>(std::get<double>(number)));
  return std::visit([](auto value) { return fmt::format("{}", value); }, number);
}

std::string scalar_text(GgufKind kind, std::span<const std::byte> bytes) {
  if (kind == GgufKind::boolean) return load<std::uint8_t>(bytes) != 0 ? "true" : "false";
  return number_text(load_number(kind, bytes), kind);
}

std::string array_text(const GgufEntry& entry, std::size_t characters_max) {
  std::string out = fmt::format("[{} x {}", entry.count, name(entry.element));
  const char* separator = ": ";
  detail::ByteReader reader(entry.payload);
  for (std::uint64_t i = 0; i < entry.count && entry.element != GgufKind::array; ++i) {
    std::uint64_t length = detail::bytes_of(entry.element);
    std::span<const std::byte> bytes;
    if (entry.element == GgufKind::string && !reader.read(length)) break;
    if (!reader.take(length, bytes)) break;
    const std::string_view characters(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string element =
        entry.element == GgufKind::string ? quoted(characters, 24, '"') : scalar_text(entry.element, bytes);
    if (out.size() + element.size() + 4 > characters_max) return out + separator + "…]";
    out += separator + element;
    separator = ", ";
  }
  return out + "]";
}

}  // namespace

std::string_view name(GgufKind kind) {
  constexpr std::array<std::string_view, 13> kNames{"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                    "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string GgufEntry::text(std::size_t characters_max) const {
  if (kind == GgufKind::array) return array_text(*this, characters_max);
  if (kind != GgufKind::string) return scalar_text(kind, payload);
  return quoted({reinterpret_cast<const char*>(payload.data()), payload.size()}, characters_max, '"');
}

template <class T>
base::Result<T> GgufFile::require(std::string_view key) const {
  const GgufEntry* found = entry(key);
  if (found == nullptr) return missing(key);
  return convert<T>(*found);
}

template <class T>
std::optional<T> GgufFile::get(std::string_view key) const {
  const base::Result<T> value = require<T>(key);
  if (!value) return std::nullopt;
  return *value;
}

template <class T>
base::Result<T> GgufFile::get_or(std::string_view key, T fallback) const {
  if (!has(key)) return fallback;
  return require<T>(key);
}

base::Result<std::vector<std::string_view>> GgufFile::strings(std::string_view key) const {
  const GgufEntry* found = entry(key);
  if (found == nullptr) return missing(key);
  if (found->kind != GgufKind::array || found->element != GgufKind::string) {
    return fail(ErrorCode::invalid_data,
                fmt::format("metadata {} is {}, not an array of strings", quoted(key), found->text()));
  }
  std::vector<std::string_view> out;
  if (!detail::read_strings(found->payload, found->count, out)) {
    return fail(ErrorCode::io, fmt::format("metadata {} changed while it was read", quoted(key)));
  }
  return out;
}

template <class T>
base::Result<std::vector<T>> GgufFile::numbers(std::string_view key) const {
  const GgufEntry* found = entry(key);
  if (found == nullptr) return missing(key);
  if (found->kind != GgufKind::array || !is_number(found->element)) {
    return fail(ErrorCode::invalid_data,
                fmt::format("metadata {} is {}, not an array of numbers", quoted(key), found->text()));
  }
  const std::size_t step = detail::bytes_of(found->element);
  std::vector<T> out;
  out.reserve(found->payload.size() / step);
  for (std::size_t at = 0; at < found->payload.size(); at += step) {
    const Number number = load_number(found->element, found->payload.subspan(at, step));
    const std::optional<T> value = convert<T>(number);
    if (!value) {
      return fail(ErrorCode::invalid_data,
                  fmt::format("metadata {}: element {} is {}, which is not {} within {} and {}", quoted(key), at / step,
                              number_text(number, found->element), wanted_name<T>(), std::numeric_limits<T>::lowest(),
                              std::numeric_limits<T>::max()));
    }
    out.push_back(*value);
  }
  return out;
}

#define PLAIT_INSTANTIATE(T)                                             \
  template base::Result<T> GgufFile::require<T>(std::string_view) const; \
  template std::optional<T> GgufFile::get<T>(std::string_view) const;    \
  template base::Result<T> GgufFile::get_or<T>(std::string_view, T) const;
#define PLAIT_INSTANTIATE_NUMBER(T) \
  PLAIT_INSTANTIATE(T)              \
  template base::Result<std::vector<T>> GgufFile::numbers<T>(std::string_view) const;
PLAIT_INSTANTIATE(std::string_view)
PLAIT_INSTANTIATE(bool)
PLAIT_INSTANTIATE_NUMBER(std::int32_t)
PLAIT_INSTANTIATE_NUMBER(std::uint32_t)
PLAIT_INSTANTIATE_NUMBER(std::int64_t)
PLAIT_INSTANTIATE_NUMBER(std::uint64_t)
PLAIT_INSTANTIATE_NUMBER(float)
PLAIT_INSTANTIATE_NUMBER(double)
#undef PLAIT_INSTANTIATE_NUMBER
#undef PLAIT_INSTANTIATE

const GgufEntry* GgufFile::entry(std::string_view key) const {
  const auto key_at = [&](std::uint32_t place) { return entries_[place].key; };
  const auto found = std::ranges::lower_bound(by_key_, key, {}, key_at);
  return found != by_key_.end() && key_at(*found) == key ? &entries_[*found] : nullptr;
}

const TensorInfo* GgufFile::find(std::string_view name) const {
  const auto name_at = [&](std::uint32_t place) { return tensors_[place].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, name_at);
  return found != by_name_.end() && name_at(*found) == name ? &tensors_[*found] : nullptr;
}

tensor::MatrixView GgufFile::matrix(const TensorInfo& tensor) const {
  PLAIT_CHECK(tensor.part < parts_.size(), tensor.part, parts_.size());
  const std::span<const std::byte> bytes = parts_[tensor.part].bytes;
  PLAIT_CHECK(tensor.offset <= bytes.size() && tensor.bytes <= bytes.size() - tensor.offset, tensor.name);
  return {.type = tensor.type,
          .rows = static_cast<std::size_t>(tensor.rows()),
          .columns = static_cast<std::size_t>(tensor.columns()),
          .bytes = bytes.subspan(tensor.offset, tensor.bytes)};
}

void GgufFile::drop_pages(const TensorInfo& tensor) const {
  PLAIT_CHECK(tensor.part < parts_.size(), tensor.part, parts_.size());
  const Part& part = parts_[tensor.part];
  if (part.map) part.map->drop_pages(tensor.offset, tensor.bytes);
}

base::Result<void> GgufFile::check() const {
  for (const Part& part : parts_) {
    if (part.map) PLAIT_TRY_VOID(part.map->check());
  }
  return {};
}

base::Bytes GgufFile::file_bytes() const {
  base::Bytes total = 0;
  for (const Part& part : parts_) total += part.bytes.size();
  return total;
}

base::Result<void> GgufFile::index() {
  const auto sort = [](const auto& items, auto member, std::string_view what,
                       std::vector<std::uint32_t>& out) -> base::Result<void> {
    std::vector<std::string_view> names;
    names.reserve(items.size());
    for (const auto& item : items) names.push_back(item.*member);
    out = detail::sorted_places(names);
    const auto twice = std::ranges::adjacent_find(out, {}, [&](std::uint32_t place) { return names[place]; });
    if (twice == out.end()) return {};
    return fail(ErrorCode::invalid_data, fmt::format("{} {} is there twice", what, quoted(names[*twice])));
  };
  PLAIT_TRY_VOID(sort(entries_, &GgufEntry::key, "metadata", by_key_));
  return sort(tensors_, &TensorInfo::name, "tensor", by_name_);
}

}  // namespace plait::models
