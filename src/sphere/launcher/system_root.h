#pragma once
// The read-only root that every box of the host's system shares, built once in the launcher's own
// mount namespace. A box binds it and adds what is private to it.

#include "sphere/launcher/protocol.h"

namespace sphere::launcher {

/// What went wrong, and errno; step none when nothing did.
struct Outcome {
    Step step = Step::none;
    int error = 0;
    explicit operator bool() const { return step == Step::none; }
};
Outcome failed(Step step);  ///< with the current errno

/// One line of uid_map or gid_map: one id.
bool write_id_map(int proc, const char* name, std::uint32_t inside, std::uint32_t outside);
/// Not root: a user namespace in which this process may mount; its 0 is the user outside.
Outcome enter_user_namespace();

/// Boxes share a time namespace whose clocks began when their launcher did: how long the host runs
/// is not theirs to know. Concerns children only; costs a box nothing.
Outcome enter_time_namespace();

/// Where boxes find things; all are names under the staging folder.
inline constexpr const char* kSystemRoot = "system";   ///< the host's system, read-only
inline constexpr const char* kDeviceTree = "devices";  ///< a small /dev
inline constexpr const char* kBoxRoot = "box";         ///< an empty folder to mount a box's root on

/// Mounts a private tmpfs on `staging`, fills it and makes it the working directory. With
/// `keep_sys` the host's /sys stays, for a runtime that looks there.
Outcome prepare_staging(const char* staging, bool keep_sys = false);

}  // namespace sphere::launcher
