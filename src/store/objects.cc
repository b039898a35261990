// SPDX-License-Identifier: Apache-2.0
#include "store/objects.h"

#include <fmt/format.h>

#include <condition_variable>
#include <future>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "store/detail/database.h"

namespace plait::store {
namespace {

using base::Bytes;
using base::ErrorCode;
using base::Result;
using detail::Database;
using detail::Statement;

constexpr int kVersion = 1;

// The sums are kept by triggers, so that no way to change an object can forget them.
constexpr const char* kSchema = R"(
BEGIN IMMEDIATE;
CREATE TABLE objects (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, owner TEXT NOT NULL,
  label TEXT NOT NULL, created INTEGER NOT NULL, bytes INTEGER NOT NULL, content TEXT NOT NULL, more TEXT NOT NULL
);
CREATE INDEX by_owner ON objects (kind, owner, number);
CREATE INDEX by_age ON objects (kind, created);
CREATE TABLE sums (
  kind TEXT NOT NULL, owner TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (kind, owner)
) WITHOUT ROWID;
CREATE TRIGGER added AFTER INSERT ON objects BEGIN
  INSERT INTO sums VALUES (new.kind, new.owner, new.bytes)
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER changed AFTER UPDATE OF bytes ON objects BEGIN
  UPDATE sums SET bytes = bytes + new.bytes - old.bytes WHERE kind = new.kind AND owner = new.owner;
END;
CREATE TRIGGER removed AFTER DELETE ON objects BEGIN
  UPDATE sums SET bytes = bytes - old.bytes WHERE kind = old.kind AND owner = old.owner;
END;
PRAGMA user_version = 1;
COMMIT
)";

Result<void> prepare_schema(Database& database, const std::filesystem::path& file) {
  PLAIT_TRY(Statement version, database.prepare("PRAGMA user_version"));
  PLAIT_TRY(const bool row, version.step());
  const std::int64_t found = row ? version.number(0) : 0;
  version.reset();
  if (found == kVersion) return {};
  if (found == 0) return database.execute(kSchema);
  return base::fail(ErrorCode::unsupported, fmt::format("'{}' was made by a later version of plait", file.string()));
}

Object object_of(const Statement& row) {
  return {.id = std::string(row.text(0)),
          .kind = std::string(row.text(1)),
          .owner = std::string(row.text(2)),
          .label = std::string(row.text(3)),
          .created = row.number(4),
          .bytes = static_cast<Bytes>(row.number(5)),
          .content = std::string(row.text(6)),
          .more = std::string(row.text(7))};
}

Result<Bytes> sum_of(Statement& sums, ObjectsOf of) {
  PLAIT_TRY(const bool row, sums.bind(1, of.kind).bind(2, of.owner).step());
  const Bytes sum = row ? static_cast<Bytes>(sums.number(0)) : 0;
  sums.reset();
  return sum;
}

constexpr const char* kSelectSum = "SELECT bytes FROM sums WHERE kind = ? AND owner = ?";

/// The writer's connection. One thread.
class Writer {
 public:
  static Result<Writer> open(const std::filesystem::path& file) {
    Writer writer;
    PLAIT_TRY(writer.database_, Database::open(file));
    PLAIT_TRY_VOID(prepare_schema(writer.database_, file));
    constexpr std::pair<Statement Writer::*, const char*> kStatements[] = {
        {&Writer::put_,
         "INSERT INTO objects (id, kind, owner, label, created, bytes, content, more) VALUES (?,?,?,?,?,?,?,?) "
         "ON CONFLICT (id) DO UPDATE SET label = excluded.label, created = excluded.created, bytes = excluded.bytes, "
         "content = excluded.content, more = excluded.more WHERE kind = excluded.kind AND owner = excluded.owner "
         "RETURNING number"},
        {&Writer::remove_, "DELETE FROM objects WHERE id = ? AND kind = ? AND owner = ?"},
        {&Writer::sum_, kSelectSum},
        {&Writer::drop_oldest_,
         "DELETE FROM objects WHERE number = (SELECT min(number) FROM objects WHERE kind = ? AND owner = ?)"},
        {&Writer::drop_old_, "DELETE FROM objects WHERE kind = ? AND created < ?"}};
    for (const auto& [member, sql] : kStatements) {
      PLAIT_TRY(writer.*member, writer.database_.prepare(sql));
    }
    return writer;
  }

