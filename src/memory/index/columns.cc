#include "memory/index/columns.h"

#include <algorithm>

#include "base/core/check.h"

namespace memory::index {
namespace {

constexpr std::size_t kPageWords = kPageSlots / 64;

/// Sums and differences of times that callers chose: they wrap rather than overflow.
UnixMs add(UnixMs a, UnixMs b) {
    return static_cast<UnixMs>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
UnixMs subtract(UnixMs a, UnixMs b) {
    return static_cast<UnixMs>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

/// Keeps the slots that `keep` is true for, page by page; `page_is`: 1 all of the page stay, -1
/// none does, 0 ask.
template <class PageIs, class Keep>
void keep_by_page(Bits& bits, PageIs page_is, Keep keep) {
    for (std::size_t begin = 0; begin < bits.words(); begin += kPageWords) {
        const int known = page_is(begin / kPageWords);
        if (known > 0) continue;
        const std::size_t end = std::min(bits.words(), begin + kPageWords);
        for (std::size_t w = begin; w < end; ++w) {
            if (known < 0) bits.word(w) = 0;
            std::uint64_t kept = bits.word(w);
            for (std::uint64_t left = kept; left != 0; left &= left - 1) {
                const auto bit = static_cast<unsigned>(std::countr_zero(left));
                if (!keep(static_cast<Slot>(w * 64 + bit))) kept &= ~(std::uint64_t{1} << bit);
            }
            bits.word(w) = kept;
        }
    }
}

/// For one column: pages that nobody wrote are decided once.
template <class T, class Test>
void keep_column(Bits& bits, const PagedColumn<T>& column, Test test) {
    const int usual = test(column.usual()) ? 1 : -1;
    keep_by_page(
        bits, [&](std::size_t page) { return column.has_page(page) ? 0 : usual; },
        [&](Slot slot) { return test(column.get(slot)); });
}

}  // namespace

void Columns::add(Slot slot, truth::RowId row, const Entry& entry) {
    rows_.set(slot, row);
    const Scope& scope = entry.scope;
    if (!scope.user.empty()) users_[scope.user].add(slot);
    if (!scope.agent.empty()) agents_[scope.agent].add(slot);
    if (!scope.run.empty()) runs_[scope.run].add(slot);
    session_.set(slot, session_of(scope));
    metadata_.add(slot, entry.metadata);
    created_.set(slot, entry.created_unix_ms);
    enter_session(slot);
    set(slot, entry);
}

void Columns::set(Slot slot, const Entry& entry) {
    if (entry.created_unix_ms != created_.get(slot)) {
        remove(slot);
        created_.set(slot, entry.created_unix_ms);
        enter_session(slot);
    }
    const std::size_t page = slot / kPageSlots;
    if (page >= created_spans_.size()) created_spans_.resize(page + 1);
    Span& span = created_spans_[page];
    span.lowest = std::min(span.lowest, entry.created_unix_ms);
    span.highest = std::max(span.highest, entry.created_unix_ms);
    flags_.set(slot, static_cast<std::uint8_t>(static_cast<unsigned>(entry.type) |
                                               (entry.pinned ? kPinned : 0u)));
    accessed_.set(slot, entry.accessed_unix_ms);
    valid_after_created_.set(slot, entry.valid_from_unix_ms == 0
                                       ? 0
                                       : subtract(entry.valid_from_unix_ms, entry.created_unix_ms));
    valid_to_.set(slot, entry.valid_to_unix_ms);
    expires_.set(slot, entry.expires_unix_ms);
    importance_.set(slot, entry.importance);
    access_count_.set(slot, entry.access_count);
}

void Columns::remove(Slot slot) {
    const std::uint32_t id = session_.get(slot);
    if (id == 0) return;
    std::vector<Slot>& slots = sessions_[id - 1];
    const auto found =
        std::ranges::lower_bound(slots, slot, [this](Slot a, Slot b) { return is_earlier(a, b); });
    if (found != slots.end() && *found == slot) slots.erase(found);
}

// --- sessions ----------------------------------------------------------------------------------

std::uint32_t Columns::session_of(const Scope& scope) {
    if (scope.session.empty()) return 0;
    const auto [found, is_new] = session_ids_.try_emplace(
        {scope.session, scope.user}, static_cast<std::uint32_t>(sessions_.size() + 1));
    if (is_new) sessions_.emplace_back();
    return found->second;
}

bool Columns::is_earlier(Slot a, Slot b) const {
    const UnixMs at = created_.get(a), bt = created_.get(b);
    return at < bt || (at == bt && a < b);
}

void Columns::enter_session(Slot slot) {
    const std::uint32_t id = session_.get(slot);
    if (id == 0) return;
    std::vector<Slot>& slots = sessions_[id - 1];
    slots.insert(
        std::ranges::upper_bound(slots, slot, [this](Slot a, Slot b) { return is_earlier(a, b); }),
        slot);
}

std::size_t Columns::around(Slot slot, std::uint32_t reach, std::vector<Slot>& out) const {
    out.clear();
    const std::uint32_t id = session_.get(slot);
    if (id == 0) {
        out.push_back(slot);
        return 0;
    }
    const std::vector<Slot>& slots = sessions_[id - 1];
    const auto at =
        std::ranges::lower_bound(slots, slot, [this](Slot a, Slot b) { return is_earlier(a, b); });
    const auto have = std::min<std::ptrdiff_t>(reach, at - slots.begin());
    out.assign(at - have, at);
    out.push_back(slot);
    const auto next = at + (at != slots.end() && *at == slot ? 1 : 0);
    out.insert(out.end(), next, next + std::min<std::ptrdiff_t>(reach, slots.end() - next));
    return static_cast<std::size_t>(have);
}

std::vector<Slot> Columns::before(Slot slot, std::uint32_t reach) const {
    std::vector<Slot> out;
    out.resize(around(slot, reach, out));
    return out;
}

std::vector<Slot> Columns::after(Slot slot, std::uint32_t reach) const {
    std::vector<Slot> out;
    const std::size_t at = around(slot, reach, out);
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    return out;
}

std::vector<Slot> Columns::session_slots(std::uint32_t session) const {
    if (session == 0 || session > sessions_.size()) return {};
    std::vector<Slot> slots = sessions_[session - 1];
    std::ranges::sort(slots);
    return slots;
}

// --- filters -----------------------------------------------------------------------------------

Bits Columns::select(const Filter& filter, UnixMs now, const Bits& live,
                     const MetadataIndex::Read& read) const {
    Bits bits = live;
    if (!filter.scope.user.empty()) keep_value(bits, users_, filter.scope.user);
    if (!filter.scope.agent.empty()) keep_value(bits, agents_, filter.scope.agent);
    if (!filter.scope.run.empty()) keep_value(bits, runs_, filter.scope.run);
    if (!filter.scope.session.empty()) keep_session(bits, filter.scope.session);
    keep_flags(bits, filter);
    keep_times(bits, filter, now);
    metadata_.keep_labelled(bits, filter.labels, read);
    return filter.metadata ? metadata_.select(*filter.metadata, bits, read) : bits;
}

void Columns::keep_value(Bits& bits, const Values& values, const std::string& value) {
    Bits with(bits.size());
    if (const auto found = values.find(value); found != values.end()) found->second.add_to(with);
    bits &= with;
}

void Columns::keep_session(Bits& bits, const std::string& session) const {
    Bits with(bits.size());
    for (auto at = session_ids_.lower_bound({session, ""});
         at != session_ids_.end() && at->first.first == session; ++at) {
        for (const Slot slot : sessions_[at->second - 1]) with.set(slot);
    }
    bits &= with;
}

void Columns::keep_flags(Bits& bits, const Filter& filter) const {
    if (!filter.types.empty() || filter.pinned) {
        unsigned types = 0;
        for (const MemoryType type : filter.types) types |= 1u << static_cast<unsigned>(type);
        keep_column(bits, flags_, [&](std::uint8_t flags) {
            return (types == 0 || (types >> (flags & kTypeMask) & 1) != 0) &&
                   (!filter.pinned || *filter.pinned == ((flags & kPinned) != 0));
        });
    }
    if (filter.importance_min) {
        keep_column(bits, importance_,
                    [&](float importance) { return importance >= *filter.importance_min; });
    }
}

void Columns::keep_times(Bits& bits, const Filter& filter, UnixMs now) const {
    if (!filter.created.any()) {
        const UnixMs from =
            filter.created.from_unix_ms == 0 ? INT64_MIN : filter.created.from_unix_ms;
        const UnixMs last =
            filter.created.to_unix_ms == 0 ? INT64_MAX : filter.created.to_unix_ms - 1;
        keep_by_page(
            bits,
            [&](std::size_t page) {
                const Span& span = created_spans_[page];
                if (span.lowest >= from && span.highest <= last) return 1;
                return span.highest < from || span.lowest > last ? -1 : 0;
            },
            [&](Slot slot) {
                const UnixMs at = created_.get(slot);
                return at >= from && at <= last;
            });
    }
    if (const UnixMs to = filter.valid.to_unix_ms; to != 0) {
        bits.keep_where([&](Slot slot) {
            return index::add(created_.get(slot), valid_after_created_.get(slot)) < to;
        });
    }
    if (const UnixMs from = filter.valid.from_unix_ms; from != 0) {
        keep_column(bits, valid_to_, [&](UnixMs to) { return to == 0 || to > from; });
    }
    if (filter.expired_too) return;
    keep_by_page(
        bits, [&](std::size_t page) { return expires_.has_page(page) ? 0 : 1; },
        [&](Slot slot) {
            const UnixMs at = expires_.get(slot);
            return at == 0 || at > now || (flags_.get(slot) & kPinned) != 0;
        });
}

void Columns::read(Slot slot, Entry& entry) const {
    const SlotFacts known = facts(slot);
    entry.type = known.type;
    entry.pinned = (flags_.get(slot) & kPinned) != 0;
    entry.created_unix_ms = known.created_unix_ms;
    entry.accessed_unix_ms = known.accessed_unix_ms;
    entry.valid_from_unix_ms = known.valid_from_unix_ms;
    entry.valid_to_unix_ms = known.valid_to_unix_ms;
    entry.expires_unix_ms = expires_.get(slot);
    entry.importance = known.importance;
    entry.access_count = known.access_count;
}

SlotFacts Columns::facts(Slot slot) const {
    SlotFacts facts;
    facts.row = rows_.get(slot);
    facts.type = static_cast<MemoryType>(flags_.get(slot) & kTypeMask);
    facts.session = session_.get(slot);
    facts.created_unix_ms = created_.get(slot);
    facts.accessed_unix_ms = accessed_.get(slot);
    facts.valid_from_unix_ms = index::add(facts.created_unix_ms, valid_after_created_.get(slot));
    facts.valid_to_unix_ms = valid_to_.get(slot);
    facts.importance = importance_.get(slot);
    facts.access_count = access_count_.get(slot);
    return facts;
}

std::uint64_t Columns::bytes() const {
    constexpr std::uint64_t kNode = 96;  // of a map, with its key
    std::uint64_t sum = rows_.bytes() + flags_.bytes() + created_.bytes() + accessed_.bytes() +
                        valid_to_.bytes() + expires_.bytes() + valid_after_created_.bytes() +
                        importance_.bytes() + access_count_.bytes() + session_.bytes() +
                        created_spans_.capacity() * sizeof(Span) + metadata_.bytes();
    for (const Values* values : {&users_, &agents_, &runs_}) {
        for (const auto& [value, slots] : *values) sum += kNode + slots.bytes();
    }
    sum += session_ids_.size() * kNode + sessions_.capacity() * sizeof(sessions_[0]);
    for (const auto& slots : sessions_) sum += slots.capacity() * sizeof(Slot);
    return sum;
}

}  // namespace memory::index
