// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>

namespace plait::testing {

/// Whether a sanitizer makes this program several times slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// Whether tests that repeat something are to do so more often: PLAIT_LONG is set, as ./test --long does.
inline bool long_run() {
  return std::getenv("PLAIT_LONG") != nullptr;  // NOLINT(concurrency-mt-unsafe): nobody writes the environment
}

/// The same for what takes a minute or more without a sanitizer.
inline bool very_long_run() { return long_run() && !kSanitized; }

/// A whole number from the environment.
inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): as above
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace plait::testing
