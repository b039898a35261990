// SPDX-License-Identifier: Apache-2.0
//
// A disk in memory that keeps what was synced and makes the worst of everything else.
//
// What a crash may do, drawn from the seed:
//   content    of what was written to a file since its last sync, each sector of 512 bytes of each write arrives or
//              not, in any order; sectors that do not arrive read as zeros where the file was extended over them
//   size       is that of any moment since the last sync, or torn at a sector in between
//   names      each file that was made, renamed or removed since the last sync of its folder keeps its new name or not
// A sync that fails forgets what it should have written: readers go on seeing it until the crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "store/file_layer.h"

namespace plait::testing {

/// One folder for every path: the folder's own name does not matter, and it always exists. Threads: calls may overlap.
class CrashDisk final : public store::FileLayer {
 public:
  /// What a dishonest disk leaves out while it reports success: to show that a test would notice.
  struct Lies {
    bool file_sync = false;
    bool directory_sync = false;
  };
  explicit CrashDisk(std::uint64_t seed) : CrashDisk(seed, Lies()) {}
  CrashDisk(std::uint64_t seed, Lies lies) : seed_(seed), lies_(lies) {}

  [[nodiscard]] base::Result<std::unique_ptr<store::File>> open(const std::filesystem::path& path) override;
  [[nodiscard]] base::Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  [[nodiscard]] base::Result<std::size_t> read(const std::filesystem::path& path, base::Bytes offset,
                                               std::span<std::byte> into) override;
  [[nodiscard]] base::Result<void> remove(const std::filesystem::path& path) override;
  [[nodiscard]] base::Result<std::vector<std::string>> list(const std::filesystem::path& folder) override;
  [[nodiscard]] base::Result<void> sync_directory(const std::filesystem::path& folder) override;

  /// After `operations` more calls the power is gone: the call in which it goes may have any part of its effect, and
  /// from then on every call fails with io until crash().
  void cut_power_after(std::uint64_t operations);
  [[nodiscard]] bool power_is_off() const;
  /// Loses what was not synced, and comes back. Files that were open stay dead: every call on them fails with io.
  void crash();
  /// Only the process dies, also when it was "the power" that went: the disk keeps all that it was given, synced or
  /// not. Files that were open stay dead.
  void kill_process();

  /// The next `writes` writes fail with out_of_resources, after writing a part.
  void fill_up(int writes);
  /// The next sync of a file fails with io, or no longer does.
  void fail_next_sync(bool fails = true);

  /// The content of a file, as readers see it; empty if there is none.
  [[nodiscard]] std::vector<std::byte> content(const std::filesystem::path& path) const;
  /// Makes or replaces a file, durably. Requires: nobody holds it.
  void set_content(const std::filesystem::path& path, std::span<const std::byte> bytes);
  /// Syncs of files that succeeded.
  [[nodiscard]] std::uint64_t file_syncs() const;
  /// Called at the start of every sync of a file, outside the disk's lock. Set before other threads use the disk.
  void before_sync(std::function<void()> hook) { before_sync_ = std::move(hook); }

 private:
  struct Change;
  struct Inode;
  class OpenFile;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  // A change of names: all of it happens or nothing. No inode: the name goes.
  using NameChange = std::vector<std::pair<std::string, std::shared_ptr<Inode>>>;

  static void apply(std::vector<std::byte>& image, const Change& change);
  static void apply(Names& names, const NameChange& change);
  std::uint64_t draw(std::uint64_t below);
  bool step();
  void start_life();
  void change(Inode& inode, Change change);
  std::vector<std::byte> survive(const Inode& inode);
  void survive_pieces(std::vector<std::byte>& image, const Change& write, std::uint64_t keep_percent);

  const std::uint64_t seed_;
  const Lies lies_;
  std::function<void()> before_sync_;
  mutable std::mutex mutex_;  // guards all below and every inode
  std::uint64_t drawn_ = 0;
  std::uint64_t operations_left_ = kForever;
  std::uint64_t life_ = 0;  // crashes so far
  int full_writes_ = 0;
  bool sync_fails_ = false;
  std::uint64_t file_syncs_ = 0;
  Names names_;
  Names durable_names_;
  std::vector<NameChange> pending_names_;

  static constexpr std::uint64_t kForever = ~std::uint64_t{0};
};

}  // namespace plait::testing