  Result<void> begin() { return database_.execute("BEGIN IMMEDIATE"); }
  Result<void> end() { return database_.execute("COMMIT"); }
  void give_up() {
    if (database_.in_transaction()) static_cast<void>(database_.execute("ROLLBACK"));
  }
  /// All of the changes or none. An error that ended the whole transaction is `fatal`.
  Result<void> apply(const std::vector<Change>& changes, bool& fatal) {
    Result<void> done = database_.execute("SAVEPOINT one");
    for (std::size_t i = 0; i < changes.size() && done; ++i) done = apply(changes[i]);
    fatal = !database_.in_transaction();
    if (fatal) return done;
    if (!done) static_cast<void>(database_.execute("ROLLBACK TO one"));
    const auto released = database_.execute("RELEASE one");
    fatal = !released;
    return done ? released : done;
  }

 private:
  Result<void> apply(const Change& change) {
    const Object& object = change.object;
    switch (change.what) {
      case Change::Kind::put:
        return put(object, change.bytes_max);
      case Change::Kind::remove:
        return remove_.bind(1, object.id).bind(2, object.kind).bind(3, object.owner).run();
      case Change::Kind::trim:
        PLAIT_TRY_VOID(drop_old_.bind(1, object.kind).bind(2, change.created_before).run());
        return drop_oldest(object, change.bytes_max.value_or(0));
    }
    return {};
  }
  Result<void> put(const Object& object, std::optional<Bytes> bytes_max) {
    put_.bind(1, object.id).bind(2, object.kind).bind(3, object.owner).bind(4, object.label).bind(5, object.created);
    put_.bind(6, static_cast<std::int64_t>(object.bytes)).bind(7, object.content).bind(8, object.more);
    PLAIT_TRY(const bool written, put_.step());
    put_.reset();
    if (!written) return base::fail(ErrorCode::invalid_argument, "the id is somebody else's");
    if (!bytes_max) return {};
    PLAIT_TRY(const Bytes sum, sum_of(sum_, {object.kind, object.owner}));
    if (sum <= *bytes_max) return {};
    return base::fail(ErrorCode::out_of_resources, "more than this owner may keep");
  }
  Result<void> drop_oldest(const Object& like, Bytes bytes_max) {
    while (true) {
      PLAIT_TRY(const Bytes sum, sum_of(sum_, {like.kind, like.owner}));
      if (sum <= bytes_max) return {};
      PLAIT_TRY_VOID(drop_oldest_.bind(1, like.kind).bind(2, like.owner).run());
    }
  }

  Database database_;
  Statement put_;
  Statement remove_;
  Statement sum_;
  Statement drop_oldest_;
  Statement drop_old_;
};

/// Another connection. One thread at a time.
class Reader {
 public:
  static Result<Reader> open(const std::filesystem::path& file) {
    Reader reader;
    PLAIT_TRY(reader.database_, Database::open(file));
    constexpr std::pair<Statement Reader::*, const char*> kStatements[] = {
        {&Reader::find_,
         "SELECT id, kind, owner, label, created, bytes, content, more FROM objects "
         "WHERE id = ? AND kind = ? AND owner = ?"},
        {&Reader::number_, "SELECT number FROM objects WHERE id = ? AND kind = ? AND owner = ?"},
        {&Reader::ascending_,
         "SELECT id, kind, owner, label, created, bytes, content, '' FROM objects "
         "WHERE kind = ? AND owner = ? AND number > ? AND (?4 = '' OR label = ?4) ORDER BY number LIMIT ?"},
        {&Reader::descending_,
         "SELECT id, kind, owner, label, created, bytes, content, '' FROM objects "
         "WHERE kind = ? AND owner = ? AND number < ? AND (?4 = '' OR label = ?4) ORDER BY number DESC LIMIT ?"},
        {&Reader::sum_, kSelectSum},
        {&Reader::all_,
         "SELECT id, kind, owner, label, created, bytes, content, more FROM objects "
         "WHERE kind = ? AND (?2 = '' OR label = ?2) ORDER BY number"}};
    for (const auto& [member, sql] : kStatements) {
      PLAIT_TRY(reader.*member, reader.database_.prepare(sql));
    }
    return reader;
  }

  Result<std::optional<Object>> find(ObjectsOf of, std::string_view id) {
    PLAIT_TRY(const bool row, find_.bind(1, id).bind(2, of.kind).bind(3, of.owner).step());
    std::optional<Object> found;
    if (row) found = object_of(find_);
    find_.reset();
    return found;
  }
  Result<std::optional<std::vector<Object>>> list(ObjectsOf of, const ObjectQuery& query) {
    std::int64_t from = query.newest_first ? std::numeric_limits<std::int64_t>::max() : 0;
    if (!query.after.empty()) {
      PLAIT_TRY(const bool row, number_.bind(1, query.after).bind(2, of.kind).bind(3, of.owner).step());
      from = row ? number_.number(0) : 0;
      number_.reset();
      if (!row) return std::nullopt;
    }
    Statement& rows = query.newest_first ? descending_ : ascending_;
    rows.bind(1, of.kind).bind(2, of.owner).bind(3, from).bind(4, query.label);
    rows.bind(5, static_cast<std::int64_t>(query.count_max));
    return collect(rows);
  }
  Result<Bytes> bytes(ObjectsOf of) { return sum_of(sum_, of); }
  Result<std::vector<Object>> all(std::string_view kind, std::string_view label) {
    return collect(all_.bind(1, kind).bind(2, label));
  }

