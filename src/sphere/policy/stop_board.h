#pragma once
// The emergency stop: who is stopped, until somebody lifts it. [WP 5.7] A stop is an epoch: every
// one gets a number higher than all before it, so that work begun earlier can be told from later.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "sphere/sphere.h"

namespace sphere::policy {

struct Stop {
    StopScope scope;  ///< empty fields match everything
    std::uint64_t epoch = 0;
    std::int64_t unix_ns = 0;
    std::string actor, reason;
};

/// Thread-safe.
class StopBoard {
public:
    /// Reads the stops in force from `path`; none without the file. Errors: data_loss when it is
    /// damaged: who is stopped is then not known, so nothing starts until a person has looked.
    static base::Result<std::unique_ptr<StopBoard>> open(std::string path,
                                                         const base::Clock& clock);

    /// In force for every check that begins after this call; not yet on disk: see save. A second
    /// stop of the same scope renews the first. Waits for no file: what must end can be ended
    /// first. Returns the stop's epoch.
    std::uint64_t raise(const StopScope& scope, std::string actor, std::string reason);
    /// Everything raised so far is on disk when it returns. Errors: those of writing; the stops are
    /// in force all the same, but a restart would forget them.
    base::Result<void> save();
    /// raise and save. Errors: as save.
    base::Result<std::uint64_t> stop(const StopScope& scope, std::string actor, std::string reason);
    /// Ends every stop whose scope lies within `scope`; a wider one stays. Returns how many.
    /// Errors: those of writing; then nothing is lifted.
    base::Result<std::uint32_t> lift(const StopScope& scope);

    /// The stop that covers this box, the newest of several. Empty arguments are not covered by a
    /// scope that names theirs. Without any stop: one atomic read. With any number: a look-up for
    /// each kind of scope among them, of which there are eight.
    std::optional<Stop> covers(std::string_view tenant, std::string_view agent,
                               std::string_view sandbox) const;
    /// As Error: permission_denied naming the stop.
    base::Result<void> check(std::string_view tenant, std::string_view agent,
                             std::string_view sandbox) const;
    std::vector<Stop> list() const;  ///< oldest first
    /// Of the newest stop ever made here; 0: none.
    std::uint64_t epoch() const;

private:
    /// A scope's names, owned or borrowed, so that a check makes no text.
    struct Key {
        std::string_view tenant, agent, sandbox;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(const Key& key) const;
        std::size_t operator()(const StopScope& scope) const { return (*this)(key_of(scope)); }
    };
    struct Equal {
        using is_transparent = void;
        template <class A, class B>
        bool operator()(const A& a, const B& b) const {
            return key_of(a) == key_of(b);
        }
    };
    static Key key_of(const StopScope& scope) { return {scope.tenant, scope.agent, scope.sandbox}; }
    static Key key_of(const Key& key) { return key; }
    using Table = std::unordered_map<StopScope, Stop, Hash, Equal>;

    StopBoard(std::string path, const base::Clock& clock) : path_(std::move(path)), clock_(clock) {}
    base::Result<void> write(std::uint64_t epoch, const Table& stops) const;
    void put(Stop stop);  // Pre: mutex_ is held, or nobody else has the board yet
    void take(Table stops);

    const std::string path_;
    const base::Clock& clock_;
    std::mutex writing_;  // held over the file's writing; before mutex_
    mutable std::shared_mutex mutex_;
    Table stops_;                             // guarded by mutex_
    std::array<std::uint32_t, 8> of_kind_{};  // guarded by mutex_: stops by the fields they name
    std::uint64_t epoch_ = 0;                 // guarded by mutex_
    std::atomic<bool> any_{false};
};

}  // namespace sphere::policy
