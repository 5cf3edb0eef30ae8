#include "flow/run/history.h"

#include <algorithm>
#include <utility>

namespace flow {

using base::Result;
namespace json = base::json;

History history_of(std::span<const Event> events) {
    return [events](std::uint64_t from, const auto& each) -> Result<void> {
        for (std::size_t i = from; i < events.size(); ++i) {
            if (!each(events[i])) break;
        }
        return {};
    };
}

Result<std::vector<HistoryPart>> history_parts(const History& whole, std::string_view hash) {
    std::vector<HistoryPart> out{{std::string(hash), 0, 0}};
    std::uint64_t place = 0;
    DG_TRY(whole(0, [&](const Event& event) {
        if (event.kind == EventKind::run_migrated) {
            const json::object* moved = event.value.if_object();
            const json::value* from = moved != nullptr ? moved->if_contains("from") : nullptr;
            if (from != nullptr && from->is_string()) out.back().hash = from->get_string();
            out.back().end = place;
            out.push_back({event.name, place, 0});
        }
        ++place;
        return true;
    }));
    out.back().end = place;
    std::ranges::reverse(out);
    return out;
}

History part_of(History whole, const HistoryPart& part) {
    return [whole = std::move(whole), begin = part.begin, end = part.end](
               std::uint64_t from, const auto& each) -> Result<void> {
        std::uint64_t place = begin + from;
        if (place >= end) return {};
        return whole(place, [&](const Event& event) { return each(event) && ++place < end; });
    };
}

std::span<const Event> foldable(std::span<const Event> history) {
    const auto last = std::find_if(history.rbegin(), history.rend(), [](const Event& event) {
        return event.kind == EventKind::run_migrated;
    });
    if (last == history.rend()) return history;
    return history.subspan(static_cast<std::size_t>(history.rend() - last) - 1);
}

}  // namespace flow
