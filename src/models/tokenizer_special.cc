// SPDX-License-Identifier: Apache-2.0
#include "models/tokenizer_special.h"

#include <algorithm>
#include <map>
#include <queue>

namespace plait::models {

SpecialTokens::SpecialTokens(std::vector<Entry> entries) : nodes_(1) {
  // Sorted, so that a node's children arrive one after another and the newest child is the only one to look at.
  std::ranges::stable_sort(entries, {}, &Entry::text);
  for (const Entry& entry : entries) {
    if (entry.text.size() > kLongestText) continue;
    std::uint32_t node = 0;
    for (const char byte : entry.text) {
      std::uint32_t next = nodes_[node].first_child;
      if (next == 0 || nodes_[next].byte != byte) {
        next = static_cast<std::uint32_t>(nodes_.size());
        nodes_.push_back({0, nodes_[node].first_child, byte, false, base::kNoToken});
        nodes_[node].first_child = next;
      }
      node = next;
    }
    if (node == 0) continue;
    nodes_[node].id = entry.id;
    nodes_[node].control = entry.control;
  }
  for (std::uint32_t n = nodes_[0].first_child; n != 0; n = nodes_[n].next_sibling) {
    roots_[static_cast<unsigned char>(nodes_[n].byte)] = n;
  }
}

std::uint32_t SpecialTokens::child(std::uint32_t node, char byte) const {
  std::uint32_t n = nodes_[node].first_child;
  while (n != 0 && nodes_[n].byte != byte) n = nodes_[n].next_sibling;
  return n;
}

SpecialTokens::Match SpecialTokens::longest(std::string_view text, std::size_t at, std::size_t limit,
                                            const ControlPlaces& control_at) const {
  const auto allowed = [&](const Node& node, std::size_t end) {
    return !node.control || !control_at || std::ranges::binary_search(*control_at, ByteRange{at, end});
  };
  Match best;
  std::uint32_t node = roots_[static_cast<unsigned char>(text[at])];
  for (std::size_t end = at + 1; node != 0 && end <= limit; ++end) {
    if (nodes_[node].id != base::kNoToken && allowed(nodes_[node], end)) best = {at, end, nodes_[node].id};
    if (end == limit) break;
    node = child(node, text[end]);
  }
  return best;
}

void SpecialTokens::settle(std::string_view text, std::span<const Match> cluster, std::vector<Match>& out,
                           const ControlPlaces& control_at) const {
  const auto later = [](const Match& a, const Match& b) {
    const std::size_t a_size = a.end - a.begin;
    const std::size_t b_size = b.end - b.begin;
    return a_size < b_size || (a_size == b_size && a.begin > b.begin);
  };
  std::priority_queue<Match, std::vector<Match>, decltype(later)> queue(cluster.begin(), cluster.end(), later);
  std::map<std::size_t, Match> taken;  // by begin
  while (!queue.empty()) {
    const Match match = queue.top();
    queue.pop();
    const auto behind = taken.lower_bound(match.begin);
    if (behind != taken.begin() && std::prev(behind)->second.end > match.begin) continue;
    const std::size_t limit = behind == taken.end() ? text.size() : behind->first;
    if (match.end <= limit) {
      taken.emplace_hint(behind, match.begin, match);
    } else if (limit > match.begin) {  // a shorter token may fit; its turn is later
      const Match shorter = longest(text, match.begin, limit, control_at);
      if (shorter.id != base::kNoToken) queue.push(shorter);
    }
  }
  for (const auto& [begin, match] : taken) out.push_back(match);
}

std::vector<SpecialTokens::Match> SpecialTokens::find(std::string_view text, const ControlPlaces& control_at) const {
  std::vector<Match> out;
  if (nodes_.size() < 2) return out;
  std::vector<Match> cluster;  // matches each of which overlaps an earlier one
  std::size_t cluster_end = 0;
  const auto close = [&] {
    if (cluster.size() == 1) {
      out.push_back(cluster.front());
    } else if (cluster.size() > 1) {
      settle(text, cluster, out, control_at);
    }
    cluster.clear();
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (roots_[static_cast<unsigned char>(text[at])] == 0) continue;
    const Match match = longest(text, at, text.size(), control_at);
    if (match.id == base::kNoToken) continue;
    if (match.begin >= cluster_end) close();
    cluster.push_back(match);
    cluster_end = std::max(cluster_end, match.end);
  }
  close();
  return out;
}

}  // namespace plait::models
