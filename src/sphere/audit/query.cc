#include "sphere/audit/query.h"

#include <algorithm>

#include "base/json/json.h"
#include "sphere/audit/chain.h"
#include "sphere/audit/segments.h"

namespace sphere::audit {
namespace {

namespace json = base::json;

std::string_view text_of(const json::object& line, std::string_view name) {
    const json::value* value = line.if_contains(name);
    if (value == nullptr || !value->is_string()) return {};
    const json::string& text = value->get_string();
    return {text.data(), text.size()};
}

bool is_or_empty(const std::string& wanted, std::string_view found) {
    return wanted.empty() || wanted == found;
}

bool is_kind(const std::string& wanted, std::string_view found) {
    return wanted.empty() || found == wanted ||
           (found.starts_with(wanted) && found[wanted.size()] == '.');
}

bool matches(const EventFilter& filter, const json::object& line) {
    const json::value* time = line.if_contains("unix_ns");
    const std::int64_t unix_ns =
        time != nullptr && time->is_int64() ? time->get_int64() : std::int64_t{0};
    return unix_ns >= filter.since_unix_ns && unix_ns <= filter.until_unix_ns &&
           is_or_empty(filter.tenant, text_of(line, "tenant")) &&
           is_or_empty(filter.agent, text_of(line, "agent")) &&
           is_or_empty(filter.sandbox, text_of(line, "sandbox")) &&
           is_kind(filter.event, text_of(line, "event"));
}

}  // namespace

base::Result<std::uint64_t> find_events(const std::string& dir, const EventFilter& filter,
                                        const std::function<bool(std::string_view line)>& each) {
    const auto segments = DG_TRY(list_segments(dir));
    std::uint64_t damaged = 0;
    // Whole segments before after_seq are not read.
    auto segment =
        std::ranges::upper_bound(segments, filter.after_seq + 1, {}, &Segment::first_seq);
    if (segment != segments.begin()) --segment;
    for (; segment != segments.end(); ++segment) {
        LineReader reader = DG_TRY(LineReader::open(segment->path));
        while (const auto line = DG_TRY(reader.next())) {
            const auto chained = open_line(*line);
            const auto parsed = base::parse_json(*line);
            if (!chained || !parsed || !parsed->is_object()) {
                ++damaged;
                continue;
            }
            if (chained->seq <= filter.after_seq) continue;
            if (matches(filter, parsed->get_object()) && !each(*line)) return damaged;
        }
    }
    return damaged;
}

}  // namespace sphere::audit
