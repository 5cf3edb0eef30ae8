#pragma once
// Assertions of many tenants in one base::store::Store, and what holds, answered from a tenant's
// own picture in memory: names resolved, assertions by subject and predicate, the graph of what
// holds. The picture is made from the tables when a tenant is first asked for, and disposable.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/store/store.h"
#include "memory/facts/fact.h"
#include "memory/facts/fact_graph.h"
#include "memory/truth/sealing.h"

namespace memory::facts {

/// What an entry of the truth says, as it was read. An empty `source`: the entry is gone.
struct Reading {
    std::int64_t row = 0;       ///< of the entry, for life
    std::uint32_t version = 0;  ///< that was read
    std::string source = {};    ///< the entry's id
    std::vector<Assertion> said = {};
};

class FactStore {
public:
    /// `store` may hold other tables; those of facts are made when they are missing. Errors:
    /// store's. `sealing` outlives it.
    static base::Result<std::unique_ptr<FactStore>> open(
        base::store::Store& store, const base::Clock& clock,
        const truth::Sealing& sealing = truth::Sealing::none());
    virtual ~FactStore() = default;

    /// All or none, one commit; gives their ids. Of one tenant. Errors: invalid_argument naming the
    /// index and field (empty names, confidence outside 0..1, valid_to not after valid_from).
    virtual base::Result<std::vector<FactId>> add(std::span<const Assertion> said) = 0;
    /// From now on it never was; "as known before" still knows it. Errors: not_found.
    virtual base::Result<void> retract(std::string_view tenant, const FactId& id) = 0;
    /// What `source` says is now `said`, and nothing else: what it alone said before and says no
    /// more is retracted, what it says already stays as it is. Empty: the source is gone.
    virtual base::Result<void> set_source(std::string_view tenant, std::string_view source,
                                          std::span<const Assertion> said) = 0;
    /// How far the entries of a tenant were read by `reader`, as the truth counts changes; 0 when
    /// another reader was here last.
    virtual base::Result<std::int64_t> read_upto(std::string_view tenant,
                                                 std::string_view reader) = 0;
    /// By row, those of `rows` that this reader has read.
    virtual base::Result<std::map<std::int64_t, std::uint32_t>> versions_read(
        std::string_view tenant, std::string_view reader, std::span<const std::int64_t> rows) = 0;
    /// set_source for each of them and how far that is, in one commit. Under a new reader what the
    /// earlier one read counts as unread. A reading that is not `current` within that commit is
    /// left out: a later one will say what became of its entry.
    using Current =
        std::function<base::Result<bool>(base::store::Transaction& tx, const Reading& reading)>;
    virtual base::Result<void> keep_readings(std::string_view tenant, std::string_view reader,
                                             std::int64_t upto, std::span<const Reading> readings,
                                             const Current& current) = 0;
    /// From now on `alias` means whom `name` means. Errors: failed_precondition (would go in a
    /// circle).
    virtual base::Result<void> add_alias(std::string_view tenant, std::string_view alias,
                                         std::string_view name) = 0;

    /// Its tables were changed by another part: they are read again.
    virtual void reload(std::string_view tenant) = 0;

    /// By subject, predicate, then time. Names match as they are resolved: spelling (NFKC, case,
    /// spaces), then aliases, then for subjects a first name that only one full name has.
    virtual base::Result<std::vector<Fact>> query(const FactQuery& query) = 0;
    virtual base::Result<std::vector<Contradiction>> contradictions(const FactQuery& query) = 0;
    virtual base::Result<std::vector<Neighbour>> neighbours(std::string_view tenant,
                                                            std::string_view name,
                                                            std::uint32_t depth,
                                                            std::uint32_t limit) = 0;
    /// At most `limit` names. Empty for a name that nobody has.
    virtual base::Result<Neighbourhood> neighbourhood(std::string_view tenant,
                                                      std::string_view name, std::uint32_t depth,
                                                      std::uint32_t limit) = 0;
    /// How two names hang together: paths of at most `length` facts, shortest first.
    virtual base::Result<std::vector<Path>> paths(std::string_view tenant, std::string_view from,
                                                  std::string_view to, std::uint32_t length,
                                                  std::uint32_t limit) = 0;
    /// Where the facts around the names in `text` come from, nearest first: what is not worded like
    /// the question, and hangs together with it. Empty when it names nobody who is known.
    virtual base::Result<std::vector<NearSource>> near_sources(std::string_view tenant,
                                                               std::string_view text,
                                                               std::uint32_t limit) = 0;
};

}  // namespace memory::facts
