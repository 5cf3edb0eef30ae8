#include "base/store/postgres_connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <chrono>
#include <thread>

#include "base/store/postgres_error.h"
#include "base/store/postgres_row.h"

namespace base::store {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kStatementsMax = 256;
constexpr int kVersionMin = 130'000;  // 13: numbers of transactions that do not wrap
// Of our locks among all advisory locks of the database: "dgng".
constexpr std::int32_t kLockKind = 0x64676e67;
// A server that starts is waited for; one that is away is not, unless a commit hangs on it.
constexpr milliseconds kStartingMax{10'000}, kOutcomeMax{10'000}, kPause{50};

// Of pg_type, part of the protocol.
constexpr Oid kBytea = 17, kInt8 = 20, kText = 25, kFloat8 = 701;

/// Parameters as libpq wants them. Numbers travel as text, which the server reads as whatever type
/// it found for the place.
class Bound {
public:
    explicit Bound(std::span<const Parameter> parameters)
        : numbers_(parameters.size()),
          types_(parameters.size()),
          values_(parameters.size()),
          lengths_(parameters.size()),
          formats_(parameters.size()) {
        for (std::size_t i = 0; i < parameters.size(); ++i) bind(i, parameters[i]);
    }
    int size() const { return static_cast<int>(types_.size()); }
    const Oid* types() const { return types_.data(); }
    const char* const* values() const { return values_.data(); }
    const int* lengths() const { return lengths_.data(); }
    const int* formats() const { return formats_.data(); }

private:
    void bind(std::size_t at, const Parameter& parameter) {
        if (const auto* integer = std::get_if<std::int64_t>(&parameter)) {
            number(at, kInt8, *integer);
        } else if (const auto* real = std::get_if<double>(&parameter)) {
            number(at, kFloat8, *real);
        } else if (const auto* text = std::get_if<std::string_view>(&parameter)) {
            bytes(at, kText, *text);
        } else if (const auto* blob = std::get_if<Blob>(&parameter)) {
            bytes(at, kBytea, blob->bytes);
        }
    }
    template <class T>
    void number(std::size_t at, Oid type, T value) {
        auto& text = numbers_[at];
        *std::to_chars(text.data(), text.data() + text.size() - 1, value).ptr = '\0';
        types_[at] = type;
        values_[at] = text.data();
    }
    void bytes(std::size_t at, Oid type, std::string_view value) {
        types_[at] = type;
        values_[at] = value.data() == nullptr ? "" : value.data();
        lengths_[at] = static_cast<int>(value.size());
        formats_[at] = 1;
    }

    std::vector<std::array<char, 32>> numbers_;
    std::vector<Oid> types_;
    std::vector<const char*> values_;
    std::vector<int> lengths_, formats_;
};

std::string_view state_of(const PGresult* result) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state == nullptr ? "" : state;
}

}  // namespace

void PostgresConnection::Close::operator()(pg_conn* connection) const {
    PQfinish(connection);
}
void PostgresConnection::Clear::operator()(pg_result* result) const {
    PQclear(result);
}
PostgresConnection::~PostgresConnection() = default;

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::open(
    const PostgresLocation& location, Mode mode) {
    std::unique_ptr<PostgresConnection> connection(new PostgresConnection(location, mode));
    DG_TRY(connection->connect());
    return connection;
}

// --- connecting ----------------------------------------------------------------------------------

Result<void> PostgresConnection::connect() {
    Result<void> connected = connect_once();
    for (milliseconds waited{0}; !connected && waited < kStartingMax; waited += kPause) {
        const std::string& words = connected.error().message;
        const bool starting = words.find("starting up") != std::string::npos ||
                              words.find("shutting down") != std::string::npos ||
                              words.find("in recovery mode") != std::string::npos;
        if (!starting) break;
        std::this_thread::sleep_for(kPause);
        connected = connect_once();
    }
    return connected;
}

Result<void> PostgresConnection::connect_once() {
    statements_.clear();
    // What stands before the URL is a default, what stands after it is decided.
    const std::array<const char*, 8> words{"fallback_application_name",
                                           "connect_timeout",
                                           "keepalives_idle",
                                           "tcp_user_timeout",
                                           "dbname",
                                           "client_encoding",
                                           "gssencmode",
                                           nullptr};
    const std::array<const char*, 8> values{
        "dougong", "10", "30", "60000", location_.url.c_str(), "UTF8", "disable", nullptr};
    connection_.reset(PQconnectdbParams(words.data(), values.data(), 1));
    broken_ = false;
    if (connection_ == nullptr) {
        return fail(Code::resource_exhausted, "no memory for a connection");
    }
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
        return postgres_unreachable(location_.shown, PQerrorMessage(connection_.get()));
    }
    return set_up();
}

