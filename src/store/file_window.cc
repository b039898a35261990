// SPDX-License-Identifier: Apache-2.0
#include "store/file_window.h"

#include <algorithm>

#include "base/check.h"

namespace plait::store {

using base::Bytes;
using base::Result;

Result<std::span<const std::byte>> FileWindow::at(Bytes offset, std::size_t count) {
  PLAIT_CHECK(offset <= size_ && count <= size_ - offset, offset, count, size_);
  if (offset < begin_ || offset - begin_ > piece_.size() || count > piece_.size() - (offset - begin_)) {
    piece_.resize(static_cast<std::size_t>(std::min<Bytes>(std::max(count, kPieceBytes), size_ - offset)));
    begin_ = offset;
    PLAIT_TRY(const std::size_t got, file_.read(offset, piece_));
    if (got < piece_.size()) {
      piece_.clear();
      return base::fail(base::ErrorCode::io, "a file became shorter while it was read");
    }
  }
  return std::span<const std::byte>(piece_).subspan(static_cast<std::size_t>(offset - begin_), count);
}

Result<std::span<const std::byte>> FileWindow::some(Bytes offset) {
  PLAIT_CHECK(offset < size_, offset, size_);
  PLAIT_TRY_VOID(at(offset, 1));
  return std::span<const std::byte>(piece_).subspan(static_cast<std::size_t>(offset - begin_));
}

}  // namespace plait::store
