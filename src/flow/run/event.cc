#include "flow/run/event.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/json/object_reader.h"
#include "flow/run/wire.h"

namespace flow {
namespace {

using base::Code;

// Which optional fields follow: one bit each, so that a common event is some forty bytes.
enum Has : std::uint16_t {
    has_path = 1,
    has_name = 2,
    has_attempt = 4,
    has_number = 8,
    has_until = 16,
    has_usage = 32,
    has_value = 64,
    has_error = 128,
};

constexpr std::array<std::string_view, 32> kNames = {
    "",
    "run_started",
    "run_paused",
    "run_resumed",
    "run_completed",
    "run_failed",
    "run_cancelled",
    "run_undoing",
    "signal_received",
    "step_started",
    "step_finished",
    "step_failed",
    "step_skipped",
    "step_waiting",
    "step_escalated",
    "step_reset",
    "step_undo",
    "step_child",
    "loop_opened",
    "scope_opened",
    "scope_closed",
    "vars_set",
    "run_migrated",
    "run_forked",
    "step_edited",
    "step_lost",
    "step_quarantined",
    "checkpoint_reached",
    "run_rewound",
    "",            // 29
    "run_queued",  // 30
    "run_admitted",
};

}  // namespace

std::string_view event_name(EventKind kind) {
    const auto at = static_cast<std::size_t>(kind);
    return at < kNames.size() ? kNames[at] : "unknown";
}

void encode(const Event& event, std::string& out) {
    std::uint16_t has = 0;
    if (!event.path.empty()) has |= has_path;
    if (!event.name.empty()) has |= has_name;
    if (event.attempt != 0) has |= has_attempt;
    if (event.number != 0) has |= has_number;
    if (event.until_ms != 0) has |= has_until;
    if (event.tokens != 0 || event.cost_usd != 0) has |= has_usage;
    if (!event.value.is_null()) has |= has_value;
    if (event.error) has |= has_error;
    WireWriter wire(out);
    wire.byte(static_cast<std::uint8_t>(event.kind));
    wire.number(has);
    wire.number(static_cast<std::uint64_t>(event.at_ms));
    if (has & has_path) wire.text(event.path);
    if (has & has_name) wire.text(event.name);
    if (has & has_attempt) wire.number(event.attempt);
    if (has & has_number) wire.number(event.number);
    if (has & has_until) wire.number(static_cast<std::uint64_t>(event.until_ms));
    if (has & has_usage) {
        wire.number(event.tokens);
        wire.real(event.cost_usd);
    }
    if (has & has_value) wire.text(base::json::serialize(event.value));
    if (has & has_error) {
        wire.byte(static_cast<std::uint8_t>(event.error->code));
        wire.text(event.error->message);
        wire.text(event.error->subject);
    }
}

base::Result<Event> decode_event(std::string_view& bytes) {
    WireReader wire(bytes);
    Event event;
    const std::uint8_t kind = wire.byte();
    const std::uint64_t has = wire.number();
    event.kind = static_cast<EventKind>(kind);
    event.at_ms = static_cast<std::int64_t>(wire.number());
    if (has & has_path) event.path = wire.text();
    if (has & has_name) event.name = wire.text();
    if (has & has_attempt) event.attempt = static_cast<std::uint32_t>(wire.number());
    if (has & has_number) event.number = wire.number();
    if (has & has_until) event.until_ms = static_cast<std::int64_t>(wire.number());
    if (has & has_usage) {
        event.tokens = wire.number();
        event.cost_usd = wire.real();
    }
    if (has & has_value) {
        boost::system::error_code wrong;
        event.value = base::json::parse(wire.text(), wrong);
        if (wrong) wire.spoil();
    }
    if (has & has_error) {
        base::Error error;
        error.code = static_cast<Code>(wire.byte());
        error.message = wire.text();
        error.subject = wire.text();
        if (error.code > Code::internal) wire.spoil();
        event.error = std::move(error);
    }
    if (!wire.good() || kind == 0 || kind >= kNames.size() || has >= 256) {
        return base::fail(Code::data_loss, "an event of a run does not read as one");
    }
    bytes = wire.rest();
    return event;
}

base::json::object to_json(const Event& event) {
    base::json::object out;
    out["event"] = event_name(event.kind);
    out["at_ms"] = event.at_ms;
    if (!event.path.empty()) out["step"] = event.path;
    if (!event.name.empty()) out["name"] = event.name;
    if (event.attempt != 0) out["attempt"] = event.attempt;
    if (event.number != 0) out["number"] = event.number;
    if (event.until_ms != 0) out["until_ms"] = event.until_ms;
    if (event.tokens != 0) out["tokens"] = event.tokens;
    if (event.cost_usd != 0) out["cost_usd"] = event.cost_usd;
    if (!event.value.is_null()) out["value"] = event.value;
    if (event.error) {
        base::json::object error{{"code", base::code_name(event.error->code)},
                                 {"message", event.error->message}};
        if (!event.error->subject.empty()) error["subject"] = event.error->subject;
        out["error"] = std::move(error);
    }
    return out;
}

base::Result<Event> event_from_json(const base::json::value& json) {
    const base::json::object* object = json.if_object();
    if (object == nullptr) return base::fail(Code::invalid_argument, "an event is an object");
    Event event;
    base::ObjectReader in(*object);
    std::string kind;
    in.text("event", kind, 64);
    in.integer<std::int64_t>("at_ms", event.at_ms, 0, 1ll << 52);
    in.text("step", event.path, 1u << 16);
    in.text("name", event.name, 1u << 20);
    in.integer<std::uint32_t>("attempt", event.attempt, 0, ~0u);
    in.integer<std::uint64_t>("number", event.number, 0, 1ull << 52);
    in.integer<std::int64_t>("until_ms", event.until_ms, 0, 1ll << 60);
    in.integer<std::uint64_t>("tokens", event.tokens, 0, 1ull << 52);
    in.number("cost_usd", event.cost_usd, -1e15, 1e15);
    in.value("place");  // where it stood in a page
    if (const base::json::value* value = in.value("value")) event.value = *value;
    const base::json::value* error = in.value("error");
    const auto named = std::ranges::find(kNames, std::string_view(kind));
    if (named == kNames.end() || kind.empty()) in.fault("event", "is no kind of event");
    DG_TRY(in.done());
    event.kind = static_cast<EventKind>(named - kNames.begin());
    if (error == nullptr) return event;
    const base::json::object* fields = error->if_object();
    if (fields == nullptr) {
        return base::fail_on("error", Code::invalid_argument, "'error' must be an object");
    }
    base::ObjectReader reader(*fields);
    base::Error made;
    std::string code;
    reader.text("code", code, 64);
    reader.text("message", made.message, 1u << 24);
    reader.text("subject", made.subject, 1u << 16);
    DG_TRY(reader.done());
    for (int each = 0; each <= static_cast<int>(Code::internal); ++each) {
        if (base::code_name(static_cast<Code>(each)) == code) made.code = static_cast<Code>(each);
    }
    event.error = std::move(made);
    return event;
}

}  // namespace flow
