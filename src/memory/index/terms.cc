#include "memory/index/terms.h"

#include <cstring>
#include <functional>

#include "base/core/check.h"

namespace memory::index {
namespace {

constexpr std::size_t kFirstTable = 64;
/// Probes stay short up to here.
constexpr std::size_t kFullNumerator = 4, kFullDenominator = 5;

}  // namespace

TermDictionary::TermDictionary() : table_(kFirstTable, kNoTerm) {}

std::string_view TermDictionary::text(TermId id) const {
    const std::uint32_t offset = offsets_[id / kIdsPerPage][id % kIdsPerPage];
    const char* at = blocks_[offset / kBlockBytes].get() + offset % kBlockBytes;
    return {at + 1, static_cast<unsigned char>(*at)};
}

std::size_t TermDictionary::place_of(std::string_view word) const {
    const std::size_t mask = table_.size() - 1;
    std::size_t at = std::hash<std::string_view>{}(word)&mask;
    while (table_[at] != kNoTerm && text(table_[at]) != word) at = (at + 1) & mask;
    return at;
}

TermId TermDictionary::find(std::string_view word) const {
    return table_[place_of(word)];
}

TermId TermDictionary::intern(std::string_view word) {
    std::size_t place = place_of(word);
    if (table_[place] != kNoTerm) return table_[place];
    DG_CHECK(word.size() <= 255);
    if ((size_ + 1) * kFullDenominator > table_.size() * kFullNumerator) {
        grow();
        place = place_of(word);
    }
    if (block_used_ + word.size() + 1 > kBlockBytes) {
        blocks_.push_back(std::make_unique_for_overwrite<char[]>(kBlockBytes));
        block_used_ = 0;
    }
    char* at = blocks_.back().get() + block_used_;
    *at = static_cast<char>(word.size());
    std::memcpy(at + 1, word.data(), word.size());
    if (size_ % kIdsPerPage == 0) {
        offsets_.push_back(std::make_unique_for_overwrite<std::uint32_t[]>(kIdsPerPage));
    }
    offsets_.back()[size_ % kIdsPerPage] =
        static_cast<std::uint32_t>((blocks_.size() - 1) * kBlockBytes + block_used_);
    block_used_ += word.size() + 1;
    table_[place] = size_;
    return size_++;
}

void TermDictionary::grow() {
    std::vector<TermId>(table_.size() * 2, kNoTerm).swap(table_);
    for (TermId id = 0; id < size_; ++id) table_[place_of(text(id))] = id;
}

std::uint64_t TermDictionary::bytes() const {
    return table_.capacity() * sizeof(TermId) + blocks_.size() * kBlockBytes +
           offsets_.size() * kIdsPerPage * sizeof(std::uint32_t);
}

}  // namespace memory::index
