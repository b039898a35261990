// SPDX-License-Identifier: Apache-2.0
//
// A table of small objects that survive: each of a kind, of an owner, and with a text that this area does not read.
//
//   PLAIT_TRY(const auto objects, Objects::open(folder / "objects.db"));
//   PLAIT_TRY_VOID(objects->commit({put({.id = "a1", .kind = "note", .owner = "alice", .content = text})}));
//   PLAIT_TRY(const auto note, objects->find({.kind = "note", .owner = "alice"}, "a1"));
//
// What a commit has taken is there after a crash, and all changes of one commit or none. One thread writes: what is
// submitted while it syncs goes into the next transaction together (group commit), and a change that is refused takes
// only its own commit with it. Readers do not wait for the writer.
//
// Kept in SQLite (write-ahead log, synced with each transaction) rather than in a store::Log: objects are listed by
// owner and age, replaced, and dropped in the middle, and there may be more of them than fit into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::store {

struct Object {
  std::string id = {};  ///< Of one object only, whatever its kind.
  std::string kind = {};
  std::string owner = {};
  std::string label = {};    ///< For lists of some of a kind.
  std::int64_t created = 0;  ///< In seconds, by the caller's clock.
  base::Bytes bytes = 0;     ///< What it counts for; its own text is not counted.
  std::string content = {};
  std::string more = {};  ///< Not read by list().
};

/// Whose objects.
struct ObjectsOf {
  std::string_view kind = {};
  std::string_view owner = {};
};

struct ObjectQuery {
  std::string_view label = {};  ///< Only these; empty: all.
  std::string_view after = {};  ///< Behind the object with this id, in the order asked for; empty: from the beginning.
  bool newest_first = true;
  std::size_t count_max = 100;
};

/// One of put(), removal() and trim().
struct Change {
  enum class Kind { put, remove, trim };
  Kind what = Kind::put;
  Object object = {};
  std::optional<base::Bytes> bytes_max = {};
  std::int64_t created_before = 0;
};
/// Adds the object, or replaces the one with its id, kind and owner, which keeps its place in lists. Refused
/// (out_of_resources) if its owner's objects of this kind would count for more than `bytes_max`; (invalid_argument) if
/// somebody else's has the id.
[[nodiscard]] Change put(Object object, std::optional<base::Bytes> bytes_max = {});
/// Nothing if it is not there.
[[nodiscard]] Change removal(ObjectsOf of, std::string_view id);
/// Drops the oldest of an owner's objects of a kind until the rest counts for `bytes_max` at most, and those of all
/// owners that were created before a time.
[[nodiscard]] Change trim(ObjectsOf of, base::Bytes bytes_max, std::int64_t created_before);

/// Threads: any, several at once.
class Objects {
 public:
  using Done = std::move_only_function<void(base::Result<void>)>;

  /// Opens or makes the table. Errors: unsupported (made by a later version), invalid_data, out_of_resources, io.
  [[nodiscard]] static base::Result<std::unique_ptr<Objects>> open(const std::filesystem::path& file);
  virtual ~Objects() = default;  ///< Writes what was submitted.
  Objects(const Objects&) = delete;
  Objects& operator=(const Objects&) = delete;

  /// Returns when the changes are durable. Errors: those of put(); out_of_resources (disk full), io: nothing has
  /// changed.
  [[nodiscard]] base::Result<void> commit(std::vector<Change> changes);
  /// commit() that does not wait: `done` is called on the writer's thread, in the order of the calls. It must not wait.
  virtual void submit(std::vector<Change> changes, Done done) = 0;

  /// Nothing if it is not there, or somebody else's.
  [[nodiscard]] virtual base::Result<std::optional<Object>> find(ObjectsOf of, std::string_view id) = 0;
  /// In the order in which they were added. Nothing if the object `after` is not there.
  [[nodiscard]] virtual base::Result<std::optional<std::vector<Object>>> list(ObjectsOf of,
                                                                              const ObjectQuery& query) = 0;
  /// What an owner's objects of a kind count for, together.
  [[nodiscard]] virtual base::Result<base::Bytes> bytes(ObjectsOf of) = 0;
  /// All of a kind and label, whoever owns them, with `more`; of all labels if it is empty.
  [[nodiscard]] virtual base::Result<std::vector<Object>> all(std::string_view kind, std::string_view label) = 0;

 protected:
  Objects() = default;
};

}  // namespace plait::store
