// Do expressions name what exists, and what can have run by then? And can failures go where the
// file sends them?
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/core/nearest.h"
#include "flow/definition/reader.h"

namespace flow {
namespace {

using Places = std::map<std::string, StepPlace>;

constexpr std::string_view kStepFields[] = {"output", "status", "error", "attempt"};
constexpr std::string_view kRunFields[] = {"id",     "name",   "version", "started_at",
                                           "tenant", "labels", "signals", "error"};

/// From the step outward: itself, the step around it, and so on.
std::vector<std::string> around(const Places& places, const std::string& id) {
    std::vector<std::string> out;
    for (std::string at = id; !at.empty(); at = places.at(at).outer) out.push_back(at);
    return out;
}

class ReferenceCheck {
public:
    ReferenceCheck(Reader& in, const Names& names)
        : in_(in), names_(names), before_(names.places.size()) {
        for (const auto& [id, place] : names.places) {
            number_[id] = ids_.size();
            ids_.push_back(id);
            if (!place.jump.empty()) jumping_blocks_.insert(place.block);
        }
    }

    void check(const Reference& reference) {
        const std::vector<std::string>& path = reference.use.path;
        const std::string& root = path.front();
        if (root == "steps") {
            check_step(reference);
        } else if (root == "vars") {
            if (path.size() > 1 && !names_.vars_open) {
                check_known(reference, path[1], {names_.vars.begin(), names_.vars.end()},
                            "no step sets vars." + path[1]);
            }
        } else if (root == "input") {
            if (path.size() > 1 && !names_.inputs_open) {
                check_known(reference, path[1], {names_.inputs.begin(), names_.inputs.end()},
                            fmt::format("the input has no '{}'", path[1]));
            }
        } else if (root == "run") {
            if (path.size() > 1) {
                check_known(reference, path[1], {std::begin(kRunFields), std::end(kRunFields)},
                            fmt::format("a run has no '{}'", path[1]));
            }
        } else {
            check_root(reference, root);
        }
    }

private:
    void fault(const Reference& reference, const std::string& what) {
        const std::string who =
            reference.step.empty() ? "" : fmt::format("step '{}': ", reference.step);
        in_.fault_at(reference.use.line, reference.use.column, reference.path, who + what);
    }

    void check_known(const Reference& reference, const std::string& name,
                     const std::vector<std::string_view>& known, const std::string& what) {
        if (std::ranges::count(known, std::string_view(name)) > 0) return;
        const std::string guess = base::did_you_mean(name, known);
        const std::string there =
            known.empty() ? std::string() : fmt::format("; there are {}", fmt::join(known, ", "));
        fault(reference, what + (guess.empty() ? there : guess));
    }

    void check_root(const Reference& reference, const std::string& name) {
        std::vector<std::string_view> known = {"input", "vars", "steps", "run"};
        if (reference.sight == Sight::where) known.emplace_back("payload");
        std::vector<std::string> outer = around(names_.places, reference.step);
        // The loop's own fields are evaluated outside of its rounds; a while condition is not.
        if (!outer.empty() && reference.sight != Sight::loop_test) outer.erase(outer.begin());
        std::vector<std::string> items;
        for (const std::string& id : outer) {
            const StepPlace& place = names_.places.at(id);
            if (place.kind == "for_each") items.push_back(place.item_name);
            if (place.kind == "for_each" || place.kind == "while") items.emplace_back("index");
        }
        for (const std::string& item : items) known.push_back(item);
        check_known(reference, name, known, fmt::format("unknown name '{}'", name));
    }

    void check_step(const Reference& reference) {
        const std::vector<std::string>& path = reference.use.path;
        if (path.size() < 2) return;  // all of them, or one by a computed name
        const std::string& id = path[1];
        if (!names_.places.contains(id)) {
            std::vector<std::string_view> known;
            for (const auto& [name, place] : names_.places) known.push_back(name);
            return fault(reference,
                         fmt::format("there is no step '{}'{}", id, base::did_you_mean(id, known)));
        }
        if (path.size() > 2) {
            check_known(reference, path[2], {std::begin(kStepFields), std::end(kStepFields)},
                        fmt::format("steps.{} has no '{}'", id, path[2]));
        }
        const std::string why = cannot_see(reference, id);
        if (!why.empty()) return fault(reference, why);
        const StepPlace& place = names_.places.at(id);
        if (path.size() > 3 && path[2] == "output" && path[3] == "workspace" &&
            place.kind == "code" && !place.keeps_files) {
            fault(reference,
                  fmt::format("'{}' keeps no files: give it `keep_workspace: true`", id));
        }
    }

    /// Why what `reference` asks of step `id` can never be there; empty when it may be.
    std::string cannot_see(const Reference& reference, const std::string& id) {
        const Places& places = names_.places;
        const std::vector<std::string> theirs = around(places, id);
        std::vector<std::string> mine;
        if (!reference.step.empty()) mine = around(places, reference.step);
        // Both, as seen in the innermost block that holds both.
        std::size_t me = mine.size(), them = theirs.size();
        while (me > 0 && them > 0 &&
               places.at(mine[me - 1]).block == places.at(theirs[them - 1]).block &&
               mine[me - 1] == theirs[them - 1]) {
            --me;
            --them;
        }
        const bool compensating = reference.sight == Sight::compensation;
        if (them == 0) {  // the step itself, or one around it
            if (me == 0) {
                return compensating ? ""
                                    : fmt::format(
                                          "'{}' is the step itself, which has no "
                                          "output yet",
                                          id);
            }
            return fmt::format("it runs inside of '{}', which is not done by then", id);
        }
        if (me == 0 && !reference.step.empty()) {  // steps inside of this one
            if (compensating || reference.sight == Sight::loop_test) return hidden(theirs, them, 0);
            return fmt::format("'{}' runs inside of it, later", id);
        }
        if (const std::string inside = hidden(theirs, them, 1); !inside.empty()) return inside;
        if (reference.step.empty() || compensating) return "";
        return later(mine, me, theirs, them, id);
    }

