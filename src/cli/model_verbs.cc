// SPDX-License-Identifier: Apache-2.0
#include "cli/model_verbs.h"

#include <CLI/CLI.hpp>

#include "cli/model_show.h"
#include "cli/progress.h"
#include "os/interrupt.h"
#include "os/paths.h"
#include "text/json.h"

namespace plait::cli {
namespace {

namespace fs = std::filesystem;
using base::Result;
using hub::ModelEntry;
using hub::Presence;
using text::Json;

std::string_view word(Presence presence) {
  switch (presence) {
    case Presence::absent:
      return "absent";
    case Presence::partial:
      return "partial";
    case Presence::present:
      return "present";
    case Presence::mismatch:
      return "damaged";
  }
  return "";
}

void print_json(const Json& document) {
  print("{}\n", document.dump(2, ' ', false, text::Json::error_handler_t::replace));
}

Json as_json(const hub::Hub& hub, const ModelEntry& entry) {
  return {{"name", entry.name},
          {"state", word(hub.presence(entry))},
          {"bytes", entry.bytes},
          {"sha256", entry.sha256},
          {"path", hub.path_of(entry).string()},
          {"licence", entry.licence},
          {"origin", entry.origin},
          {"about", entry.about}};
}

Result<void> list(const Session& session) {
  PLAIT_TRY(const auto hub, open_hub(session.config));
  if (session.json) {
    auto document = Json::array();
    for (const ModelEntry& entry : hub.models()) document.push_back(as_json(hub, entry));
    print_json(document);
    return {};
  }
  for (const ModelEntry& entry : hub.models()) {
    print("{:<20} {:>10}  {:<8} {}\n", entry.name, base::human_bytes(entry.bytes), word(hub.presence(entry)),
          entry.about);
  }
  return {};
}

// Fetch options that draw a bar and listen to Ctrl-C. Both arguments outlive the result.
hub::FetchOptions fetch_options(const Session& session, ProgressBar& bar) {
  hub::FetchOptions options;
  options.connect_timeout = std::chrono::seconds(session.config.number("hub.connect_timeout"));
  options.idle_timeout = std::chrono::seconds(session.config.number("hub.idle_timeout"));
  options.python = session.config.text("hub.python");
  options.keep_going = [] { return !os::interrupt_requested(); };
  options.on_progress = [&bar](const hub::Progress& progress) {
    const bool checking = progress.stage == hub::Progress::Stage::checking;
    bar.update(checking ? "checking" : "fetching", progress.done, progress.total);
  };
  return options;
}

Result<void> pull(const Session& session, const std::string& name) {
  PLAIT_TRY(const auto hub, open_hub(session.config));
  PLAIT_TRY(const ModelEntry* entry, hub.find(name.empty() ? session.config.text("model") : name));
  const bool fetched = hub.presence(*entry) != Presence::present;
  if (fetched) {
    note(session, fmt::format("{}: {} ({})", entry->name, entry->about, base::human_bytes(entry->bytes)));
    note(session, fmt::format("  origin   {}", entry->origin));
    note(session, fmt::format("  licence  {}", entry->licence));
  }
  const os::InterruptGuard guard;
  ProgressBar bar(session.progress);
  hub::PullOptions options;
  options.fetch = fetch_options(session, bar);
  options.on_message = [&](std::string_view line) {
    bar.clear();
    note(session, line);
  };
  PLAIT_TRY(const fs::path path, hub.pull(*entry, options));
  bar.clear();
  if (session.json) {
    print_json(as_json(hub, *entry));
  } else {
    print("{}\n", path.string());
  }
  return {};
}

Result<void> verify(const Session& session, const std::vector<std::string>& names) {
  PLAIT_TRY(const auto hub, open_hub(session.config));
  std::vector<const ModelEntry*> entries;
  for (const std::string& name : names) {
    PLAIT_TRY(const ModelEntry* entry, hub.find(name));
    entries.push_back(entry);
  }
  if (names.empty()) {
    for (const ModelEntry& entry : hub.models()) {
      const Presence presence = hub.presence(entry);
      if (presence == Presence::present || presence == Presence::mismatch) entries.push_back(&entry);
    }
  }
  if (entries.empty()) note(session, "no model is here; `plait model pull` fetches the default one");
  const os::InterruptGuard guard;
  ProgressBar bar(session.progress);
  auto document = Json::array();
  Result<void> outcome;
  for (const ModelEntry* entry : entries) {
    const auto checked = hub.verify(*entry, fetch_options(session, bar));
    bar.clear();
    document.push_back({{"name", entry->name}, {"ok", checked.has_value()}});
    if (!checked) document.back()["error"] = checked.error().message;
    if (!session.json) print("{:<20} {}\n", entry->name, checked ? "ok" : "DAMAGED");
    if (!checked && outcome) outcome = checked;
    if (!checked && checked.error().code == base::ErrorCode::interrupted) break;
  }
  if (session.json) print_json(document);
  return outcome;
}

Result<void> remove(const Session& session, const std::string& name) {
  PLAIT_TRY(const auto hub, open_hub(session.config));
  PLAIT_TRY(const ModelEntry* entry, hub.find(name));
  PLAIT_TRY(const base::Bytes freed, hub.remove(*entry));
  if (session.json) {
    print_json({{"name", entry->name}, {"freed_bytes", freed}});
  } else {
    print("{} removed, {} are free again\n", entry->name, base::human_bytes(freed));
  }
  return {};
}

}  // namespace

fs::path models_folder(const Config& config) {
  const std::string& cache = config.text("cache_dir");
  return (cache.empty() ? os::cache_dir() : fs::path(cache)) / "models";
}

Result<hub::Hub> open_hub(const Config& config) {
  const std::string& manifest = config.text("hub.manifest");
  hub::HubOptions options;
  options.models_dir = models_folder(config);
  options.manifest = manifest.empty() ? os::config_dir() / "models.json" : fs::path(manifest);
  options.offline = config.flag("hub.offline");
  std::error_code error;
  if (!manifest.empty() && !fs::exists(options.manifest, error)) {
    return base::fail(base::ErrorCode::not_found, fmt::format("{}: no such file (setting hub.manifest, from {})",
                                                              manifest, config.origin("hub.manifest")));
  }
  return hub::Hub::open(std::move(options));
}

Result<fs::path> resolve_model(const Config& config, std::string_view name_or_path) {
  PLAIT_TRY(const auto hub, open_hub(config));
  return hub.resolve(name_or_path.empty() ? config.text("model") : name_or_path);
}

void add_model_verbs(CLI::App& app, Session& session) {
  CLI::App* verb = app.add_subcommand("model", "Models: list, pull, show, verify, remove");
  verb->require_subcommand(1);
  verb->footer("Example: plait model pull smollm2-135m");

  CLI::App* listed = verb->add_subcommand("list", "Models known by name, and which are here");
  listed->footer("Example: plait model list --json");
  listed->callback([&session] { session.action = [&session] { return list(session); }; });

  const auto name = std::make_shared<std::string>();
  CLI::App* pulled = verb->add_subcommand("pull", "Fetch a model and check it");
  pulled->add_option("name", *name, "Which model; default: the setting `model`");
  pulled->footer("Example: plait model pull qwen2.5-coder-0.5b");
  pulled->callback([&session, name] { session.action = [&session, name] { return pull(session, *name); }; });

  const auto show_options = std::make_shared<ShowOptions>();
  CLI::App* shown = verb->add_subcommand("show", "What is in a model file; -v adds all its metadata");
  shown->add_option("name", *name, "A name or a path; default: the setting `model`");
  shown->add_flag("--template", show_options->chat_template, "Only the chat template's source");
  shown->footer("Example: plait model show ./my-model.gguf");
  shown->callback([&session, name, show_options] {
    session.action = [&session, name, show_options] { return show_model(session, *name, *show_options); };
  });

  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* verified = verb->add_subcommand("verify", "Check that models are whole");
  verified->add_option("name", *names, "Which models; default: all that are here");
  verified->footer("Example: plait model verify");
  verified->callback([&session, names] { session.action = [&session, names] { return verify(session, *names); }; });

  CLI::App* removed = verb->add_subcommand("remove", "Delete a model's file");
  removed->add_option("name", *name, "Which model")->required();
  removed->footer("Example: plait model remove gemma3-270m");
  removed->callback([&session, name] { session.action = [&session, name] { return remove(session, *name); }; });
}

}  // namespace plait::cli
