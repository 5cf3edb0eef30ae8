// Boxes that wait with a command already running: what it takes an interpreter to start and to load
// its modules is done before anybody asks. Such a box is like any other: its command was executed,
// limited and filtered as every command is, shares memory with no other, and nobody was given it.
#include <sys/epoll.h>

#include <algorithm>
#include <thread>

#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

using base::Result;

/// After a command that could not be started, or ended while it waited.
constexpr std::chrono::seconds kRetryAfter{10};

class NoSink final : public ExecSink {
public:
    void on_output(Stream, std::string_view) override {}
    void on_end(const ExecResult&) override {}
};
NoSink no_sink;  // of commands that nobody has

}  // namespace

bool NativeSphere::is_warm(const Box& box) {
    if (!box.warm || box.gone || box.ending) return false;
    const auto at = box.execs.find(box.warm->exec);
    return at != box.execs.end() && at->second->phase == Exec::Phase::running;
}

bool NativeSphere::is_untouched(const Box& box) {
    return !box.touched && box.execs_begun == 0 && box.beginning.layers.empty() && !box.meter &&
           !box.paused && !box.held && !box.ending && !box.gone;
}

void NativeSphere::discard(const BoxPtr& box) {
    discarded_.push_back(box);
    keeper_wakes_.notify_one();
}

void NativeSphere::fill_warm(Lock& lock) {
    for (WarmPool& pool : warm_) {
        const base::Instant now = clock_.now();
        std::erase_if(pool.boxes, [&](const BoxPtr& box) {
            if (is_warm(*box)) return false;
            pool.not_before = now + kRetryAfter;
            discarded_.push_back(box);
            return true;
        });
        const std::size_t wanted = pool.demand.wanted(now);
        if (pool.boxes.size() > wanted) {  // one at a time, as those without a command
            discarded_.push_back(std::move(pool.boxes.back()));
            pool.boxes.pop_back();
        }
        // Half of the processors at most warm up for later.
        const auto cold =
            std::ranges::count_if(pool.boxes, [](const BoxPtr& box) { return !box->warm->ready; });
        const auto at_once = std::max<std::ptrdiff_t>(1, std::thread::hardware_concurrency() / 2);
        const bool may = now >= pool.not_before && cold < at_once && creating_ == 0;
        if (may && pool.boxes.size() < wanted && !stopping_ && !launcher_gone_ &&
            !warm_up(lock, pool)) {
            pool.not_before = clock_.now() + kRetryAfter;
        }
    }
}

bool NativeSphere::warm_up(Lock& lock, WarmPool& pool) {
    lock.unlock();
    auto exec = make_exec(pool.how.spec, no_sink);
    CommandEnds ends;
    const auto streams = open_streams(*exec, pool.how.spec, ends.fds);
    auto made =
        streams ? make_box(default_spec_) : Result<BoxPtr>(std::unexpected(streams.error()));
    lock.lock();
    if (!made) return false;
    const BoxPtr box = *made;
    box->warm.emplace();
    const auto begun = begin_command(lock, box, std::move(exec), pool.how.spec, ends.fds);
    if (!begun || stopping_) {
        discard(box);
        return begun.has_value();
    }
    box->warm->exec = *begun;
    box->execs_begun = 0;  // by nobody yet
    pool.boxes.push_back(box);
    return true;
}

void NativeSphere::on_warmth(const BoxPtr& box, std::uint32_t events) {
    const Lock lock(mutex_);
    if (!box->warm) return;  // it is somebody's by now
    for (const auto& [id, exec] : box->execs) {
        if (exec->out.token == 0) continue;
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, exec->out.fd.get(), nullptr);
        watches_.erase(exec->out.token);
        exec->out.token = 0;
    }
    box->warm->ready = (events & EPOLLIN) != 0;
    keeper_wakes_.notify_one();
}

NativeSphere::BoxPtr NativeSphere::pick_warm(WarmPool& pool, const Box& box, const ExecSpec& spec) {
    const auto words = words_of(box, spec);
    while (!pool.boxes.empty()) {
        auto at = std::ranges::find_if(
            pool.boxes, [](const BoxPtr& each) { return is_warm(*each) && each->warm->ready; });
        if (at == pool.boxes.end()) at = pool.boxes.begin();  // the nearest to it
        const BoxPtr warm = *at;
        if (is_warm(*warm)) {
            // Its variables and limits are those it was started with.
            const auto started_with = words_of(*warm, spec);
            if (!words || !started_with || words->text != started_with->text ||
                process_limits(box) != process_limits(*warm)) {
                return nullptr;
            }
        }
        pool.boxes.erase(at);
        if (!is_warm(*warm)) {
            discard(warm);
            continue;
        }
        if (same_group_limits(box.spec.limits, warm->spec.limits) ||
            warm->groups.set_limits(box.spec.limits)) {
            return warm;
        }
        discard(warm);  // they are too low for what it holds
        return nullptr;
    }
    return nullptr;
}

void NativeSphere::change_places(BoxPtr& box, const BoxPtr& warm) {
    const BoxPtr old = std::move(box);
    box = warm;
    const bool usual = same_group_limits(old->spec.limits, default_spec_.limits);
    std::swap(box->id, old->id);
    box->spec = std::exchange(old->spec, default_spec_);
    box->secrets = std::exchange(old->secrets, {});
    box->created_unix_ns = old->created_unix_ns;
    box->created_at = old->created_at;
    box->published = std::exchange(old->published, false);
    boxes_[box->id] = box;
    if (usual && options_.pool_size > 0) {
        pool_.push_front(old);  // as untouched as the others there
    } else {
        discard(old);
    }
}

ExecId NativeSphere::take_warm(BoxPtr& box, const ExecSpec& spec, ExecSink& sink) {
    const auto pool =
        std::ranges::find_if(warm_, [&](const WarmPool& each) { return each.how.spec == spec; });
    if (pool == warm_.end() || !same_shape(box->spec, default_spec_)) return 0;
    const base::Instant now = clock_.now();
    pool->demand.asked(now);
    keeper_wakes_.notify_one();
    if (!is_untouched(*box)) return 0;
    const BoxPtr warm = pick_warm(*pool, *box, spec);
    if (warm == nullptr) return 0;
    change_places(box, warm);

    const ExecId number = box->warm->exec;
    Exec& exec = *box->execs.at(number);
    if (exec.out.token != 0) {
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, exec.out.fd.get(), nullptr);
        watches_.erase(exec.out.token);
        exec.out.token = 0;
    }
    box->warm.reset();
    exec.sink = &sink;
    exec.started_at = box->used_at = now;
    exec.oom_kills_before = box->groups.oom_kills();
    box->groups.reset_peak_memory();
    if (exec.group) exec.group->cpu_us_before = box->groups.exec_cpu_us(exec.group->number);
    box->execs_begun = 1;
    on_begun(box, exec);
    return number;
}

}  // namespace sphere::native
