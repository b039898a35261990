// SPDX-License-Identifier: Apache-2.0
#include "cli/served_models.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "cli/engine_settings.h"
#include "cli/model_session.h"
#include "cli/model_verbs.h"
#include "engine/engine.h"
#include "hub/hub.h"
#include "os/memory.h"

namespace plait::cli {
namespace {

using base::Bytes;
using base::ErrorCode;
using base::fail;
using base::Result;

/// A loaded model with its engine. Members are in the order in which they depend on each other.
class LoadedEngine final : public serving::ReadyModel {
 public:
  [[nodiscard]] static Result<std::unique_ptr<serving::ReadyModel>> make(const Session& session,
                                                                         const serving::ModelOffer& offer, Bytes bytes,
                                                                         parallel::Team& team) {
    PLAIT_TRY(LoadedModel loaded, load_model(session, offer.source));
    loaded.name = offer.name;
    loaded.team.reset();  // from now on the engines' one computes
    auto ready = std::unique_ptr<LoadedEngine>(new LoadedEngine(std::move(loaded), team));
    PLAIT_TRY_VOID(ready->start(session.config, bytes));
    return ready;
  }

  [[nodiscard]] const serving::Target& target() const override { return target_; }
  [[nodiscard]] engine::Engine& engine() override { return *engine_; }
  [[nodiscard]] Bytes bytes() const override { return loaded_.model->weight_bytes() + settings_->options().kv_bytes; }

 private:
  LoadedEngine(LoadedModel loaded, parallel::Team& team)
      : loaded_(std::move(loaded)), runner_(*loaded_.model, team), grammars_(*loaded_.tokenizer) {}

  Result<void> start(const Config& config, Bytes bytes) {
    const auto rows = static_cast<std::size_t>(config.number("server.rows"));
    const Bytes weights = loaded_.model->weight_bytes();
    if (weights >= bytes) {
      return fail(ErrorCode::out_of_resources,
                  fmt::format("its weights are {}, and {} are left: the setting server.memory raises that",
                              base::human_bytes(weights), base::human_bytes(bytes)));
    }
    PLAIT_TRY(EngineSettings settings,
              EngineSettings::make(config, runner_, {.sequences = rows + rows / 8 + 1, .bytes_max = bytes - weights}));
    settings_.emplace(std::move(settings));
    engine::EngineOptions options = settings_->options();
    // An eighth more for clients of which nothing runs: a crowd of one client's requests must not keep others waiting.
    options.rows_newcomers = std::min(std::max<std::size_t>(rows / 8, 1), models::kStepRows - rows);
    options.rows_max = rows + options.rows_newcomers;
    options.rates = cost_rates(*loaded_.model);
    PLAIT_TRY(engine_, engine::Engine::make(runner_, options));
    target_ = target_of(loaded_, *engine_, grammars_);
    return {};
  }

  LoadedModel loaded_;
  engine::ModelRunner runner_;
  serving::Grammars grammars_;
  std::optional<EngineSettings> settings_;
  std::unique_ptr<engine::Engine> engine_;
  serving::Target target_;
};

// What clients call it: where a file lies is not theirs to know.
std::string public_name(const std::string& name_or_path) {
  const std::filesystem::path path(name_or_path);
  return path.has_parent_path() || path.extension() == ".gguf" ? path.stem().string() : name_or_path;
}

Result<serving::ModelOffer> offer(const Config& config, const std::string& name_or_path) {
  PLAIT_TRY(const auto path, resolve_model(config, name_or_path));
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorCode::io, fmt::format("{}: {}", path.string(), error.message()));
  return serving::ModelOffer{.name = public_name(name_or_path), .source = name_or_path, .aliases = {}, .bytes = bytes};
}

// Names or paths, the first model in front.
Result<std::vector<std::string>> offered(const Config& config) {
  std::vector<std::string> names = {config.text("model")};
  std::vector<std::string> more = split_list(config.text("server.models"));
  if (more.empty()) {
    PLAIT_TRY(const auto hub, open_hub(config));
    for (const hub::ModelEntry& entry : hub.models()) {
      if (hub.presence(entry) == hub::Presence::present) more.push_back(entry.name);
    }
  }
  for (std::string& name : more) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

Result<std::vector<serving::ModelOffer>> model_offers(const Config& config) {
  std::vector<serving::ModelOffer> offers;
  PLAIT_TRY(const auto names, offered(config));
  for (const std::string& name : names) {
    PLAIT_TRY(auto one, offer(config, name));
    if (std::ranges::find(offers, one.name, &serving::ModelOffer::name) != offers.end()) {
      if (config.text("server.models").empty()) continue;  // the first model stands for one that is here, too
      return fail(ErrorCode::invalid_argument,
                  fmt::format("server.models: \"{}\" and another model are both called {}", name, one.name));
    }
    offers.push_back(std::move(one));
  }
  for (const std::string& text : split_list(config.text("server.aliases"))) {
    const std::size_t equals = text.find('=');
    const std::string name = equals == std::string::npos ? "" : text.substr(equals + 1);
    const auto aliased = std::ranges::find(offers, name, &serving::ModelOffer::name);
    if (equals == 0 || aliased == offers.end()) {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("server.aliases: \"{}\" must be ALIAS=NAME, with the name of a model that is served", text));
    }
    aliased->aliases.push_back(text.substr(0, equals));
  }
  return offers;
}

Result<serving::ServedModelsOptions> served_models_options(const Session& session, parallel::Team& team) {
  constexpr Bytes kLeft = 10;  // of the memory that is free, a tenth stays so
  const Config& config = session.config;
  PLAIT_TRY(auto offers, model_offers(config));
  const auto set = static_cast<Bytes>(config.number("server.memory"));
  const Bytes available = os::memory_info().available;
  return serving::ServedModelsOptions{
      .offers = std::move(offers),
      .usual = public_name(config.text("model")),
      .make = [&session, &team](const serving::ModelOffer& offer,
                                Bytes bytes) { return LoadedEngine::make(session, offer, bytes, team); },
      .bytes_max = set > 0 ? set : available - available / kLeft,
      .keep_alive = static_cast<double>(config.number("server.keep_alive")),
      .note = [&session](std::string_view line) { note(session, std::string(line)); }};
}

}  // namespace plait::cli
