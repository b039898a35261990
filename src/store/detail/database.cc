// SPDX-License-Identifier: Apache-2.0
#include "store/detail/database.h"

#include <fmt/format.h>

#include <limits>

#include "base/check.h"

namespace plait::store::detail {
namespace {

using base::ErrorCode;
using base::Result;

constexpr int kBusyMilliseconds = 10'000;

ErrorCode code_of(int result) {
  switch (result & 0xff) {  // the rest says more about it
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return ErrorCode::out_of_resources;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::busy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
      return ErrorCode::invalid_data;
    default:
      return ErrorCode::io;
  }
}

std::unexpected<base::Error> failure(sqlite3* connection, int result) {
  const char* name = sqlite3_db_filename(connection, "main");
  return base::fail(code_of(result), fmt::format("'{}': {}", name == nullptr ? "" : name, sqlite3_errmsg(connection)));
}

}  // namespace

Statement& Statement::bind(int parameter, std::string_view text) {
  const int done = sqlite3_bind_text64(statement_.get(), parameter, text.data() == nullptr ? "" : text.data(),
                                       text.size(), SQLITE_STATIC, SQLITE_UTF8);
  PLAIT_CHECK(done == SQLITE_OK || done == SQLITE_TOOBIG || done == SQLITE_NOMEM, done);
  return *this;
}

Statement& Statement::bind(int parameter, std::int64_t number) {
  PLAIT_CHECK(sqlite3_bind_int64(statement_.get(), parameter, number) == SQLITE_OK, parameter);
  return *this;
}

Result<bool> Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) {
    reset();
    return false;
  }
  auto error = failure(sqlite3_db_handle(statement_.get()), result);
  reset();
  return error;
}

Result<void> Statement::run() {
  PLAIT_TRY(const bool row, step());
  PLAIT_CHECK(!row);
  return {};
}

void Statement::reset() { sqlite3_reset(statement_.get()); }

std::string_view Statement::text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_.get(), column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Result<Database> Database::open(const std::filesystem::path& path) {
  sqlite3* connection = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int result = sqlite3_open_v2(path.c_str(), &connection, kFlags, nullptr);
  Database database(connection);
  if (result != SQLITE_OK) {
    return base::fail(code_of(result), fmt::format("cannot open '{}': {}", path.string(), sqlite3_errstr(result)));
  }
  sqlite3_busy_timeout(connection, kBusyMilliseconds);
  // FULL: in this mode a commit is synced before it returns.
  PLAIT_TRY_VOID(
      database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"
                       "PRAGMA cell_size_check=ON; PRAGMA journal_size_limit=8388608"));
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) return failure(connection_.get(), result);
  return Statement(statement);
}

Result<void> Database::execute(const char* sql) {
  const int result = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return failure(connection_.get(), result);
  return {};
}

}  // namespace plait::store::detail
