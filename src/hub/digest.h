// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace plait::hub {

/// SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::span<const std::byte> bytes);
  /// 64 lower-case hexadecimal digits. Call it once, at the end.
  [[nodiscard]] std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// SHA-256 of a whole file. `on_bytes` hears of every piece (bytes so far) and may stop the work by returning false.
/// Errors: those of opening and reading; interrupted.
[[nodiscard]] base::Result<std::string> sha256_of_file(const std::filesystem::path& path,
                                                       const std::function<bool(base::Bytes)>& on_bytes = {});

}  // namespace plait::hub
