#pragma once
// A status of runs as people name it in a filter.

#include <cstdint>
#include <string_view>

#include "base/core/result.h"
#include "flow/run/state.h"

namespace flow {

/// As it is stored. Errors: invalid_argument, which lists them.
inline base::Result<std::int64_t> status_number(std::string_view name) {
    for (int s = 0; s <= static_cast<int>(RunStatus::cancelled); ++s) {
        if (status_name(static_cast<RunStatus>(s)) == name) return std::int64_t{s};
    }
    return base::fail_on(
        "status", base::Code::invalid_argument,
        "status '{}' is none of open, running, paused, undoing, completed, failed, "
        "cancelled",
        name);
}

}  // namespace flow
