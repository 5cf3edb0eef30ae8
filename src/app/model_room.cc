#include "app/model_room.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace app {
namespace {

std::uint64_t mib(std::uint64_t bytes) {
    return (bytes + (1u << 20) - 1) >> 20;
}

std::string holders(std::span<const HeldModel> held) {
    std::string text;
    for (const HeldModel& model : held) {
        if (model.requests == 0 && !model.fixed) continue;
        text += fmt::format("{}{} ({} MiB, {} requests running)", text.empty() ? "" : ", ",
                            model.id, mib(model.memory_bytes), model.requests);
    }
    return text.empty() ? "nothing" : text;
}

}  // namespace

base::Result<Room> make_room(std::string_view model, std::span<const HeldModel> held,
                             std::uint64_t budget, std::uint64_t least, std::uint64_t wished) {
    std::uint64_t used = 0;
    std::vector<std::size_t> idle;
    for (std::size_t i = 0; i < held.size(); ++i) {
        used += held[i].memory_bytes;
        if (held[i].requests == 0 && !held[i].fixed) idle.push_back(i);
    }
    std::ranges::stable_sort(idle, {}, [&](std::size_t i) { return held[i].last_used; });
    Room room;
    room.bytes = budget - std::min(budget, used);
    for (const std::size_t i : idle) {
        if (room.bytes >= wished) break;
        used -= held[i].memory_bytes;
        room.bytes = budget - std::min(budget, used);
        room.victims.push_back(i);
    }
    if (room.bytes >= least) return room;
    return base::fail_on(
        "memory", base::Code::resource_exhausted,
        "model {} needs {} MiB of memory at least; the budget for models is {} MiB, and {} of "
        "them are held by {}; wait for those requests, unload a model, or raise "
        "models.memory_bytes_max",
        model, mib(least), budget >> 20, mib(used), holders(held));
}

}  // namespace app
