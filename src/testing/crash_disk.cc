// SPDX-License-Identifier: Apache-2.0
#include "testing/crash_disk.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"

namespace plait::testing {

using base::Bytes;
using base::ErrorCode;
using base::Result;

namespace {

constexpr Bytes kSectorBytes = 512;

std::unexpected<base::Error> no_power() { return base::fail(ErrorCode::io, "the power is off"); }

}  // namespace

// A write of `bytes` at `offset`, or a cut to `offset` bytes.
struct CrashDisk::Change {
  bool cuts = false;
  Bytes offset = 0;
  std::vector<std::byte> bytes;
};

struct CrashDisk::Inode {
  std::vector<std::byte> now;  // what readers see
  std::vector<std::byte> durable;
  std::vector<Change> pending;  // since the last sync
  bool held = false;

  [[nodiscard]] std::size_t read(Bytes offset, std::span<std::byte> into) const {
    const Bytes begin = std::min<Bytes>(offset, now.size());
    const std::size_t count = std::min<std::size_t>(into.size(), now.size() - begin);
    std::copy_n(now.begin() + static_cast<std::ptrdiff_t>(begin), count, into.begin());
    return count;
  }
};

class CrashDisk::OpenFile final : public store::File {
 public:
  OpenFile(CrashDisk& disk, std::shared_ptr<Inode> inode) : disk_(disk), inode_(std::move(inode)), life_(disk.life_) {}
  ~OpenFile() override {
    const std::lock_guard lock(disk_.mutex_);
    if (disk_.life_ == life_) inode_->held = false;
  }

  Result<Bytes> size() override {
    const std::lock_guard lock(disk_.mutex_);
    if (!lives()) return no_power();
    return inode_->now.size();
  }

  Result<std::size_t> read(Bytes offset, std::span<std::byte> into) override {
    const std::lock_guard lock(disk_.mutex_);
    if (!lives()) return no_power();
    return inode_->read(offset, into);
  }

  Result<void> write(Bytes offset, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    if (!alive_before()) return no_power();
    const bool powered = disk_.step();
    const bool full = powered && disk_.full_writes_ > 0;
    if (full) {
      --disk_.full_writes_;
      bytes = bytes.first(static_cast<std::size_t>(disk_.draw(bytes.size() + 1)));
    }
    if (!bytes.empty()) disk_.change(*inode_, {false, offset, {bytes.begin(), bytes.end()}});
    if (!powered) return no_power();
    if (full) return base::fail(ErrorCode::out_of_resources, "the disk is full");
    return {};
  }

  Result<void> sync() override {
    if (disk_.before_sync_) disk_.before_sync_();
    const std::lock_guard lock(disk_.mutex_);
    if (!alive_before() || !disk_.step()) return no_power();
    if (std::exchange(disk_.sync_fails_, false)) {
      inode_->pending.clear();
      return base::fail(ErrorCode::io, "the disk could not write");
    }
    ++disk_.file_syncs_;
    if (disk_.lies_.file_sync) return {};
    for (const Change& change : inode_->pending) apply(inode_->durable, change);
    inode_->pending.clear();
    return {};
  }

  Result<void> truncate(Bytes size) override {
    const std::lock_guard lock(disk_.mutex_);
    if (!alive_before()) return no_power();
    const bool powered = disk_.step();
    disk_.change(*inode_, {true, size, {}});
    if (!powered) return no_power();
    return {};
  }

 private:
  // The file belongs to this life of the disk, whose power may go in this very call.
  bool alive_before() const { return disk_.life_ == life_ && disk_.operations_left_ > 0; }
  bool lives() { return alive_before() && disk_.step(); }

