#pragma once
// Starting a program with chosen descriptors, and nothing else of this process.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/core/result.h"

namespace sphere::guest {

struct Spawned {
    std::string program;  ///< a path
    std::vector<std::string> arguments;
    std::vector<std::pair<int, int>> descriptors;  ///< ours, and its number there
    std::vector<std::string> environment = {};
};
/// Its process id. 0 to 2 that are not given are /dev/null; every other descriptor is closed.
/// Errors: unavailable.
base::Result<int> spawn(const Spawned& what);

/// `name` as a path: itself with a slash, else the first of the system's folders that has it; empty
/// when none has.
std::string find_program(const std::string& name);

/// What a program says in `milliseconds` at most and how it ended; killed when it takes longer.
struct Said {
    int wait_status = -1;  ///< -1: killed
    std::string text;      ///< stdout and stderr, at most 64 KiB
};
base::Result<Said> run_and_listen(const Spawned& what, int milliseconds);

}  // namespace sphere::guest
