#include "flow/log/postgres_tables.h"

#include <fmt/format.h>

#include "base/files/sha256.h"
#include "flow/log/head_row.h"
#include "flow/run/tenant_key.h"

namespace flow {

using base::store::PipeValue;
using base::store::Row;

std::vector<std::string> run_tables() {
    return {
        // A row for each time that a process joined. `fence` goes up when it is declared dead, and
        // when it lost its connection: what it had sent before can be committed no more.
        "CREATE TABLE flow_workers(id BIGSERIAL PRIMARY KEY, fence BIGINT NOT NULL, dead BOOLEAN "
        "NOT NULL, lease_until BIGINT NOT NULL, commits BIGINT NOT NULL, url TEXT NOT NULL, joined "
        "BIGINT NOT NULL) WITH (fillfactor = 20)",
        // `owner` 0: the run is over.
        "CREATE TABLE flow_runs(id UUID PRIMARY KEY, tenant TEXT NOT NULL, workflow TEXT NOT NULL, "
        "version BIGINT NOT NULL, hash TEXT NOT NULL, key TEXT NOT NULL, status BIGINT NOT NULL, "
        "started BIGINT NOT NULL, updated BIGINT NOT NULL, finished BIGINT NOT NULL, due BIGINT "
        "NOT "
        "NULL, calls BIGINT NOT NULL, parent UUID, labels TEXT, error TEXT NOT NULL, waiting TEXT "
        "NOT NULL, events TEXT[], owner BIGINT NOT NULL) WITH (fillfactor = 70)",
        "CREATE INDEX flow_runs_owner ON flow_runs(owner) WHERE owner <> 0",
        "CREATE UNIQUE INDEX flow_runs_key ON flow_runs(tenant, key) WHERE key <> ''",
        "CREATE INDEX flow_runs_tenant ON flow_runs(tenant, id)",
        "CREATE INDEX flow_runs_workflow ON flow_runs(tenant, workflow, id)",
        "CREATE INDEX flow_runs_parent ON flow_runs(parent) WHERE parent IS NOT NULL",
        "CREATE INDEX flow_runs_events ON flow_runs USING gin(events) WHERE events IS NOT NULL",
        // `body`: `count` events, the first of them at place `first` of the run's.
        "CREATE TABLE flow_records(run UUID NOT NULL, first BIGINT NOT NULL, count BIGINT NOT "
        "NULL, "
        "body BYTEA NOT NULL, PRIMARY KEY(run, first))",
        "CREATE TABLE flow_snapshots(run UUID PRIMARY KEY, at BIGINT NOT NULL, state BYTEA NOT "
        "NULL)",
        "CREATE TABLE flow_inbox(number BIGSERIAL PRIMARY KEY, run UUID NOT NULL, input BYTEA NOT "
        "NULL, asker BIGINT NOT NULL, token BIGINT NOT NULL)",
        "CREATE INDEX flow_inbox_run ON flow_inbox(run)",
        "CREATE TABLE flow_replies(worker BIGINT NOT NULL, token BIGINT NOT NULL, code BIGINT NOT "
        "NULL, message BYTEA NOT NULL, subject BYTEA NOT NULL, PRIMARY KEY(worker, token))",
        "CREATE TABLE flow_watches(run UUID NOT NULL, worker BIGINT NOT NULL, PRIMARY KEY(run, "
        "worker))",
        // A value that left its event, in pieces; the first is written last.
        "CREATE TABLE flow_blobs(run UUID NOT NULL, hash TEXT NOT NULL, piece BIGINT NOT NULL, "
        "pieces BIGINT NOT NULL, put BIGINT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY(run, hash, "
        "piece))",
        // Bounds of a queue that somebody uses, how many places of it a worker has and wants, and
        // what began within its window.
        "CREATE TABLE flow_queues(queue TEXT PRIMARY KEY, version BIGINT NOT NULL, concurrency "
        "BIGINT NOT NULL, starts BIGINT NOT NULL, window_ms BIGINT NOT NULL)",
        "CREATE TABLE flow_places(queue TEXT NOT NULL, worker BIGINT NOT NULL, held BIGINT NOT "
        "NULL, waiting BIGINT NOT NULL, since BIGINT NOT NULL, PRIMARY KEY(queue, worker)) WITH "
        "(fillfactor = 50)",
        "CREATE TABLE flow_begun(queue TEXT NOT NULL, at BIGINT NOT NULL, count BIGINT NOT "
        "NULL, PRIMARY KEY(queue, at))",
        "ALTER TABLE flow_runs ADD COLUMN totals TEXT NOT NULL DEFAULT ''",
        // Lists of what is open or went wrong do not look at what went well, which is the most.
        "CREATE INDEX flow_runs_open ON flow_runs(tenant, id) WHERE status < 3",
        "CREATE INDEX flow_runs_failed ON flow_runs(tenant, id) WHERE status = 4",
        "CREATE INDEX flow_runs_cancelled ON flow_runs(tenant, id) WHERE status = 5",
    };
}

namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == '%') {
            out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out;
}

std::string unescaped(std::string_view text) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

}  // namespace

std::string waiting_word(std::string_view wait) {
    return escaped(wait);
}

std::string waiting_text(std::vector<std::string> waiting) {
    for (std::string& wait : waiting) wait = escaped(wait);
    return joined(waiting);
}

std::string event_key(std::string_view tenant, std::string_view event) {
    return base::sha256_hex(tenant_key(tenant, event)).substr(0, 32);
}

std::string event_keys(const RunHead& head) {
    std::string out;
    for (const std::string& wait : head.waiting) {
        if (!wait.starts_with("event/")) continue;
        if (!out.empty()) out += ',';
        out += event_key(head.tenant, wait);
    }
    return out;
}

std::string storable(std::string_view text) {
    std::string out(text);
    for (std::size_t at = 0; (at = out.find('\0', at)) != std::string::npos;) {
        out.replace(at, 1, "\xef\xbf\xbd");
    }
    return out;
}

RunHead postgres_head_of(const Row& row) {
    RunHead head = head_of(row);
    for (std::string& wait : head.waiting) wait = unescaped(wait);
    return head;
}

PipeValue uuid_of(RunId id) {
    return base::store::pipe_uuid(id.high, id.low);
}

}  // namespace flow
