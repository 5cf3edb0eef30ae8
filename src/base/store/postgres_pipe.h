#pragma once
// One PostgreSQL connection that sends many statements before the first answer comes. What one
// call sends is one transaction: one way there and back and one sync, however many statements.
//
//   auto pipe = DG_TRY(PostgresPipe::open(location, {.name = "dougong_flow_7"}));
//   const auto answers = DG_TRY(pipe->run({{"UPDATE t SET a = $1", {pipe_value(5)}}, ...}));
//
// A call whose connection is lost fails with unavailable and leaves open whether it was committed:
// whoever has to know writes something with it that can be looked up.

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/store/postgres_location.h"
#include "base/store/store.h"

struct pg_conn;
struct pg_result;

namespace base::store {

/// As the protocol numbers them.
enum class PipeType : std::uint32_t { bytes = 17, integer = 20, text = 25, uuid = 2950 };

/// A parameter in PostgreSQL's binary form.
struct PipeValue {
    std::uint32_t type = 0;
    bool null = false;
    std::string bytes;
};
PipeValue pipe_value(std::int64_t integer);
PipeValue pipe_value(std::string_view text);
PipeValue pipe_bytes(std::string_view bytes);
PipeValue pipe_uuid(std::uint64_t high, std::uint64_t low);
PipeValue pipe_null(PipeType type);

/// Many values of one type as an array, for unnest().
class PipeColumn {
public:
    explicit PipeColumn(PipeType type) : type_(type) {}
    void add(const PipeValue& value);
    void add(std::int64_t integer) { add(pipe_value(integer)); }
    void add(std::string_view text) { add(pipe_value(text)); }
    std::size_t size() const { return count_; }
    PipeValue take();

private:
    PipeType type_;
    std::uint32_t count_ = 0;
    bool nulls_ = false;
    std::string bytes_;
};

struct PipeStatement {
    std::string_view sql;  ///< lives for the call
    std::vector<PipeValue> values = {};
};

/// What one statement gave.
class PipeAnswer {
public:
    explicit PipeAnswer(pg_result* result);
    std::size_t rows() const;
    /// Rows that it changed.
    std::int64_t changed() const;
    void each(const std::function<void(const Row&)>& row) const;
    /// Of the first row; 0 without one.
    std::int64_t integer(int column = 0) const;

private:
    struct Clear {
        void operator()(pg_result* result) const;
    };
    std::unique_ptr<pg_result, Clear> result_;
};

/// One thread at a time.
class PostgresPipe {
public:
    struct Options {
        std::string name = "dougong";  ///< application_name, as the server lists it
        std::string set = {};          ///< more SQL for the session, such as "SET a = b;"
    };
    /// The schema exists. Errors: as Store::open.
    static Result<std::unique_ptr<PostgresPipe>> open(const PostgresLocation& location,
                                                      const Options& options);
    ~PostgresPipe();
    PostgresPipe(const PostgresPipe&) = delete;
    PostgresPipe& operator=(const PostgresPipe&) = delete;

    /// All in one transaction; one answer a statement. Errors: of the first that failed, and none
    /// of them has happened; unavailable with lost(): nobody knows.
    Result<std::vector<PipeAnswer>> run(std::span<const PipeStatement> statements);
    Result<std::vector<PipeAnswer>> run(std::initializer_list<PipeStatement> statements) {
        return run(std::span<const PipeStatement>(statements.begin(), statements.size()));
    }
    /// The connection is gone; open another.
    bool lost() const;
    /// SQLSTATE of the last failure.
    const std::string& state() const { return state_; }

    /// Waits for a notification on a channel that was LISTENed to, for a byte on `wake_fd`, or for
    /// `patience`; calls `each` for every notification. Errors: unavailable (lost).
    Result<void> wait(std::chrono::milliseconds patience, int wake_fd,
                      const std::function<void(std::string_view payload)>& each);

private:
    struct Close {
        void operator()(pg_conn* connection) const;
    };
    explicit PostgresPipe(const PostgresLocation& location) : location_(location) {}
    Result<void> connect(const Options& options);
    bool send(const PipeStatement& statement, std::vector<std::string>& made);
    std::unexpected<Error> failed(const pg_result* result, std::string_view sql);

    const PostgresLocation location_;
    std::unique_ptr<pg_conn, Close> connection_;
    std::map<std::string, std::string, std::less<>> statements_;  // SQL to the name it has there
    std::uint64_t names_ = 0;
    std::string state_;
    bool broken_ = false;
};

}  // namespace base::store