 private:
  static Result<std::vector<Object>> collect(Statement& rows) {
    std::vector<Object> objects;
    while (true) {
      PLAIT_TRY(const bool row, rows.step());
      if (!row) return objects;
      objects.push_back(object_of(rows));
    }
  }

  Database database_;
  Statement find_;
  Statement number_;
  Statement ascending_;
  Statement descending_;
  Statement sum_;
  Statement all_;
};

class Table final : public Objects {
 public:
  Table(Writer writer, Reader reader) : writer_(std::move(writer)), reader_(std::move(reader)) {
    thread_ = std::jthread([this] { write(); });
  }
  ~Table() override {
    {
      const std::scoped_lock lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void submit(std::vector<Change> changes, Done done) override {
    {
      const std::scoped_lock lock(mutex_);
      waiting_.push_back({std::move(changes), std::move(done), {}});
    }
    wake_.notify_one();
  }
  Result<std::optional<Object>> find(ObjectsOf of, std::string_view id) override {
    const std::scoped_lock lock(reading_);
    return reader_.find(of, id);
  }
  Result<std::optional<std::vector<Object>>> list(ObjectsOf of, const ObjectQuery& query) override {
    const std::scoped_lock lock(reading_);
    return reader_.list(of, query);
  }
  Result<Bytes> bytes(ObjectsOf of) override {
    const std::scoped_lock lock(reading_);
    return reader_.bytes(of);
  }
  Result<std::vector<Object>> all(std::string_view kind, std::string_view label) override {
    const std::scoped_lock lock(reading_);
    return reader_.all(kind, label);
  }

 private:
  struct Job {
    std::vector<Change> changes;
    Done done;
    Result<void> result;
  };

  void write() {
    while (true) {
      std::vector<Job> group;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return closing_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        group.swap(waiting_);
      }
      if (auto written = transact(group); !written) {
        for (Job& job : group) job.result = written;
      }
      for (Job& job : group) job.done(std::move(job.result));
    }
  }
  // An error is everybody's; a refusal stands in the job.
  Result<void> transact(std::vector<Job>& group) {
    PLAIT_TRY_VOID(writer_.begin());
    for (Job& job : group) {
      bool fatal = false;
      job.result = writer_.apply(job.changes, fatal);
      if (!fatal) continue;
      writer_.give_up();
      return job.result ? base::fail(ErrorCode::io, "the transaction was ended") : job.result;
    }
    auto ended = writer_.end();
    if (!ended) writer_.give_up();
    return ended;
  }

  Writer writer_;  // the thread's
  std::mutex reading_;
  Reader reader_;  // under reading_
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> waiting_;  // under mutex_
  bool closing_ = false;      // under mutex_
  std::jthread thread_;
};

}  // namespace

Change put(Object object, std::optional<Bytes> bytes_max) {
  return {.what = Change::Kind::put, .object = std::move(object), .bytes_max = bytes_max};
}

Change removal(ObjectsOf of, std::string_view id) {
  return {.what = Change::Kind::remove,
          .object = {.id = std::string(id), .kind = std::string(of.kind), .owner = std::string(of.owner)}};
}

Change trim(ObjectsOf of, Bytes bytes_max, std::int64_t created_before) {
  return {.what = Change::Kind::trim,
          .object = {.kind = std::string(of.kind), .owner = std::string(of.owner)},
          .bytes_max = bytes_max,
          .created_before = created_before};
}

Result<std::unique_ptr<Objects>> Objects::open(const std::filesystem::path& file) {
  PLAIT_TRY(Writer writer, Writer::open(file));
  PLAIT_TRY(Reader reader, Reader::open(file));
  return std::make_unique<Table>(std::move(writer), std::move(reader));
}

Result<void> Objects::commit(std::vector<Change> changes) {
  std::promise<Result<void>> written;
  auto result = written.get_future();
  submit(std::move(changes), [&](Result<void> done) { written.set_value(std::move(done)); });
  return result.get();
}

}  // namespace plait::store
