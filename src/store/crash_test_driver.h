// SPDX-License-Identifier: Apache-2.0
//
// One model for everything in this area that commits: a list of records of which the first few are acknowledged. A
// thing is opened, used, and dies, many times over; each time it must come back with a part of the list that has all
// acknowledged records. What it came back with is the list from then on, and acknowledged as a whole.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "store/file_layer.h"
#include "testing/crash_disk.h"

namespace plait::store {

/// What is tested: something open that takes records. Its functions own it.
struct CrashSubject {
  std::function<base::Result<void>(std::string_view record)> append;
  std::function<base::Result<void>()> commit;
};

struct CrashScenario {
  /// Opens the subject on a layer and hands over what it recovered.
  std::function<base::Result<CrashSubject>(FileLayer& layer, const std::function<void(std::string_view)>& recovered)>
      open;
  /// Record `number` of a seed; differs from all others of that seed where it is long enough.
  std::function<std::string(std::uint64_t seed, std::uint64_t number)> record;
  testing::CrashDisk::Lies lies = {};
};

/// What the runs reached, so that a test can say that the interesting cases occurred.
struct CrashCoverage {
  std::uint64_t crashes = 0;
  std::uint64_t kills = 0;
  std::uint64_t crashes_in_open = 0;
  std::uint64_t poisoned = 0;
  std::uint64_t disk_full = 0;
  std::uint64_t acknowledged = 0;      // records that had to survive
  std::uint64_t survived_unasked = 0;  // records that were appended, not acknowledged, and recovered
  std::uint64_t lost_rightly = 0;      // records that were appended, not acknowledged, and lost
};

class CrashRun {
 public:
  CrashRun(const CrashScenario& scenario, std::uint64_t seed, CrashCoverage& coverage)
      : scenario_(scenario), coverage_(coverage), seed_(seed), disk_(base::child_seed(seed, 1), scenario.lies) {}

  /// Some lives. What went wrong, or nothing.
  std::string run() {
    for (int life = 0; life < 8 && violation_.empty(); ++life) live();
    return violation_.empty() ? "" : fmt::format("seed {}: {}", seed_, violation_);
  }

 private:
  std::uint64_t draw(std::uint64_t below) { return base::random_u64(seed_, drawn_++) % below; }

  void live() {
    if (draw(8) != 0) disk_.cut_power_after(draw(draw(2) == 0 ? 8 : 40));
    {
      std::vector<std::string> recovered;
      auto subject = scenario_.open(disk_, [&](std::string_view record) { recovered.emplace_back(record); });
      if (subject) {
        check(recovered);
        if (violation_.empty()) use(*subject);
      } else if (disk_.power_is_off()) {
        ++coverage_.crashes_in_open;
      } else {
        violation_ = "cannot open: " + subject.error().message;
      }
    }
    if (must_crash_ || draw(2) == 0) {
      disk_.crash();
      ++coverage_.crashes;
    } else {
      disk_.kill_process();
      ++coverage_.kills;
    }
    must_crash_ = false;
  }

  void check(const std::vector<std::string>& recovered) {
    if (recovered.size() < acknowledged_) {
      violation_ = fmt::format("{} records of {} that were acknowledged", recovered.size(), acknowledged_);
    } else if (recovered.size() > records_.size()) {
      violation_ = fmt::format("{} records, {} were appended", recovered.size(), records_.size());
    } else if (!std::equal(recovered.begin(), recovered.end(), records_.begin())) {
      violation_ = "a record that was not appended there";
    }
    if (!violation_.empty()) return;
    coverage_.acknowledged += acknowledged_;
    coverage_.survived_unasked += recovered.size() - acknowledged_;
    coverage_.lost_rightly += records_.size() - recovered.size();
    records_ = recovered;
    acknowledged_ = recovered.size();
  }

  void use(const CrashSubject& subject) {
    bool goes_on = true;
    for (std::uint64_t operations = draw(40); operations > 0 && goes_on && violation_.empty(); --operations) {
      const std::uint64_t what = draw(100);
      if (what < 4) {
        disk_.fill_up(1 + static_cast<int>(draw(2)));
      } else if (what < 6) {
        disk_.fail_next_sync();
      } else if (what < 30) {
        const auto done = subject.commit();
        if (done) acknowledged_ = records_.size();
        goes_on = done || survives(subject, done.error());
      } else {
        std::string record = scenario_.record(seed_, appended_++);
        const auto done = subject.append(record);
        if (done) records_.push_back(std::move(record));
        goes_on = done || survives(subject, done.error());
      }
    }
  }

  // After an error: whether the subject can still be used. A poisoned one must say so for ever.
  bool survives(const CrashSubject& subject, const base::Error& error) {
    if (disk_.power_is_off()) return false;
    if (error.code == base::ErrorCode::out_of_resources) {
      ++coverage_.disk_full;
      return true;
    }
    ++coverage_.poisoned;
    // What the system shows now is not what the disk has, and nobody could know: only a crash tells.
    must_crash_ = true;
    if (subject.append("more") || subject.commit()) violation_ = "goes on after a sync that failed";
    return false;
  }

  const CrashScenario& scenario_;
  CrashCoverage& coverage_;
  const std::uint64_t seed_;
  testing::CrashDisk disk_;
  std::uint64_t drawn_ = 0;
  std::uint64_t appended_ = 0;
  std::vector<std::string> records_;
  std::size_t acknowledged_ = 0;
  bool must_crash_ = false;
  std::string violation_;
};

/// The first violation of `seeds` runs, or nothing.
inline std::string find_violation(const CrashScenario& scenario, std::uint64_t seeds, CrashCoverage& coverage) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    if (std::string violation = CrashRun(scenario, seed, coverage).run(); !violation.empty()) return violation;
  }
  return "";
}

}  // namespace plait::store
