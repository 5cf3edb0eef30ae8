#pragma once
// How many steps of open runs wait, by what they wait for.

#include <cstdint>
#include <string>
#include <vector>

namespace flow {

struct WaitCounts {
    std::int64_t people = 0, signals = 0, events = 0, time = 0;

    /// `waiting` as RunHead has it: "human:gate", "signal:paid", "event/news", "time:night".
    void count(const std::vector<std::string>& waiting, bool add) {
        for (const std::string& wait : waiting) {
            std::int64_t& kind = wait.starts_with("human:")    ? people
                                 : wait.starts_with("signal:") ? signals
                                 : wait.starts_with("event/")  ? events
                                                               : time;
            kind += add ? 1 : -1;
        }
    }
};

}  // namespace flow