    /// Rounds of a for-each keep their steps to themselves.
    std::string hidden(const std::vector<std::string>& theirs, std::size_t them,
                       std::size_t from) const {
        const std::size_t end = from == 0 ? them + 1 : them;
        for (std::size_t i = 1; i < end && i < theirs.size(); ++i) {
            if (names_.places.at(theirs[i]).kind != "for_each") continue;
            return fmt::format(
                "'{}' runs once for every item of '{}' and is seen within a round "
                "alone; use steps.{}.output, the list of all rounds",
                theirs[0], theirs[i], theirs[i]);
        }
        return "";
    }

    std::string later(const std::vector<std::string>& mine, std::size_t me,
                      const std::vector<std::string>& theirs, std::size_t them,
                      const std::string& id) {
        const Places& places = names_.places;
        const std::string& my_step = mine[me - 1];
        const std::string& their_step = theirs[them - 1];
        // In a while loop a round may ask what the one before it did; a jump may have gone back.
        for (std::size_t i = me; i < mine.size(); ++i) {
            if (places.at(mine[i]).kind == "while") return "";
        }
        if (places.at(my_step).block != places.at(their_step).block) {
            const std::string& holder = mine[me];
            return places.at(holder).kind == "parallel"
                       ? fmt::format("'{}' is in another branch of '{}', which may not have run",
                                     id, holder)
                       : fmt::format("'{}' is in another arm of '{}': only one of them runs", id,
                                     holder);
        }
        if (depends(my_step, their_step)) return "";
        if (jumping_blocks_.contains(places.at(my_step).block)) return "";
        if (depends(their_step, my_step)) {
            return fmt::format("'{}' runs later{}", id,
                               id == their_step ? "" : fmt::format(", in '{}'", their_step));
        }
        return fmt::format("'{}' may not have run by then: add '{}' to depends_on of '{}'", id,
                           their_step, my_step);
    }

    /// Does `from` wait for `on`, directly or not? Both are in one block.
    bool depends(const std::string& from, const std::string& on) {
        return before(number_.at(from)).at(number_.at(on));
    }

    /// All that a step waits for. A circle, which has been told, ends where it began.
    const std::vector<bool>& before(std::size_t step) {
        std::vector<bool>& all = before_[step];
        if (!all.empty()) return all;
        all.resize(ids_.size());
        for (const std::string& need : names_.places.at(ids_[step]).before) {
            const std::size_t other = number_.at(need);
            const std::vector<bool>& theirs = before(other);
            for (std::size_t i = 0; i < all.size(); ++i) all[i] = all[i] || theirs[i];
            all[other] = true;
        }
        return all;
    }

    Reader& in_;
    const Names& names_;
    std::vector<std::string> ids_;
    std::map<std::string, std::size_t> number_;
    std::vector<std::vector<bool>> before_;  ///< by number; empty: not asked yet
    std::set<std::uint32_t> jumping_blocks_;
};

}  // namespace

void check_references(Reader& in, const Names& names) {
    ReferenceCheck check(in, names);
    for (const Reference& reference : in.references) {
        if (in.full()) return;
        check.check(reference);
    }
}

void check_failure_paths(Reader& in, const Places& places) {
    const bool anything =
        std::ranges::any_of(places, [](const auto& each) { return each.second.undoes; });
    for (const auto& [id, place] : places) {
        if (place.jump_node != nullptr) {
            const auto target = places.find(place.jump);
            std::vector<std::string_view> known;
            for (const auto& [name, other] : places) {
                if (other.block == place.block && name != id) known.push_back(name);
            }
            const std::string path = place.path + ".on_error.goto";
            if (target == places.end()) {
                in.fault(*place.jump_node, path,
                         fmt::format("step '{}' goes to '{}', which does not exist{}", id,
                                     place.jump, base::did_you_mean(place.jump, known)));
            } else if (target->second.block != place.block || target->first == id) {
                in.fault(*place.jump_node, path,
                         fmt::format("step '{}' goes to '{}': expected another step of its own "
                                     "block{}",
                                     id, place.jump,
                                     known.empty() ? std::string(", which has none")
                                                   : fmt::format(": {}", fmt::join(known, ", "))));
            }
        }
        const bool holds_steps = place.kind == "branch" || place.kind == "switch" ||
                                 place.kind == "for_each" || place.kind == "while" ||
                                 place.kind == "parallel";
        if (place.undoes && (holds_steps || place.kind == "wait" || place.kind == "end")) {
            in.fault(*place.node->find("compensate"), place.path + ".compensate",
                     fmt::format("step '{}' does nothing that could be undone: {}", id,
                                 holds_steps ? "put `compensate` on the steps inside of it"
                                             : "take `compensate` away"));
        }
        if (place.asks_undo && !anything) {
            in.fault(*place.node->find("on_error"), place.path + ".on_error",
                     fmt::format("step '{}' asks to undo what was done, but no step has "
                                 "`compensate`",
                                 id));
        }
    }
}

}  // namespace flow
