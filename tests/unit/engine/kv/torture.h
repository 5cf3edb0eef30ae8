#pragma once
// Random lives of many conversations of several tenants over a tiny vocabulary, so that their texts
// collide all the time. Every position holds a number made of its whole history (whose it is, every
// token before it); after every operation that hands out KV, all of it is compared with what the
// model of the world says. Any sharing of a wrong page, late copy or stale byte is a mismatch.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/rng.h"
#include "engine/kv/spill_file.h"
#include "unit/engine/kv/kv_fixture.h"

namespace test {

/// A spill that fails to save, fails to load, and damages what it holds.
class FaultySpill final : public engine::KvSpill {
public:
    explicit FaultySpill(base::Rng& rng);
    base::Result<engine::SpillId> save(std::span<const std::span<const std::byte>> parts) override;
    base::Result<void> load(engine::SpillId id,
                            std::span<const std::span<std::byte>> parts) override;
    void drop(engine::SpillId id) override { file_->drop(id); }
    std::uint64_t bytes_total() const override { return file_->bytes_total(); }
    std::uint64_t bytes_max() const override { return file_->bytes_max(); }

private:
    base::Rng& rng_;
    int descriptor_ = -1;  ///< the file's own, for damaging it; owned by file_
    std::unique_ptr<engine::SpillFile> file_;
};

/// What happened, to show that a run went where it should.
struct TortureCounts {
    std::uint64_t operations = 0, positions_compared = 0, takes = 0, tokens_found = 0;
    std::uint64_t forks = 0, shifts = 0, swaps_out = 0, swaps_in = 0, swaps_lost = 0;
    std::uint64_t kept = 0, evicted = 0, out_of_pages = 0, copies = 0;
    void add(const TortureCounts& other);
};

class KvTorture {
public:
    explicit KvTorture(std::uint64_t seed);
    ~KvTorture();

    /// Runs so many operations. What is wrong is in error() afterwards; the run ends there.
    void run(std::uint64_t operations);
    /// Ends every life and checks that every page comes back.
    void finish();
    const std::optional<std::string>& error() const { return error_; }
    TortureCounts counts() const;

    /// What other threads may call while run() goes on.
    void read_from_outside() const;

private:
    /// One conversation: its tokens and what each position of its KV must hold.
    struct Life {
        engine::KvSequence kv;
        engine::KvScope scope;
        Tokens tokens;                      ///< as far as computed
        std::vector<std::uint64_t> values;  ///< of the same positions
        Tokens prompt;                      ///< still to compute
        std::string session;
        std::optional<engine::SpillId> spilled;
        bool shifted = false;
    };
    struct Kept {
        engine::KvScope scope;
        Tokens tokens;
        base::Instant expires;
    };

    void operate();
    void begin_life();
    void compute_more(Life& life);
    void put(Life& life, engine::PrefixCache::Tail tail);
    void end_life(std::size_t index);
    void fork(const Life& life);
    void truncate(Life& life);
    void shift(Life& life);
    void swap_out(Life& life);
    void swap_in(std::size_t index);
    void keep(const Life& life);
    void drop_kept();
    void audit_kept();
    void audit_counts();
    void check(const Life& life, const char* after);
    void fail(std::string what);
    bool one_in(std::uint64_t n) { return rng_.below(n) == 0; }
    Tokens random_text(std::uint64_t length_max);
    engine::KvScope random_scope();

    std::uint64_t seed_;
    base::Rng rng_;
    TestClock clock_;
    engine::KvPool pool_;
    engine::PrefixCache cache_;
    FaultySpill spill_;
    std::vector<Life> lives_;
    std::vector<std::pair<engine::KvScope, Tokens>> past_;  ///< texts to come back to
    std::map<std::string, Kept> kept_;
    TortureCounts counts_;
    std::optional<std::string> error_;
};

}  // namespace test
