#pragma once
// What expressions of a run see, answered from its state without copying it: `input`, `vars`,
// `run`, `steps.<id>.output`, and within loops the item under its name and `index`.

#include <deque>
#include <optional>

#include "base/template/template.h"
#include "flow/run/state.h"

namespace flow {

class RunVariables final : public base::Variables {
public:
    /// As seen from within `scope`; null: from the run as a whole.
    RunVariables(const RunState& state, const ScopeState* scope) : state_(state), scope_(scope) {}
    /// For `where` of a wait: `payload`.
    void set_payload(const base::json::value& payload) { payload_ = &payload; }
    /// For the condition of a `while`: `index` is that of the round it decides on.
    void set_round(std::uint64_t index) { round_ = index; }

    const base::json::value* find(std::span<const std::string_view> path,
                                  std::size_t& used) const override;

private:
    const StepState* step(std::string_view id) const;
    const base::json::value* step_field(const StepState& step,
                                        std::span<const std::string_view> path,
                                        std::size_t& used) const;
    const base::json::value* keep(base::json::value value) const;

    const RunState& state_;
    const ScopeState* scope_;
    const base::json::value* payload_ = nullptr;
    std::optional<std::uint64_t> round_;
    mutable std::deque<base::json::value> made_;  ///< values that stand nowhere in the state
};

/// The same for one render from a step.
base::RenderOptions render_options(std::int64_t now_ms);

}  // namespace flow
