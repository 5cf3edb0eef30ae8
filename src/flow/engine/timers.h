#pragma once
// When runs want to be looked at: a heap of moments, with what has become void left in it until it
// comes up. 24 bytes a run.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "flow/run/run_id.h"

namespace flow {

class Timers {
public:
    void add(std::int64_t due_ms, RunId run) {
        heap_.push_back({due_ms, run});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }
    /// 0: none.
    std::int64_t next_ms() const { return heap_.empty() ? 0 : heap_.front().due_ms; }
    /// The run whose moment came first; pre: next_ms() != 0.
    RunId pop() {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        const RunId run = heap_.back().run;
        heap_.pop_back();
        return run;
    }
    std::size_t size() const { return heap_.size(); }

private:
    struct Entry {
        std::int64_t due_ms;
        RunId run;
    };
    static bool later(const Entry& a, const Entry& b) {
        return a.due_ms != b.due_ms ? a.due_ms > b.due_ms : a.run > b.run;
    }
    std::vector<Entry> heap_;
};

}  // namespace flow
