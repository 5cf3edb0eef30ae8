#pragma once
// Assertions, their sources and aliases as rows. Each call is part of the caller's transaction.

#include <functional>
#include <string_view>
#include <vector>

#include "base/store/store.h"
#include "memory/facts/fact.h"
#include "memory/truth/sealing.h"

namespace memory::facts {

base::Result<void> make_fact_tables(base::store::Transaction& tx,
                                    const base::store::Dialect& dialect);
/// What it says is sealed with the key of its scope, where that is done.
base::Result<void> insert_fact(base::store::Transaction& tx, const Assertion& said,
                               const truth::Sealing& sealing);
/// Seals up to `count` that are plain; says how many it did.
base::Result<std::uint64_t> seal_facts(base::store::Transaction& tx, std::uint32_t count,
                                       const truth::Sealing& sealing);
base::Result<std::int64_t> set_retracted(base::store::Transaction& tx, std::string_view tenant,
                                         const FactId& id, UnixMs at);
base::Result<void> drop_source(base::store::Transaction& tx, std::string_view tenant,
                               const FactId& id, std::string_view source);
base::Result<void> set_alias(base::store::Transaction& tx, std::string_view tenant,
                             std::string_view alias, std::string_view name);

/// Every assertion of the tenant, with its sources, by id; those after `after` alone. Those whose
/// key was erased are left out.
base::Result<std::vector<Assertion>> load_facts(base::store::Transaction& tx,
                                                std::string_view tenant,
                                                const truth::Sealing& sealing,
                                                std::string_view after = {});
/// As if it had never been recorded, in no history either.
base::Result<void> erase_fact(base::store::Transaction& tx, std::string_view tenant,
                              const FactId& id);
base::Result<void> erase_alias(base::store::Transaction& tx, std::string_view tenant,
                               std::string_view alias);
/// Those that name the source, with all their sources.
base::Result<std::vector<Assertion>> load_facts_of(base::store::Transaction& tx,
                                                   std::string_view tenant, std::string_view source,
                                                   const truth::Sealing& sealing);
base::Result<void> load_aliases(
    base::store::Transaction& tx, std::string_view tenant,
    const std::function<void(std::string_view alias, std::string_view name)>& each);
/// When something of a tenant changed last, as its changes are counted; 0: never.
base::Result<UnixMs> last_fact_change(base::store::Transaction& tx, std::string_view tenant);
/// For the next change: `at_least`, and later than any before, whoever made it.
base::Result<UnixMs> take_fact_change(base::store::Transaction& tx, std::string_view tenant,
                                      UnixMs at_least);
/// The last id of any tenant; "" without one.
base::Result<FactId> last_fact_id(base::store::Transaction& tx);

}  // namespace memory::facts
