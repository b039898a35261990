// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor.h"

#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <filesystem>

#include "cli/model_session.h"
#include "cli/model_verbs.h"
#include "kernels/isa.h"
#include "os/cpu.h"
#include "os/file.h"
#include "os/memory.h"
#include "os/paths.h"
#include "os/process.h"
#include "os/terminal.h"
#include "text/json.h"

namespace plait::cli {
namespace {

namespace fs = std::filesystem;
using base::Bytes;
using base::human_bytes;
using State = Finding::State;

constexpr rlim_t kFilesWanted = 256;         // a model in parts, a wheel, logs
constexpr Bytes kModelHeadroom = 512 << 20;  // beside the weights: keys and values, buffers

Finding processor() {
  const os::CpuFeatures& cpu = os::cpu_features();
  const std::array features{std::pair{"avx2", cpu.avx2 && cpu.fma && cpu.f16c},
                            std::pair{"avx-vnni", cpu.avx_vnni},
                            std::pair{"avx512", cpu.avx512f && cpu.avx512bw && cpu.avx512vl && cpu.avx512dq},
                            std::pair{"avx512-vnni", cpu.avx512_vnni},
                            std::pair{"avx512-vbmi", cpu.avx512_vbmi},
                            std::pair{"amx", cpu.amx_tile && cpu.amx_int8}};
  std::string list;
  for (const auto& [name, there] : features) {
    if (there) list += fmt::format(" {}", name);
  }
  const std::string name = cpu.model_name.empty() ? "unknown" : cpu.model_name;
  return {State::good, "processor", fmt::format("{};{}", name, list.empty() ? " no vector features" : list)};
}

Finding kernel_choice(const Config& config) {
  const std::string& wanted = config.text("kernels.isa");
  std::string usable;
  for (const kernels::Isa isa : kernels::usable_isas()) usable += fmt::format(" {}", kernels::name(isa));
  if (wanted == "reference") return {State::hint, "kernels", "reference: exact floats, very slow", "plait config show"};
  const auto isa = kernels::parse_isa(wanted);
  if (!isa) return {State::missing, "kernels", isa.error().message, "plait config show"};
  const auto state = *isa == kernels::Isa::generic ? State::hint : State::good;
  return {state, "kernels", fmt::format("{} (usable:{})", kernels::name(*isa), usable)};
}

Finding cache(const Config& config) {
  const auto attention = chosen_attention(config);
  if (!attention) return {State::missing, "cache", attention.error().message, "plait config show"};
  if (*attention != kernels::AttentionArithmetic::int8) return {State::good, "cache", "keys and values in 16 bits"};
  return {State::good, "cache", "keys and values in int8: about half the memory, less exact"};
}

Finding threads(const Config& config) {
  const auto wanted = config.number("threads");
  const int cores = os::usable_cores();
  if (wanted > cores) {
    return {State::hint, "threads", fmt::format("{} on {} usable cores: slower than {}", wanted, cores, cores),
            fmt::format("plait --set threads={} ...", cores)};
  }
  return {State::good, "threads", fmt::format("{} on {} usable cores", wanted == 0 ? cores : wanted, cores)};
}

Finding huge_pages() {
  constexpr auto kPath = "/sys/kernel/mm/transparent_hugepage/enabled";
  const auto text = os::read_file(kPath, 4096);
  if (!text) return {State::hint, "huge pages", "unknown"};
  const std::size_t open = text->find('[');
  const std::size_t close = text->find(']');
  if (open == std::string::npos || close == std::string::npos || close < open)
    return {State::hint, "huge pages", "unknown"};
  const std::string chosen = text->substr(open + 1, close - open - 1);
  if (chosen != "never") return {State::good, "huge pages", chosen};
  return {State::hint, "huge pages", "never: large models are slower",
          fmt::format("echo madvise | sudo tee {}", kPath)};
}

Finding limits() {
  rlimit files{};
  rlimit space{};
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_AS, &space);
  const std::string room = space.rlim_cur == RLIM_INFINITY ? "unlimited" : human_bytes(space.rlim_cur);
  Finding finding{State::good, "limits", fmt::format("{} open files, address space {}", files.rlim_cur, room)};
  if (files.rlim_cur < kFilesWanted) {
    finding.state = State::hint;
    finding.fix = fmt::format("ulimit -n {}", kFilesWanted);
  } else if (space.rlim_cur != RLIM_INFINITY) {
    finding.state = State::hint;
    finding.fix = "ulimit -v unlimited";
  }
  return finding;
}

Finding settings() {
  std::string found;
  std::error_code error;
  for (const fs::path& file : os::config_files()) {
    if (fs::exists(file, error)) found += fmt::format("{}{}", found.empty() ? "" : ", ", file.string());
  }
  return {State::good, "settings", found.empty() ? "no plait.toml; defaults and environment" : found};
}

// The nearest folder of `path` that exists.
fs::path existing(fs::path path) {
  std::error_code error;
  while (!path.empty() && path != path.root_path() && !fs::exists(path, error)) path = path.parent_path();
  return path.empty() ? "." : path;
}

Finding cache_folder(const Config& config) {
  const fs::path folder = models_folder(config);
  const fs::path there = existing(folder);
  const auto free = os::free_space(there);
  if (access(there.c_str(), W_OK) != 0) {
    return {State::hint, "model folder", fmt::format("{} cannot be written: models cannot be fetched", folder.string()),
            "plait --set cache_dir=FOLDER model pull"};
  }
  return {State::good, "model folder",
          fmt::format("{}, {} free", folder.string(), free ? human_bytes(*free) : std::string("unknown"))};
}

Finding memory(const os::MemoryInfo& info) {
  return {State::good, "memory",
          fmt::format("{} available of {}", human_bytes(info.available), human_bytes(info.total))};
}

Finding model(const Config& config, const os::MemoryInfo& info) {
  const std::string& name = config.text("model");
  const auto path = resolve_model(config);
  if (!path) {
    const auto hub = open_hub(config);
    const bool known = hub && hub->find(name);
    return {State::missing, "model", path.error().message, known ? "plait model pull " + name : "plait model list"};
  }
  std::error_code error;
  const Bytes bytes = fs::file_size(*path, error);
  if (!error && info.available > 0 && bytes + kModelHeadroom > info.available) {
    return {State::hint, "model", fmt::format("{} has {}: more than the memory allows for", name, human_bytes(bytes)),
            "plait --model smollm2-135m ..."};
  }
  return {State::good, "model", fmt::format("{} ({})", name, path->string())};
}

Finding pip(const Config& config) {
  const std::string& python = config.text("hub.python");
  const auto result = os::run_process({.arguments = {python, "-m", "pip", "--version"},
                                       .folder = fs::temp_directory_path(),
                                       .timeout = std::chrono::seconds(20)});
  if (result && result->exit_code == 0) {
    return {State::good, "pip", result->output.substr(0, result->output.find(" from"))};
  }
  return {State::hint, "pip", fmt::format("{} has no pip: some models cannot be fetched", python),
          "sudo apt-get install python3-pip"};
}

std::string_view word(State state) {
  switch (state) {
    case State::good:
      return "ok";
    case State::hint:
      return "hint";
    case State::missing:
      return "MISSING";
  }
  return "";
}

void print_findings(const std::vector<Finding>& findings) {
  const bool colour = os::colour_allowed(os::StandardStream::output);
  for (const Finding& finding : findings) {
    const std::string_view paint = finding.state == State::good   ? "\x1b[32m"
                                   : finding.state == State::hint ? "\x1b[33m"
                                                                  : "\x1b[31m";
    print("{}{:<8}{}{:<14} {}\n", colour ? paint : "", word(finding.state), colour ? "\x1b[0m" : "", finding.subject,
          finding.value);
    if (!finding.fix.empty()) print("{:<8}{:<14} fix: {}\n", "", "", finding.fix);
  }
}

base::Result<void> doctor(const Session& session) {
  const std::vector<Finding> findings = examine(session.config);
  if (session.json) {
    auto document = text::Json::array();
    for (const Finding& finding : findings) {
      document.push_back({{"subject", finding.subject},
                          {"state", finding.state == State::missing ? "missing" : word(finding.state)},
                          {"value", finding.value},
                          {"fix", finding.fix}});
    }
    print("{}\n", document.dump(2, ' ', false, text::Json::error_handler_t::replace));
  } else {
    print_findings(findings);
  }
  for (const Finding& finding : findings) {
    if (finding.state != State::missing) continue;
    return base::fail(base::ErrorCode::io, fmt::format("{} is missing; run `{}`", finding.subject, finding.fix));
  }
  return {};
}

}  // namespace

std::vector<Finding> examine(const Config& config) {
  const os::MemoryInfo info = os::memory_info();
  std::vector<Finding> findings{processor(),          kernel_choice(config), cache(config), threads(config),
                                memory(info),         huge_pages(),          limits(),      settings(),
                                cache_folder(config), model(config, info)};
  if (findings.back().state == State::missing) findings.push_back(pip(config));
  return findings;
}

void add_doctor(CLI::App& app, Session& session) {
  CLI::App* verb = app.add_subcommand("doctor", "What this machine offers, what is missing, and how to fix it");
  verb->footer("Example: plait doctor --json");
  verb->callback([&session] { session.action = [&session] { return doctor(session); }; });
}

}  // namespace plait::cli
