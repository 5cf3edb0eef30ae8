#include "memory/index/entry_log.h"

#include <cstring>

#include "base/core/check.h"

namespace memory::index {
namespace {

constexpr unsigned kLog2Places = 10;
constexpr std::size_t kPlacesPiece = sizeof(std::uint64_t) << kLog2Places;
constexpr std::size_t kEntriesPiece = 1 << 16;

void write_varint(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

void write_text(std::string& out, std::string_view text) {
    write_varint(out, text.size());
    out += text;
}

/// Nothing where the disk gave zeros.
base::json::object parsed(std::string_view text) {
    boost::system::error_code error;
    const base::json::value value = base::json::parse(text, error);
    return error || !value.is_object() ? base::json::object() : value.get_object();
}

/// Reads what was written above, from memory that only this program wrote. Zeros in it shorten what
/// is read, and lead nowhere else.
class Reading {
public:
    explicit Reading(std::string_view bytes) : at_(bytes.data()) {}

    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto byte = static_cast<unsigned char>(*at_++);
            value |= std::uint64_t{byte & 0x7Fu} << shift;
            if ((byte & 0x80) == 0) return value;
        }
    }
    std::string_view text() {
        const std::size_t size = varint();
        const std::string_view text(at_, size);
        at_ += size;
        return text;
    }
    void terms(std::vector<TermCount>& out, TermId last = kNoTerm) {
        out.clear();
        TermId term = 0;
        for (std::uint64_t left = varint(); left > 0; --left) {
            const std::uint64_t step = varint();
            term += static_cast<TermId>(step >> 1);
            if (term > last) return;
            out.push_back({term, (step & 1) == 0 ? 1 : static_cast<std::uint32_t>(varint())});
        }
    }

private:
    const char* at_;
};

}  // namespace

std::string encode_logged(std::span<const TermCount> terms, std::uint32_t length,
                          const Entry& entry) {
    std::string out;
    write_varint(out, terms.size());
    TermId before = 0;
    for (const TermCount& t : terms) {
        write_varint(out, std::uint64_t{t.term - before} << 1 | (t.frequency == 1 ? 0u : 1u));
        if (t.frequency != 1) write_varint(out, t.frequency);
        before = t.term;
    }
    // Before what a reader of metadata skips.
    write_text(out, entry.metadata.empty() ? "" : base::json::serialize(entry.metadata));
    write_varint(out, length);
    for (const std::string* text :
         {&entry.scope.user, &entry.scope.agent, &entry.scope.session, &entry.scope.run}) {
        write_text(out, *text);
    }
    return out;
}

EntryLog::EntryLog(SpillFile& file) : places_(file, kPlacesPiece), entries_(file, kEntriesPiece) {}

base::Result<void> EntryLog::append(Slot slot, std::string_view encoded) {
    const auto size = static_cast<std::uint32_t>(encoded.size());
    std::string record(sizeof(size), '\0');
    std::memcpy(record.data(), &size, sizeof(size));
    record += encoded;
    const std::uint64_t place = entries_.place(end_, record.size());
    DG_TRY(entries_.write(place, record.data(), record.size()));
    DG_TRY(places_.write(std::uint64_t{slot} * sizeof(place), &place, sizeof(place)));
    end_ = place + record.size();
    return {};
}

std::string_view EntryLog::encoded(Slot slot) const {
    std::uint64_t place = 0;
    std::memcpy(&place, places_.record(slot, kLog2Places, sizeof(place)), sizeof(place));
    const std::byte* record = entries_.at(place);
    std::uint32_t size = 0;
    std::memcpy(&size, record, sizeof(size));
    return {reinterpret_cast<const char*>(record) + sizeof(size), size};
}

void EntryLog::terms_of(Slot slot, std::vector<TermCount>& out, TermId last) const {
    Reading(encoded(slot)).terms(out, last);
}

std::uint64_t EntryLog::words_of(Slot slot) const {
    std::vector<TermCount> terms;
    terms_of(slot, terms, kNoTerm);
    std::uint64_t hash = terms.size();
    for (const TermCount& t : terms) {
        hash = (hash ^ (std::uint64_t{t.term} << 32 | t.frequency)) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return hash;
}

base::json::object EntryLog::metadata_of(Slot slot) const {
    Reading reading(encoded(slot));
    for (std::uint64_t left = reading.varint(); left > 0; --left) {
        if ((reading.varint() & 1) != 0) reading.varint();
    }
    return parsed(reading.text());
}

void EntryLog::read(Slot slot, std::vector<TermCount>& terms, std::uint32_t& length,
                    Entry& entry) const {
    Reading reading(encoded(slot));
    reading.terms(terms);
    entry.metadata = parsed(reading.text());
    length = static_cast<std::uint32_t>(reading.varint());
    for (std::string* part :
         {&entry.scope.user, &entry.scope.agent, &entry.scope.session, &entry.scope.run}) {
        *part = reading.text();
    }
}

}  // namespace memory::index
