#include "flow/queue/queue_board.h"

#include <algorithm>
#include <cmath>

namespace flow {

using base::Instant;

namespace {

constexpr std::uint64_t kOldestEvery = 16;
constexpr double kBegunMax = 10'000;  // moments kept of one queue

}  // namespace

QueueBoard::Limits rate_limit(double rate, base::Duration per) {
    QueueBoard::Limits out;
    if (rate <= 0) return out;
    const double starts = std::clamp(std::ceil(rate), 1.0, kBegunMax);
    out.starts = static_cast<std::uint32_t>(starts);
    out.window = base::Duration(
        static_cast<std::int64_t>(std::ceil(static_cast<double>(per.count()) * starts / rate)));
    return out;
}

void QueueBoard::limit(const std::string& queue, const Limits& limits) {
    limits_[queue] = limits;
    const auto own = queues_.find(queue);
    if (own == queues_.end() || own->second.limits == limits) return;
    own->second.limits = limits;
    changed_.insert(queue);
}

void QueueBoard::allow(const std::string& queue, const std::optional<Allowance>& allowance) {
    if (allowance) {
        allowances_[queue] = *allowance;
    } else {
        allowances_.erase(queue);
    }
    changed_.insert(queue);
}

void QueueBoard::add(std::uint64_t id, Place place) {
    const auto [at, fresh] = queues_.try_emplace(place.queue);
    Queue& queue = at->second;
    if (const auto limits = limits_.find(place.queue); fresh && limits != limits_.end()) {
        queue.limits = limits->second;
    }
    Party& party = queue.parties[place.party];
    const Order by_age{0, place.since_ms, id};
    if (place.holds) {
        queue.holders.insert(by_age);
    } else {
        party.by_age.insert(by_age);
        party.by_priority.insert({-std::int64_t{place.priority}, place.since_ms, id});
    }
    ++queue.waiting;
    changed_.insert(place.queue);
    entries_[id] = {std::move(place), false};
}

void QueueBoard::leave(std::uint64_t id) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    const Place& place = found->second.place;
    const auto at = queues_.find(place.queue);
    Queue& queue = at->second;
    const auto party = queue.parties.find(place.party);
    if (found->second.running) {
        --queue.running;
        --party->second.running;
        if (const auto shared = allowances_.find(place.queue); shared != allowances_.end()) {
            Allowance& has = shared->second;
            has.places = std::min(has.places, std::max(has.keep, queue.running));
        }
    } else {
        --queue.waiting;
        queue.holders.erase({0, place.since_ms, id});
        party->second.by_age.erase({0, place.since_ms, id});
        party->second.by_priority.erase({-std::int64_t{place.priority}, place.since_ms, id});
    }
    if (party->second.running == 0 && party->second.by_age.empty()) {
        const bool holds = std::ranges::any_of(queue.holders, [&](const Order& order) {
            return order.id != id && entries_.at(order.id).place.party == place.party;
        });
        if (!holds) queue.parties.erase(party);
    }
    changed_.insert(place.queue);
    entries_.erase(found);
}

bool QueueBoard::runs(std::uint64_t id) const {
    const auto found = entries_.find(id);
    return found != entries_.end() && found->second.running;
}

/// Who comes next. Pre: somebody waits.
std::uint64_t QueueBoard::choose(Queue& queue) const {
    if (!queue.holders.empty()) return queue.holders.begin()->id;
    const Party* next = nullptr;
    const Order* oldest = nullptr;
    for (const auto& [name, party] : queue.parties) {
        if (party.by_age.empty()) continue;
        if (next == nullptr ||
            std::pair(party.running, party.served) < std::pair(next->running, next->served)) {
            next = &party;
        }
        if (oldest == nullptr || *party.by_age.begin() < *oldest) oldest = &*party.by_age.begin();
    }
    if (queue.given % kOldestEvery == kOldestEvery - 1) return oldest->id;
    return next->by_priority.begin()->id;
}

void QueueBoard::set_due(const std::string& name, Queue& queue, Instant due) {
    if (queue.due == due) return;
    due_.erase({queue.due, name});
    queue.due = due;
    if (due != Instant::never()) due_.emplace(due, name);
}

/// It has its place.
void QueueBoard::begin(Queue& queue, std::uint64_t id) {
    Entry& entry = entries_.at(id);
    Party& party = queue.parties[entry.place.party];
    queue.holders.erase({0, entry.place.since_ms, id});
    party.by_age.erase({0, entry.place.since_ms, id});
    party.by_priority.erase({-std::int64_t{entry.place.priority}, entry.place.since_ms, id});
    entry.running = true;
    --queue.waiting;
    ++queue.running;
    ++party.running;
    party.served = ++queue.given;
}

std::vector<std::uint64_t> QueueBoard::admit(Instant now) {
    while (!due_.empty() && due_.begin()->first <= now) {
        changed_.insert(due_.begin()->second);
        queues_.at(due_.begin()->second).due = Instant::never();
        due_.erase(due_.begin());
    }
    std::vector<std::uint64_t> out;
    for (const std::string& name : changed_) {
        const auto found = queues_.find(name);
        if (found == queues_.end()) continue;
        Queue& queue = found->second;
        while (!queue.begun.empty() && queue.begun.front() + queue.limits.window <= now) {
            queue.begun.pop_front();
        }
        if (const auto shared = allowances_.find(name); shared != allowances_.end()) {
            Allowance& has = shared->second;
            while (queue.waiting > 0 && queue.running < has.places && has.starts > 0) {
                if (queue.limits.starts != 0) --has.starts;
                out.push_back(choose(queue));
                begin(queue, out.back());
            }
            if (queue.waiting == 0 && queue.running == 0) queues_.erase(found);
            continue;
        }
        Instant due = Instant::never();
        while (queue.waiting > 0 &&
               (queue.limits.concurrency == 0 || queue.running < queue.limits.concurrency)) {
            if (queue.limits.starts != 0 && queue.begun.size() >= queue.limits.starts) {
                const std::size_t over = queue.begun.size() - queue.limits.starts;
                due = queue.begun[over] + queue.limits.window;
                break;
            }
            const std::uint64_t id = choose(queue);
            begin(queue, id);
            if (queue.limits.starts != 0) queue.begun.push_back(now);
            out.push_back(id);
        }
        set_due(name, queue, due);
        // Who comes within the window must find what began in it.
        if (queue.waiting == 0 && queue.running == 0 && queue.begun.empty()) queues_.erase(found);
    }
    changed_.clear();
    return out;
}

Instant QueueBoard::next_due() const {
    return due_.empty() ? Instant::never() : due_.begin()->first;
}

std::vector<QueueBoard::Counts> QueueBoard::counts() const {
    std::vector<Counts> out;
    for (const auto& [name, queue] : queues_) {
        Counts counts{name, queue.limits, queue.running, queue.waiting, 0};
        const auto older = [&](const std::set<Order>& waiting) {
            if (waiting.empty()) return;
            const std::int64_t since = waiting.begin()->since_ms;
            if (counts.oldest_since_ms == 0 || since < counts.oldest_since_ms) {
                counts.oldest_since_ms = since;
            }
        };
        older(queue.holders);
        for (const auto& [party, own] : queue.parties) older(own.by_age);
        out.push_back(std::move(counts));
    }
    std::ranges::sort(out, {}, &Counts::queue);
    return out;
}

}  // namespace flow
