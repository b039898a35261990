// SPDX-License-Identifier: Apache-2.0
#include "cli/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace plait::cli {
namespace {

std::string age(double seconds) {
  const auto whole = static_cast<long>(std::clamp(seconds, 0.0, 1e9));
  if (whole < 60) return fmt::format("{:.1f} s", std::max(seconds, 0.0));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

// Per second between two values of a counter; nothing after a restart.
std::optional<double> rate(std::optional<double> before, double now, double seconds) {
  if (!before || seconds <= 0 || now < *before) return std::nullopt;
  return (now - *before) / seconds;
}

std::string rate_text(std::optional<double> rate) { return rate ? fmt::format("{:.1f}", *rate) : "-"; }

const ModelStatus* model_of(const ServerStatus* status, const std::string& name) {
  if (status == nullptr) return nullptr;
  const auto at = std::ranges::find(status->models, name, &ModelStatus::name);
  return at == status->models.end() ? nullptr : &*at;
}

std::size_t percent(double part, double whole) {
  return whole > 0 ? static_cast<std::size_t>(std::clamp(100 * part / whole + 0.5, 0.0, 100.0)) : 0;
}

// What stands for pages of a kind: of one sequence, of several, only cached, free.
std::string page_bar(const ModelStatus& model, std::size_t width) {
  std::string bar;
  std::size_t sum = 0;
  const auto fill = [&](std::size_t pages, char mark) {
    sum += pages;
    const std::size_t end = model.pages > 0 ? std::min(width, (sum * width + model.pages / 2) / model.pages) : 0;
    bar.resize(std::max(bar.size(), end), mark);
  };
  fill(model.pages_own, '#');
  fill(model.pages_shared, '=');
  fill(model.pages_cached, ':');
  bar.resize(width, ' ');
  return bar;
}

void add_model(std::vector<std::string>& lines, const ModelStatus& model, const ModelStatus* before, double seconds) {
  const auto of_before = [before](double ModelStatus::* value) {
    return before == nullptr ? std::nullopt : std::optional(before->*value);
  };
  const auto rate_of = [&](double ModelStatus::* value) { return rate(of_before(value), model.*value, seconds); };
  const auto in = rate_of(&ModelStatus::prompt_rows);
  const auto cached = rate_of(&ModelStatus::cached_tokens);
  lines.push_back(fmt::format("{}  running {}  waiting {}  steps/s {}  tokens/s in {} out {}  from cache {} %",
                              model.name, model.running, model.waiting, rate_text(rate_of(&ModelStatus::steps)),
                              rate_text(in), rate_text(rate_of(&ModelStatus::decode_rows)),
                              in && cached ? percent(*cached, *in + *cached) : 0));
  lines.push_back(fmt::format("pages [{}] # own {}  = shared {}  : cached {}  free {}  swapped {}", page_bar(model, 24),
                              model.pages_own, model.pages_shared, model.pages_cached, model.pages_free,
                              model.pages_away));
}

// The smallest value that is not exceeded by so many per cent. Requires: not empty.
double percentile(std::vector<double> values, std::size_t percent_of_all) {
  std::ranges::sort(values);
  return values[(values.size() * percent_of_all + 99) / 100 - 1];
}

std::string latency_line(const std::vector<RequestStatus>& recent) {
  std::vector<double> first;
  std::vector<double> whole;
  std::size_t failed = 0;
  for (const RequestStatus& request : recent) {
    if (request.status >= 400) ++failed;
    if (request.status >= 400) continue;
    whole.push_back(request.seconds);
    if (request.first_token_seconds) first.push_back(*request.first_token_seconds);
  }
  if (whole.empty()) return fmt::format("latency: nothing has been answered yet; failed {}", failed);
  std::string line = fmt::format("latency of the last {}:", whole.size());
  if (!first.empty()) {
    line += fmt::format(" first token p50 {:.2f} s, p90 {:.2f} s;", percentile(first, 50), percentile(first, 90));
  }
  return line + fmt::format(" whole p50 {:.2f} s, p90 {:.2f} s; failed {}", percentile(whole, 50),
                            percentile(whole, 90), failed);
}

// Shares are of what was computed between the two frames, or, without a frame before, of all that was.
std::vector<std::string> client_lines(const ModelStatus& model, const ModelStatus* before, double seconds) {
  const auto had = [&](const ClientStatus& client) {
    if (before == nullptr) return client.service;
    const auto at = std::ranges::find(before->clients, client.name, &ClientStatus::name);
    const double then = at == before->clients.end() ? 0 : at->service;
    return std::max(client.service - then, 0.0);
  };
  double all = 0;
  for (const ClientStatus& client : model.clients) all += had(client);
  std::vector<std::string> lines;
  for (const ClientStatus& client : model.clients) {
    const std::string speed =
        before != nullptr && seconds > 0 ? fmt::format("{:.1f}", had(client) / seconds) : std::string("-");
    lines.push_back(fmt::format("{} {:>7} {:>7} {:>7} {:>5} % {:>10} {:>7} {:>12.0f}", cell(client.name, 24),
                                client.running, client.waiting, client.pages, percent(had(client), all), speed,
                                client.weight, client.service));
  }
  return lines;
}

// What is told last may be cut off.
std::string request_line(const RequestStatus& request, bool ended) {
  std::string line = fmt::format("{} {} {} {:>8} {:>7}", cell(request.id, 20), cell(request.client, 18),
                                 cell(ended ? fmt::format("{}", request.status) : request.phase, 9),
                                 age(ended ? request.seconds : request.age_seconds), request.generated_tokens);
  if (ended) {
    const auto& first = request.first_token_seconds;
    line += fmt::format(" {:>9}", first ? fmt::format("{:.3f}", *first) : std::string("-"));
  }
  return fmt::format("{} {} {}", line, cell(request.endpoint, 20), cell(request.model, 24, false));
}

std::string request_head(bool ended) {
  const std::string line = fmt::format("{:<20} {:<18} {:<9} {:>8} {:>7}", "REQUEST", "CLIENT",
                                       ended ? "STATUS" : "PHASE", ended ? "TOOK" : "AGE", "TOKENS");
  return line + fmt::format("{} {:<20} {}", ended ? "  FIRST, S" : "", "ENDPOINT", "MODEL");
}

}  // namespace

std::string requests_text(const std::vector<RequestStatus>& requests, bool ended) {
  std::string out = request_head(ended) + '\n';
  for (const RequestStatus& request : requests) out += request_line(request, ended) + '\n';
  return out;
}

std::vector<std::string> top_frame(const std::string& url, const ServerStatus* before, const ServerStatus& now,
                                   const FrameSize& size) {
  const double seconds = before == nullptr ? 0 : now.seconds - before->seconds;
  std::vector<std::string> lines = {fmt::format("plait top  {}  up {}  requests {}", url, age(now.seconds), now.open)};
  for (const ModelStatus& model : now.models) add_model(lines, model, model_of(before, model.name), seconds);
  lines.push_back(latency_line(now.recent));
  std::vector<std::string> clients;
  for (const ModelStatus& model : now.models) {
    for (std::string& line : client_lines(model, model_of(before, model.name), seconds)) {
      clients.push_back(std::move(line));
    }
  }
  // Half of the room that is left is for clients at most, unless requests leave more.
  const std::size_t fixed = lines.size() + 4;
  const std::size_t room = size.lines > fixed ? size.lines - fixed : 0;
  const std::size_t for_clients =
      std::min(clients.size(), std::max(room / 2, room - std::min(room, now.listed.size())));
  clients.resize(for_clients);
  lines.emplace_back();
  lines.push_back(fmt::format("{:<24} {:>7} {:>7} {:>7} {:>7} {:>10} {:>7} {:>12}", "CLIENT", "RUNNING", "WAITING",
                              "PAGES", "SHARE", "TOKENS/S", "WEIGHT", "TOKENS"));
  lines.insert(lines.end(), clients.begin(), clients.end());
  lines.emplace_back();
  lines.push_back(request_head(false));
  for (std::size_t i = 0; i < std::min(now.listed.size(), room - for_clients); ++i) {
    lines.push_back(request_line(now.listed[i], false));
  }
  for (std::string& line : lines) line = cell(line, size.columns, false);
  return lines;
}

}  // namespace plait::cli
