#include "flow/definition/compatibility.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/json/canonical.h"
#include "flow/definition/graph.h"

namespace flow {
namespace {

using Weight = Finding::Weight;

struct Known {
    const Step* step = nullptr;
    std::string outer, arm;
    std::set<std::string> before;  ///< all that it waits for in its block
};

struct Steps {
    std::vector<std::string> order;
    std::map<std::string, Known> by_id;
};

Steps steps_of(const Definition& definition) {
    Steps out;
    const Graph graph = graph_of(definition);
    for (const GraphNode& node : graph.nodes) {
        out.order.push_back(node.step->id);
        out.by_id[node.step->id] = {node.step, node.outer, node.arm, {}};
    }
    // Edges stand behind those of the steps they come from: blocks are in topological order.
    for (const GraphEdge& edge : graph.edges) {
        if (edge.kind != GraphEdge::Kind::after) continue;
        Known& to = out.by_id[edge.to];
        const Known& from = out.by_id[edge.from];
        to.before.insert(edge.from);
        to.before.insert(from.before.begin(), from.before.end());
    }
    return out;
}

std::set<std::string> arms_of(const Step& step) {
    std::set<std::string> out;
    if (const auto* choose = std::get_if<ChooseAction>(&step.action)) {
        for (const auto& arm : choose->arms) out.insert(arm.label);
    }
    if (const auto* parallel = std::get_if<ParallelAction>(&step.action)) {
        for (const auto& branch : parallel->branches) out.insert(branch.name);
    }
    return out;
}

std::string source_of(const std::optional<base::SchemaCheck>& check) {
    return check ? base::canonical_text(check->source()) : std::string();
}

class Comparison {
public:
    Comparison(const Definition& from, const Definition& to, const std::optional<RunPosition>& at)
        : from_(steps_of(from)), to_(steps_of(to)), at_(at) {
        if (from.name != to.name) {
            add(Weight::blocks, "",
                fmt::format("'{}' and '{}' are different workflows", from.name, to.name));
        }
        if (source_of(from.input_check) != source_of(to.input_check)) {
            add(Weight::note, "", "the input's schema changed; inputs of running runs keep theirs");
        }
        for (const std::string& id : from_.order) compare(id);
        for (const std::string& id : to_.order) {
            if (!from_.by_id.contains(id)) added(id);
        }
    }
    std::vector<Finding> take() { return std::move(findings_); }

private:
    bool may_be_open(const std::string& id) const { return !at_ || at_->open.contains(id); }
    bool may_be_done(const std::string& id) const { return !at_ || at_->done.contains(id); }
    bool touched(const std::string& id) const { return may_be_open(id) || may_be_done(id); }

    void add(Weight weight, const std::string& step, std::string message) {
        findings_.push_back({weight, step, std::move(message)});
    }

    void compare(const std::string& id) {
        if (!touched(id)) return;
        const Known& old = from_.by_id.at(id);
        const auto found = to_.by_id.find(id);
        if (found == to_.by_id.end()) {
            if (may_be_open(id)) {
                add(Weight::blocks, id,
                    fmt::format("step '{}' is gone; a run that is in it has nowhere to go on", id));
            } else {
                add(Weight::note, id, fmt::format("step '{}' is gone; its output is kept", id));
            }
            return;
        }
        const Known& now = found->second;
        const std::string_view kind = kind_name(old.step->action);
        const std::string_view new_kind = kind_name(now.step->action);
        if (kind != new_kind) {
            add(may_be_open(id) ? Weight::blocks : Weight::note, id,
                fmt::format("step '{}' was {} and is {}{}", id, kind, new_kind,
                            may_be_open(id) ? "" : "; its output is what the old kind gave"));
            return;
        }
        if (old.outer != now.outer || old.arm != now.arm) {
            add(Weight::blocks, id,
                fmt::format("step '{}' moved from {} to {}", id, home(old), home(now)));
        }
        compare_order(id, old, now);
        compare_arms(id, old, now);
        compare_contracts(id, old, now);
    }

