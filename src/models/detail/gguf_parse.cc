// SPDX-License-Identifier: Apache-2.0
//
// Rule of this file: a number from the file is compared with what is left of the file before it is used for anything,
// so no input can ask for more memory or time than a small multiple of its own size.
#include "models/detail/gguf_parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "text/utf8.h"

namespace plait::models::detail {
namespace {

using base::ErrorCode;
using base::fail;

static_assert(std::endian::native == std::endian::little, "fields are copied as they are");

constexpr std::uint64_t kKeyBytesMax = 65535;        // the format's own limit
constexpr std::uint64_t kTensorNameBytesMax = 1024;  // the format says 64; some converters write longer ones
constexpr int kArrayDepthMax = 4;                    // nobody nests deeper than 2; recursion stays shallow
constexpr std::uint64_t kAlignmentMax = 1U << 20;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::size_t kHeaderBytes = 24;
constexpr std::size_t kEntryBytesMin = 8 + 1 + 4 + 1;  // key length, key, kind, value
constexpr std::size_t kTensorBytesMin =
    8 + 1 + 4 + 8 + 4 + 8;  // name length, name, dimensions, one dimension, type, offset

template <class... Args>
std::unexpected<base::Error> invalid(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::invalid_data, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
std::unexpected<base::Error> unsupported(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::unsupported, fmt::format(format, std::forward<Args>(args)...));
}

// Characters that end a line, steer a terminal or reorder the text around them.
bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

// One character as it may stand between quotes in one line.
std::string shown(const text::Decoded& character, std::string_view bytes, char quote) {
  if (bytes == "\n") return "\\n";
  if (bytes == "\\" || bytes[0] == quote) return fmt::format("\\{}", bytes);
  if (character.valid && !is_control(character.code_point)) return std::string(bytes);
  if (character.valid && character.code_point >= 0x80)
    return fmt::format("\\u{:04x}", static_cast<unsigned>(character.code_point));
  std::string out;
  for (const char byte : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return out;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Parser {
 public:
  explicit Parser(std::span<const std::byte> bytes) : bytes_(bytes), reader_(bytes) {}

  base::Result<ParsedGguf> run() {
    PLAIT_TRY_VOID(header());
    for (std::uint64_t i = 0; i < entry_count_; ++i) PLAIT_TRY_VOID(entry(i));
    PLAIT_TRY(const std::uint64_t alignment, this->alignment());
    for (std::uint64_t i = 0; i < tensor_count_; ++i) PLAIT_TRY_VOID(tensor(i));
    PLAIT_TRY_VOID(place_tensors(alignment));
    PLAIT_TRY_VOID(check_overlap());
    return std::move(out_);
  }

 private:
  base::Result<void> magic();
  base::Result<void> header();
  base::Result<void> entry(std::uint64_t index);
  base::Result<void> value(GgufEntry& entry);
  base::Result<void> array(GgufEntry& entry, int depth);
  base::Result<void> array_elements(const GgufEntry& entry, int depth);
  base::Result<std::uint64_t> alignment() const;
  base::Result<void> tensor(std::uint64_t index);
  base::Result<void> dimensions(TensorInfo& tensor);
  base::Result<void> type_and_size(TensorInfo& tensor);
  base::Result<void> place_tensors(std::uint64_t alignment);
  base::Result<void> check_overlap() const;

  std::span<const std::byte> bytes_;
  ByteReader reader_;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t entry_count_ = 0;
  ParsedGguf out_;
};

base::Result<void> Parser::magic() {
  const std::string_view start = as_text(bytes_.first(std::min<std::size_t>(bytes_.size(), 64)));
  if (start.empty()) return invalid("not a GGUF file: it is empty");
  if (start.starts_with("GGUF")) return {};
  if (start.starts_with("version https://git-lfs")) {
    return invalid("not a GGUF file but a Git LFS pointer: the model itself was not downloaded");
  }
  if (start.starts_with("FUGG")) return unsupported("big-endian GGUF files are not supported");
  if (start.starts_with("<") || start.starts_with("{")) {
    return invalid("not a GGUF file but text (a web page or an error message?): it starts with {}", quoted(start, 16));
  }
  return invalid("not a GGUF file: it starts with {} where 'GGUF' is expected", quoted(start.substr(0, 4)));
}

base::Result<void> Parser::header() {
  PLAIT_TRY_VOID(magic());
  std::uint32_t magic_number = 0;
  const bool whole = reader_.read(magic_number) && reader_.read(out_.version);
  if (!whole) return invalid("header: the file ends after {} bytes, within the version", bytes_.size());
  if (out_.version != 0 && (out_.version & 0xFFFFU) == 0) {
    return unsupported("big-endian GGUF files are not supported (version field 0x{:08x})", out_.version);
  }
  if (out_.version != 2 && out_.version != 3) {
    return unsupported("GGUF version {} is not supported; versions 2 and 3 are", out_.version);
  }
  if (!reader_.read(tensor_count_) || !reader_.read(entry_count_)) {
    return invalid("header: the file ends after {} bytes, {} are needed", bytes_.size(), kHeaderBytes);
  }
  if (entry_count_ > reader_.remaining() / kEntryBytesMin) {
    return invalid("header: metadata count {} is more than a file of {} bytes can hold", entry_count_, bytes_.size());
  }
  if (tensor_count_ > reader_.remaining() / kTensorBytesMin) {
    return invalid("header: tensor count {} is more than a file of {} bytes can hold", tensor_count_, bytes_.size());
  }
  return {};
}

base::Result<void> Parser::entry(std::uint64_t index) {
  std::uint64_t length = 0;
  if (!reader_.read(length)) return invalid("metadata entry {} of {}: the file ends in its key", index, entry_count_);
  if (length == 0 || length > kKeyBytesMax) {
    return invalid("metadata entry {} of {}: key length {} is not within 1 to {}", index, entry_count_, length,
                   kKeyBytesMax);
  }
  std::span<const std::byte> key;
  if (!reader_.take(length, key)) {
    return invalid("metadata entry {} of {}: its key of {} bytes is beyond the end of the file", index, entry_count_,
                   length);
  }
  GgufEntry entry{.key = as_text(key)};
  std::uint32_t kind = 0;
  if (!reader_.read(kind)) return invalid("metadata {}: the file ends in its type", quoted(entry.key));
  if (kind > static_cast<std::uint32_t>(GgufKind::f64)) {
    return invalid("metadata {}: value type {} does not exist", quoted(entry.key), kind);
  }
  entry.kind = entry.element = static_cast<GgufKind>(kind);
  PLAIT_TRY_VOID(value(entry));
  out_.entries.push_back(entry);
  return {};
}

base::Result<void> Parser::value(GgufEntry& entry) {
  if (entry.kind == GgufKind::array) return array(entry, 1);
  std::uint64_t length = bytes_of(entry.kind);
  if (entry.kind == GgufKind::string && !reader_.read(length)) {
    return invalid("metadata {}: the file ends in its length", quoted(entry.key));
  }
  if (!reader_.take(length, entry.payload)) {
    return invalid("metadata {}: its value of {} bytes is beyond the end of the file", quoted(entry.key), length);
  }
  if (entry.kind == GgufKind::boolean && std::to_integer<unsigned>(entry.payload[0]) > 1) {
    return invalid("metadata {}: {} is no boolean", quoted(entry.key), std::to_integer<unsigned>(entry.payload[0]));
  }
  return {};
}

base::Result<void> Parser::array(GgufEntry& entry, int depth) {
  std::uint32_t kind = 0;
  if (!reader_.read(kind) || !reader_.read(entry.count)) {
    return invalid("metadata {}: the file ends in its array's header", quoted(entry.key));
  }
  if (kind > static_cast<std::uint32_t>(GgufKind::f64)) {
    return invalid("metadata {}: array element type {} does not exist", quoted(entry.key), kind);
  }
  entry.element = static_cast<GgufKind>(kind);
  const std::size_t start = reader_.position();
  PLAIT_TRY_VOID(array_elements(entry, depth));
  entry.payload = bytes_.subspan(start, reader_.position() - start);
  return {};
}

base::Result<void> Parser::array_elements(const GgufEntry& entry, int depth) {
  // The fewest bytes an element takes: a string its length, an array its kind and count.
  const std::size_t least = entry.element == GgufKind::array ? 12 : std::max<std::size_t>(bytes_of(entry.element), 1);
  const std::size_t element_bytes = entry.element == GgufKind::string ? 8 : least;
  if (entry.count > reader_.remaining() / element_bytes) {
    return invalid("metadata {}: an array of {} elements ({}) is beyond the end of the file", quoted(entry.key),
                   entry.count, name(entry.element));
  }
  if (entry.element == GgufKind::array) {
    if (depth >= kArrayDepthMax) {
      return invalid("metadata {}: arrays are nested more than {} deep", quoted(entry.key), kArrayDepthMax);
    }
    for (std::uint64_t i = 0; i < entry.count; ++i) {
      GgufEntry inner{.key = entry.key, .kind = GgufKind::array};
      PLAIT_TRY_VOID(array(inner, depth + 1));
    }
    return {};
  }
  std::span<const std::byte> taken;
  if (entry.element == GgufKind::string) {
    for (std::uint64_t i = 0; i < entry.count; ++i) {
      std::uint64_t length = 0;
      if (!reader_.read(length) || !reader_.take(length, taken)) {
        return invalid("metadata {}: element {} of {} is beyond the end of the file", quoted(entry.key), i,
                       entry.count);
      }
    }
    return {};
  }
  static_cast<void>(reader_.take(entry.count * element_bytes, taken));  // fits: compared above
  const auto is_boolean = [](std::byte byte) { return std::to_integer<unsigned>(byte) <= 1; };
  if (entry.element == GgufKind::boolean && !std::ranges::all_of(taken, is_boolean)) {
    return invalid("metadata {}: an element is no boolean", quoted(entry.key));
  }
  return {};
}

base::Result<std::uint64_t> Parser::alignment() const {
  constexpr std::string_view kKey = "general.alignment";
  const auto found = std::ranges::find(out_.entries, kKey, &GgufEntry::key);
  if (found == out_.entries.end()) return kDefaultAlignment;
  if (found->kind != GgufKind::u32) return invalid("metadata '{}': {} instead of u32", kKey, name(found->kind));
  std::uint32_t alignment = 0;
  std::memcpy(&alignment, found->payload.data(), sizeof alignment);
  if (!std::has_single_bit(alignment) || alignment > kAlignmentMax) {
    return invalid("metadata '{}': {} is not a power of two of at most {}", kKey, alignment, kAlignmentMax);
  }
  return alignment;
}

base::Result<void> Parser::tensor(std::uint64_t index) {
  std::uint64_t length = 0;
  if (!reader_.read(length)) return invalid("tensor {} of {}: the file ends in its name", index, tensor_count_);
  if (length == 0 || length > kTensorNameBytesMax) {
    return invalid("tensor {} of {}: name length {} is not within 1 to {}", index, tensor_count_, length,
                   kTensorNameBytesMax);
  }
  std::span<const std::byte> name_bytes;
  if (!reader_.take(length, name_bytes)) {
    return invalid("tensor {} of {}: its name of {} bytes is beyond the end of the file", index, tensor_count_, length);
  }
  TensorInfo tensor{.name = as_text(name_bytes)};
  PLAIT_TRY_VOID(dimensions(tensor));
  PLAIT_TRY_VOID(type_and_size(tensor));
  if (!reader_.read(tensor.offset)) return invalid("tensor {}: the file ends in its offset", quoted(tensor.name));
  out_.tensors.push_back(tensor);
  return {};
}

base::Result<void> Parser::dimensions(TensorInfo& tensor) {
  std::uint32_t count = 0;
  if (!reader_.read(count)) return invalid("tensor {}: the file ends in its number of dimensions", quoted(tensor.name));
  if (count < 1 || count > tensor.dims.size()) {
    return invalid("tensor {}: {} dimensions, not 1 to {}", quoted(tensor.name), count, tensor.dims.size());
  }
  tensor.dim_count = static_cast<int>(count);
  // At most 2^40 elements: no real tensor comes near, and every product of sizes fits 64 bits.
  constexpr std::uint64_t kElementsMax = 1ULL << 40;
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint64_t& size = tensor.dims[i];
    if (!reader_.read(size)) return invalid("tensor {}: the file ends in its dimensions", quoted(tensor.name));
    if (size == 0) return invalid("tensor {}: dimension {} is 0", quoted(tensor.name), i);
    if (size > kElementsMax / elements) {
      return invalid("tensor {}: its dimensions multiply to more than {} elements", quoted(tensor.name), kElementsMax);
    }
    elements *= size;
  }
  return {};
}

base::Result<void> Parser::type_and_size(TensorInfo& tensor) {
  std::uint32_t number = 0;
  if (!reader_.read(number)) return invalid("tensor {}: the file ends in its type", quoted(tensor.name));
  const std::optional<tensor::Type> type = tensor::type_from_number(number);
  if (!type) {
    const std::string_view known = tensor::unsupported_type_name(number);
    if (known.empty()) return invalid("tensor {}: type {} does not exist", quoted(tensor.name), number);
    return unsupported("tensor {}: type {} is not supported", quoted(tensor.name), known);
  }
  tensor.type = *type;
  const tensor::TypeInfo& info = tensor::info(*type);
  if (tensor.columns() % info.block_elements != 0) {
    return invalid("tensor {}: {} columns are not whole blocks of {}, the block of {}", quoted(tensor.name),
                   tensor.columns(), info.block_elements, info.name);
  }
  tensor.bytes = tensor.rows() * tensor::row_bytes(*type, tensor.columns());
  return {};
}

base::Result<void> Parser::place_tensors(std::uint64_t alignment) {
  const std::uint64_t start = (reader_.position() + alignment - 1) / alignment * alignment;
  const std::uint64_t room = bytes_.size() - std::min<std::uint64_t>(start, bytes_.size());
  for (TensorInfo& tensor : out_.tensors) {
    if (tensor.offset % alignment != 0) {
      return invalid("tensor {}: offset {} is not a multiple of the alignment {}", quoted(tensor.name), tensor.offset,
                     alignment);
    }
    if (tensor.offset > room || tensor.bytes > room - tensor.offset) {
      return invalid("tensor {}: offset {} + {} bytes is beyond the end of the tensor data ({} bytes from {} on)",
                     quoted(tensor.name), tensor.offset, tensor.bytes, room, start);
    }
    tensor.offset += start;
  }
  return {};
}

base::Result<void> Parser::check_overlap() const {
  std::vector<std::uint32_t> places(out_.tensors.size());
  std::iota(places.begin(), places.end(), 0U);
  std::ranges::sort(places, {}, [&](std::uint32_t place) { return out_.tensors[place].offset; });
  for (std::size_t i = 1; i < places.size(); ++i) {
    const TensorInfo& left = out_.tensors[places[i - 1]];
    const TensorInfo& right = out_.tensors[places[i]];
    if (left.offset + left.bytes > right.offset) {
      return invalid("tensors {} and {} overlap: {} + {} bytes and {}", quoted(left.name), quoted(right.name),
                     left.offset, left.bytes, right.offset);
    }
  }
  return {};
}

}  // namespace

std::size_t bytes_of(GgufKind kind) {
  constexpr std::array<std::uint8_t, 13> kBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kBytes[static_cast<std::size_t>(kind)];
}

std::string quoted(std::string_view text, std::size_t bytes_max, char quote) {
  std::string out(1, quote);
  while (!text.empty()) {
    const text::Decoded character = text::decode(text);
    const std::string piece = shown(character, text.substr(0, character.length), quote);
    if (out.size() + piece.size() > bytes_max) return out + "…" + quote;
    out += piece;
    text.remove_prefix(character.length);
  }
  return out + quote;
}

std::vector<std::uint32_t> sorted_places(std::span<const std::string_view> names) {
  std::vector<std::uint32_t> places(names.size());
  std::iota(places.begin(), places.end(), 0U);
  std::ranges::sort(places, {}, [&](std::uint32_t place) { return names[place]; });
  return places;
}

bool read_strings(std::span<const std::byte> payload, std::uint64_t count, std::vector<std::string_view>& out) {
  ByteReader reader(payload);
  out.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(count, payload.size() / 8)));
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t length = 0;
    std::span<const std::byte> characters;
    if (!reader.read(length) || !reader.take(length, characters)) return false;
    out.push_back(as_text(characters));
  }
  return true;
}

base::Result<ParsedGguf> parse_gguf(std::span<const std::byte> bytes) { return Parser(bytes).run(); }

}  // namespace plait::models::detail
