#pragma once
// One PostgreSQL connection with its prepared statements, made again when it was lost.
//
// Works of several processes must run one after another, as those of one do: a write transaction
// takes the schema's advisory lock first, which the server gives back with the commit, or when the
// process that has it is gone. Under it READ COMMITTED shows each statement all that was committed.
//
// When the connection is lost during a commit, nobody knows at first what became of it. The
// transaction's number is known, so the next connection asks the server.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/store/connection.h"
#include "base/store/postgres_location.h"

struct pg_conn;
struct pg_result;

namespace base::store {

class PostgresConnection final : public Connection {
public:
    enum class Mode : std::uint8_t { write, read };
    /// Makes the schema when it is missing and this one writes.
    static Result<std::unique_ptr<PostgresConnection>> open(const PostgresLocation& location,
                                                            Mode mode);
    ~PostgresConnection() override;
    PostgresConnection(const PostgresConnection&) = delete;
    PostgresConnection& operator=(const PostgresConnection&) = delete;

    Result<void> begin_read() override;
    Result<void> begin_write() override;
    Result<void> commit() override;
    void rollback() override;
    Result<void> savepoint() override { return control("SAVEPOINT work"); }
    Result<void> release() override { return control("RELEASE work"); }
    Result<void> undo() override { return control("ROLLBACK TO work; RELEASE work"); }
    bool in_transaction() const override;
    std::int64_t written() const override { return written_; }
    void forgive() override {}
    bool again() const override { return again_; }

    using Transaction::query;
    using Transaction::run;
    Result<std::int64_t> run(std::string_view sql, std::span<const Parameter> parameters) override;
    Result<void> query(std::string_view sql, std::span<const Parameter> parameters,
                       const std::function<bool(const Row&)>& row) override;

    /// Outside of a transaction, without parameters; several statements at once, without rows.
    Result<void> control(const char* sql);

private:
    struct Close {
        void operator()(pg_conn* connection) const;
    };
    struct Clear {
        void operator()(pg_result* result) const;
    };
    using ResultPtr = std::unique_ptr<pg_result, Clear>;

    PostgresConnection(const PostgresLocation& location, Mode mode)
        : location_(location), mode_(mode) {}

    Result<void> connect();
    Result<void> connect_once();
    Result<void> set_up();
    Result<void> find_schema();
    Result<void> begin(const std::string& sql);
    Result<void> outcome_of_commit(Error lost);
    Result<ResultPtr> exec(const char* sql);
    Result<ResultPtr> execute(std::string_view sql, std::span<const Parameter> parameters);
    Result<std::string> prepare(std::string_view sql, std::span<const Parameter> parameters);
    Result<ResultPtr> checked(pg_result* result, std::string_view sql);
    bool lost() const;
    /// The text of the first column of the first row; "" without one.
    static std::string_view first(const ResultPtr& result);
    void count(const ResultPtr& result);

    const PostgresLocation location_;
    const Mode mode_;
    std::unique_ptr<pg_conn, Close> connection_;
    std::map<std::string, std::string, std::less<>> statements_;  // SQL to the name it has there
    std::uint64_t names_ = 0;
    std::string begin_write_;  // with the key of the schema's lock
    std::string transaction_;  // number of the one that was begun last
    std::int64_t written_ = 0;
    bool again_ = false;
    bool broken_ = false;  // since it was made
};

}  // namespace base::store
