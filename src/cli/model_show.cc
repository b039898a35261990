// SPDX-License-Identifier: Apache-2.0
#include "cli/model_show.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/model_verbs.h"
#include "models/config.h"
#include "models/gguf.h"

namespace plait::cli {
namespace {

using base::Result;
using models::GgufFile;
using nlohmann::ordered_json;

constexpr const char* kTemplateKey = "tokenizer.chat_template";

struct TypeCount {
  std::size_t tensors = 0;
  base::Bytes bytes = 0;
};

// Text from a file may hold terminal commands; people get to see `?` instead.
std::string harmless(std::string_view text) {
  std::string shown(text);
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
  };
  std::ranges::replace_if(shown, is_control, '?');
  return shown;
}

std::string text_of(const GgufFile& file, std::string_view key) {
  return std::string(file.get<std::string_view>(key).value_or(""));
}

std::map<std::string, TypeCount> count_types(const GgufFile& file) {
  std::map<std::string, TypeCount> counts;
  for (const models::TensorInfo& tensor : file.tensors()) {
    TypeCount& count = counts[std::string(tensor::info(tensor.type).name)];
    count.tensors += 1;
    count.bytes += tensor.bytes;
  }
  return counts;
}

// Parameters as people count them: elements of all tensors.
std::uint64_t parameters(const GgufFile& file) {
  std::uint64_t sum = 0;
  for (const models::TensorInfo& tensor : file.tensors()) sum += tensor.elements();
  return sum;
}

ordered_json shape_of(const models::Config& config) {
  return {{"layers", config.layers},   {"width", config.width},       {"ffn", config.ffn},
          {"heads", config.heads},     {"kv_heads", config.kv_heads}, {"head_dim", config.head_dim},
          {"context", config.context}, {"window", config.window},     {"vocabulary", config.vocabulary}};
}

ordered_json tokenizer_of(const GgufFile& file) {
  ordered_json tokenizer{{"model", text_of(file, "tokenizer.ggml.model")},
                         {"pre", text_of(file, "tokenizer.ggml.pre")}};
  const models::GgufEntry* tokens = file.entry("tokenizer.ggml.tokens");
  tokenizer["tokens"] = tokens == nullptr ? 0 : tokens->count;
  for (const char* key : {"bos_token_id", "eos_token_id", "eot_token_id", "add_bos_token", "add_eos_token"}) {
    const std::string full = std::string("tokenizer.ggml.") + key;
    if (const auto flag = file.get<bool>(full)) tokenizer[key] = *flag;
    if (const auto id = file.get<std::uint32_t>(full)) tokenizer[key] = *id;
  }
  return tokenizer;
}

ordered_json describe(const GgufFile& file, const std::filesystem::path& path, const Result<models::Config>& config,
                      const Session& session) {
  ordered_json types = ordered_json::object();
  for (const auto& [name, count] : count_types(file))
    types[name] = {{"tensors", count.tensors}, {"bytes", count.bytes}};
  ordered_json document{{"path", path.string()},
                        {"bytes", file.file_bytes()},
                        {"gguf_version", file.version()},
                        {"files", file.part_count()},
                        {"architecture", text_of(file, "general.architecture")},
                        {"name", text_of(file, "general.name")},
                        {"licence", text_of(file, "general.license")},
                        {"parameters", parameters(file)},
                        {"usable", config.has_value()},
                        {"shape", config ? shape_of(*config) : ordered_json()},
                        {"tensor_types", std::move(types)},
                        {"tokenizer", tokenizer_of(file)},
                        {"chat_template", text_of(file, kTemplateKey)}};
  if (!config) document["problem"] = config.error().message;
  if (session.verbose) {
    for (const models::GgufEntry& entry : file.metadata()) document["metadata"][std::string(entry.key)] = entry.text();
  }
  return document;
}

void line(std::string_view label, std::string_view value) { print("{:<14} {}\n", label, harmless(value)); }

void print_shape(const models::Config& config) {
  line("layers", fmt::format("{} x {}, feed-forward {}", config.layers, config.width, config.ffn));
  line("heads", fmt::format("{} query, {} key/value, {} wide", config.heads, config.kv_heads, config.head_dim));
  line("context", config.window == 0 ? fmt::format("{} tokens", config.context)
                                     : fmt::format("{} tokens, window {}", config.context, config.window));
}

void print_tokenizer(const GgufFile& file) {
  const ordered_json tokenizer = tokenizer_of(file);
  const auto pre = tokenizer["pre"].get<std::string>();
  line("tokenizer",
       fmt::format("{}{}, {} tokens", tokenizer["model"].get<std::string>(),
                   pre.empty() ? "" : fmt::format(" ({})", pre), tokenizer["tokens"].get<std::uint64_t>()));
}

void print_for_people(const Session& session, const GgufFile& file, const std::filesystem::path& path,
                      const Result<models::Config>& config) {
  line("file", path.string());
  line("size", fmt::format("{} in {} file{}, GGUF version {}", base::human_bytes(file.file_bytes()), file.part_count(),
                           file.part_count() == 1 ? "" : "s", file.version()));
  line("name", text_of(file, "general.name"));
  line("architecture", text_of(file, "general.architecture"));
  line("parameters", fmt::format("{:.1f} million", static_cast<double>(parameters(file)) / 1e6));
  if (config) print_shape(*config);
  for (const auto& [name, count] : count_types(file)) {
    line("tensors", fmt::format("{:<5} x {:<4} {:>10}", name, count.tensors, base::human_bytes(count.bytes)));
  }
  print_tokenizer(file);
  const std::string chat = text_of(file, kTemplateKey);
  line("chat template", chat.empty() ? "none: chats get a plain prompt"
                                     : fmt::format("{} characters; --template prints it", chat.size()));
  const std::string licence = text_of(file, "general.license");
  line("licence", licence.empty() ? "the file does not say" : licence);
  if (!config) line("problem", fmt::format("plait cannot run it: {}", config.error().message));
  if (!session.verbose) return;
  for (const models::GgufEntry& entry : file.metadata())
    print("{} = {}\n", harmless(entry.key), harmless(entry.text()));
}

}  // namespace

Result<void> show_model(const Session& session, std::string_view name_or_path, const ShowOptions& options) {
  PLAIT_TRY(const auto path, resolve_model(session.config, name_or_path));
  PLAIT_TRY(const GgufFile file, GgufFile::open(path));
  if (options.chat_template) {
    const std::string chat = text_of(file, kTemplateKey);
    if (chat.empty()) return base::fail(base::ErrorCode::not_found, path.string() + " has no chat template");
    print("{}\n", harmless(chat));
    return {};
  }
  const auto config = models::read_config(file);
  if (session.json) {
    const auto document = describe(file, path, config, session);
    print("{}\n", document.dump(2, ' ', false, ordered_json::error_handler_t::replace));
  } else {
    print_for_people(session, file, path, config);
  }
  return file.check();
}

}  // namespace plait::cli
