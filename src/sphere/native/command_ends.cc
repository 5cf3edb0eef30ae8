// A command from its first instruction to its report: time limits, how it ended, what it leaves.
#include <algorithm>
#include <csignal>
#include <tuple>

#include "sphere/launcher/channel.h"
#include "sphere/native/command_end.h"
#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

using base::Instant;

constexpr std::chrono::milliseconds kCpuCheckMin{5}, kKillPatience{2000};
/// A box that ends with its command must not pay for a next one.
constexpr std::chrono::milliseconds kPrepareAfter{3};
constexpr std::chrono::milliseconds kRushPause{20};
constexpr int kPreparesAtOnce = 8;  ///< under the lock
constexpr ExecId kNoExec = 0;       ///< of a due: time to prepare the box's next command

std::uint64_t microseconds(base::Duration duration) {
    return static_cast<std::uint64_t>(duration.count() / 1000);
}

std::uint64_t cpu_used_us(const Box& box, const Exec& exec) {
    return box.groups.exec_cpu_us(exec.group->number) - exec.group->cpu_us_before;
}

}  // namespace

void NativeSphere::on_begun(const BoxPtr& box, Exec& exec) {
    exec.phase = Exec::Phase::running;
    if (box->warm) return watch(exec.out, Watch::Kind::warmth, box, exec.id);
    if (exec.out.fd) watch(exec.out, Watch::Kind::output, box, exec.id);
    if (exec.err.fd) watch(exec.err, Watch::Kind::errors, box, exec.id);
    if (!exec.input.empty() || exec.input_ends) want_input(box, exec);
    Instant due = Instant::never();
    if (exec.wall_timeout.count() > 0) due = exec.started_at + exec.wall_timeout;
    if (exec.cpu_timeout.count() > 0) due = std::min(due, clock_.now() + kCpuCheckMin);
    set_due(*box, exec, due);
}

void NativeSphere::on_exited(const BoxPtr& box, const launcher::Exited& exited) {
    Exec* exec = nullptr;
    {
        const Lock lock(mutex_);
        const auto at = box->execs.find(exited.exec);
        if (at == box->execs.end()) {
            // One that refused its command, and start() was faster; or it ended while it waited,
            // and its like would, too.
            if (!box->prepared || box->prepared->exec != exited.exec) return prepare_next(*box);
            return_group(*box, box->prepared->group);
            return box->prepared.reset();
        }
        exec = at->second.get();
        if (exec->phase == Exec::Phase::starting && exec->answer >= 0 &&
            peek_answer(exec->answer) == Answer::executed) {
            on_begun(box, *exec);  // start() has not looked yet
            box->changed.notify_all();
        }
        if (exec->phase != Exec::Phase::running) return;
        if (box->warm) box->warm->exec = 0;  // nobody takes it any more
    }
    drain(*box, *exec);
    report(*box, *exec, &exited);
}

void NativeSphere::report(Box& box, Exec& exec, const launcher::Exited* exited) {
    if (exec.phase == Exec::Phase::lingering) {
        const Lock lock(mutex_);
        set_due(box, exec, Instant::never());
        close_streams(exec);
        if (exec.group) box.leaving_groups.push_back(*exec.group);
        box.execs.erase(exec.id);
        return;
    }
    ExecResult result;
    int sent_signal = 0;
    {
        const Lock lock(mutex_);
        sent_signal = exec.sent_signal;
    }
    judge_end({.exited = exited,
               .out_of_memory = box.groups.oom_kills() > exec.oom_kills_before,
               .sent_signal = sent_signal,
               .cpu_limited = exec.cpu_timeout.count() > 0},
              result);
    result.output_bytes = exec.output_bytes;
    result.output_dropped = exec.output_bytes - exec.delivered;
    const Instant now = clock_.now();
    result.wall = std::chrono::microseconds(microseconds(now - exec.started_at));
    const std::uint64_t group_us = exec.group ? box.groups.exec_cpu_us(exec.group->number) : 0;
    if (exec.group) result.cpu = std::chrono::microseconds(group_us - exec.group->cpu_us_before);
    if (result.cpu.count() == 0 && exited != nullptr) {
        result.cpu = std::chrono::microseconds(exited->cpu_us);
    }
    result.peak_memory_bytes = box.groups.peak_memory_bytes();
    if (result.peak_memory_bytes == 0 && exited != nullptr) {
        result.peak_memory_bytes = exited->resident_bytes_max;
    }
    ExecSink& sink = *exec.sink;
    {
        const Lock lock(mutex_);
        if (exec.forced)
            result.reason = *exec.forced;
        else if (box.forced && (exited == nullptr || result.signal == SIGKILL)) {
            result.reason = *box.forced;
        }
        box.used_at = now;
        const bool all_gone =
            exited == nullptr || (exec.group ? box.groups.exec_group_is_empty(exec.group->number)
                                             : !exec.out.fd && !exec.err.fd);
        if (all_gone) {
            set_due(box, exec, Instant::never());
            close_streams(exec);
            if (exec.group && exited != nullptr) reuse_group(box, *exec.group, group_us);
            if (exec.group && exited == nullptr) box.leaving_groups.push_back(*exec.group);
            box.execs.erase(exec.id);
        } else {
            exec.phase = Exec::Phase::lingering;
            exec.sink = nullptr;
            unwatch(exec.in);
            set_due(box, exec,
                    exec.wall_timeout.count() > 0 ? exec.started_at + exec.wall_timeout
                                                  : Instant::never());
        }
        box.changed.notify_all();
    }
    if (box.meter) tell_closed_ports(box);
    sink.on_end(result);
    const Lock lock(mutex_);
    if (box.execs.empty()) prepare_later(box);
}

