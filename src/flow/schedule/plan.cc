#include "flow/schedule/plan.h"

#include <algorithm>

#include "flow/run/time_text.h"

namespace flow {

namespace {

constexpr std::int64_t kLateS = 60;              // later than this a moment has been missed
constexpr std::size_t kPendingMax = 10'000;      // that wait for their turn; older ones go
constexpr std::size_t kLookedAtMax = 1'000'000;  // moments passed over at once, after years

/// 64 bits that follow from a text and a number alone (FNV-1a, mixed).
std::uint64_t steady_hash(std::string_view text, std::uint64_t seed) {
    std::uint64_t hash = 0xcbf29ce484222325ull ^ seed;
    for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ull;
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93ull;
    return hash ^ (hash >> 32);
}

}  // namespace

base::Result<Timetable> Timetable::of(const Schedule& schedule) {
    Timetable out;
    if (!schedule.cron.empty()) out.cron = DG_TRY(Cron::parse(schedule.cron));
    out.zone = DG_TRY(TimeZone::find(schedule.zone));
    out.every_s = std::chrono::duration_cast<std::chrono::seconds>(schedule.every).count();
    return out;
}

std::optional<std::int64_t> Timetable::next(std::int64_t after_s) const {
    if (cron) return zone.next(*cron, after_s);
    if (every_s <= 0) return std::nullopt;
    const std::int64_t before = after_s - ((after_s % every_s) + every_s) % every_s;
    return before + every_s;
}

std::int64_t jitter_s(const Schedule& schedule, std::string_view of, std::int64_t moment_s) {
    const auto most = std::chrono::duration_cast<std::chrono::seconds>(schedule.jitter).count();
    if (most <= 0) return 0;
    return static_cast<std::int64_t>(steady_hash(of, static_cast<std::uint64_t>(moment_s)) %
                                     static_cast<std::uint64_t>(most + 1));
}

void decide(const Schedule& schedule, const Timetable& table, std::string_view of,
            std::int64_t now_s, ScheduleState& state) {
    if (state.last_s > now_s) state.last_s = now_s;
    std::vector<std::int64_t> due;
    std::int64_t at = state.last_s;
    for (std::size_t looked = 0;; ++looked) {
        // After very long, `every` jumps; what is older than can be caught up is passed over.
        if (looked == kLookedAtMax) {
            at = std::max(at, now_s - 366 * 86'400);
            due.clear();
        }
        const auto next = table.next(at);
        if (!next || *next + jitter_s(schedule, of, *next) > now_s) break;
        at = *next;
        due.push_back(at);
        if (due.size() > 2 * kPendingMax) {
            due.erase(due.begin(), due.end() - static_cast<std::ptrdiff_t>(kPendingMax));
        }
    }
    if (due.empty()) return;
    state.last_s = at;
    if (state.paused) return;
    const auto fresh = std::ranges::find_if(due, [&](std::int64_t moment) {
        return now_s - moment - jitter_s(schedule, of, moment) <= kLateS;
    });
    switch (schedule.catch_up) {
        case Schedule::CatchUp::none:
            due.erase(due.begin(), fresh);
            break;
        case Schedule::CatchUp::last:
            if (fresh != due.begin()) due.erase(due.begin(), std::min(fresh, due.end() - 1));
            break;
        case Schedule::CatchUp::all: {
            const auto missed = static_cast<std::size_t>(fresh - due.begin());
            if (missed > schedule.catch_up_max) {
                due.erase(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(
                                                         missed - schedule.catch_up_max));
            }
            break;
        }
    }
    state.pending.insert(state.pending.end(), due.begin(), due.end());
    std::ranges::sort(state.pending);
    const auto [first, last] = std::ranges::unique(state.pending);
    state.pending.erase(first, last);
    if (state.pending.size() > kPendingMax) {
        state.pending.erase(state.pending.begin(),
                            state.pending.end() - static_cast<std::ptrdiff_t>(kPendingMax));
    }
}

std::optional<std::int64_t> next_due_s(const Schedule& schedule, const Timetable& table,
                                       std::string_view of, const ScheduleState& state) {
    const auto next = table.next(state.last_s);
    if (!next) return std::nullopt;
    return *next + jitter_s(schedule, of, *next);
}

std::vector<std::int64_t> to_start(const Schedule& schedule, bool last_is_open,
                                   ScheduleState& state) {
    if (state.pending.empty()) return {};
    switch (schedule.overlap) {
        case Schedule::Overlap::allow:
            return state.pending;
        case Schedule::Overlap::queue:
            if (last_is_open) return {};
            return {state.pending.front()};
        case Schedule::Overlap::skip:
            break;
    }
    if (last_is_open) {
        state.pending.clear();
        return {};
    }
    state.pending.erase(state.pending.begin(), state.pending.end() - 1);
    return state.pending;
}

void started(std::int64_t moment_s, std::string run, ScheduleState& state) {
    std::erase(state.pending, moment_s);
    state.last_run = std::move(run);
}

std::string moment_key(std::string_view workflow, std::string_view schedule,
                       std::int64_t moment_s) {
    return fmt::format("schedule/{}/{}/{}", workflow, schedule, moment_s);
}

}  // namespace flow
