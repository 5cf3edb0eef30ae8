#pragma once
// Did the last process that did the steps of a folder end by itself?

#include <cstdio>
#include <string>

#include "base/files/files.h"

namespace app {

/// A file that is there while a process performs; who finds it knows that one died.
class CrashMark {
public:
    /// Errors: the disk's.
    static base::Result<CrashMark> set(const std::string& dir) {
        CrashMark mark;
        mark.path_ = dir + "/performing";
        mark.crashed_ = base::path_exists(mark.path_);
        if (!mark.crashed_) DG_TRY(base::write_file_atomically(mark.path_, ""));
        return mark;
    }
    bool crashed() const { return crashed_; }
    /// The process ends by itself.
    void clear() {
        if (!path_.empty()) std::remove(path_.c_str());
        path_.clear();
    }

private:
    std::string path_;
    bool crashed_ = false;
};

}  // namespace app
