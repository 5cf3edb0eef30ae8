#pragma once
// The words of one index, each with a dense number. Small first: a tenant of ten thousand entries
// has more words than entries.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace memory::index {

using TermId = std::uint32_t;
inline constexpr TermId kNoTerm = UINT32_MAX;

class TermDictionary {
public:
    TermDictionary();

    /// kNoTerm for a word never seen.
    TermId find(std::string_view text) const;
    /// Its number, a new one where needed. Pre: at most 255 bytes.
    TermId intern(std::string_view text);
    /// Valid as long as the dictionary. Pre: id < size().
    std::string_view text(TermId id) const;
    std::uint32_t size() const { return size_; }
    std::uint64_t bytes() const;

private:
    static constexpr std::size_t kBlockBytes = 1 << 16;
    static constexpr std::size_t kIdsPerPage = 1024;

    std::size_t place_of(std::string_view text) const;
    void grow();

    std::vector<TermId> table_;  ///< open addressing, a power of two; kNoTerm: free
    std::vector<std::unique_ptr<std::uint32_t[]>> offsets_;  ///< of texts, by id, in pages
    std::vector<std::unique_ptr<char[]>> blocks_;  ///< texts, each behind a byte of its length
    std::size_t block_used_ = kBlockBytes;
    std::uint32_t size_ = 0;
};

}  // namespace memory::index
