// Runs that stand still tell nobody: they are looked for, among those that are open.

#include <algorithm>
#include <future>

#include "flow/alarm/alarms.h"

namespace flow {

using base::Result;
using base::store::Transaction;
using What = AlarmRule::What;

namespace {

constexpr std::chrono::seconds kSweepEvery{5};
constexpr int kSweepShare = 20;  // a sweep may take so much less time than lies between two
constexpr std::size_t kLookedAtMax = 200;  // runs of a sweep whose state is asked for
constexpr std::size_t kCheckedMax = 500;

std::int64_t began_ms(RunId run) {
    return static_cast<std::int64_t>(run.high >> 16);
}

/// Could this rule be about a run of which the log says no more than this?
bool may_concern(const AlarmRule& rule, const RunHead& head, std::int64_t now_ms) {
    if (rule.tenant != head.tenant) return false;
    const auto limit_ms = static_cast<std::int64_t>(rule.limit);
    if (rule.what == What::stuck) {
        const bool late = head.due_ms != 0 && now_ms - head.due_ms >= limit_ms;
        return now_ms - began_ms(head.id) >= limit_ms &&
               (head.calls_out || head.waiting.empty() || late);
    }
    return rule.what == What::budget && !rule.per_day && rule.unit == AlarmRule::Unit::seconds &&
           now_ms - began_ms(head.id) > limit_ms * 1'000;
}

}  // namespace

Result<void> Alarms::sweep() {
    const base::Instant began = parts_.clock.now();
    const std::int64_t now = now_ms();
    std::vector<RunId> ahead, behind;  // of where the last sweep ended
    DG_TRY(parts_.log.open_runs([&](const RunHead& head) {
        if (!std::ranges::any_of(
                *rules_, [&](const AlarmRule& rule) { return may_concern(rule, head, now); })) {
            return;
        }
        std::vector<RunId>& part = head.id > sweep_from_ ? ahead : behind;
        if (part.size() < kLookedAtMax) part.push_back(head.id);
    }));
    ahead.insert(ahead.end(), behind.begin(), behind.end());
    ahead.resize(std::min(ahead.size(), kLookedAtMax));
    sweep_from_ = ahead.size() < kLookedAtMax ? RunId() : ahead.back();
    std::vector<NotedRun> found;
    for (const RunId run : ahead) {
        const auto head = parts_.log.load_head(run);
        if (!head) continue;
        for (const AlarmRule& rule : *rules_) {
            if (!rule.covers(head->tenant, head->workflow) || !may_concern(rule, *head, now)) {
                continue;
            }
            NotedRun noted{.tenant = rule.tenant,
                           .rule = rule.name,
                           .workflow = head->workflow,
                           .run = {run, now, {}},
                           .keep_until_ms = keep_until(rule, now)};
            if (rule.what == What::budget) {
                noted.run.detail = fmt::format("has run for {} s", (now - began_ms(run)) / 1'000);
            } else {
                const auto limit_ms = static_cast<std::int64_t>(rule.limit);
                if (now - head->updated_ms < limit_ms) continue;
                noted.run.detail = ask_stuck(run, head->updated_ms, now, limit_ms);
                noted.keep_until_ms = 0;  // looked at again with every sweep
            }
            if (!noted.run.detail.empty()) found.push_back(std::move(noted));
        }
    }
    if (!found.empty()) {
        bool fresh = false;
        DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
            for (const NotedRun& noted : found) fresh = DG_TRY(note_run(tx, noted)) || fresh;
            return {};
        }));
        stale_ = stale_ || fresh;
    }
    DG_TRY(check_noted());
    const base::Instant ended = parts_.clock.now();
    sweep_at_ = ended + std::max<base::Duration>(kSweepEvery, (ended - began) * kSweepShare);
    return {};
}

std::string Alarms::ask_stuck(RunId run, std::int64_t updated_ms, std::int64_t now,
                              std::int64_t limit_ms) {
    std::promise<std::string> answer;
    parts_.runtime.post([&] {
        const auto state = parts_.runtime.engine().state(run);
        answer.set_value(state ? stuck_why(**state, updated_ms, now, limit_ms) : std::string());
    });
    return answer.get_future().get();
}

/// Is a rule still about a run whose time with it is over?
Result<bool> Alarms::still(const NotedRun& noted, const AlarmRule& rule) {
    const auto head = parts_.log.load_head(noted.run.run);
    if (!head) {
        if (head.error().code == base::Code::not_found) return false;
        return std::unexpected(head.error());
    }
    if (is_final(head->status)) return false;
    if (rule.what == What::budget) return true;
    if (rule.what != What::stuck) return false;
    return !ask_stuck(head->id, head->updated_ms, now_ms(), static_cast<std::int64_t>(rule.limit))
                .empty();
}

Result<void> Alarms::check_noted() {
    const std::int64_t now = now_ms();
    std::vector<NotedRun> due, gone, kept;
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        due = DG_TRY(runs_to_check(tx, now, kCheckedMax));
        return {};
    }));
    for (const NotedRun& noted : due) {
        const auto rule = std::ranges::find_if(*rules_, [&](const AlarmRule& each) {
            return each.tenant == noted.tenant && each.name == noted.rule;
        });
        const bool stays = rule != rules_->end() && DG_TRY(still(noted, *rule));
        (stays ? kept : gone).push_back(noted);
    }
    if (due.empty()) return {};
    stale_ = stale_ || !gone.empty();
    return store_->write([&](Transaction& tx) -> Result<void> {
        for (const NotedRun& noted : gone) DG_TRY(forget_run(tx, noted));
        for (NotedRun& noted : kept) {
            noted.keep_until_ms = now + 1;  // behind those that were not looked at yet
            DG_TRY(note_run(tx, noted));
        }
        return {};
    });
}

}  // namespace flow
