// SPDX-License-Identifier: Apache-2.0
//
// SQLite, as far as this area needs it: a connection and its statements, with errors as values.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace plait::store::detail {

/// A prepared statement. Movable. Must not outlive its database. One thread at a time with it.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  /// Parameters count from 1. The text must live until reset().
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, std::int64_t number);
  /// The next row: true if there is one. After the last, or an error, the statement may be bound anew. Errors:
  /// out_of_resources (disk full), busy, invalid_data (a damaged file), io.
  [[nodiscard]] base::Result<bool> step();
  /// step() to the end of a statement without rows.
  [[nodiscard]] base::Result<void> run();
  /// Ends a statement whose rows are not all wanted.
  void reset();

  /// Of the row, from 0. The text lives until the next step().
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(statement_.get(), column); }

 private:
  struct Finish {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finish> statement_;
};

/// One connection. What is committed survives a power cut. Not thread-safe; other connections may read at the same
/// time.
class Database {
 public:
  Database() = default;
  /// Opens or makes the file. Errors: io, invalid_data (no database), out_of_resources.
  [[nodiscard]] static base::Result<Database> open(const std::filesystem::path& path);

  [[nodiscard]] base::Result<Statement> prepare(std::string_view sql);
  /// Statements without parameters, one after the other.
  [[nodiscard]] base::Result<void> execute(const char* sql);
  /// Between BEGIN and its end. Some errors end a transaction by themselves.
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(connection_.get()) == 0; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace plait::store::detail
