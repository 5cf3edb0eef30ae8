#pragma once
// Names of a sphere's control groups say which process they belong to, so that anybody can tell
// whether it lives, also when nothing but the groups is left of it:
//
//   dougong-<token>-<pid>-<start>-<where>
//
// A process number is used again, and means something in its own process namespace only: the time
// at which the process began and the namespaces in which both were read are part of the name.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sphere::native {

struct GroupOwner {
    std::int32_t pid = 0;
    std::uint64_t start_ticks = 0;  ///< since the host booted, as /proc tells it
    std::uint64_t where = 0;        ///< of the process and time namespaces
    bool operator==(const GroupOwner&) const = default;
};

/// This process; start_ticks is 0 where /proc does not tell.
GroupOwner this_owner();
std::string owner_name(std::string_view token, const GroupOwner& owner);
/// Nothing for any other name.
std::optional<GroupOwner> read_owner(std::string_view name);
/// Certainly: false for whatever this process cannot know about.
bool is_gone(const GroupOwner& owner);

}  // namespace sphere::native
