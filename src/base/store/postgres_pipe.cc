#include "base/store/postgres_pipe.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/store/postgres_error.h"
#include "base/store/postgres_row.h"

namespace base::store {
namespace {

constexpr int kBinary = 1;
constexpr std::size_t kStatementsMax = 256;

void put(std::string& out, std::uint64_t value, int bytes) {
    for (int i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint32_t array_of(PipeType type) {
    switch (type) {
        case PipeType::bytes:
            return 1001;
        case PipeType::integer:
            return 1016;
        case PipeType::text:
            return 1009;
        case PipeType::uuid:
            return 2951;
    }
    return 0;
}

PipeValue value_of(PipeType type, std::string bytes) {
    return {static_cast<std::uint32_t>(type), false, std::move(bytes)};
}

}  // namespace

PipeValue pipe_value(std::int64_t integer) {
    std::string bytes;
    put(bytes, static_cast<std::uint64_t>(integer), 8);
    return value_of(PipeType::integer, std::move(bytes));
}
PipeValue pipe_value(std::string_view text) {
    return value_of(PipeType::text, std::string(text));
}
PipeValue pipe_bytes(std::string_view bytes) {
    return value_of(PipeType::bytes, std::string(bytes));
}
PipeValue pipe_uuid(std::uint64_t high, std::uint64_t low) {
    std::string bytes;
    put(bytes, high, 8);
    put(bytes, low, 8);
    return value_of(PipeType::uuid, std::move(bytes));
}
PipeValue pipe_null(PipeType type) {
    return {static_cast<std::uint32_t>(type), true, {}};
}

void PipeColumn::add(const PipeValue& value) {
    ++count_;
    nulls_ = nulls_ || value.null;
    put(bytes_, value.null ? 0xffffffff : value.bytes.size(), 4);
    bytes_ += value.bytes;
}

PipeValue PipeColumn::take() {
    std::string out;
    put(out, count_ == 0 ? 0 : 1, 4);  // dimensions
    put(out, nulls_ ? 1 : 0, 4);
    put(out, static_cast<std::uint32_t>(type_), 4);
    if (count_ != 0) {
        put(out, count_, 4);
        put(out, 1, 4);  // the first index
    }
    out += bytes_;
    bytes_.clear();
    count_ = 0;
    return {array_of(type_), false, std::move(out)};
}

// --- answers -------------------------------------------------------------------------------------

PipeAnswer::PipeAnswer(pg_result* result) : result_(result) {}
void PipeAnswer::Clear::operator()(pg_result* result) const {
    PQclear(result);
}
std::size_t PipeAnswer::rows() const {
    return static_cast<std::size_t>(PQntuples(result_.get()));
}
std::int64_t PipeAnswer::changed() const {
    const std::string_view rows = PQcmdTuples(result_.get());
    std::int64_t changed = 0;
    std::from_chars(rows.data(), rows.data() + rows.size(), changed);
    return changed;
}
void PipeAnswer::each(const std::function<void(const Row&)>& row) const {
    const int rows = PQntuples(result_.get());
    for (int i = 0; i < rows; ++i) row(PostgresRow(result_.get(), i));
}
std::int64_t PipeAnswer::integer(int column) const {
    return rows() == 0 ? 0 : PostgresRow(result_.get(), 0).integer(column);
}

// --- connecting ----------------------------------------------------------------------------------

void PostgresPipe::Close::operator()(pg_conn* connection) const {
    PQfinish(connection);
}
PostgresPipe::~PostgresPipe() = default;

Result<std::unique_ptr<PostgresPipe>> PostgresPipe::open(const PostgresLocation& location,
                                                         const Options& options) {
    std::unique_ptr<PostgresPipe> pipe(new PostgresPipe(location));
    DG_TRY(pipe->connect(options));
    return pipe;
}

Result<void> PostgresPipe::connect(const Options& options) {
    const std::string url = location_.url;
    // What stands before the URL is a default, what stands after it is decided.
    const std::array<const char*, 9> words{
        "connect_timeout",  "keepalives_idle", "tcp_user_timeout", "dbname",
        "application_name", "client_encoding", "gssencmode",       nullptr};
    const std::array<const char*, 9> values{
        "10", "30", "60000", url.c_str(), options.name.c_str(), "UTF8", "disable", nullptr};
    connection_.reset(PQconnectdbParams(words.data(), values.data(), 1));
    if (connection_ == nullptr) {
        return fail(Code::resource_exhausted, "no memory for a connection");
    }
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
        return postgres_unreachable(location_.shown, PQerrorMessage(connection_.get()));
    }
    const std::string set_up = fmt::format(
        "SET search_path TO {}; SET statement_timeout = 0; SET lock_timeout = 0; SET jit = off; "
        "{} SELECT set_config('synchronous_commit', 'on', false) WHERE "
        "current_setting('synchronous_commit') = 'off'",
        location_.schema, options.set);
    const PipeAnswer set(PQexec(connection_.get(), set_up.c_str()));
    if (lost() || PQenterPipelineMode(connection_.get()) != 1) {
        return postgres_unreachable(location_.shown, PQerrorMessage(connection_.get()));
    }
    return {};
}

bool PostgresPipe::lost() const {
    return broken_ || connection_ == nullptr || PQstatus(connection_.get()) != CONNECTION_OK;
}

// --- statements ----------------------------------------------------------------------------------

/// Puts the statement into the pipe, and before it what makes it known to the server; `made` gets
/// the SQL of that, or "" where it is known.
bool PostgresPipe::send(const PipeStatement& statement, std::vector<std::string>& made) {
    const auto count = static_cast<int>(statement.values.size());
    std::vector<const char*> values;
    std::vector<int> lengths, formats;
    std::vector<Oid> types;
    for (const PipeValue& value : statement.values) {
        values.push_back(value.null ? nullptr : value.bytes.data());
        lengths.push_back(static_cast<int>(value.bytes.size()));
        formats.push_back(kBinary);
        types.push_back(value.type);
    }
    auto known = statements_.find(statement.sql);
    made.emplace_back();
    if (known == statements_.end()) {
        const std::string name = fmt::format("p{}", ++names_);
        const std::string sql(statement.sql);
        if (PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(), count, types.data()) != 1) {
            return false;
        }
        known = statements_.emplace(sql, name).first;
        made.back() = sql;
    }
    return PQsendQueryPrepared(connection_.get(), known->second.c_str(), count, values.data(),
                               lengths.data(), formats.data(), kBinary) == 1;
}

Result<std::vector<PipeAnswer>> PostgresPipe::run(std::span<const PipeStatement> statements) {
    if (lost()) return failed(nullptr, "");
    if (statements_.size() > kStatementsMax) statements_.clear();
    state_.clear();
    std::vector<std::string> made;
    for (const PipeStatement& statement : statements) {
        if (!send(statement, made)) {
            broken_ = true;  // what is half sent cannot be taken back
            return failed(nullptr, statement.sql);
        }
    }
    if (PQpipelineSync(connection_.get()) != 1) {
        broken_ = true;
        return failed(nullptr, "");
    }
    std::vector<PipeAnswer> answers;
    std::optional<Error> error;
    // Each statement's answers end with a null; all end with the sync's.
    std::size_t at = 0;
    bool preparing = !made.empty() && !made[0].empty();
    for (;;) {
        PipeAnswer answer(nullptr);
        pg_result* raw = PQgetResult(connection_.get());
        if (raw == nullptr) {
            if (lost()) return failed(nullptr, "");
            continue;
        }
        const ExecStatusType status = PQresultStatus(raw);
        if (status == PGRES_PIPELINE_SYNC) {
            PQclear(raw);
            break;
        }
        answer = PipeAnswer(raw);
        const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        if (!good && !error) {
            const std::string_view sql = at < statements.size() ? statements[at].sql : "";
            error = failed(status == PGRES_FATAL_ERROR ? raw : nullptr, sql).error();
            if (lost()) return std::unexpected(*std::move(error));
        }
        if (at >= statements.size()) continue;
        if (preparing) {
            if (!good) statements_.erase(made[at]);
            preparing = false;
            continue;
        }
        if (good) answers.push_back(std::move(answer));
        ++at;
        preparing = at < made.size() && !made[at].empty();
    }
    if (error) return std::unexpected(*std::move(error));
    return answers;
}

std::unexpected<Error> PostgresPipe::failed(const pg_result* result, std::string_view sql) {
    const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    state_ = state == nullptr ? "" : state;
    if (worth_again(state_)) statements_.clear();
    broken_ = broken_ || state_.empty() || ends_connection(state_);
    if (lost()) {
        return fail_on(location_.shown, Code::unavailable, "the connection to {} was lost: {}",
                       location_.shown, PQerrorMessage(connection_.get()));
    }
    const char* words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return postgres_error(location_.shown, state_, words == nullptr ? "" : words, sql);
}

Result<void> PostgresPipe::wait(std::chrono::milliseconds patience, int wake_fd,
                                const std::function<void(std::string_view)>& each) {
    const auto hear = [&] {
        bool heard = false;
        while (PGnotify* notice = PQnotifies(connection_.get())) {
            each(notice->extra);
            PQfreemem(notice);
            heard = true;
        }
        return heard;
    };
    if (lost()) return failed(nullptr, "");
    if (hear()) return {};
    std::array<pollfd, 2> fds{pollfd{PQsocket(connection_.get()), POLLIN, 0},
                              pollfd{wake_fd, POLLIN, 0}};
    ::poll(fds.data(), wake_fd < 0 ? 1 : 2, static_cast<int>(patience.count()));
    if (fds[0].revents != 0 && PQconsumeInput(connection_.get()) != 1) {
        broken_ = true;
        return failed(nullptr, "");
    }
    hear();
    return {};
}

}  // namespace base::store
