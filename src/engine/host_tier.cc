// SPDX-License-Identifier: Apache-2.0
#include "engine/host_tier.h"

#include <utility>

#include "base/check.h"

namespace plait::engine {

FileTier::FileTier(std::unique_ptr<os::AsyncFile> file, std::uint32_t slots, base::Bytes slot_bytes)
    : HostTier(slots, slot_bytes), file_(std::move(file)) {
  PLAIT_CHECK(slot_bytes > 0 && slot_bytes % os::kDirectAlignment == 0, slot_bytes);
}

base::Result<std::unique_ptr<FileTier>> FileTier::make(const std::filesystem::path& folder, std::uint32_t slots,
                                                       base::Bytes slot_bytes, os::AsyncFileOptions options) {
  options.reserve_bytes = slots * slot_bytes;
  PLAIT_TRY(auto file, os::open_temporary_file(folder, options));
  return std::make_unique<FileTier>(std::move(file), slots, slot_bytes);
}

void FileTier::check_slots(std::size_t bytes, std::uint32_t first) const {
  PLAIT_CHECK(bytes % slot_bytes() == 0 && first <= slots() && bytes / slot_bytes() <= slots() - first, bytes, first);
}

void FileTier::write(std::span<const std::byte> bytes, std::uint32_t first, std::uint64_t token) {
  check_slots(bytes.size(), first);
  file_->submit_write(bytes, first * slot_bytes(), token);
}

void FileTier::read(std::span<std::byte> bytes, std::uint32_t first, std::uint64_t token) {
  check_slots(bytes.size(), first);
  file_->submit_read(bytes, first * slot_bytes(), token);
}

}  // namespace plait::engine
