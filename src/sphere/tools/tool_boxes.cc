#include "sphere/tools/tool_boxes.h"

#include <utility>

namespace sphere::tools {

using base::Code;
using base::fail_on;
using base::Result;

std::shared_ptr<ToolBoxes::Held> ToolBoxes::held(const ToolCaller& caller) {
    const std::lock_guard lock(mutex_);
    auto& place = held_[{caller.tenant, caller.agent, caller.session, caller.sandbox}];
    if (!place) place = std::make_shared<Held>();
    return place;
}

bool ToolBoxes::lives(const SandboxId& box) const {
    const auto info = sphere_.info(box);
    return info && info->state != SandboxState::ended && info->state != SandboxState::ending;
}

void ToolBoxes::forget_gone() {
    const std::lock_guard lock(mutex_);
    std::erase_if(held_, [&](const auto& each) {
        // One that somebody has in hand just now has a box soon.
        return each.second.use_count() == 1 && !lives(each.second->box);
    });
}

Result<ToolBoxes::Place> ToolBoxes::box_of(const ToolCaller& caller) {
    if (!caller.sandbox.empty()) {
        const auto info = sphere_.info(caller.sandbox);
        if (info && info->spec.tenant == caller.tenant) return Place{caller.sandbox};
        return fail_on("sandbox", Code::not_found, "there is no sandbox '{}'",
                       caller.sandbox.substr(0, 64));
    }
    const auto mine = held(caller);
    const std::lock_guard lock(mine->mutex);
    if (!mine->box.empty() && lives(mine->box)) return Place{mine->box};
    const bool replaced = !mine->box.empty();
    forget_gone();
    SandboxSpec spec = caller.spec;
    spec.tenant = caller.tenant;
    spec.agent = caller.agent;
    spec.limits.idle_timeout = idle_timeout_;
    if (!caller.session.empty()) spec.labels["session"] = caller.session;
    mine->interpreters.clear();
    mine->box = DG_TRY(sphere_.create(spec));
    return Place{mine->box, replaced};
}

Result<ToolBoxes::Interpreter> ToolBoxes::interpreter_of(const ToolCaller& caller,
                                                         const SandboxId& box, Language language) {
    const auto mine = held(caller);
    const std::lock_guard lock(mine->mutex);
    if (const auto at = mine->interpreters.find(language); at != mine->interpreters.end()) {
        const auto info = sessions_.info(box, at->second);
        if (info && info->state != SessionInfo::State::ended) return Interpreter{at->second};
        mine->interpreters.erase(at);
        static_cast<void>(sessions_.close(box, info ? info->id : 0));
    }
    const SessionInfo made = DG_TRY(sessions_.open(box, language));
    if (!caller.sandbox.empty()) mine->box = box;
    mine->interpreters[language] = made.id;
    return Interpreter{made.id, true};
}

Result<void> ToolBoxes::reset(const ToolCaller& caller) {
    const auto mine = held(caller);
    const std::lock_guard lock(mine->mutex);
    if (caller.sandbox.empty()) {
        if (!mine->box.empty() && lives(mine->box)) DG_TRY(sphere_.destroy(mine->box));
        mine->box.clear();
    }
    for (const auto& [language, id] : std::exchange(mine->interpreters, {})) {
        static_cast<void>(sessions_.close(caller.sandbox, id));
    }
    return {};
}

}  // namespace sphere::tools