Result<void> PostgresConnection::set_up() {
    const int version = PQserverVersion(connection_.get());
    if (version < kVersionMin) {
        return fail_on(location_.shown, Code::failed_precondition,
                       "{} is PostgreSQL {}; version {} or newer is needed", location_.shown,
                       version / 10'000, kVersionMin / 10'000);
    }
    const char* encoding = PQparameterStatus(connection_.get(), "server_encoding");
    if (encoding == nullptr || std::string_view(encoding) != "UTF8") {
        return fail_on(location_.shown, Code::failed_precondition,
                       "the database of {} keeps texts in {}; make one with createdb "
                       "--encoding=UTF8 --template=template0",
                       location_.shown, encoding == nullptr ? "no known encoding" : encoding);
    }
    // A process that hangs in a transaction keeps others from writing; the server ends it.
    DG_TRY(control(fmt::format("SET search_path TO {}; SET statement_timeout = 0; "
                               "SET lock_timeout = 0; SET jit = off; "
                               "SET idle_in_transaction_session_timeout = '{}'; "
                               "SELECT set_config('synchronous_commit', 'on', false) WHERE "
                               "current_setting('synchronous_commit') = 'off'",
                               location_.schema, mode_ == Mode::write ? "60s" : "10min")
                       .c_str()));
    return find_schema();
}

Result<void> PostgresConnection::find_schema() {
    const std::string find =
        fmt::format("SELECT oid::int FROM pg_namespace WHERE nspname = '{}'", location_.schema);
    ResultPtr found = DG_TRY(exec(find.c_str()));
    if (first(found).empty() && mode_ == Mode::write) {
        // One at a time: IF NOT EXISTS alone may fail when two come together.
        DG_TRY(control(fmt::format("BEGIN; SELECT pg_advisory_xact_lock({}, 0); CREATE SCHEMA IF "
                                   "NOT EXISTS {}; COMMIT",
                                   kLockKind, location_.schema)
                           .c_str()));
        found = DG_TRY(exec(find.c_str()));
    }
    if (first(found).empty()) {
        return fail_on(location_.shown, Code::data_loss, "{} has no schema {} any more",
                       location_.shown, location_.schema);
    }
    begin_write_ = fmt::format(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({}, {}); "
        "SELECT pg_current_xact_id()::text",
        kLockKind, first(found));
    return {};
}

bool PostgresConnection::lost() const {
    return broken_ || connection_ == nullptr || PQstatus(connection_.get()) != CONNECTION_OK;
}

