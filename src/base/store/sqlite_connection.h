#pragma once
// One SQLite connection with its prepared statements, and SQLite's failures as Errors.

#include <map>
#include <memory>
#include <string>

#include "base/store/connection.h"
#include "base/store/sqlite_log.h"

struct sqlite3;
struct sqlite3_stmt;

namespace base::store {

class SqliteConnection final : public Connection {
public:
    enum class Mode : std::uint8_t { write, read };
    static Result<std::unique_ptr<SqliteConnection>> open(const std::string& path, Mode mode,
                                                          std::uint32_t page_cache_mib,
                                                          bool durable);
    ~SqliteConnection() override;
    SqliteConnection(const SqliteConnection&) = delete;
    SqliteConnection& operator=(const SqliteConnection&) = delete;

    Result<void> begin_read() override { return control("BEGIN"); }
    Result<void> begin_write() override { return control("BEGIN IMMEDIATE"); }
    Result<void> commit() override { return control("COMMIT"); }
    void rollback() override;
    Result<void> savepoint() override { return control("SAVEPOINT work"); }
    Result<void> release() override { return control("RELEASE work"); }
    Result<void> undo() override;
    bool in_transaction() const override;
    std::int64_t written() const override;
    void forgive() override { spoiled_ = false; }
    bool again() const override { return false; }

    using Transaction::query;
    using Transaction::run;
    Result<std::int64_t> run(std::string_view sql, std::span<const Parameter> parameters) override;
    Result<void> query(std::string_view sql, std::span<const Parameter> parameters,
                       const std::function<bool(const Row&)>& row) override;

    /// Pages in the log after the last commit.
    std::uint32_t log_pages() const { return log_pages_; }
    /// Moves what it can from the log into the file, without waiting for anybody.
    void checkpoint();
    /// Everything, and empties the log. Errors: unavailable when somebody reads or writes.
    Result<void> empty_log();
    /// Leaves no byte of deleted rows in the file. Pre: the log is empty, nobody reads or writes.
    Result<void> blank_deleted();
    Result<void> pragma(const char* sql);

private:
    struct Statement;
    SqliteConnection(std::string path, std::unique_ptr<SqliteLog> log, sqlite3* database);

    Result<void> control(std::string_view sql);
    Result<Statement*> prepare(std::string_view sql);
    Result<Statement*> start(std::string_view sql, std::span<const Parameter> parameters);
    /// The library's last error, as ours.
    std::unexpected<Error> failed(std::string_view what);

    const std::string path_;
    const std::unique_ptr<SqliteLog> log_;
    sqlite3* database_;
    std::map<std::string, std::unique_ptr<Statement>, std::less<>> statements_;
    bool spoiled_ = false;  // a statement failed: its transaction or savepoint must end
    std::uint32_t log_pages_ = 0;
};

}  // namespace base::store
