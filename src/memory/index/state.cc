#include "memory/index/state.h"

#include <algorithm>
#include <map>

#include "base/core/check.h"
#include "memory/text/analyzer.h"
#include "memory/text/marks.h"

namespace memory::index {
namespace {

constexpr std::size_t kFirstRows = 64;

std::size_t spread(truth::RowId row) {
    return static_cast<std::size_t>((static_cast<std::uint64_t>(row) * 0x9E3779B97F4A7C15u) >> 20);
}

}  // namespace

State::State(std::uint32_t dims, std::string dir, std::unique_ptr<SpillFile> file)
    : dims_(dims),
      dir_(std::move(dir)),
      file_(std::move(file)),
      log_(*file_),
      vectors_(dims == 0 ? nullptr : std::make_unique<VectorIndex>(dims, *file_)),
      by_row_(kFirstRows, kNoSlot) {}

base::Result<std::unique_ptr<State>> State::make(std::uint32_t dims, const std::string& dir) {
    auto file = DG_TRY(SpillFile::create(dir));
    return std::unique_ptr<State>(new State(dims, dir, std::move(file)));
}

Slot State::find(truth::RowId row) const {
    const std::size_t mask = by_row_.size() - 1;
    for (std::size_t at = spread(row) & mask; by_row_[at] != kNoSlot; at = (at + 1) & mask) {
        const Slot slot = by_row_[at];
        if (columns_.row(slot) == row) return slot;
    }
    return kNoSlot;
}

std::optional<Slot> State::slot_of(truth::RowId row) const {
    const Slot slot = find(row);
    return slot == kNoSlot || !live_.test(slot) ? std::nullopt : std::optional(slot);
}

void State::place_row(Slot slot) {
    if ((std::size_t{slots_} + 1) * 5 > by_row_.size() * 4) {
        std::vector<Slot> old(by_row_.size() * 2, kNoSlot);
        old.swap(by_row_);
        for (const Slot other : old) {
            if (other != kNoSlot) place_row(other);
        }
    }
    const std::size_t mask = by_row_.size() - 1;
    const truth::RowId row = columns_.row(slot);
    std::size_t at = spread(row) & mask;
    while (by_row_[at] != kNoSlot && columns_.row(by_row_[at]) != row) at = (at + 1) & mask;
    by_row_[at] = slot;
}

base::Result<void> State::apply(const truth::Change& change) {
    if (change.gone) {
        if (const auto known = slot_of(change.row)) remove(*known);
        return {};
    }
    std::map<TermId, std::uint32_t> counts;
    std::uint32_t length = 0;
    const auto count = [&](std::string_view text, std::uint32_t frequency) {
        for (const text::Term& term : text::analyze(text)) {
            if (term.stop_word) continue;
            std::uint32_t& n = counts[keyword_.dictionary().intern(term.text)];
            n = std::min(n + frequency, kCountMax);
            ++length;
        }
    };
    count(change.entry.content, 1);
    count(change.entry.speaker, kSpeakerFrequency);
    for (const std::string& mark : text::marks(change.entry.content, change.entry.speaker)) {
        counts[keyword_.dictionary().intern(mark)] = 1;
    }
    std::vector<TermCount> terms;
    terms.reserve(counts.size());
    for (const auto& [term, n] : counts) terms.push_back({term, n});

    return put(change.row, terms, length, change.entry, change.embedding);
}

base::Result<void> State::put(truth::RowId row, std::span<const TermCount> terms,
                              std::uint32_t length, const Entry& entry,
                              std::span<const float> vector) {
    const std::optional<Slot> known = slot_of(row);
    const std::string encoded = encode_logged(terms, length, entry);
    if (known && encoded == log_.encoded(*known)) {
        if (vectors_) DG_TRY(vectors_->set(*known, vector));
        columns_.set(*known, entry);
        return {};
    }
    DG_TRY(add(row, terms, length, entry, encoded, vector));
    if (known) remove(*known);
    return {};
}

base::Result<void> State::add(truth::RowId row, std::span<const TermCount> terms,
                              std::uint32_t length, const Entry& entry, std::string_view encoded,
                              std::span<const float> vector) {
    const Slot slot = slots_;
    DG_TRY(log_.append(slot, encoded));
    if (vectors_) DG_TRY(vectors_->set(slot, vector));
    keyword_.add(slot, terms, length);
    columns_.add(slot, row, entry);
    live_.resize(slot + 1);
    live_.set(slot);
    place_row(slot);
    ++slots_;
    ++live_count_;
    return {};
}

void State::remove(Slot slot) {
    std::vector<TermCount> terms;
    log_.terms_of(slot, terms, kNoTerm);
    keyword_.remove(slot, terms);
    columns_.remove(slot);
    if (vectors_) vectors_->remove(slot);
    live_.reset(slot);
    --live_count_;
}

base::Result<void> State::take(const State& from, Slot slot) {
    std::vector<TermCount> terms;
    Entry entry;
    std::uint32_t length = 0;
    from.log_.read(slot, terms, length, entry);
    from.columns_.read(slot, entry);
    for (TermCount& t : terms) {
        t.term = keyword_.dictionary().intern(from.keyword_.dictionary().text(t.term));
    }
    std::ranges::sort(terms, {}, &TermCount::term);
    return put(from.columns_.row(slot), terms, length, entry,
               vectors_ ? from.vectors_->decoded(slot) : std::vector<float>());
}

base::Result<void> State::copy(const State& from, Slot begin, Slot end) {
    for (std::size_t at = from.live_.next(begin); at < end; at = from.live_.next(at + 1)) {
        DG_TRY(take(from, static_cast<Slot>(at)));
    }
    return {};
}

base::Result<void> State::copy_row(const State& from, truth::RowId row) {
    if (const auto there = from.slot_of(row)) return take(from, *there);
    if (const auto here = slot_of(row)) remove(*here);
    return {};
}

SlotFacts State::facts(Slot slot) const {
    SlotFacts facts = columns_.facts(slot);
    facts.length_terms = keyword_.length(slot);
    return facts;
}

std::uint64_t State::bytes() const {
    return sizeof(State) + log_.bytes() + keyword_.bytes() + columns_.bytes() + live_.bytes() +
           (vectors_ ? vectors_->bytes() : 0) + by_row_.capacity() * sizeof(Slot);
}

}  // namespace memory::index
