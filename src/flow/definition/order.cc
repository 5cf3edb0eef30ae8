// Which step of a block comes after which: from names to indices, in topological order.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/core/nearest.h"
#include "flow/definition/reader.h"

namespace flow {
namespace {

using Places = std::map<std::string, StepPlace>;
using Needs = std::vector<std::vector<std::uint32_t>>;

const base::Node& name_node(const base::Node& step, const std::string& name) {
    const base::Node* list = step.find("depends_on");
    if (list == nullptr) return step;
    for (const base::Node& item : list->items) {
        if (item.text == name) return item;
    }
    return *list;
}

void tell_unknown(Reader& in, const Places& places, const std::vector<Step>& steps,
                  const StepPlace& place, const std::string& id, const std::string& name) {
    std::vector<std::string_view> known;
    for (const Step& step : steps) {
        if (step.id != id) known.push_back(step.id);
    }
    const base::Node& node = name_node(*place.node, name);
    const std::string path = place.path + ".depends_on";
    if (name == id) {
        in.fault(node, path, fmt::format("step '{}' depends on itself", id));
    } else if (places.contains(name)) {
        in.fault(node, path,
                 fmt::format("step '{}' depends on '{}', which is in another block; depend on the "
                             "step of this block that holds it",
                             id, name));
    } else {
        in.fault(node, path,
                 fmt::format("step '{}' depends on '{}', which does not exist{}", id, name,
                             base::did_you_mean(name, known)));
    }
}

/// Some way from `from` back to itself, or nothing.
bool find_cycle(const Needs& needs, std::uint32_t at, std::vector<std::uint8_t>& state,
                std::vector<std::uint32_t>& way) {
    state[at] = 1;
    way.push_back(at);
    for (const std::uint32_t next : needs[at]) {
        if (state[next] == 1) {
            way.erase(way.begin(), std::ranges::find(way, next));
            return true;
        }
        if (state[next] == 0 && find_cycle(needs, next, state, way)) return true;
    }
    state[at] = 2;
    way.pop_back();
    return false;
}

void tell_cycle(Reader& in, const Places& places, const std::vector<Step>& steps,
                const Needs& needs) {
    std::vector<std::uint8_t> state(steps.size());
    std::vector<std::uint32_t> way;
    for (std::uint32_t i = 0; i < steps.size(); ++i) {
        way.clear();
        if (state[i] != 0 || !find_cycle(needs, i, state, way)) continue;
        std::ranges::reverse(way);  // from what runs first to what waits for it
        std::vector<std::string> names;
        for (const std::uint32_t step : way) names.push_back(steps[step].id);
        std::ranges::rotate(names, std::ranges::min_element(names));
        names.push_back(names.front());
        const StepPlace& place = places.at(names.front());
        const base::Node* depends = place.node->find("depends_on");
        in.fault(depends != nullptr ? *depends : *place.node, place.path + ".depends_on",
                 fmt::format("steps wait for each other in a circle: {}; none can ever start",
                             fmt::join(names, " -> ")));
        return;
    }
}

}  // namespace

void order_block(Reader& in, Places& places, const std::vector<std::vector<std::string>>& before,
                 std::vector<Step>& steps) {
    std::map<std::string, std::uint32_t> index;
    for (std::uint32_t i = 0; i < steps.size(); ++i) index[steps[i].id] = i;
    Needs needs(steps.size());
    for (std::uint32_t i = 0; i < steps.size(); ++i) {
        for (const std::string& name : before[i]) {
            const auto at = index.find(name);
            StepPlace& place = places.at(steps[i].id);
            if (at == index.end() || at->second == i) {
                tell_unknown(in, places, steps, place, steps[i].id, name);
                continue;
            }
            needs[i].push_back(at->second);
            place.before.push_back(name);
        }
    }
    // The next one is the first in the file whose needs are placed.
    std::vector<std::uint32_t> order, place_of(steps.size());
    std::vector<std::uint32_t> open(steps.size());
    std::vector<std::vector<std::uint32_t>> waiting(steps.size());
    std::set<std::uint32_t> ready;
    for (std::uint32_t i = 0; i < steps.size(); ++i) {
        open[i] = static_cast<std::uint32_t>(needs[i].size());
        for (const std::uint32_t need : needs[i]) waiting[need].push_back(i);
        if (open[i] == 0) ready.insert(i);
    }
    while (!ready.empty()) {
        const std::uint32_t next = *ready.begin();
        ready.erase(ready.begin());
        place_of[next] = static_cast<std::uint32_t>(order.size());
        order.push_back(next);
        for (const std::uint32_t after : waiting[next]) {
            if (--open[after] == 0) ready.insert(after);
        }
    }
    if (order.size() < steps.size()) return tell_cycle(in, places, steps, needs);
    std::vector<Step> sorted;
    sorted.reserve(steps.size());
    for (const std::uint32_t i : order) {
        Step& step = sorted.emplace_back(std::move(steps[i]));
        for (const std::uint32_t need : needs[i]) step.needs.push_back(place_of[need]);
        std::ranges::sort(step.needs);
    }
    steps = std::move(sorted);
}

}  // namespace flow
