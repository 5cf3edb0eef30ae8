#pragma once
// Everything that finds, for one tenant: terms with postings, vectors as 1-bit and int8 codes,
// columns of what filters ask, the order of sessions. Disposable: rebuilt from the truth. There is
// no other tenant's data in it, so no filter has to keep anything out.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "memory/filter.h"
#include "memory/truth/truth.h"

namespace memory::index {

/// A place in this index; dense, ascending with arrival, meaningless after a rebuild.
using Slot = std::uint32_t;

/// The slots a filter lets through, for the reader that made it and while that lives.
class Selection {
public:
    virtual ~Selection() = default;
};

struct Scored {
    Slot slot = 0;
    float score = 0;
};

struct KeywordQuery {
    struct Term {
        std::string text;
        float weight = 1.f;
    };
    std::vector<Term> terms;
};

/// Facts of a slot that ranking uses.
struct SlotFacts {
    truth::RowId row = 0;
    MemoryType type = MemoryType::long_term;
    std::uint32_t session = 0;  ///< 0: none; equal numbers: same session
    UnixMs created_unix_ms = 0, accessed_unix_ms = 0;
    UnixMs valid_from_unix_ms = 0, valid_to_unix_ms = 0;
    float importance = .5f;
    std::uint64_t access_count = 0;
    std::uint32_t length_terms = 0;
};

/// A consistent view: holds writers off, so make it, use it, drop it within a query.
class Reader {
public:
    virtual ~Reader() = default;

    virtual std::uint32_t live() const = 0;  ///< entries
    virtual base::Result<std::unique_ptr<Selection>> select(const Filter& filter, UnixMs now) = 0;
    virtual std::uint64_t count(const Selection& selection) const = 0;
    virtual bool selected(const Selection& selection, Slot slot) const = 0;

    /// BM25 (k1, b in keyword.h), best first, ties by slot. Exact: what is pruned could not enter.
    virtual std::vector<Scored> keyword(const KeywordQuery& query, const Selection& selection,
                                        std::uint32_t limit) = 0;
    /// BM25 of just these, in their order.
    virtual std::vector<float> keyword_of(const KeywordQuery& query,
                                          std::span<const Slot> slots) = 0;
    /// What keyword_of sums, [slots][terms of the query in its order].
    virtual std::vector<float> keyword_parts_of(const KeywordQuery& query,
                                                std::span<const Slot> slots) = 0;
    /// Number of entries with the term; 0: unknown term.
    virtual std::uint32_t document_frequency(std::string_view term) const = 0;

    /// Nearest by cosine, best first; finds the stated share of the true ones.
    virtual base::Result<std::vector<Scored>> vector(std::span<const float> query,
                                                     const Selection& selection,
                                                     std::uint32_t limit, float recall) = 0;
    virtual std::vector<float> vector_of(std::span<const float> query,
                                         std::span<const Slot> slots) = 0;

    /// Where a row stands, if it is here.
    virtual std::optional<Slot> slot_of(truth::RowId row) const = 0;
    virtual SlotFacts facts(Slot slot) const = 0;
    /// Equal for entries whose words are; about never for others.
    virtual std::uint64_t words_of(Slot slot) const = 0;
    /// Up to `reach` entries before it, itself, and as many after it in its session, in order of
    /// time. `out` is emptied first. Returns where it stands in `out`.
    virtual std::size_t around(Slot slot, std::uint32_t reach, std::vector<Slot>& out) const = 0;
    /// Those before it alone, and those after it.
    virtual std::vector<Slot> before(Slot slot, std::uint32_t reach) const = 0;
    virtual std::vector<Slot> after(Slot slot, std::uint32_t reach) const = 0;
    /// Those of `speaker`'s own words, of a session: small lists, ascending.
    virtual std::vector<Slot> session_slots(std::uint32_t session) const = 0;

    /// How the last vector() and keyword() went, for explain.
    virtual std::string plan() const = 0;
};

class TenantIndex {
public:
    /// `dims` 0: no vectors. `spill_dir` holds what need not be in memory (int8 codes), in a file
    /// without a name; empty: all in memory.
    static std::unique_ptr<TenantIndex> make(std::uint32_t dims, const std::string& spill_dir);
    virtual ~TenantIndex() = default;

    /// A change seen before, or older than one of its row, is nothing. Thread-safe. Errors:
    /// failed_precondition (out of order beyond memory: rebuild), data_loss (the file cannot be
    /// read: rebuild), those of the file.
    virtual base::Result<void> apply(std::span<const truth::Change> changes) = 0;
    /// Leaves no trace of entries that are gone, in memory or in the file. Searches go on
    /// meanwhile, writers wait. Errors: those of the file; then it is as before.
    virtual base::Result<void> purge() = 0;
    virtual truth::Sequence sequence() const = 0;  ///< the highest applied
    virtual std::unique_ptr<Reader> read() = 0;
    virtual std::uint64_t bytes() const = 0;
    /// Errors: data_loss: its file could not be read. Whatever a reader said since is worthless;
    /// only building it anew helps. One system call.
    virtual base::Result<void> sound() const = 0;
    /// Dead entries are dropped, and codes made, beside what is read and written. Waits for it.
    virtual void settle() = 0;
};

}  // namespace memory::index
