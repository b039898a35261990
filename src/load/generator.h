// SPDX-License-Identifier: Apache-2.0
//
// Sends a load to a server and measures what a client sees.
//
// Times count from the moment at which a request was due: of a Poisson process its arrival, whether or not the
// generator or the server was ready for it (else slow answers would hide the waiting that they cause); of a closed loop
// the end of the user's last request and pause. One thread, some microseconds a piece of answer.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "load/plan.h"
#include "load/samples.h"

namespace plait::load {

struct LoadTarget {
  std::string url;             ///< "http://127.0.0.1:7524", with or without "/v1".
  std::string key = {};        ///< Sent as a bearer token unless empty.
  std::string light_key = {};  ///< Of the light client of a fairness load; empty: `key`.
};

struct LoadWatch {
  /// Called some ten times a second: requests that have ended, and how many there will be.
  std::function<void(std::size_t done, std::size_t total)> progress = {};
  /// Asked as often; false ends the load.
  std::function<bool()> keep_going = {};
};

/// Requests of one kind: of a client, or first and later turns.
struct GroupReport {
  std::string name;
  std::size_t sent = 0;
  std::size_t done = 0;  ///< With a whole answer.
  std::size_t failed = 0;
  std::size_t dropped = 0;           ///< Open when the load ended.
  std::size_t silent = 0;            ///< Done, but no text came.
  std::size_t prompt_tokens = 0;     ///< As the server counts them; 0 if it does not tell.
  std::size_t cached_tokens = 0;     ///< Of those.
  std::size_t generated_tokens = 0;  ///< As the server counts them, else pieces of text.
  Samples first_token = {};          ///< From due to the first text, of any choice.
  Samples gap = {};                  ///< Between two pieces of text of a choice.
  Samples longest_gap = {};          ///< The longest of each request.
  Samples whole = {};                ///< From due to the end.
};

struct LoadReport {
  std::vector<GroupReport> groups;
  std::map<std::string, std::size_t> errors;  ///< What went wrong, and how often; at most kErrorsMax of them.
  double seconds = 0;                         ///< From the first request's due time to the last end.
  double processor_seconds = 0;               ///< Of the whole process, meanwhile.
  double late_seconds_max = 0;                ///< From due to sent, at worst: beyond it nothing is hidden.
  std::size_t open_most = 0;                  ///< Requests at a time.
  bool interrupted = false;
  bool gave_up = false;  ///< kFailuresInRow requests have failed one after the other.
};

inline constexpr std::size_t kErrorsMax = 20;
inline constexpr std::size_t kFailuresInRow = 50;

/// Requires: check(options). Errors: invalid_argument (URL), out_of_resources. Failed requests are no error: the report
/// counts them.
[[nodiscard]] base::Result<LoadReport> run_load(const LoadOptions& options, const LoadTarget& target,
                                                const LoadWatch& watch);

}  // namespace plait::load
