#pragma once
// What tells one state of a file from a later one without reading it.

#include <cstdint>
#include <string>

#include "base/core/result.h"

namespace base {

/// Size and times of change. The system's own time of change is among them: tools that unpack or
/// copy set the other one back, and two files of one kind often have one size.
struct FileStamp {
    std::uint64_t bytes = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;

    bool operator==(const FileStamp&) const = default;
};

/// Of what is at `path` now. Errors: not_found, permission_denied, unavailable.
Result<FileStamp> stamp_of(const std::string& path);
/// Of an open file, whatever its name has become. `path` is used in errors.
Result<FileStamp> stamp_of(int fd, const std::string& path);

}  // namespace base
