// The part of the engine that moves runs to other versions of their workflow.

#include <utility>

#include "flow/engine/run_engine.h"

namespace flow {

base::Result<Migration> RunEngine::migration(RunId run, std::uint32_t version,
                                             const MigrationRules& rules) {
    Hot* const found = DG_TRY(hot(run));
    const RunState& state = found->state;
    const auto to = DG_TRY(definitions_.find(state.tenant, state.definition->name, version));
    DG_TRY(check_rules(rules, *state.definition, *to));
    Migration out{found->head.version, to->version,
                  plan_migration(state, *to, rules, now_ms()).findings};
    evict();  // many may be asked of, and nothing is written that would do it
    return out;
}

/// The definition that an input names; null: it names none.
base::Result<std::shared_ptr<const Definition>> RunEngine::named_definition(const RunState& state,
                                                                            const RunInput& input) {
    if (input.kind != RunInput::Kind::migrate) return std::shared_ptr<const Definition>();
    return definitions_.find(state.tenant, state.definition->name, version_of(input));
}

}  // namespace flow
