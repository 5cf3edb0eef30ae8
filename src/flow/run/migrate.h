#pragma once
// Moves a run that is not over to another version of its workflow: whether it can, why not, and its
// state under the new definition. Pure; Machine::migrate makes one event of it.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "flow/definition/compatibility.h"
#include "flow/run/state.h"

namespace flow {

/// What a person says about the differences between two versions. Steps are named by their ids.
struct MigrationRules {
    std::map<std::string, std::string> renamed;  ///< the old version's step to the new one's
    bool skip_removed = false;  ///< what is at work and gone ends here; else the run cannot move
    std::set<std::string> restart;  ///< at work: begins anew as the new version has it
    std::set<std::string> kept;  ///< finished: its output is good, whatever the new version expects

    bool operator==(const MigrationRules&) const = default;
};
/// {"renamed": {old: new}, "removed": "fail" | "skip", "restart": [ids], "kept": [ids]}
base::json::object to_json(const MigrationRules& rules);
/// Errors: invalid_argument, naming the field.
base::Result<MigrationRules> migration_rules_from(const base::json::value& json);
/// Do the rules speak of steps that there are? Errors: invalid_argument.
base::Result<void> check_rules(const MigrationRules& rules, const Definition& from,
                               const Definition& to);

struct MigrationPlan {
    std::vector<Finding> findings;       ///< in the order of the run's steps; may_move tells
    base::json::object state;            ///< under the new definition, where it may move
    std::vector<std::string> left;       ///< paths of steps that do not go on where they were
    std::vector<std::string> cancelled;  ///< of those the ones whose calls are out
    bool run_place = false;              ///< it has to ask for a place in another queue
};

/// What moving the run as it stands means. Pre: check_rules.
MigrationPlan plan_migration(const RunState& state, const Definition& to,
                             const MigrationRules& rules, std::int64_t now_ms);

/// What moving one run would be.
struct Migration {
    std::uint32_t from = 0, to = 0;  ///< versions
    std::vector<Finding> findings;
};

/// {"weight": "blocks" | "note", "step", "message"}
base::json::object to_json(const Finding& finding);

}  // namespace flow
