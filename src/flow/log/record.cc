#include "flow/log/record.h"

#include "flow/run/wire.h"

namespace flow {

using base::Code;
using base::fail;

namespace {

constexpr std::uint8_t kFormat = 1;
enum Flag : std::uint8_t { created = 1, whole_head = 2, snapshot = 4, calls_out = 8, totals = 16 };
enum Origin : std::uint8_t { parent = 1, forked = 2 };

void write_totals(WireWriter& wire, const ShortTotals& used) {
    wire.number(used.steps);
    wire.number(used.attempts);
    wire.number(used.tokens);
    wire.real(used.cost_usd);
    wire.number(static_cast<std::uint64_t>(used.working_ms));
    wire.number(static_cast<std::uint64_t>(used.waiting_ms));
}

ShortTotals read_totals(WireReader& wire) {
    ShortTotals used;
    used.steps = wire.number();
    used.attempts = wire.number();
    used.tokens = wire.number();
    used.cost_usd = wire.real();
    used.working_ms = static_cast<std::int64_t>(wire.number());
    used.waiting_ms = static_cast<std::int64_t>(wire.number());
    return used;
}

void write_id(WireWriter& wire, const RunId& id) {
    wire.fixed(id.high);
    wire.fixed(id.low);
}

RunId read_id(WireReader& wire) {
    RunId id;
    id.high = wire.fixed();
    id.low = wire.fixed();
    return id;
}

void write_names(WireWriter& wire, const RunHead& head) {
    wire.text(head.tenant);
    wire.text(head.workflow);
    wire.text(head.hash);
    wire.text(head.idempotency_key);
    wire.number(head.version);
    wire.number(static_cast<std::uint64_t>(head.started_ms));
    wire.byte(static_cast<std::uint8_t>((head.parent ? Origin::parent : 0) |
                                        (head.forked_from ? Origin::forked : 0)));
    if (head.parent) write_id(wire, *head.parent);
    if (head.forked_from) write_id(wire, *head.forked_from);
    wire.text(head.labels.is_null() ? std::string() : base::json::serialize(head.labels));
}

void read_names(WireReader& wire, RunHead& head) {
    head.tenant = wire.text();
    head.workflow = wire.text();
    head.hash = wire.text();
    head.idempotency_key = wire.text();
    head.version = static_cast<std::uint32_t>(wire.number());
    head.started_ms = static_cast<std::int64_t>(wire.number());
    const std::uint8_t origins = wire.byte();
    if ((origins & Origin::parent) != 0) head.parent = read_id(wire);
    if ((origins & Origin::forked) != 0) head.forked_from = read_id(wire);
    if (const std::string_view labels = wire.text(); !labels.empty()) {
        boost::system::error_code wrong;
        head.labels = base::json::parse(labels, wrong);
        if (wrong) wire.spoil();
    }
}

}  // namespace

std::string encode_record(const RunChange& change, std::uint64_t previous, bool whole_head) {
    const RunHead& head = change.head;
    std::string out;
    out.reserve(160 + 96 * change.events.size() + change.snapshot.size());
    WireWriter wire(out);
    std::uint8_t flags = 0;
    if (change.created) flags |= Flag::created;
    if (whole_head) flags |= Flag::whole_head;
    if (!change.snapshot.empty()) flags |= Flag::snapshot;
    if (head.calls_out) flags |= Flag::calls_out;
    if (head.totals) flags |= Flag::totals;
    wire.byte(kFormat);
    wire.byte(flags);
    write_id(wire, head.id);
    wire.fixed(previous);
    wire.number(change.first);
    wire.byte(static_cast<std::uint8_t>(head.status));
    wire.number(static_cast<std::uint64_t>(head.due_ms));
    wire.number(static_cast<std::uint64_t>(head.updated_ms));
    wire.number(static_cast<std::uint64_t>(head.finished_ms));
    wire.text(head.error);
    wire.number(head.waiting.size());
    for (const std::string& wait : head.waiting) wire.text(wait);
    if (head.totals) write_totals(wire, *head.totals);
    if (whole_head) write_names(wire, head);
    wire.number(change.events.size());
    for (const Event& event : change.events) encode(event, out);
    if (!change.snapshot.empty()) wire.text(change.snapshot);
    return out;
}

base::Result<Record> decode_record(std::string_view bytes, bool events) {
    WireReader wire(bytes);
    Record record;
    RunHead& head = record.change.head;
    const std::uint8_t format = wire.byte();
    const std::uint8_t flags = wire.byte();
    if (format != kFormat) {
        return fail(Code::data_loss, "a record of a run has format {}; this program reads {}",
                    format, kFormat);
    }
    record.change.created = (flags & Flag::created) != 0;
    record.whole_head = (flags & Flag::whole_head) != 0;
    head.calls_out = (flags & Flag::calls_out) != 0;
    head.id = read_id(wire);
    record.previous = wire.fixed();
    record.change.first = wire.number();
    const std::uint8_t status = wire.byte();
    head.status = static_cast<RunStatus>(status);
    head.due_ms = static_cast<std::int64_t>(wire.number());
    head.updated_ms = static_cast<std::int64_t>(wire.number());
    head.finished_ms = static_cast<std::int64_t>(wire.number());
    head.error = wire.text();
    const std::uint64_t waits = wire.number();
    for (std::uint64_t i = 0; i < waits && wire.good(); ++i) head.waiting.emplace_back(wire.text());
    if ((flags & Flag::totals) != 0) head.totals = read_totals(wire);
    if (record.whole_head) read_names(wire, head);
    record.count = wire.number();
    head.events = record.change.first + record.count;
    if (!wire.good() || status > static_cast<std::uint8_t>(RunStatus::cancelled)) {
        return fail(Code::data_loss, "a record of a run does not read as one");
    }
    if (!events) return record;
    std::string_view rest = wire.rest();
    for (std::uint64_t i = 0; i < record.count; ++i) {
        record.change.events.push_back(DG_TRY(decode_event(rest)));
    }
    if ((flags & Flag::snapshot) != 0) {
        WireReader tail(rest);
        record.change.snapshot = tail.text();
        if (!tail.good()) return fail(Code::data_loss, "a snapshot of a run is cut off");
    }
    return record;
}

}  // namespace flow