bool PostgresConnection::in_transaction() const {
    if (lost()) return false;
    const auto status = PQtransactionStatus(connection_.get());
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

// --- transactions --------------------------------------------------------------------------------

Result<void> PostgresConnection::begin(const std::string& sql) {
    again_ = false;
    transaction_.clear();
    if (!lost()) {
        auto begun = exec(sql.c_str());
        if (begun) {
            transaction_ = first(*begun);
            return {};
        }
        rollback();
        if (!lost()) return std::unexpected(std::move(begun).error());
    }
    // Nothing was asked of it yet, so the next one does as well.
    DG_TRY(connect());
    transaction_ = first(DG_TRY(exec(sql.c_str())));
    return {};
}

Result<void> PostgresConnection::begin_read() {
    return begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

Result<void> PostgresConnection::begin_write() {
    if (begin_write_.empty()) DG_TRY(connect());
    return begin(begin_write_);
}

Result<void> PostgresConnection::commit() {
    if (!lost() && PQtransactionStatus(connection_.get()) == PQTRANS_INERROR) {
        return fail(Code::internal, "a statement failed and its work went on");
    }
    again_ = false;
    auto committed = exec("COMMIT");
    if (committed) return {};
    const bool unknown = lost();
    if (!unknown) return std::unexpected(std::move(committed).error());
    return outcome_of_commit(std::move(committed).error());
}

Result<void> PostgresConnection::outcome_of_commit(Error lost) {
    const std::string transaction = transaction_;
    Result<void> connected = connect();
    for (milliseconds waited{0}; !connected && waited < kOutcomeMax; waited += kPause) {
        std::this_thread::sleep_for(kPause);
        connected = connect();
    }
    again_ = false;
    const auto unknown = fail_on(location_.shown, Code::unavailable,
                                 "the connection was lost during a commit, and the server does not "
                                 "say what became of it: read before writing again ({})",
                                 lost.message);
    // The lock is free when the transaction before is over, one way or the other.
    if (!connected || transaction.empty() || !begin(begin_write_)) return unknown;
    const auto asked = exec(fmt::format("SELECT pg_xact_status('{}'::xid8)", transaction).c_str());
    const std::string status(asked ? first(*asked) : "");
    rollback();
    if (status == "committed") return {};
    if (status != "aborted") return unknown;
    again_ = true;
    return std::unexpected(std::move(lost));
}

void PostgresConnection::rollback() {
    // Without a connection there is no transaction either.
    if (in_transaction()) static_cast<void>(exec("ROLLBACK"));
}

// --- statements ----------------------------------------------------------------------------------

std::string_view PostgresConnection::first(const ResultPtr& result) {
    if (PQntuples(result.get()) == 0 || PQnfields(result.get()) == 0) return "";
    return {PQgetvalue(result.get(), 0, 0),
            static_cast<std::size_t>(PQgetlength(result.get(), 0, 0))};
}

Result<PostgresConnection::ResultPtr> PostgresConnection::checked(pg_result* raw,
                                                                  std::string_view sql) {
    ResultPtr result(raw);
    const ExecStatusType status = PQresultStatus(raw);
    if (raw != nullptr && (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)) return result;
    ++written_;  // a failed statement leaves a transaction that can only be undone
    const std::string_view state = state_of(raw);
    if (worth_again(state)) {
        again_ = true;
        statements_.clear();
    }
    // libpq may think well of a connection whose end it did not hear; a failure without a state is
    // its own.
    broken_ = broken_ || state.empty() || ends_connection(state);
    if (lost()) {
        again_ = true;  // commit() knows when that is not so
        return fail_on(location_.shown, Code::unavailable, "the connection to {} was lost: {}",
                       location_.shown, PQerrorMessage(connection_.get()));
    }
    const char* words = PQresultErrorField(raw, PG_DIAG_MESSAGE_PRIMARY);
    return postgres_error(location_.shown, state,
                          words == nullptr ? PQerrorMessage(connection_.get()) : words, sql);
}

Result<PostgresConnection::ResultPtr> PostgresConnection::exec(const char* sql) {
    return checked(PQexec(connection_.get(), sql), sql);
}

Result<void> PostgresConnection::control(const char* sql) {
    DG_TRY(exec(sql));
    return {};
}

Result<std::string> PostgresConnection::prepare(std::string_view sql,
                                                std::span<const Parameter> parameters) {
    if (const auto found = statements_.find(sql); found != statements_.end()) return found->second;
    if (statements_.size() >= kStatementsMax) {
        DG_TRY(exec("DEALLOCATE ALL"));
        statements_.clear();
    }
    const std::string text(sql), name = fmt::format("s{}", ++names_);
    const Bound bound(parameters);
    DG_TRY(checked(
        PQprepare(connection_.get(), name.c_str(), text.c_str(), bound.size(), bound.types()),
        sql));
    statements_.emplace(text, name);
    return name;
}

Result<PostgresConnection::ResultPtr> PostgresConnection::execute(
    std::string_view sql, std::span<const Parameter> parameters) {
    const std::string name = DG_TRY(prepare(sql, parameters));
    const Bound bound(parameters);
    constexpr int kBinary = 1;
    return checked(PQexecPrepared(connection_.get(), name.c_str(), bound.size(), bound.values(),
                                  bound.lengths(), bound.formats(), kBinary),
                   sql);
}

void PostgresConnection::count(const ResultPtr& result) {
    if (std::string_view(PQcmdStatus(result.get())).starts_with("SELECT")) return;
    const std::string_view rows = PQcmdTuples(result.get());
    std::int64_t changed = 1;  // of what counts no rows: it may have changed anything
    std::from_chars(rows.data(), rows.data() + rows.size(), changed);
    written_ += changed;
}

Result<std::int64_t> PostgresConnection::run(std::string_view sql,
                                             std::span<const Parameter> parameters) {
    const ResultPtr result = DG_TRY(execute(sql, parameters));
    count(result);
    const std::string_view rows = PQcmdTuples(result.get());
    std::int64_t changed = 0;
    std::from_chars(rows.data(), rows.data() + rows.size(), changed);
    return changed;
}

Result<void> PostgresConnection::query(std::string_view sql, std::span<const Parameter> parameters,
                                       const std::function<bool(const Row&)>& row) {
    const ResultPtr result = DG_TRY(execute(sql, parameters));
    count(result);
    const int rows = PQntuples(result.get());
    for (int i = 0; i < rows; ++i) {
        if (!row(PostgresRow(result.get(), i))) break;
    }
    return {};
}

}  // namespace base::store
