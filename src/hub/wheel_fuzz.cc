// SPDX-License-Identifier: Apache-2.0
//
// Archives come from the network before any hash could be checked.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "hub/wheel.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr plait::base::Bytes kUnpackMax = 1 << 20;
  const auto wheel = plait::hub::Wheel::open(std::as_bytes(std::span(data, size)));
  if (!wheel) return 0;
  plait::base::Bytes sum = 0;
  for (const auto& member : wheel->members()) {
    plait::base::Bytes got = 0;
    const auto sink = [&](std::span<const std::byte> bytes) -> plait::base::Result<void> {
      got += bytes.size();
      PLAIT_CHECK(got <= member.bytes, got, member.bytes);
      if (sum + got > kUnpackMax) return plait::base::fail(plait::base::ErrorCode::out_of_resources, "enough");
      return {};
    };
    const auto done = wheel->read(member, sink);
    if (done) PLAIT_CHECK(got == member.bytes, got, member.bytes);
    sum += got;
  }
  return 0;
}
