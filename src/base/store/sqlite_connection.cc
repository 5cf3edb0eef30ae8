#include "base/store/sqlite_connection.h"

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/core/check.h"
#include "base/store/sqlite_gaps.h"

namespace base::store {
namespace {

constexpr std::size_t kStatementsMax = 256;
constexpr int kBusyTimeoutMs = 10'000;

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using StatementPtr = std::unique_ptr<sqlite3_stmt, Finalize>;

class SqliteRow final : public Row {
public:
    explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
    bool null(int column) const override {
        return sqlite3_column_type(statement_, column) == SQLITE_NULL;
    }
    std::int64_t integer(int column) const override {
        return sqlite3_column_int64(statement_, column);
    }
    double real(int column) const override { return sqlite3_column_double(statement_, column); }
    std::string_view text(int column) const override {
        const void* bytes = sqlite3_column_blob(statement_, column);
        const int size = sqlite3_column_bytes(statement_, column);
        return bytes == nullptr ? std::string_view{}
                                : std::string_view(static_cast<const char*>(bytes),
                                                   static_cast<std::size_t>(size));
    }

private:
    sqlite3_stmt* statement_;
};

int bind(sqlite3_stmt* statement, int at, const Parameter& parameter) {
    if (const auto* integer = std::get_if<std::int64_t>(&parameter)) {
        return sqlite3_bind_int64(statement, at, *integer);
    }
    if (const auto* real = std::get_if<double>(&parameter)) {
        return sqlite3_bind_double(statement, at, *real);
    }
    if (const auto* text = std::get_if<std::string_view>(&parameter)) {
        const char* bytes = text->data() == nullptr ? "" : text->data();
        return sqlite3_bind_text64(statement, at, bytes, text->size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    if (const auto* blob = std::get_if<Blob>(&parameter)) {
        const char* bytes = blob->bytes.data() == nullptr ? "" : blob->bytes.data();
        return sqlite3_bind_blob64(statement, at, bytes, blob->bytes.size(), SQLITE_STATIC);
    }
    return sqlite3_bind_null(statement, at);
}

/// Which parameter stands in each of the statement's places: SQLite numbers "$2" by appearance.
Result<std::vector<std::size_t>> places_of(sqlite3_stmt* statement) {
    std::vector<std::size_t> places;
    for (int at = 1; at <= sqlite3_bind_parameter_count(statement); ++at) {
        const char* name = sqlite3_bind_parameter_name(statement, at);
        const std::string_view text = name == nullptr ? "" : name;
        std::size_t number = 0;
        if (text.size() < 2 || text[0] != '$' ||
            std::from_chars(text.data() + 1, text.data() + text.size(), number).ec != std::errc() ||
            number == 0) {
            return fail(Code::internal, "parameter {} of {}: they are $1, $2 ...", at,
                        sqlite3_sql(statement));
        }
        places.push_back(number - 1);
    }
    return places;
}

}  // namespace

struct SqliteConnection::Statement {
    StatementPtr handle;
    std::vector<std::size_t> places;
    bool running = false;
};

SqliteConnection::SqliteConnection(std::string path, std::unique_ptr<SqliteLog> log,
                                   sqlite3* database)
    : path_(std::move(path)), log_(std::move(log)), database_(database) {
    sqlite3_wal_hook(
        database_,
        [](void* self, sqlite3*, const char*, int pages) {
            static_cast<SqliteConnection*>(self)->log_pages_ = static_cast<std::uint32_t>(pages);
            return SQLITE_OK;
        },
        this);
}

SqliteConnection::~SqliteConnection() {
    statements_.clear();
    sqlite3_close_v2(database_);
}

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::string& path, Mode mode,
                                                                 std::uint32_t page_cache_mib,
                                                                 bool durable) {
    auto log = durable ? std::make_unique<SqliteLog>() : nullptr;
    sqlite3* database = nullptr;
    const int opened = sqlite3_open_v2(
        path.c_str(), &database,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        durable ? log->name() : nullptr);
    DG_CHECK(database != nullptr, "no memory for a connection");
    std::unique_ptr<SqliteConnection> connection(
        new SqliteConnection(path, std::move(log), database));
    if (opened != SQLITE_OK) return connection->failed("open");
    sqlite3_busy_timeout(database, kBusyTimeoutMs);
    DG_TRY(connection->pragma("PRAGMA journal_mode=WAL"));
    DG_TRY(connection->pragma(durable ? "PRAGMA synchronous=FULL"  // SqliteLog needs it
                                      : "PRAGMA synchronous=OFF"));
    DG_TRY(connection->pragma("PRAGMA secure_delete=ON"));
    DG_TRY(connection->pragma("PRAGMA temp_store=MEMORY"));
    DG_TRY(connection->pragma(fmt::format("PRAGMA cache_size=-{}", page_cache_mib * 1024).c_str()));
    if (mode == Mode::read) DG_TRY(connection->pragma("PRAGMA query_only=ON"));
    return connection;
}

Result<void> SqliteConnection::pragma(const char* sql) {
    if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed(sql);
    return {};
}

void SqliteConnection::rollback() {
    spoiled_ = false;
    // Fails only where SQLite has rolled back by itself already.
    if (in_transaction()) static_cast<void>(control("ROLLBACK"));
    spoiled_ = false;
}

Result<void> SqliteConnection::undo() {
    spoiled_ = false;
    DG_TRY(control("ROLLBACK TO work"));
    return control("RELEASE work");
}

bool SqliteConnection::in_transaction() const {
    return sqlite3_get_autocommit(database_) == 0;
}

std::int64_t SqliteConnection::written() const {
    return sqlite3_total_changes64(database_);
}

Result<void> SqliteConnection::control(std::string_view sql) {
    DG_TRY(run(sql, std::span<const Parameter>{}));
    return {};
}

Result<SqliteConnection::Statement*> SqliteConnection::prepare(std::string_view sql) {
    if (const auto found = statements_.find(sql); found != statements_.end()) {
        if (!found->second->running) return found->second.get();
        return fail(Code::internal, "a query runs inside itself: {}", sql);
    }
    if (statements_.size() >= kStatementsMax) {
        std::erase_if(statements_, [](const auto& entry) { return !entry.second->running; });
    }
    auto made = std::make_unique<Statement>();
    sqlite3_stmt* handle = nullptr;
    const int rc = sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
    made->handle.reset(handle);
    if (rc != SQLITE_OK) return failed(sql);
    if (handle == nullptr) return fail(Code::internal, "an SQL text without a statement");
    made->places = DG_TRY(places_of(handle));
    return statements_.emplace(std::string(sql), std::move(made)).first->second.get();
}

Result<SqliteConnection::Statement*> SqliteConnection::start(
    std::string_view sql, std::span<const Parameter> parameters) {
    if (spoiled_) {
        return fail(Code::internal, "a statement follows one that failed: {}", sql);
    }
    Result<Statement*> prepared = prepare(sql);
    if (!prepared) {
        spoiled_ = in_transaction();
        return prepared;
    }
    Statement* statement = *prepared;
    for (std::size_t i = 0; i < statement->places.size(); ++i) {
        const std::size_t place = statement->places[i];
        if (place >= parameters.size()) {
            return fail(Code::internal, "{} parameters for {}", parameters.size(), sql);
        }
        if (bind(statement->handle.get(), static_cast<int>(i) + 1, parameters[place]) !=
            SQLITE_OK) {
            return failed(sql);
        }
    }
    return statement;
}

Result<std::int64_t> SqliteConnection::run(std::string_view sql,
                                           std::span<const Parameter> parameters) {
    Statement* statement = DG_TRY(start(sql, parameters));
    int rc = SQLITE_ROW;
    while (rc == SQLITE_ROW) rc = sqlite3_step(statement->handle.get());
    if (rc == SQLITE_DONE) {
        sqlite3_reset(statement->handle.get());
        return sqlite3_changes64(database_);
    }
    auto error = failed(sql);
    sqlite3_reset(statement->handle.get());
    spoiled_ = in_transaction();
    return error;
}

Result<void> SqliteConnection::query(std::string_view sql, std::span<const Parameter> parameters,
                                     const std::function<bool(const Row&)>& row) {
    Statement* statement = DG_TRY(start(sql, parameters));
    statement->running = true;
    int rc = sqlite3_step(statement->handle.get());
    const SqliteRow view(statement->handle.get());
    for (; rc == SQLITE_ROW; rc = sqlite3_step(statement->handle.get())) {
        if (!row(view)) break;
    }
    statement->running = false;
    if (rc == SQLITE_DONE || rc == SQLITE_ROW) {
        sqlite3_reset(statement->handle.get());
        return {};
    }
    auto error = failed(sql);
    sqlite3_reset(statement->handle.get());
    spoiled_ = in_transaction();
    return error;
}

void SqliteConnection::checkpoint() {
    // A failure loses nothing: the log still has everything, and the next one tries again.
    sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

Result<void> SqliteConnection::empty_log() {
    if (sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                                  nullptr) != SQLITE_OK) {
        return failed("checkpoint");
    }
    log_pages_ = 0;
    return {};
}

Result<void> SqliteConnection::blank_deleted() {
    std::int64_t page_bytes = 0, pages = 0, free_pages = 0;
    const auto number = [this](std::string_view sql, std::int64_t& to) {
        return query(sql, {}, [&to](const Row& row) {
            to = row.integer(0);
            return true;
        });
    };
    DG_TRY(number("PRAGMA page_size", page_bytes));
    DG_TRY(number("PRAGMA page_count", pages));
    DG_TRY(number("PRAGMA freelist_count", free_pages));
    // Free pages are zeros and serve again; only when most are free is a smaller file worth it.
    if (free_pages > pages / 2) {
        DG_TRY(pragma("VACUUM"));
        return empty_log();
    }
    std::vector<std::uint32_t> roots{1};
    DG_TRY(query("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0", {}, [&](const Row& row) {
        roots.push_back(static_cast<std::uint32_t>(row.integer(0)));
        return true;
    }));
    return blank_gaps(database_, path_, static_cast<std::uint32_t>(page_bytes), roots);
}

std::unexpected<Error> SqliteConnection::failed(std::string_view what) {
    const int extended = sqlite3_extended_errcode(database_);
    const int system = sqlite3_system_errno(database_);
    const std::string words = sqlite3_errmsg(database_);
    switch (extended & 0xff) {
        case SQLITE_CONSTRAINT:
            return fail_on(path_, Code::already_exists, "{}: {}", path_, words);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return fail_on(path_, Code::data_loss,
                           "{} is damaged or no database ({}); stop the server and put the last "
                           "backup in its place, or save what `sqlite3 {} .recover` still finds",
                           path_, words, path_);
        case SQLITE_NOMEM:
            return fail_on(path_, Code::resource_exhausted, "{}: no memory for {}", path_, what);
        case SQLITE_TOOBIG:
            return fail_on(path_, Code::payload_too_large, "{}: a value is too long", path_);
        case SQLITE_READONLY:
        case SQLITE_PERM:
            return fail_on(path_, Code::failed_precondition,
                           "{} cannot be written ({}); check its owner and mode", path_, words);
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_CANTOPEN:
            return fail_on(path_, Code::unavailable, "{}: {}", path_, words);
        case SQLITE_FULL:
        case SQLITE_IOERR:
            if ((extended & 0xff) == SQLITE_FULL || system == ENOSPC || system == EDQUOT) {
                return fail_on(path_, Code::resource_exhausted,
                               "the disk under {} is full: nothing was written; free some space",
                               path_);
            }
            return fail_on(path_, Code::unavailable, "{}: {} (system error {})", path_, words,
                           system);
        default:
            return fail_on(path_, Code::internal, "{}: {} in {}", path_, words, what);
    }
}

}  // namespace base::store
