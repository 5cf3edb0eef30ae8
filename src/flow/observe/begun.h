#pragma once
// When steps that are not over began: a table of fixed size, so that keeping it allocates nothing.
// Where it is full the oldest is forgotten; its duration is then not known.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "flow/run/run_id.h"

namespace flow {

class Begun {
public:
    Begun() : sets_(kSets) {}

    void begin(RunId run, std::string_view path, std::int64_t at_ms) {
        const std::uint64_t key = key_of(run, path);
        Set& set = sets_[key % kSets];
        Entry* slot = &*std::ranges::min_element(set, {}, &Entry::at_ms);
        for (Entry& entry : set) {
            if (entry.key == key) slot = &entry;
        }
        *slot = {key, at_ms};
    }
    bool knows(RunId run, std::string_view path) const {
        return find(key_of(run, path)) != nullptr;
    }
    /// Forgets it. 0: not known.
    std::int64_t take(RunId run, std::string_view path) {
        Entry* entry = const_cast<Entry*>(find(key_of(run, path)));
        if (entry == nullptr) return 0;
        const std::int64_t at_ms = entry->at_ms;
        *entry = {};
        return at_ms;
    }

private:
    static constexpr std::size_t kWays = 8, kSets = 8'192;
    struct Entry {
        std::uint64_t key = 0;
        std::int64_t at_ms = 0;
    };
    using Set = std::array<Entry, kWays>;

    static std::uint64_t key_of(RunId run, std::string_view path) {
        std::uint64_t hash = run.low ^ (run.high * 0x9e3779b97f4a7c15ull);
        for (const char c : path) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ull;
        return (hash ^ (hash >> 32)) | 1;
    }
    const Entry* find(std::uint64_t key) const {
        for (const Entry& entry : sets_[key % kSets]) {
            if (entry.key == key) return &entry;
        }
        return nullptr;
    }

    std::vector<Set> sets_;  ///< 1 MiB
};

}  // namespace flow
