// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "reasoning/detail/strand.h"

namespace plait::reasoning {
namespace {

class Append final : public Operation {
 public:
  Append(Piece piece, Promise<Appended> promise) : piece_(std::move(piece)), promise_(std::move(promise)) {}

  void start(Strand& strand) override {
    const std::size_t before = strand.length;
    if (auto appended = strand.append_piece(piece_); !appended) return strand.fail_running(appended.error());
    const Appended done{.tokens = static_cast<std::ptrdiff_t>(strand.length) - static_cast<std::ptrdiff_t>(before),
                        .length = strand.length};
    strand.emit({.kind = StrandEvent::Kind::appended, .tokens = strand.length - std::min(before, strand.length)});
    strand.finish();
    promise_.keep(done);
  }
  void cancel(Strand& /*strand*/) override {}
  void fail_with(const base::Error& error) override { promise_.keep(std::unexpected(error)); }

 private:
  Piece piece_;
  Promise<Appended> promise_;
};

/// Makes it shorter.
class Cut final : public Operation {
 public:
  Cut(std::size_t length, Promise<Appended> promise) : length_(length), promise_(std::move(promise)) {}

  void start(Strand& strand) override {
    const std::size_t before = strand.length;
    if (length_ > before || length_ < strand.joined_end) {
      return strand.fail_running(
          {base::ErrorCode::invalid_argument,
           fmt::format("a length of {} is outside of {} to {}", length_, strand.joined_end, before)});
    }
    if (auto cut = strand.replace_end(length_, {}); !cut) return strand.fail_running(cut.error());
    const Appended done{.tokens = static_cast<std::ptrdiff_t>(strand.length) - static_cast<std::ptrdiff_t>(before),
                        .length = strand.length};
    strand.finish();
    promise_.keep(done);
  }
  void cancel(Strand& /*strand*/) override {}
  void fail_with(const base::Error& error) override { promise_.keep(std::unexpected(error)); }

 private:
  std::size_t length_;
  Promise<Appended> promise_;
};

}  // namespace

std::shared_ptr<Operation> cut_operation(std::size_t length, Promise<Appended> promise) {
  return std::make_shared<Cut>(length, std::move(promise));
}

std::shared_ptr<Operation> append_operation(Piece piece, Promise<Appended> promise) {
  return std::make_shared<Append>(std::move(piece), std::move(promise));
}

}  // namespace plait::reasoning
