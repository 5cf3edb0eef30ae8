#pragma once
// Assertions of many tenants in one base::store::Store, and what holds, answered from a tenant's
// own picture in memory: names resolved, assertions by subject and predicate, the graph of what
// holds. The picture is made from the tables when a tenant is first asked for, and disposable.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/store/store.h"
#include "memory/facts/fact.h"
#include "memory/graph/graph.h"

namespace memory::facts {

/// Who is near whom in the graph, by the full name as it was written.
struct Neighbour {
    std::string name;
    std::uint32_t depth = 0;
    bool operator==(const Neighbour&) const = default;
};

class FactStore {
public:
    /// `store` may hold other tables; those of facts are made when they are missing. Errors:
    /// store's.
    static base::Result<std::unique_ptr<FactStore>> open(base::store::Store& store,
                                                         const base::Clock& clock);
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
};

}  // namespace memory::facts
