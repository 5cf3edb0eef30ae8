#pragma once
// Looks for pieces of texts in the raw bytes of files, knowing only the hashes of the pieces: so a
// check after a crash needs no copy of what was to be erased.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/core/result.h"

namespace memory::forget {

inline constexpr std::size_t kNeedleBytes = 24;

using Needle = std::int64_t;
/// The hash of a piece out of the middle of its first 512 bytes; none of a text that is shorter.
std::optional<Needle> needle_of(std::string_view text);

class NeedleSet {
public:
    explicit NeedleSet(const std::vector<Needle>& needles);
    std::uint64_t size() const { return needles_.size(); }
    /// Calls `hit` for every piece of `bytes` that is one of them, in no order; false from it
    /// stops. A piece of zeros alone is none.
    void each_hit(std::string_view bytes, const std::function<bool(Needle)>& hit) const;

private:
    bool each_hit_near(std::string_view bytes, const std::function<bool(Needle)>& hit) const;

    std::unordered_set<Needle> needles_;
    std::vector<std::uint64_t> sieve_;  ///< bits by hash; most places need no look-up
    std::uint64_t sieve_mask_ = 0;
};

struct FileHits {
    std::uint64_t bytes = 0;
    std::unordered_set<Needle> hits;
};
/// A file that is not there has no bytes. Errors: the system's, naming the file.
base::Result<FileHits> scan_file(const std::string& path, const NeedleSet& needles);

}  // namespace memory::forget
