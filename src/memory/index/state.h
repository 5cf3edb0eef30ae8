#pragma once
// All parts of one index together. No locks: tenant_index.cc has them.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memory/index/bits.h"
#include "memory/index/columns.h"
#include "memory/index/entry_log.h"
#include "memory/index/keyword.h"
#include "memory/index/spill.h"
#include "memory/index/vectors.h"

namespace memory::index {

class State {
public:
    /// Errors: those of the file.
    static base::Result<std::unique_ptr<State>> make(std::uint32_t dims, const std::string& dir);

    /// Errors: those of the file; the change is then not in, everything before is.
    base::Result<void> apply(const truth::Change& change);
    /// Takes over the live entries of `from` in [begin, end), in their order. Errors: the file's.
    base::Result<void> copy(const State& from, Slot begin, Slot end);
    /// Whatever `from` has of a row, be it nothing: this then has the same.
    base::Result<void> copy_row(const State& from, truth::RowId row);
    /// One that is empty, for copying into.
    base::Result<std::unique_ptr<State>> another() const { return make(dims_, dir_); }
    /// Errors: data_loss (the file).
    base::Result<void> sound() const { return file_->sound(); }

    std::uint32_t slots() const { return slots_; }
    std::uint32_t live() const { return live_count_; }
    std::uint32_t dead() const { return slots_ - live_count_; }
    const Bits& live_bits() const { return live_; }
    const Columns& columns() const { return columns_; }
    const KeywordIndex& keyword() const { return keyword_; }
    const VectorIndex* vectors() const { return vectors_.get(); }
    VectorIndex* vectors() { return vectors_.get(); }
    const EntryLog& log() const { return log_; }
    /// Where the live entry of a row stands.
    std::optional<Slot> slot_of(truth::RowId row) const;
    SlotFacts facts(Slot slot) const;
    std::uint64_t bytes() const;

private:
    State(std::uint32_t dims, std::string dir, std::unique_ptr<SpillFile> file);

    Slot find(truth::RowId row) const;
    void place_row(Slot slot);
    void remove(Slot slot);
    base::Result<void> take(const State& from, Slot slot);
    /// Puts an entry in the place of what was known of its row.
    base::Result<void> put(truth::RowId row, std::span<const TermCount> terms, std::uint32_t length,
                           const Entry& entry, std::span<const float> vector);
    base::Result<void> add(truth::RowId row, std::span<const TermCount> terms, std::uint32_t length,
                           const Entry& entry, std::string_view encoded,
                           std::span<const float> vector);

    std::uint32_t dims_;
    std::string dir_;
    std::unique_ptr<SpillFile> file_;
    EntryLog log_;
    KeywordIndex keyword_;
    Columns columns_;
    std::unique_ptr<VectorIndex> vectors_;
    Bits live_;
    std::uint32_t slots_ = 0, live_count_ = 0;
    /// Open addressing over rows; the row of a slot is in the columns. Dead slots stay until the
    /// next rebuild, behind the live one of their row.
    std::vector<Slot> by_row_;
};

}  // namespace memory::index
