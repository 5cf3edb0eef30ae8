#pragma once
// Which files of a workspace a command changed, found by their change times.

#include <cstdint>
#include <string>
#include <vector>

namespace sphere::guard {

struct ChangedFiles {
    std::vector<std::string> names;  ///< beneath the workspace; a folder that lost something: "a/"
    bool complete = true;            ///< false: there was more than is looked at
};

/// The system's clock by which files' change times are set: what changes after this call has a time
/// that is not before it; so may what changed within the clock's tick before.
std::int64_t file_clock_ns();

/// Looks at no more than `entries_max` names and 16 levels, follows no link and crosses no mount.
/// `workspace` stays the caller's. A few microseconds for each name.
ChangedFiles find_changed(int workspace, std::int64_t since_ns, std::size_t entries_max = 256);

}  // namespace sphere::guard
