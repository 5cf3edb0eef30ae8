#pragma once
// Marks of the newest rows, in memory. Marks are chance numbers: each one written costs a random
// page of the store. Kept here for some thousand rows and then written in their order, many share a
// page. They follow from the entries, so a process that dies loses none. Thread-safe.

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "memory/truth/truth.h"

namespace memory::truth {

inline constexpr std::size_t kMarksMax = 3;  ///< of one entry

class MarkTail {
public:
    struct Mark {
        std::int64_t tenant = 0, mark = 0;
        RowId row = 0;
        auto operator<=>(const Mark&) const = default;
    };
    /// What is to be written: marks in the order of their keys, of rows up to `through`.
    struct Batch {
        std::vector<Mark> marks;
        RowId through = 0;
    };

    /// Before anything else: the last row whose marks are written.
    void start(RowId written);
    RowId written() const;
    /// Of a row whose transaction is not over: found from now on, written only when confirmed.
    void add(std::int64_t tenant, RowId row, std::span<const std::int64_t> marks);
    void confirm(RowId row);  ///< it was committed
    void forget(RowId row);   ///< it was not
    /// The row was changed or removed: its marks here may be wrong.
    void doubt(RowId row);
    bool doubted(RowId row) const;
    /// Adds rows that may have `mark`, oldest first, until there are `most` in `rows`.
    void find(std::int64_t mark, std::size_t most, std::vector<RowId>& rows) const;

    std::size_t rows() const;
    /// The rows before the first that is not confirmed.
    Batch batch() const;
    /// Those of a batch were written.
    void drop(RowId through);

private:
    struct Row {
        std::int64_t tenant = 0;
        std::array<std::int64_t, kMarksMax> marks{};
        std::uint8_t count = 0;
        bool confirmed = false;
    };
    using Rows = std::map<RowId, Row>;
    Rows::iterator erase(Rows::iterator at);

    mutable std::mutex mutex_;
    RowId written_ = 0;
    Rows rows_;
    std::set<std::pair<std::int64_t, RowId>> by_mark_;
    std::set<RowId> doubts_;
};

}  // namespace memory::truth