    static std::string home(const Known& step) {
        if (step.outer.empty()) return "the top";
        return step.arm.empty() ? fmt::format("'{}'", step.outer)
                                : fmt::format("'{}' of '{}'", step.arm, step.outer);
    }

    /// What has begun must not wait for what has not been.
    void compare_order(const std::string& id, const Known& old, const Known& now) {
        for (const std::string& need : now.before) {
            if (old.before.contains(need) || !from_.by_id.contains(need)) continue;
            const bool reversed = from_.by_id.at(need).before.contains(id);
            const bool late = at_ ? !at_->done.contains(need) : reversed;
            if (late) {
                add(Weight::blocks, id,
                    fmt::format("step '{}' now waits for '{}', which {}", id, need,
                                reversed ? "came after it" : "is not done"));
            }
        }
    }

    void compare_arms(const std::string& id, const Known& old, const Known& now) {
        if (!may_be_open(id)) return;
        const std::set<std::string> arms = arms_of(*now.step);
        for (const std::string& arm : arms_of(*old.step)) {
            if (arms.contains(arm)) continue;
            add(Weight::blocks, id,
                fmt::format("step '{}' has no '{}' any more; a run that is in it has nowhere to go "
                            "on",
                            id, arm));
        }
    }

    void compare_contracts(const std::string& id, const Known& old, const Known& now) {
        if (may_be_done(id) &&
            source_of(old.step->output_check) != source_of(now.step->output_check)) {
            add(Weight::note, id,
                fmt::format(
                    "the output schema of step '{}' changed; outputs that are there are not "
                    "checked again",
                    id));
        }
        if (!may_be_open(id)) return;
        const auto* wait = std::get_if<WaitAction>(&old.step->action);
        const auto* new_wait = std::get_if<WaitAction>(&now.step->action);
        if (wait != nullptr && new_wait != nullptr &&
            (wait->signal != new_wait->signal || wait->event != new_wait->event)) {
            add(Weight::blocks, id,
                fmt::format("step '{}' waited for '{}' and waits for '{}'", id,
                            wait->signal + wait->event, new_wait->signal + new_wait->event));
        }
        const auto* human = std::get_if<HumanAction>(&old.step->action);
        const auto* new_human = std::get_if<HumanAction>(&now.step->action);
        if (human != nullptr && new_human != nullptr &&
            (human->ask != new_human->ask ||
             source_of(human->form) != source_of(new_human->form))) {
            add(Weight::note, id,
                fmt::format("step '{}' asks for something else; who was asked already sees the old "
                            "question",
                            id));
        }
        const auto* loop = std::get_if<LoopAction>(&old.step->action);
        const auto* new_loop = std::get_if<LoopAction>(&now.step->action);
        if (loop != nullptr && new_loop != nullptr &&
            (loop->collect != new_loop->collect || loop->item_name != new_loop->item_name)) {
            add(Weight::blocks, id,
                fmt::format("step '{}' names or keeps its rounds differently; those in progress "
                            "began the old way",
                            id));
        }
    }

    void added(const std::string& id) {
        std::vector<std::string> later;
        for (const auto& [other, known] : to_.by_id) {
            if (known.before.contains(id) && from_.by_id.contains(other) && touched(other)) {
                later.push_back(other);
            }
        }
        if (later.empty()) return;
        add(Weight::note, id,
            fmt::format("step '{}' is new and stands before '{}': runs that are past that do it "
                        "late or never",
                        id, later.front()));
    }

    Steps from_, to_;
    const std::optional<RunPosition>& at_;
    std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> compatibility(const Definition& from, const Definition& to,
                                   const std::optional<RunPosition>& at) {
    return Comparison(from, to, at).take();
}

bool may_move(const std::vector<Finding>& findings) {
    return std::ranges::none_of(
        findings, [](const Finding& finding) { return finding.weight == Weight::blocks; });
}

}  // namespace flow