  CrashDisk& disk_;
  const std::shared_ptr<Inode> inode_;
  const std::uint64_t life_;
};

void CrashDisk::apply(std::vector<std::byte>& image, const Change& change) {
  if (change.cuts) {
    image.resize(change.offset);
    return;
  }
  image.resize(std::max<std::size_t>(image.size(), change.offset + change.bytes.size()));
  std::ranges::copy(change.bytes, image.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void CrashDisk::apply(Names& names, const NameChange& change) {
  for (const auto& [name, inode] : change) {
    if (inode) {
      names[name] = inode;
    } else {
      names.erase(name);
    }
  }
}

std::uint64_t CrashDisk::draw(std::uint64_t below) { return base::random_u64(seed_, drawn_++) % below; }

// One more operation; false if the power goes during it.
bool CrashDisk::step() { return operations_left_ == kForever || (operations_left_ > 0 && --operations_left_ > 0); }

void CrashDisk::change(Inode& inode, Change change) {
  apply(inode.now, change);
  inode.pending.push_back(std::move(change));
}

Result<std::unique_ptr<store::File>> CrashDisk::open(const std::filesystem::path& path) {
  const std::lock_guard lock(mutex_);
  if (operations_left_ == 0) return no_power();
  const bool powered = step();
  auto& inode = names_[path.filename().string()];
  if (!inode) {
    inode = std::make_shared<Inode>();
    pending_names_.push_back({{path.filename().string(), inode}});
  }
  if (!powered) return no_power();
  if (inode->held) return base::fail(ErrorCode::busy, "somebody holds the file");
  inode->held = true;
  return std::make_unique<OpenFile>(*this, inode);
}

Result<void> CrashDisk::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  const std::lock_guard lock(mutex_);
  if (operations_left_ == 0) return no_power();
  const bool powered = step();
  const auto found = names_.find(from.filename().string());
  if (found == names_.end()) return base::fail(ErrorCode::not_found, "no such file");
  const NameChange change = {{found->first, nullptr}, {to.filename().string(), found->second}};
  apply(names_, change);
  pending_names_.push_back(change);
  if (!powered) return no_power();
  return {};
}

Result<std::size_t> CrashDisk::read(const std::filesystem::path& path, Bytes offset, std::span<std::byte> into) {
  const std::lock_guard lock(mutex_);
  if (operations_left_ == 0 || !step()) return no_power();
  const auto found = names_.find(path.filename().string());
  if (found == names_.end()) return base::fail(ErrorCode::not_found, "no such file");
  return found->second->read(offset, into);
}

Result<void> CrashDisk::remove(const std::filesystem::path& path) {
  const std::lock_guard lock(mutex_);
  if (operations_left_ == 0) return no_power();
  const bool powered = step();
  const auto found = names_.find(path.filename().string());
  if (found == names_.end()) return base::fail(ErrorCode::not_found, "no such file");
  const NameChange change = {{found->first, nullptr}};
  apply(names_, change);
  pending_names_.push_back(change);
  if (!powered) return no_power();
  return {};
}

Result<std::vector<std::string>> CrashDisk::list(const std::filesystem::path& /*folder*/) {
  const std::lock_guard lock(mutex_);
  if (operations_left_ == 0 || !step()) return no_power();
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_) names.push_back(name);
  return names;
}

Result<void> CrashDisk::sync_directory(const std::filesystem::path& /*folder*/) {
  const std::lock_guard lock(mutex_);
  if (operations_left_ == 0 || !step()) return no_power();
  if (lies_.directory_sync) return {};
  for (const NameChange& change : pending_names_) apply(durable_names_, change);
  pending_names_.clear();
  return {};
}

void CrashDisk::cut_power_after(std::uint64_t operations) {
  const std::lock_guard lock(mutex_);
  operations_left_ = operations + 1;
}

bool CrashDisk::power_is_off() const {
  const std::lock_guard lock(mutex_);
  return operations_left_ == 0;
}

// Each sector of the write arrives with a probability of `keep_percent`; nothing arrives behind the end of `image`.
void CrashDisk::survive_pieces(std::vector<std::byte>& image, const Change& write, std::uint64_t keep_percent) {
  const Bytes end = std::min<Bytes>(write.offset + write.bytes.size(), image.size());
  for (Bytes at = write.offset; at < end;) {
    const Bytes next = std::min(end, (at / kSectorBytes + 1) * kSectorBytes);
    if (draw(100) < keep_percent) {
      std::copy_n(write.bytes.begin() + static_cast<std::ptrdiff_t>(at - write.offset), next - at,
                  image.begin() + static_cast<std::ptrdiff_t>(at));
    }
    at = next;
  }
}

// The sizes of a file change in their order, up to some moment; the content arrives in any order.
std::vector<std::byte> CrashDisk::survive(const Inode& inode) {
  constexpr std::uint64_t kKeepPercents[] = {0, 20, 50, 80, 100};
  const std::uint64_t keep_percent = kKeepPercents[draw(std::size(kKeepPercents))];
  std::vector<std::byte> image = inode.durable;
  const std::size_t moment = static_cast<std::size_t>(draw(inode.pending.size() + 1));
  std::vector<const Change*> writes;  // that no cut follows
  const auto arrive = [&] {
    for (std::size_t left = writes.size(); left > 0; --left) {
      std::swap(writes[static_cast<std::size_t>(draw(left))], writes[left - 1]);
      survive_pieces(image, *writes[left - 1], keep_percent);
    }
    writes.clear();
  };
  Bytes size_before = image.size();
  for (std::size_t i = 0; i < moment; ++i) {
    const Change& change = inode.pending[i];
    size_before = image.size();
    if (change.cuts) {
      arrive();
      image.resize(change.offset);
    } else {
      image.resize(std::max<std::size_t>(image.size(), change.offset + change.bytes.size()));
      writes.push_back(&change);
    }
  }
  for (std::size_t i = moment; i < inode.pending.size(); ++i) {
    if (!inode.pending[i].cuts) writes.push_back(&inode.pending[i]);
  }
  if (image.size() > size_before && draw(2) == 0) {
    const Bytes torn = size_before + draw(image.size() - size_before);
    image.resize(std::max(size_before, torn / kSectorBytes * kSectorBytes));
  }
  arrive();
  return image;
}

void CrashDisk::crash() {
  const std::lock_guard lock(mutex_);
  for (const NameChange& change : pending_names_) {
    if (draw(2) == 0) apply(durable_names_, change);
  }
  pending_names_.clear();
  names_ = durable_names_;
  for (const auto& [name, inode] : names_) {
    inode->durable = survive(*inode);
    inode->now = inode->durable;
    inode->pending.clear();
  }
  start_life();
}

void CrashDisk::kill_process() {
  const std::lock_guard lock(mutex_);
  start_life();
}

void CrashDisk::start_life() {
  for (const auto& [name, inode] : names_) inode->held = false;
  operations_left_ = kForever;
  full_writes_ = 0;
  sync_fails_ = false;
  ++life_;
}

void CrashDisk::fill_up(int writes) {
  const std::lock_guard lock(mutex_);
  full_writes_ = writes;
}

void CrashDisk::fail_next_sync(bool fails) {
  const std::lock_guard lock(mutex_);
  sync_fails_ = fails;
}

std::vector<std::byte> CrashDisk::content(const std::filesystem::path& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(path.filename().string());
  return found == names_.end() ? std::vector<std::byte>{} : found->second->now;
}

void CrashDisk::set_content(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  auto& inode = names_[path.filename().string()];
  PLAIT_CHECK(!inode || !inode->held);
  inode = std::make_shared<Inode>();
  inode->now.assign(bytes.begin(), bytes.end());
  inode->durable = inode->now;
  durable_names_[path.filename().string()] = inode;
}

std::uint64_t CrashDisk::file_syncs() const {
  const std::lock_guard lock(mutex_);
  return file_syncs_;
}

}  // namespace plait::testing
