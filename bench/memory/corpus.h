#pragma once
// What the memory benchmarks share: entries and vectors from seeds, clocks, sizes, percentiles.

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "base/core/rng.h"
#include "memory/truth/truth.h"

namespace bench {

inline double seconds(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
/// Of this thread: what a query costs, whoever else is on the machine.
inline double cpu_seconds() {
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}
inline double wall_seconds() {
    return seconds(CLOCK_MONOTONIC);
}

/// Bytes of this process in memory: its own, and those of files that it has mapped.
struct Resident {
    double own = 0, files = 0;
};
inline Resident resident() {
    Resident r;
    char line[256];
    FILE* file = std::fopen("/proc/self/status", "r");
    while (file != nullptr && std::fgets(line, sizeof(line), file) != nullptr) {
        double kb = 0;
        if (std::sscanf(line, "RssAnon: %lf", &kb) == 1) r.own = kb * 1024;
        if (std::sscanf(line, "RssFile: %lf", &kb) == 1) r.files = kb * 1024;
    }
    if (file != nullptr) std::fclose(file);
    return r;
}

struct Latencies {
    std::vector<double> seconds;
    void add(double s) { seconds.push_back(s); }
    double ms(double share) {
        if (seconds.empty()) return 0;
        std::ranges::sort(seconds);
        return 1e3 *
               seconds[static_cast<std::size_t>(share * static_cast<double>(seconds.size() - 1))];
    }
};

inline constexpr std::uint32_t kDims = 384;

/// Words as often as people use them (Zipf, exponent 1.05), 30,000 of them.
class Words {
public:
    Words() {
        double sum = 0;
        for (int i = 0; i < 30'000; ++i) cumulative_.push_back(sum += 1 / std::pow(i + 1, 1.05));
        for (double& c : cumulative_) c /= sum;
    }
    std::string word(std::uint64_t rank) const {
        std::string out;
        for (int i = 0; i < 3; ++i, rank /= 75) {
            out += "bcdfgklmnprstvz"[rank % 75 / 5];
            out += "aiouy"[rank % 5];
        }
        return out + "k";
    }
    std::string next(base::Rng& rng) const {
        const auto at = std::ranges::lower_bound(cumulative_, rng.uniform());
        return word(static_cast<std::uint64_t>(at - cumulative_.begin()));
    }
    std::string text(base::Rng& rng, std::uint64_t words) const {
        std::string out;
        for (; words > 0; --words) out += next(rng) + " ";
        return out;
    }

private:
    std::vector<double> cumulative_;
};

/// 64 topics, each with a shape of 24 dimensions of its own, and weak noise: like embeddings.
class Vectors {
public:
    Vectors() : rng_(20'261'121) {
        for (auto* part : {&centres_, &shapes_}) {
            part->resize((part == &centres_ ? kTopics : 8 * kShape) * kDims);
            for (float& v : *part)
                v = static_cast<float>(gaussian(rng_) / std::sqrt(double{kDims}));
        }
    }
    std::vector<float> next(base::Rng& rng, std::uint64_t topic) const {
        std::vector<float> v(centres_.begin() + static_cast<std::ptrdiff_t>(topic * kDims),
                             centres_.begin() + static_cast<std::ptrdiff_t>((topic + 1) * kDims));
        for (std::size_t l = 0; l < kShape; ++l) {
            const auto along = static_cast<float>(.22 * gaussian(rng));
            const float* shape = &shapes_[(topic % 8 * kShape + l) * kDims];
            for (std::size_t d = 0; d < kDims; ++d) v[d] += along * shape[d];
        }
        float square = 0;
        for (float& x : v) {
            x += static_cast<float>(.35 * gaussian(rng) / std::sqrt(double{kDims}));
            square += x * x;
        }
        for (float& x : v) x /= std::sqrt(square);
        return v;
    }
    static constexpr std::uint64_t kTopics = 64;

private:
    static constexpr std::size_t kShape = 24;
    static double gaussian(base::Rng& rng) {
        const double u = rng.uniform(), v = rng.uniform();
        return std::sqrt(-2 * std::log(1 - u)) * std::cos(6.283185307179586 * v);
    }
    base::Rng rng_;
    std::vector<float> centres_, shapes_;
};

/// One entry of about 25 words in a conversation; 64 users, each mostly about one topic.
inline memory::truth::Change entry(base::Rng& rng, const Words& words, const Vectors& vectors,
                                   std::int64_t row) {
    memory::truth::Change change;
    change.row = change.sequence = row;
    // A conversation of 25 entries is one user's; it stays near a topic of theirs.
    const auto session = static_cast<std::uint64_t>(row) / 25;
    const std::uint64_t user = session * 0x9E3779B97F4A7C15u >> 58;
    const std::uint64_t topic = rng.below(4) == 0 ? rng.below(Vectors::kTopics) : user;
    change.entry.content = words.text(rng, 12 + rng.below(27));
    change.entry.scope.user = "user-" + std::to_string(user);
    change.entry.scope.session = "session-" + std::to_string(session);
    change.entry.type = static_cast<memory::MemoryType>(rng.below(memory::kMemoryTypes));
    change.entry.created_unix_ms = change.entry.valid_from_unix_ms =
        1'700'000'000'000 + row * 60'000;
    change.embedding = vectors.next(rng, topic);
    return change;
}

/// Each prints one JSON object.
void tenants(std::size_t tenants, std::size_t entries, std::size_t queries, const std::string& dir);
void selectivity(std::size_t entries, std::size_t queries, const std::string& dir);
void peers(std::size_t entries, std::size_t queries, const std::string& dir);
void chinese(const std::string& passages, const std::string& questions);

}  // namespace bench
