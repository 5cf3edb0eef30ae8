#pragma once
// What a journal must hold, from what its callers were told.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/core/rng.h"
#include "base/journal/journal.h"

namespace test {

using base::journal::Address;
using base::journal::Group;
using base::journal::Journal;

struct FoundRecord {
    Address at;
    std::string record;
    bool operator==(const FoundRecord&) const = default;
};

inline base::Result<std::vector<FoundRecord>> scan_all(const Journal& journal, Address from = {}) {
    std::vector<FoundRecord> found;
    DG_TRY(journal.scan(from, [&](Address at, std::string_view record) -> base::Result<bool> {
        found.push_back(FoundRecord{at, std::string(record)});
        return true;
    }));
    return found;
}

/// Groups in the order of their appends. One thread.
class JournalOracle {
public:
    enum class State : std::uint8_t {
        open,    ///< not answered: whole or absent after a stop
        acked,   ///< there, whole
        failed,  ///< answered with an error: absent once a later one is acked, else as open
        gone     ///< absent
    };
    struct OneGroup {
        std::vector<FoundRecord> records;
        State state = State::open;
    };

    /// Of a new group with 1 to 4 records, now and then a large one; some hold addresses.
    Group make(base::Rng& rng, std::size_t bytes_max) {
        Group group;
        texts_.clear();
        const std::uint64_t records = 1 + rng.below(4);
        for (std::uint64_t i = 0; i < records; ++i) {
            const std::uint64_t kind = rng.below(20);
            std::size_t bytes = kind < 2 ? 0 : kind < 17 ? rng.below(300) : rng.below(5000);
            if (kind == 19) bytes = rng.below(bytes_max / 5 + 1);
            bytes = std::min(bytes, bytes_max / 5);
            std::string text(bytes, '\0');
            for (char& c : text) c = static_cast<char>(rng.next());
            group.add(text);
            texts_.push_back(std::move(text));
        }
        return group;
    }
    /// The group that was made last, at its place.
    std::size_t appended(const Group& group, Address first) {
        OneGroup one;
        for (std::size_t i = 0; i < group.size(); ++i) {
            one.records.push_back(FoundRecord{group.address(first, i), texts_[i]});
        }
        if (last_ >= first) ADD_FAILURE() << "address " << first.n << " after " << last_.n;
        last_ = one.records.back().at;
        groups_.push_back(std::move(one));
        return groups_.size() - 1;
    }
    void answered(std::size_t number, bool acked, bool machine_stopped) {
        OneGroup& group = groups_[number];
        EXPECT_EQ(group.state, State::open) << "answered twice";
        if (number < answered_) ADD_FAILURE() << "answers out of order";
        answered_ = number;
        if (!acked) {
            if (!machine_stopped) group.state = State::failed;
            return;
        }
        group.state = State::acked;
        for (std::size_t i = 0; i < number; ++i) {
            if (groups_[i].state == State::failed) groups_[i].state = State::gone;
        }
    }
    /// Segments before that of `address` may be missing from now on, oldest first.
    void dropped(Address address, std::uint64_t segment_bytes) {
        dropped_ = std::max(dropped_, address.n / segment_bytes * segment_bytes);
    }

    /// After a stop or a close: `found` is what must be there; from now on it is acknowledged.
    void settle(const std::vector<FoundRecord>& found) {
        std::size_t next = 0;
        std::vector<OneGroup> kept;
        bool begun = false;
        bool open_missing = false;
        for (OneGroup& group : groups_) {
            const bool here = is_at(group, found, next);
            if (here) {
                EXPECT_NE(group.state, State::gone) << "a failed group came back";
                EXPECT_FALSE(open_missing && group.state == State::open) << "out of order";
                next += group.records.size();
                group.state = State::acked;
                kept.push_back(std::move(group));
                begun = true;
                continue;
            }
            const bool may_be_dropped = !begun && group.records.front().at.n < dropped_;
            if (group.state == State::acked && !may_be_dropped) {
                ADD_FAILURE() << "lost: the group at " << group.records.front().at.n;
            }
            open_missing = open_missing || group.state == State::open;
        }
        EXPECT_EQ(next, found.size()) << "records that nobody appended, or parts of groups";
        groups_ = std::move(kept);
        answered_ = 0;
        last_ = groups_.empty() ? Address{} : groups_.back().records.back().at;
    }

    const std::vector<OneGroup>& groups() const { return groups_; }
    Address first_kept() const { return Address{dropped_}; }

private:
    static bool is_at(const OneGroup& group, const std::vector<FoundRecord>& found,
                      std::size_t next) {
        return found.size() - next >= group.records.size() &&
               std::equal(group.records.begin(), group.records.end(),
                          found.begin() + static_cast<std::ptrdiff_t>(next));
    }

    std::vector<std::string> texts_;  // of the group made last
    std::vector<OneGroup> groups_;
    std::size_t answered_ = 0;
    Address last_;
    std::uint64_t dropped_ = 0;
};

}  // namespace test
