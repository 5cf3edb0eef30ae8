#pragma once
// One value per slot in pages that appear when something in them differs from the usual value: what
// nobody uses costs nothing, and growth copies nothing.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace memory::index {

inline constexpr std::size_t kPageSlots = 1024;

template <class T>
class PagedColumn {
public:
    explicit PagedColumn(T usual = T{}) : usual_(usual) {}

    T get(std::size_t slot) const {
        const std::size_t page = slot / kPageSlots;
        return page < pages_.size() && pages_[page] ? pages_[page][slot % kPageSlots] : usual_;
    }
    void set(std::size_t slot, T value) {
        const std::size_t page = slot / kPageSlots;
        if (page >= pages_.size() || !pages_[page]) {
            if (value == usual_) return;
            if (page >= pages_.size()) pages_.resize(page + 1);
            pages_[page] = std::make_unique_for_overwrite<T[]>(kPageSlots);
            std::fill_n(pages_[page].get(), kPageSlots, usual_);
            ++used_;
        }
        pages_[page][slot % kPageSlots] = value;
    }
    /// False: every value of the page is the usual one.
    bool has_page(std::size_t page) const { return page < pages_.size() && pages_[page]; }
    T usual() const { return usual_; }
    std::uint64_t bytes() const {
        return used_ * kPageSlots * sizeof(T) + pages_.capacity() * sizeof(pages_[0]);
    }

private:
    T usual_;
    std::vector<std::unique_ptr<T[]>> pages_;
    std::uint64_t used_ = 0;
};

}  // namespace memory::index
