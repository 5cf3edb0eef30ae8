#include "gate/event_text.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace gate {

std::string& EventText::begin() {
    if (numbered_) fmt::format_to(std::back_inserter(*out_), "id: {}\n", next_id_);
    ++next_id_;
    return *out_;
}

void EventLog::add(std::string events, std::uint64_t next_id) {
    if (events.empty()) return;
    bytes_ += events.size();
    blocks_.push_back({next_id_, std::move(events)});
    next_id_ = next_id;
    while (bytes_ > bytes_max_ && blocks_.size() > 1) {
        bytes_ -= blocks_.front().events.size();
        blocks_.pop_front();
    }
}

void EventLog::read(std::uint64_t id, std::string& out) const {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const Block& block = blocks_[i];
        const std::uint64_t end = i + 1 < blocks_.size() ? blocks_[i + 1].first_id : next_id_;
        if (end <= id) continue;
        std::string_view events = block.events;
        // An event ends with an empty line, and has none inside: its data is one line of JSON.
        for (std::uint64_t skip = id > block.first_id ? id - block.first_id : 0; skip > 0; --skip) {
            events.remove_prefix(events.find("\n\n") + 2);
        }
        out.append(events);
    }
}

}  // namespace gate
