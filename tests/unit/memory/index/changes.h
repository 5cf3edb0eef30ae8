#pragma once
// Random entries for the tests of indexes.

#include <string>
#include <vector>

#include "base/core/rng.h"
#include "memory/truth/truth.h"

namespace test {

inline std::string words(base::Rng& rng, std::size_t count, std::uint64_t vocabulary) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        // Squared: some words are in most entries, most in few.
        const double u = rng.uniform();
        text += "w" +
                std::to_string(
                    static_cast<std::uint64_t>(u * u * u * static_cast<double>(vocabulary))) +
                "x ";
    }
    return text;
}

inline std::vector<float> direction(base::Rng& rng, std::uint32_t dims) {
    std::vector<float> v(dims);
    for (float& x : v) x = static_cast<float>(rng.uniform() - .5);
    return v;
}

inline memory::Entry random_entry(base::Rng& rng) {
    memory::Entry entry;
    entry.type = static_cast<memory::MemoryType>(rng.below(memory::kMemoryTypes));
    entry.content = words(rng, 1 + rng.below(30), 300);
    if (rng.below(2) == 0) entry.speaker = "speaker" + std::to_string(rng.below(5));
    const auto name = [&](const char* what, std::uint64_t of) {
        return rng.below(4) == 0 ? std::string() : what + std::to_string(rng.below(of));
    };
    entry.scope = {"t", name("user", 4), name("agent", 3), name("session", 12), name("run", 90)};
    entry.created_unix_ms = 1'000'000 + static_cast<std::int64_t>(rng.below(5'000));
    entry.valid_from_unix_ms = rng.below(3) == 0
                                   ? 1'000'000 + static_cast<std::int64_t>(rng.below(5'000))
                                   : entry.created_unix_ms;
    if (rng.below(3) == 0) {
        entry.valid_to_unix_ms =
            entry.valid_from_unix_ms + 1 + static_cast<std::int64_t>(rng.below(3'000));
    }
    if (rng.below(3) == 0) {
        entry.expires_unix_ms = 1'000'000 + static_cast<std::int64_t>(rng.below(6'000));
    }
    if (rng.below(2) == 0) entry.importance = static_cast<float>(rng.uniform());
    entry.pinned = rng.below(5) == 0;
    if (rng.below(3) != 0) {
        entry.metadata["topic"] = "topic" + std::to_string(rng.below(6));
        if (rng.below(2) == 0)
            entry.metadata["priority"] = static_cast<std::int64_t>(rng.below(9)) - 4;
        if (rng.below(4) == 0) entry.metadata["priority"] = rng.uniform() * 4;
        if (rng.below(4) == 0) entry.metadata["big"] = (std::uint64_t{1} << 53) + rng.below(4);
        if (rng.below(2) == 0) {
            entry.metadata["where"] =
                base::json::object{{"city", "c" + std::to_string(rng.below(3))}};
        }
        if (rng.below(2) == 0) {
            base::json::array tags;
            for (std::uint64_t n = rng.below(3); n > 0; --n) {
                tags.emplace_back("tag" + std::to_string(rng.below(5)));
            }
            entry.metadata["tags"] = tags;
        }
        if (rng.below(2) == 0) entry.metadata["id"] = "id" + std::to_string(rng.next() % 4000);
        if (rng.below(3) == 0) {
            base::json::array labels;
            for (std::uint64_t n = rng.below(3); n > 0; --n) {
                labels.emplace_back("label" + std::to_string(rng.below(4)));
            }
            entry.metadata["labels"] = labels;
        } else if (rng.below(16) == 0) {
            entry.metadata["labels"] = nullptr;
        } else if (rng.below(8) == 0) {
            entry.metadata["labels"] = "label" + std::to_string(rng.below(4));
        }
    }
    return entry;
}

/// A row's changes over time: new, changed, touched, embedded, gone.
class History {
public:
    History(base::Rng& rng, std::uint32_t dims) : rng_(rng), dims_(dims) {}

    memory::truth::Change next() {
        memory::truth::Change change;
        change.sequence = ++sequence_;
        const std::uint64_t kind = rng_.below(10);
        if (live_.empty() || kind < 6) {
            change.row = ++last_row_;
            change.entry = random_entry(rng_);
        } else {
            const std::size_t at = rng_.below(live_.size());
            change = live_[at];
            change.sequence = sequence_;
            live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(at));
            if (kind == 6) {
                change.gone = true;
                change.entry = {};
                change.embedding.clear();
                return change;
            }
            if (kind == 7) {
                const memory::UnixMs created = change.entry.created_unix_ms;
                change.entry = random_entry(rng_);
                change.entry.created_unix_ms = created;
            } else {
                change.entry.access_count += 3;
                change.entry.importance = static_cast<float>(rng_.uniform());
                change.entry.pinned = rng_.below(2) == 0;
            }
        }
        change.embedding.clear();
        if (dims_ > 0 && rng_.below(4) != 0) change.embedding = direction(rng_, dims_);
        live_.push_back(change);
        return change;
    }
    /// What an index should know now.
    const std::vector<memory::truth::Change>& live() const { return live_; }

private:
    base::Rng& rng_;
    std::uint32_t dims_;
    memory::truth::Sequence sequence_ = 0;
    memory::truth::RowId last_row_ = 0;
    std::vector<memory::truth::Change> live_;
};

}  // namespace test
