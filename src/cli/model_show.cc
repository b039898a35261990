// SPDX-License-Identifier: Apache-2.0
#include "cli/model_show.h"

#include <algorithm>
#include <filesystem>

#include "base/units.h"
#include "cli/model_verbs.h"
#include "models/config.h"
#include "models/description.h"
#include "models/gguf.h"
#include "text/json.h"

namespace plait::cli {
namespace {

using base::Result;
using models::GgufFile;
using models::ModelDescription;
using text::Json;

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

Json shape_of(const models::Config& config) {
  return {{"layers", config.layers},   {"width", config.width},       {"ffn", config.ffn},
          {"heads", config.heads},     {"kv_heads", config.kv_heads}, {"head_dim", config.head_dim},
          {"context", config.context}, {"window", config.window},     {"vocabulary", config.vocabulary}};
}

Json tokenizer_of(const GgufFile& file, const ModelDescription& model) {
  Json tokenizer{{"model", model.tokenizer}, {"pre", model.pre_tokenizer}, {"tokens", model.vocabulary}};
  for (const char* key : {"bos_token_id", "eos_token_id", "eot_token_id", "add_bos_token", "add_eos_token"}) {
    const std::string full = std::string("tokenizer.ggml.") + key;
    if (const auto flag = file.get<bool>(full)) tokenizer[key] = *flag;
    if (const auto id = file.get<std::uint32_t>(full)) tokenizer[key] = *id;
  }
  return tokenizer;
}

void print_json(const Session& session, const GgufFile& file, const std::filesystem::path& path,
                const ModelDescription& model, const Result<models::Config>& config) {
  Json types = Json::object();
  for (const models::TypeShare& share : model.types) {
    types[std::string(tensor::info(share.type).name)] = {{"tensors", share.tensors}, {"bytes", share.bytes}};
  }
  Json document{{"path", path.string()},
                {"bytes", model.file_bytes},
                {"gguf_version", model.gguf_version},
                {"files", model.files},
                {"architecture", model.architecture},
                {"name", model.name},
                {"licence", model.licence},
                {"parameters", model.parameters},
                {"usable", config.has_value()},
                {"shape", config ? shape_of(*config) : Json()},
                {"tensor_types", std::move(types)},
                {"tokenizer", tokenizer_of(file, model)},
                {"chat_template", model.chat_template}};
  if (!config) document["problem"] = config.error().message;
  if (session.verbose) {
    for (const models::GgufEntry& entry : file.metadata()) document["metadata"][std::string(entry.key)] = entry.text();
  }
  print("{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace));
}

void line(std::string_view label, std::string_view value) { print("{:<14} {}\n", label, harmless(value)); }

void print_shape(const models::Config& config) {
  line("layers", fmt::format("{} x {}, feed-forward {}", config.layers, config.width, config.ffn));
  line("heads", fmt::format("{} query, {} key/value, {} wide", config.heads, config.kv_heads, config.head_dim));
  line("context", config.window == 0 ? fmt::format("{} tokens", config.context)
                                     : fmt::format("{} tokens, window {}", config.context, config.window));
}

void print_for_people(const Session& session, const GgufFile& file, const std::filesystem::path& path,
                      const ModelDescription& model, const Result<models::Config>& config) {
  line("file", path.string());
  line("size", fmt::format("{} in {} file{}, GGUF version {}", base::human_bytes(model.file_bytes), model.files,
                           model.files == 1 ? "" : "s", model.gguf_version));
  line("name", model.name);
  line("architecture", model.architecture);
  line("parameters", fmt::format("{:.1f} million", static_cast<double>(model.parameters) / 1e6));
  if (config) print_shape(*config);
  for (const models::TypeShare& share : model.types) {
    line("tensors", fmt::format("{:<5} x {:<4} {:>10}", tensor::info(share.type).name, share.tensors,
                                base::human_bytes(share.bytes)));
  }
  const std::string pre = model.pre_tokenizer.empty() ? "" : fmt::format(" ({})", model.pre_tokenizer);
  line("tokenizer", fmt::format("{}{}, {} tokens", model.tokenizer, pre, model.vocabulary));
  line("chat template", model.chat_template.empty()
                            ? "none: chats get a plain prompt"
                            : fmt::format("{} characters; --template prints it", model.chat_template.size()));
  line("licence", model.licence.empty() ? "the file does not say" : model.licence);
  if (!config) line("problem", fmt::format("plait cannot run it: {}", config.error().message));
  if (!session.verbose) return;
  for (const models::GgufEntry& entry : file.metadata())
    print("{} = {}\n", harmless(entry.key), harmless(entry.text()));
}

}  // namespace

Result<void> show_model(const Session& session, std::string_view name_or_path, const ShowOptions& options) {
  PLAIT_TRY(const auto path, resolve_model(session.config, name_or_path));
  PLAIT_TRY(const GgufFile file, GgufFile::open(path));
  PLAIT_TRY(const ModelDescription model, models::describe(file));
  if (options.chat_template) {
    if (model.chat_template.empty()) {
      return base::fail(base::ErrorCode::not_found, path.string() + " has no chat template");
    }
    print("{}\n", harmless(model.chat_template));
    return file.check();
  }
  const auto config = models::read_config(file);
  if (session.json) {
    print_json(session, file, path, model, config);
  } else {
    print_for_people(session, file, path, model, config);
  }
  return file.check();
}

}  // namespace plait::cli
