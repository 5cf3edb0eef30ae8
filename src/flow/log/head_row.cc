#include "flow/log/head_row.h"

#include <algorithm>

#include "base/json/json.h"

namespace flow {

namespace json = base::json;

std::string id_bytes(RunId id) {
    std::string out(16, '\0');
    for (std::size_t i = 0; i < 8; ++i) {
        out[i] = static_cast<char>(id.high >> (56 - 8 * i));
        out[8 + i] = static_cast<char>(id.low >> (56 - 8 * i));
    }
    return out;
}

RunId id_of(std::string_view bytes) {
    RunId id;
    for (std::size_t i = 0; i < 8 && bytes.size() == 16; ++i) {
        id.high = id.high << 8 | static_cast<std::uint8_t>(bytes[i]);
        id.low = id.low << 8 | static_cast<std::uint8_t>(bytes[8 + i]);
    }
    return id;
}

std::string joined(const std::vector<std::string>& waiting) {
    std::string out;
    for (const std::string& wait : waiting) out += "\n" + wait;
    return out.empty() ? out : out + "\n";
}

std::vector<std::string> split(std::string_view waiting) {
    std::vector<std::string> out;
    while (waiting.size() > 1) {
        waiting.remove_prefix(1);
        const std::size_t end = waiting.find('\n');
        out.emplace_back(waiting.substr(0, end));
        waiting.remove_prefix(std::min(end, waiting.size()));
    }
    return out;
}

std::string totals_text(const RunHead& head) {
    if (head.events == 0 && !head.totals && !head.forked_from) return {};
    json::object out;
    if (head.totals) out = to_json(*head.totals);
    out["events"] = head.events;
    if (head.forked_from) out["forked_from"] = to_text(*head.forked_from);
    return json::serialize(out);
}

void read_totals(std::string_view text, RunHead& head) {
    if (text.empty()) return;
    boost::system::error_code wrong;
    const json::value read = json::parse(text, wrong);
    const json::object* from = wrong ? nullptr : read.if_object();
    if (from == nullptr) return;
    if (const json::value* events = from->if_contains("events"); events && events->is_number()) {
        head.events = events->to_number<std::uint64_t>(wrong);
    }
    if (const json::value* origin = from->if_contains("forked_from"); origin) {
        if (origin->is_string()) {
            head.forked_from = run_id_from(std::string_view(origin->get_string()));
        }
    }
    if (from->contains("steps")) head.totals = short_totals_from_json(*from);
}

RunHead head_of(const base::store::Row& row) {
    RunHead head;
    head.id = id_of(row.text(0));
    head.tenant = row.text(1);
    head.workflow = row.text(2);
    head.version = static_cast<std::uint32_t>(row.integer(3));
    head.hash = row.text(4);
    head.idempotency_key = row.text(5);
    head.status = static_cast<RunStatus>(row.integer(6));
    head.started_ms = row.integer(7);
    head.updated_ms = row.integer(8);
    head.finished_ms = row.integer(9);
    head.due_ms = row.integer(10);
    head.calls_out = row.integer(11) != 0;
    if (!row.null(12)) head.parent = id_of(row.text(12));
    if (const std::string_view labels = row.text(13); !labels.empty()) {
        boost::system::error_code wrong;
        head.labels = json::parse(labels, wrong);
    }
    head.error = row.text(14);
    head.waiting = split(row.text(15));
    read_totals(row.text(16), head);
    return head;
}

}  // namespace flow
