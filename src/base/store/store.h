#pragma once
// Transactions over SQL, for everything people query: SQLite in a file by default, PostgreSQL when
// a URL says so. One of the callers commits what many ask for together (group commit), so that
// durability costs one sync for all who wait.
//
//   auto store = DG_TRY(Store::open("data/memory-0.db", {}));
//   DG_TRY(store->write([&](Transaction& tx) -> Result<void> {
//       return tx.run("INSERT INTO t(a, b) VALUES ($1, $2)", {a, b});
//   }));                                                    // durable here, or an error
//
// SQL is what both speak; parameters are $1, $2 ...; what differs has a name in Dialect.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/core/result.h"

namespace base::store {

/// Bytes that are not text. Views must live for the call.
struct Blob {
    std::string_view bytes;
};
using Parameter = std::variant<std::nullptr_t, std::int64_t, double, std::string_view, Blob>;

/// The row under the cursor of a query; views live until the next row. A NULL reads as 0 or "".
class Row {
public:
    virtual ~Row() = default;
    virtual bool null(int column) const = 0;
    virtual std::int64_t integer(int column) const = 0;
    virtual double real(int column) const = 0;
    virtual std::string_view text(int column) const = 0;  ///< also of a BLOB
};

/// For one thread, within the call that gave it.
class Transaction {
public:
    virtual ~Transaction() = default;
    /// One statement without rows; gives the number of rows it changed. After an error the work can
    /// only return it: nothing else runs.
    /// Errors: already_exists (a constraint), resource_exhausted (full disk), data_loss (damaged
    /// file), internal (SQL that is wrong: a bug, with its text).
    virtual Result<std::int64_t> run(std::string_view sql,
                                     std::span<const Parameter> parameters) = 0;
    /// Calls `row` for each; stops when it returns false. All rows may have been fetched by then:
    /// LIMIT what may be many. Texts are ordered as the database orders them.
    virtual Result<void> query(std::string_view sql, std::span<const Parameter> parameters,
                               const std::function<bool(const Row&)>& row) = 0;

    Result<std::int64_t> run(std::string_view sql,
                             std::initializer_list<Parameter> parameters = {}) {
        return run(sql, std::span<const Parameter>(parameters.begin(), parameters.size()));
    }
    Result<void> query(std::string_view sql, std::initializer_list<Parameter> parameters,
                       const std::function<bool(const Row&)>& row) {
        return query(sql, std::span<const Parameter>(parameters.begin(), parameters.size()), row);
    }
};

/// What SQL texts cannot say in one way.
struct Dialect {
    std::string_view blob;         ///< "BLOB", "BYTEA"
    std::string_view integer_key;  ///< "INTEGER PRIMARY KEY", "BIGSERIAL PRIMARY KEY"
    std::string_view keyed_table;  ///< after the ")" of a table kept in its key: " WITHOUT ROWID"
};

using Work = std::function<Result<void>(Transaction&)>;

struct StoreOptions {
    std::uint32_t readers = 4;           ///< connections for reads at most
    std::uint32_t group_max = 1024;      ///< works committed together at most
    std::uint32_t waiting_max = 16'384;  ///< more are refused: resource_exhausted
    std::uint32_t page_cache_mib = 16;
    /// False: nothing is synced. What was committed outlives this process, not the machine: after
    /// that went down the file may be damaged without a sign of it. For what can be made again.
    bool durable = true;
};

class Store {
public:
    /// `location`: a file, or "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?..." with what libpq
    /// knows and `schema` (default "dougong"): the tables' place, which many processes may share.
    /// Errors: failed_precondition (another process holds the file; the server refuses us),
    /// data_loss, unavailable, invalid_argument (the URL), resource_exhausted (connections).
    static Result<std::unique_ptr<Store>> open(std::string_view location,
                                               const StoreOptions& options);
    virtual ~Store() = default;  ///< finishes what waits

    /// Runs `work`, one at a time, in a savepoint of its own: its failure undoes it alone and is
    /// what this returns. Returns when durable. `work` runs on the thread of this caller or of
    /// another that writes at the same time; it must not call back into the store, and runs again
    /// where the group it was in could not be committed.
    /// Errors: the work's; resource_exhausted (full disk, too many waiting), data_loss, unavailable
    /// (whether it was written is known only after the next open).
    virtual Result<void> write(const Work& work) = 0;
    /// One snapshot, read only, beside writers. Sees every write that returned before.
    virtual Result<void> read(const Work& work) = 0;

    virtual const Dialect& dialect() const = 0;
    /// Others may write, too: works of all run one after another, as those of one process do.
    virtual bool shared() const = 0;
    virtual std::uint64_t bytes() const = 0;  ///< on disk now
    /// Checks everything; says what is damaged. Slow.
    virtual Result<void> check() = 0;
    /// Leaves no byte of deleted rows in the file or its log. PostgreSQL: in tables and indexes;
    /// its log forgets them when the server uses its files again.
    virtual Result<void> scrub() = 0;
};

/// Brings the tables of `part` to the last of `steps`: each is one statement, applied once, in
/// order, in one transaction together with the number of steps done. Errors: failed_precondition
/// when the file is newer.
Result<void> migrate(Store& store, std::string_view part, std::span<const std::string> steps);

}  // namespace base::store
