#pragma once
// Which cached pages belong to conversations that are likely to come back: each session remembers
// the node of its latest position, and everything above that node is protected.

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "base/core/clock.h"
#include "engine/kv/prefix_tree.h"

namespace engine {

class SessionTable {
public:
    /// A session is forgotten after `idle`, and the longest unused ones when they would protect
    /// more than `pages_max` pages or be more than `sessions_max`.
    SessionTable(PrefixTree& tree, base::Duration idle, std::uint32_t pages_max,
                 std::uint32_t sessions_max)
        : tree_(tree), idle_(idle), pages_max_(pages_max), sessions_max_(sessions_max) {}

    /// The session now ends at `tip`, which is no root.
    void update(std::string_view session, PrefixNode& tip, base::Instant now);
    void expire(base::Instant now);
    /// The node is about to go: its sessions end at its parent from now on.
    void retreat_from(PrefixNode& leaf);

    std::uint32_t sessions() const { return static_cast<std::uint32_t>(by_name_.size()); }
    std::uint32_t protected_pages() const { return protected_pages_; }

private:
    using Name = std::tuple<std::string, std::string, std::string>;  // tenant, adapter, session
    struct Session {
        Name name;
        PrefixNode* tip = nullptr;
        base::Instant used;
    };
    void protect(PrefixNode& tip, const PrefixNode* until);
    void release(PrefixNode& tip, const PrefixNode* until);
    void forget_oldest();

    PrefixTree& tree_;
    base::Duration idle_;
    std::uint32_t pages_max_, sessions_max_;
    std::list<Session> by_use_;  ///< longest unused first
    std::map<Name, std::list<Session>::iterator> by_name_;
    std::uint32_t protected_pages_ = 0;
};

}  // namespace engine