void NativeSphere::prepare_later(const Box& box) {
    const Instant due = clock_.now() + kPrepareAfter;
    dues_.insert({due, box.number, kNoExec});
    if (due < loop_sleeps_until_) wake();
}

void NativeSphere::set_due(Box& box, Exec& exec, Instant due) {
    if (exec.due != Instant::never()) dues_.erase({exec.due, box.number, exec.id});
    exec.due = due;
    if (due == Instant::never()) return;
    dues_.insert({due, box.number, exec.id});
    if (due < loop_sleeps_until_) wake();
}

void NativeSphere::run_timers() {
    const Lock lock(mutex_);
    const Instant now = clock_.now();
    int prepares = 0;
    while (!dues_.empty() && std::get<Instant>(*dues_.begin()) <= now) {
        const auto [due, number, id] = *dues_.begin();
        const auto box = by_number_.find(number);
        if (id == kNoExec) {
            dues_.erase(dues_.begin());
            if (box == by_number_.end()) continue;
            if (is_rushed() || ++prepares > kPreparesAtOnce) {
                dues_.insert({now + kRushPause, number, id});
            } else {
                prepare_next(*box->second);
            }
            continue;
        }
        if (box == by_number_.end() || !box->second->execs.contains(id)) {
            dues_.erase(dues_.begin());
            continue;
        }
        Exec& exec = *box->second->execs.at(id);
        set_due(*box->second, exec, Instant::never());
        on_due(box->second, exec, now);
    }
}

void NativeSphere::on_due(const BoxPtr& box, Exec& exec, Instant now) {
    if (exec.kill_sent) {
        if (exec.phase == Exec::Phase::lingering) {
            if (exec.group) return_group(*box, *exec.group);
            close_streams(exec);
            box->execs.erase(exec.id);
            return;
        }
        kill_box(*box, *exec.forced);  // its init does not report: take the box
        return;
    }
    if (exec.wall_timeout.count() > 0 && now >= exec.started_at + exec.wall_timeout) {
        end_exec(*box, exec, EndReason::wall_time);
        return;
    }
    if (exec.phase != Exec::Phase::running || exec.cpu_timeout.count() == 0) return;
    const auto limit_us = static_cast<std::uint64_t>(exec.cpu_timeout.count()) * 1000;
    const std::uint64_t used_us = exec.group ? cpu_used_us(*box, exec) : 0;
    if (exec.group && used_us >= limit_us) {
        end_exec(*box, exec, EndReason::cpu_time);
        return;
    }
    // It cannot use the rest sooner than all its processors running allow.
    const double left_us = static_cast<double>(limit_us - used_us) / box->spec.limits.cpus;
    const auto wait = std::max<base::Duration>(
        kCpuCheckMin, std::chrono::microseconds(static_cast<std::int64_t>(left_us)));
    Instant due = now + wait;
    if (exec.wall_timeout.count() > 0) due = std::min(due, exec.started_at + exec.wall_timeout);
    set_due(*box, exec, due);
}

void NativeSphere::end_exec(Box& box, Exec& exec, EndReason reason) {
    if (!exec.forced && exec.phase == Exec::Phase::running) exec.forced = reason;
    exec.kill_sent = true;
    exec.killed_at = clock_.now();
    if (exec.group) {
        exec.group->killed = true;
        box.groups.kill_exec(exec.group->number);
    } else {
        // Without a group of its own its children cannot be told from others of the box.
        auto message = launcher::make_message<launcher::Signal>();
        message.number = SIGKILL;
        message.scope = launcher::Scope::box;
        launcher::send_message(box.init.fd.get(), message);
    }
    set_due(box, exec, exec.killed_at + kKillPatience);
}

}  // namespace sphere::native
